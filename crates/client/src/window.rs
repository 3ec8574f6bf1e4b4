//! Numbers for requests within one session.
//!
//! The servers remember the results of the last so many requests of a session. A number that is
//! given out must therefore stay within the window as long as it is unanswered: the newest number
//! is less than the window ahead of the oldest unanswered one.

use std::collections::BTreeSet;

/// The numbers of one session.
#[derive(Debug)]
pub(crate) struct Window {
    size: u64,
    next: u64,
    unanswered: BTreeSet<u64>,
}

impl Window {
    /// A window of this many requests, at least one.
    pub(crate) fn new(size: u64) -> Window {
        Window { size: size.max(1), next: 1, unanswered: BTreeSet::new() }
    }

    /// The next number, unless it would push the oldest unanswered one out of the window.
    pub(crate) fn take(&mut self) -> Option<u64> {
        let oldest = self.unanswered.first().copied().unwrap_or(self.next);
        if self.next - oldest >= self.size {
            return None;
        }
        let n = self.next;
        self.next += 1;
        self.unanswered.insert(n);
        Some(n)
    }

    /// The request was answered, or given up.
    pub(crate) fn settle(&mut self, n: u64) {
        self.unanswered.remove(&n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_from_one() {
        let mut window = Window::new(3);
        assert_eq!([window.take(), window.take(), window.take()], [Some(1), Some(2), Some(3)]);
    }

    #[test]
    fn the_oldest_unanswered_request_holds_the_window() {
        let mut window = Window::new(3);
        for _ in 0..3 {
            window.take();
        }
        assert_eq!(window.take(), None);
        window.settle(2);
        window.settle(3);
        assert_eq!(window.take(), None, "request 1 is still unanswered");
        window.settle(1);
        assert_eq!(window.take(), Some(4));
    }

    #[test]
    fn what_the_server_calls_no_window_is_a_window_of_one() {
        let mut window = Window::new(0);
        assert_eq!(window.take(), Some(1));
        assert_eq!(window.take(), None);
    }
}
