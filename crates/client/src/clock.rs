//! The logical clock, and the wall clock's reading for messages.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Counts what this process sends and receives, so that a message that was sent after another
/// one was seen carries the larger number.
#[derive(Debug, Default)]
pub struct LogicalClock {
    value: AtomicU64,
}

impl LogicalClock {
    /// Before a send: one more; the new value goes into the message.
    pub fn tick(&self) -> u64 {
        self.advance(|value| value.saturating_add(1))
    }

    /// On receipt: one more than the larger of our value and the received one.
    pub fn observe(&self, received: u64) -> u64 {
        self.advance(|value| value.max(received).saturating_add(1))
    }

    /// The value now.
    pub fn value(&self) -> u64 {
        self.value.load(Ordering::Relaxed)
    }

    fn advance(&self, step: impl Fn(u64) -> u64) -> u64 {
        let mut old = self.value.load(Ordering::Relaxed);
        loop {
            let new = step(old);
            match self.value.compare_exchange_weak(old, new, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return new,
                Err(seen) => old = seen,
            }
        }
    }
}

/// The wall clock: ms since the Unix epoch. Servers take it as a hint only.
pub fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_send_adds_one_and_a_receipt_passes_the_sender() {
        let clock = LogicalClock::default();
        assert_eq!(clock.tick(), 1);
        assert_eq!(clock.observe(10), 11);
        assert_eq!(clock.observe(3), 12);
        assert_eq!(clock.tick(), 13);
    }

    #[test]
    fn the_largest_value_on_the_wire_does_not_wrap_the_clock() {
        let clock = LogicalClock::default();
        assert_eq!(clock.observe(u64::MAX), u64::MAX);
        assert_eq!(clock.tick(), u64::MAX);
    }
}
