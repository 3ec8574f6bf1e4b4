//! The server's two clocks: the corrected physical one and the logical one.
//!
//! The system's clock is read once, at start; from there on time is what passed since, so that
//! nobody who sets the system's clock moves ours. Corrections come from the clock rounds alone.

use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use recado_chat::clock::{CorrectedClock, LogicalClock};
use recado_protocol::codec;
use recado_replication::StampSource;

use crate::lock::lock;

/// The clocks; shared by all parts. What they hold is two numbers, so they need no task.
pub struct Clocks {
    started: Instant,
    /// By how much the system's clock is set wrong, for tests.
    wrong_us: i64,
    /// What the system's clock showed at the start, set wrong, µs since the Unix epoch.
    started_us: i64,
    correction: Mutex<CorrectedClock>,
    logical: Mutex<LogicalClock>,
}

impl Clocks {
    /// Starts from the system's clock, set wrong by this much.
    pub fn new(offset_ms: i64) -> Clocks {
        let wrong_us = offset_ms.saturating_mul(1000);
        Clocks {
            started: Instant::now(),
            wrong_us,
            started_us: system_us().saturating_add(wrong_us),
            correction: Mutex::default(),
            logical: Mutex::default(),
        }
    }

    /// The corrected time, µs since the Unix epoch.
    pub fn now_us(&self) -> i64 {
        let passed = self.started.elapsed();
        let passed_us = i64::try_from(passed.as_micros()).unwrap_or(i64::MAX);
        self.started_us.saturating_add(passed_us).saturating_add(self.correction_us())
    }

    /// The corrected time, ms since the Unix epoch.
    pub fn now_ms(&self) -> u64 {
        u64::try_from(self.now_us() / 1000).unwrap_or(0)
    }

    /// The correction in force: how much is added to the clock that was read at the start, µs.
    pub fn correction_us(&self) -> i64 {
        lock(&self.correction).offset_ms(ms(self.started.elapsed())).saturating_mul(1000)
    }

    /// How far the system's clock is ahead of the corrected time now, µs. Unlike the correction, it
    /// shows also what was done to the system's clock since the start.
    pub fn host_offset_us(&self) -> i64 {
        system_us().saturating_add(self.wrong_us).saturating_sub(self.now_us())
    }

    /// Corrects the physical clock by this much, smoothly.
    pub fn adjust(&self, delta_ms: i64) {
        if delta_ms != 0 {
            let passed_ms = ms(self.started.elapsed());
            lock(&self.correction).adjust(delta_ms, passed_ms);
        }
    }

    /// A message from anybody came with this logical clock.
    pub fn observe(&self, received: u64) {
        lock(&self.logical).observe(received);
    }

    /// The own cluster stamped something with this logical clock.
    pub fn observe_trusted(&self, stamped: u64) {
        lock(&self.logical).observe_trusted(stamped);
    }

    fn tick(&self) -> u64 {
        lock(&self.logical).tick()
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

/// The system's clock. Before 1970 it is as wrong as any other: the rounds correct it.
fn system_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

fn ms(passed: Duration) -> u64 {
    u64::try_from(passed.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_sets_the_clock_wrong_and_a_correction_sets_it_right() {
        let right = Clocks::new(0);
        let wrong = Clocks::new(-3_600_000);
        assert!((right.now_us() - wrong.now_us() - 3_600_000_000).abs() < 1_000_000);
        wrong.adjust(3_600_000);
        std::thread::sleep(Duration::from_millis(600));
        assert!((right.now_us() - wrong.now_us()).abs() < 1_000_000);
        assert_eq!(wrong.correction_us(), 3_600_000_000);
        assert!((wrong.host_offset_us() + 3_600_000_000).abs() < 1_000_000);
        assert!(right.host_offset_us().abs() < 1_000_000);
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
        assert_eq!(clocks.stamp_message().clock, 2);
    }
}
