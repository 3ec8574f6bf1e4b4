//! Up to where events have passed every live proxy.

/// The published watermark of one reign.
#[derive(Debug)]
pub struct Watermark {
    term: u64,
    reached: u64,
    /// For each proxy that is live, how far events have passed it.
    passed: Vec<Option<u64>>,
}

impl Watermark {
    /// Of no reign yet.
    pub fn new(proxies: usize) -> Watermark {
        Watermark { term: 0, reached: 0, passed: vec![None; proxies] }
    }

    /// A reign starts from this position; the first of its lanes to come says so for all.
    pub fn start(&mut self, term: u64, reached: u64) {
        if self.term != term {
            self.term = term;
            self.reached = reached;
            // Until it is heard otherwise, all of them are waited for.
            self.passed.fill(Some(reached));
        }
    }

    /// How far events have passed a proxy, if it is live. Gives the watermark when it moved.
    ///
    /// While one catches up that came back behind the watermark, this stands: if all servers died
    /// now, the next primary would begin there. So it does with no live proxy.
    pub fn note(&mut self, term: u64, proxy: usize, passed: Option<u64>) -> Option<u64> {
        if self.term != term {
            return None;
        }
        *self.passed.get_mut(proxy)? = passed;
        let reached = self.reached;
        let lowest = self.passed.iter().flatten().copied().min();
        self.reached = lowest.filter(|lowest| *lowest > reached)?;
        Some(self.reached)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_live_proxy_decides() {
        let mut watermark = Watermark::new(2);
        watermark.start(1, 10);
        assert_eq!(watermark.note(1, 0, Some(20)), None);
        assert_eq!(watermark.note(1, 1, Some(15)), Some(15));
        assert_eq!(watermark.note(1, 1, Some(30)), Some(20));
    }

    #[test]
    fn who_is_not_live_holds_up_nobody_and_who_catches_up_does() {
        let mut watermark = Watermark::new(2);
        watermark.start(1, 10);
        assert_eq!(watermark.note(1, 1, None), None);
        assert_eq!(watermark.note(1, 0, Some(20)), Some(20));
        assert_eq!(watermark.note(1, 1, Some(5)), None);
        assert_eq!(watermark.note(1, 0, Some(25)), None);
        // It has caught up.
        assert_eq!(watermark.note(1, 1, Some(25)), Some(25));
        assert_eq!(watermark.note(1, 0, Some(40)), None);
        assert_eq!(watermark.note(1, 1, Some(30)), Some(30));
    }

    #[test]
    fn without_a_live_proxy_it_stands() {
        let mut watermark = Watermark::new(1);
        watermark.start(1, 10);
        assert_eq!(watermark.note(1, 0, None), None);
        assert_eq!(watermark.note(1, 0, Some(12)), Some(12));
    }

    #[test]
    fn another_reign_starts_anew() {
        let mut watermark = Watermark::new(1);
        watermark.start(1, 10);
        watermark.start(2, 5);
        watermark.start(2, 7);
        assert_eq!(watermark.note(1, 0, Some(20)), None);
        assert_eq!(watermark.note(2, 0, Some(6)), Some(6));
    }
}
