//! Which position of the log was the last one a minute ago: nothing older is published late.

use std::collections::VecDeque;

/// How often the position is noted.
pub const NOTE_INTERVAL_MS: u64 = 1000;
/// What is older is not sent to a proxy that comes back: 60 s, less one interval between notes.
const TOO_OLD_MS: u64 = 60_000 - NOTE_INTERVAL_MS;

/// Positions of the last minute, once a second. Times are ms on any clock that only goes forward.
#[derive(Debug)]
pub struct Minute {
    /// The position when this server started: what is behind it may be of any age.
    first: u64,
    /// Time and position; only the first may be too old.
    notes: VecDeque<(u64, u64)>,
}

impl Minute {
    /// Nothing noted yet; the log is at this position.
    pub fn new(first: u64) -> Minute {
        Minute { first, notes: VecDeque::new() }
    }

    /// The log is at this position now.
    pub fn note(&mut self, position: u64, now_ms: u64) {
        self.notes.push_back((now_ms, position));
        while self.notes.get(1).is_some_and(|(at_ms, _)| at_ms + TOO_OLD_MS <= now_ms) {
            self.notes.pop_front();
        }
    }

    /// This position, or a later one if what stands behind it is too old.
    pub fn not_too_old(&self, position: u64, now_ms: u64) -> u64 {
        self.too_old(now_ms).map_or(position, |too_old| position.max(too_old))
    }

    /// Where to begin with a proxy that may have missed anything: a minute ago, or, as long as it
    /// is not known where that was, behind what surely passed.
    pub fn after_absence(&self, watermark: u64, now_ms: u64) -> u64 {
        self.too_old(now_ms).unwrap_or_else(|| watermark.min(self.first))
    }

    /// Everything up to this position is too old; none while that is not known.
    fn too_old(&self, now_ms: u64) -> Option<u64> {
        let old = |(at_ms, _): &&(u64, u64)| at_ms + TOO_OLD_MS <= now_ms;
        self.notes.iter().take_while(old).last().map(|(_, position)| *position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_too_old_before_a_minute_is_over() {
        let mut minute = Minute::new(40);
        minute.note(50, 0);
        assert_eq!(minute.not_too_old(10, TOO_OLD_MS - 1), 10);
        assert_eq!(minute.after_absence(60, TOO_OLD_MS - 1), 40);
        assert_eq!(minute.after_absence(30, TOO_OLD_MS - 1), 30);
        assert_eq!(minute.not_too_old(10, TOO_OLD_MS), 50);
        assert_eq!(minute.after_absence(10, TOO_OLD_MS), 50);
    }

    #[test]
    fn a_minute_is_kept_and_not_more() {
        let mut minute = Minute::new(0);
        for second in 0..1000 {
            minute.note(second * 10, second * 1000);
        }
        assert!(minute.notes.len() <= 61, "{}", minute.notes.len());
        // The note of 59 s ago: whatever came behind it is younger than 60 s.
        assert_eq!(minute.not_too_old(0, 999_000), 9_400);
        assert_eq!(minute.not_too_old(9_990, 999_000), 9_990);
    }
}
