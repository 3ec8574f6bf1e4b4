//! How long to wait before the next attempt.

use std::time::Duration;

use rand::RngExt;

/// The wait after the first failed attempt.
const FIRST_MS: u64 = 20;

/// The longest wait. A fail-over takes less than a second, so a longer one would be felt.
const LONGEST_MS: u64 = 300;

/// Doubling waits with jitter, so that clients that failed together do not return together.
#[derive(Debug)]
pub(crate) struct Backoff {
    next_ms: u64,
}

impl Backoff {
    pub(crate) fn new() -> Backoff {
        Backoff { next_ms: FIRST_MS }
    }

    /// The next wait: between half of it and all of it, doubled each time.
    pub(crate) fn next_wait(&mut self) -> Duration {
        let full = self.next_ms;
        self.next_ms = (full * 2).min(LONGEST_MS);
        Duration::from_millis(rand::rng().random_range(full / 2..=full))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_stay_bounded() {
        let mut backoff = Backoff::new();
        assert!(backoff.next_wait() <= Duration::from_millis(FIRST_MS));
        for _ in 0..50 {
            assert!(backoff.next_wait() <= Duration::from_millis(LONGEST_MS));
        }
        assert!(backoff.next_wait() >= Duration::from_millis(LONGEST_MS / 2));
    }
}
