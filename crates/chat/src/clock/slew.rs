//! Following a correction smoothly.

/// Over how long a correction is followed, ms.
pub const SLEW_MS: u64 = 500;

/// A correction that is followed in a straight line. Time since its start is passed in: a
/// monotonic one, ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Slew {
    total_ms: i64,
    over_ms: u64,
}

impl Slew {
    /// A correction by `total_ms`, followed over `over_ms`.
    pub const fn new(total_ms: i64, over_ms: u64) -> Slew {
        Slew { total_ms, over_ms }
    }

    /// How much of it is followed after so long, ms: from nothing to all of it.
    pub fn followed_ms(&self, elapsed_ms: u64) -> i64 {
        if elapsed_ms >= self.over_ms {
            return self.total_ms;
        }
        let part = i128::from(self.total_ms) * i128::from(elapsed_ms) / i128::from(self.over_ms);
        // A part of an i64.
        part as i64
    }
}

/// A physical clock's correction: what earlier rounds gave, and what is being followed now.
///
/// A correction backwards by more than [`SLEW_MS`] makes the corrected time run backwards while it
/// is followed. That is meant, so that a round's effect is there soon; who needs times that never
/// go back takes the larger of two, as the channels do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct CorrectedClock {
    settled_ms: i64,
    slew: Slew,
    since_ms: u64,
}

impl CorrectedClock {
    /// How much is to be added to the uncorrected clock at this monotonic time, ms.
    pub fn offset_ms(&self, monotonic_ms: u64) -> i64 {
        let followed = self.slew.followed_ms(monotonic_ms.saturating_sub(self.since_ms));
        self.settled_ms.saturating_add(followed)
    }

    /// Follows a new correction from here on. What is left of the last one is dropped: the new
    /// one was measured against the time that was shown.
    pub fn adjust(&mut self, adjust_ms: i64, monotonic_ms: u64) {
        self.settled_ms = self.offset_ms(monotonic_ms);
        self.slew = Slew::new(adjust_ms, SLEW_MS);
        self.since_ms = monotonic_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_correction_is_followed_in_a_line() {
        let slew = Slew::new(-100, 500);
        let at = [0, 250, 499, 500, u64::MAX].map(|ms| slew.followed_ms(ms));
        assert_eq!(at, [0, -50, -99, -100, -100]);
        assert_eq!(Slew::new(7, 0).followed_ms(0), 7);
        assert_eq!(Slew::new(i64::MIN, u64::MAX).followed_ms(u64::MAX - 1), i64::MIN + 1);
    }

    #[test]
    fn a_new_correction_starts_at_what_is_shown() {
        let mut clock = CorrectedClock::default();
        clock.adjust(100, 1_000);
        assert_eq!(clock.offset_ms(1_000), 0);
        assert_eq!(clock.offset_ms(1_250), 50);
        clock.adjust(-50, 1_250);
        assert_eq!(clock.offset_ms(1_250), 50);
        assert_eq!(clock.offset_ms(1_750), 0);
        assert_eq!(clock.offset_ms(9_999), 0);
    }
}
