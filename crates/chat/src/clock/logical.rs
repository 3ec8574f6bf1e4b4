//! The logical clock.

/// How far ahead of the own clock a received value may be to count. Who is honest is ahead by
/// the messages that we have not heard of, which is far less; who sends 2^64-1 to stop all clocks
/// at their end is passed over. It would take 2^24 well-aimed messages to get there in steps.
pub const MAX_JUMP: u64 = 1 << 40;

/// Counts what happened before what (L. Lamport, "Time, Clocks, and the Ordering of Events in a
/// Distributed System", 1978): add one before every send, and on receipt take the larger of the
/// own and the received value, plus one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct LogicalClock {
    value: u64,
}

impl LogicalClock {
    /// A clock that goes on behind this value, such as that of the last entry in the log.
    pub const fn starting_at(value: u64) -> LogicalClock {
        LogicalClock { value }
    }

    /// The value now.
    pub const fn value(&self) -> u64 {
        self.value
    }

    /// Adds one before a send; the result goes into the message. At its end it stays there.
    pub fn tick(&mut self) -> u64 {
        self.value = self.value.saturating_add(1);
        self.value
    }

    /// Takes notice of a value from anybody. One that is more than [`MAX_JUMP`] ahead counts as
    /// none: the receipt alone is an event, the value is not believed.
    pub fn observe(&mut self, received: u64) -> u64 {
        if received.saturating_sub(self.value) > MAX_JUMP {
            return self.tick();
        }
        self.observe_trusted(received)
    }

    /// Takes notice of a value that the own cluster stamped: however far ahead it is, it is
    /// believed. Without this, a process that starts anew would never catch up with a cluster
    /// whose clock is far.
    pub fn observe_trusted(&mut self, received: u64) -> u64 {
        self.value = self.value.max(received);
        self.tick()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sends_and_receipts_only_go_up() {
        let mut clock = LogicalClock::default();
        assert_eq!(clock.tick(), 1);
        assert_eq!(clock.observe(10), 11);
        assert_eq!(clock.observe(3), 12);
        assert_eq!(clock.observe(0), 13);
        assert_eq!(clock.tick(), 14);
    }

    #[test]
    fn a_hostile_value_stops_nobody() {
        let mut clock = LogicalClock::starting_at(5);
        assert_eq!(clock.observe(u64::MAX), 6);
        assert_eq!(clock.observe(6 + MAX_JUMP), 7 + MAX_JUMP);
        assert_eq!(clock.observe(9 + 2 * MAX_JUMP), 8 + MAX_JUMP);
    }

    #[test]
    fn the_own_cluster_is_believed() {
        let mut clock = LogicalClock::default();
        assert_eq!(clock.observe_trusted(1 << 50), (1 << 50) + 1);
    }

    #[test]
    fn it_stays_at_its_end() {
        let mut clock = LogicalClock::starting_at(u64::MAX);
        assert_eq!((clock.tick(), clock.observe(u64::MAX)), (u64::MAX, u64::MAX));
    }
}
