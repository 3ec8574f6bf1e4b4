//! The server's two clocks: the corrected physical one and the logical one.
//!
//! The system's clock is read once, at start; from there on time is what passed since, so that
//! nobody who sets the system's clock moves ours. Corrections come from the clock rounds alone.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use recado_protocol::codec;
use recado_replication::StampSource;

/// Values above this are not taken from others: a sender who claims the end of all numbers must
/// not bring our clock to its end.
const MAX_CLOCK: u64 = 1 << 53;

/// The clocks; shared by all parts. What they hold is two numbers, so they need no task.
pub struct Clocks {
    started: Instant,
    /// What the system's clock showed then, with the test offset, µs since the Unix epoch.
    started_us: i64,
    slew: Mutex<Slew>,
    logical: AtomicU64,
}

impl Clocks {
    /// Starts from the system's clock, set wrong by this much.
    pub fn new(offset_ms: i64) -> Clocks {
        // A system clock before 1970 is as wrong as any other: the rounds correct it.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let system_us = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
        Clocks {
            started: Instant::now(),
            started_us: system_us.saturating_add(offset_ms.saturating_mul(1000)),
            slew: Mutex::default(),
            logical: AtomicU64::default(),
        }
    }

    /// The corrected time, µs since the Unix epoch.
    pub fn now_us(&self) -> i64 {
        let passed_us = self.passed_us();
        let slew = self.slew.lock().unwrap_or_else(PoisonError::into_inner);
        self.started_us.saturating_add(passed_us).saturating_add(slew.at(passed_us))
    }

    /// The corrected time, ms since the Unix epoch.
    pub fn now_ms(&self) -> u64 {
        u64::try_from(self.now_us() / 1000).unwrap_or(0)
    }

    /// Corrects the physical clock by this much, smoothly.
    pub fn adjust(&self, delta_ms: i64) {
        let passed_us = self.passed_us();
        let mut slew = self.slew.lock().unwrap_or_else(PoisonError::into_inner);
        slew.add(passed_us, delta_ms.saturating_mul(1000));
    }

    fn passed_us(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_micros()).unwrap_or(i64::MAX)
    }

    /// A message from elsewhere came with this logical clock.
    pub fn observe(&self, received: u64) {
        if received <= MAX_CLOCK {
            let _ = self.logical.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |own| {
                Some(own.max(received) + 1)
            });
        }
    }

    /// The logical clock for something that is about to be sent.
    fn tick(&self) -> u64 {
        self.logical.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// What goes into a message that is about to be sent.
    pub fn stamp_message(&self) -> codec::Stamp {
        codec::Stamp { timestamp: self.now_ms(), clock: self.tick() }
    }
}

impl StampSource for Clocks {
    fn stamp(&self) -> recado_chat::Stamp {
        recado_chat::Stamp { time_ms: self.now_ms(), clock: self.tick() }
    }
}

/// A correction that is being followed.
#[derive(Debug, Default)]
struct Slew {
    from_us: i64,
    to_us: i64,
    began_us: i64,
}

/// How long a correction takes.
const SLEW_US: i64 = 500_000;

impl Slew {
    fn at(&self, now_us: i64) -> i64 {
        let gone = now_us.saturating_sub(self.began_us).clamp(0, SLEW_US);
        let way = i128::from(self.to_us - self.from_us) * i128::from(gone) / i128::from(SLEW_US);
        self.from_us + i64::try_from(way).unwrap_or(0)
    }

    fn add(&mut self, now_us: i64, delta_us: i64) {
        let from_us = self.at(now_us);
        *self = Slew { from_us, to_us: self.to_us.saturating_add(delta_us), began_us: now_us };
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_offset_sets_the_clock_wrong_and_a_correction_sets_it_right() {
        let right = Clocks::new(0);
        let wrong = Clocks::new(-3_600_000);
        assert!((right.now_us() - wrong.now_us() - 3_600_000_000).abs() < 1_000_000);
        wrong.adjust(3_600_000);
        std::thread::sleep(Duration::from_millis(600));
        assert!((right.now_us() - wrong.now_us()).abs() < 1_000_000);
    }

    #[test]
    fn the_logical_clock_passes_whatever_it_hears() {
        let clocks = Clocks::new(0);
        assert_eq!(clocks.stamp_message().clock, 1);
        clocks.observe(10);
        assert_eq!(clocks.stamp_message().clock, 12);
        clocks.observe(3);
        assert_eq!(clocks.stamp_message().clock, 14);
    }

    #[test]
    fn the_end_of_all_numbers_is_not_taken_over() {
        let clocks = Clocks::new(0);
        clocks.observe(u64::MAX);
        assert_eq!(clocks.stamp_message().clock, 1);
    }
}
