//! How late this process itself runs: a starved one hears late, and must not take that for the
//! silence of others.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// So much later than asked a timer may ring on a machine that has nothing else to do.
const SLACK: Duration = Duration::from_millis(20);
/// However late this process runs, what lasts longer is no accident of its own.
pub const EXCUSED: Duration = Duration::from_secs(5);
/// Delays that are longer ago are forgotten; no silence is judged over more.
const KEPT: Duration = Duration::from_secs(10);

/// The delays of this process's own timers.
#[derive(Clone, Debug, Default)]
pub struct Lateness {
    delays: VecDeque<(Instant, Duration)>,
    late: bool,
}

impl Lateness {
    /// A timer that was due at `due` rang at `now`, or something else woke the process before.
    pub fn woke(&mut self, due: Instant, now: Instant) {
        let delay = now.saturating_duration_since(due);
        self.late = delay > SLACK;
        if self.late {
            self.delays.push_back((now, delay));
        }
        let old = |at: &Instant| now.saturating_duration_since(*at) > KEPT;
        while self.delays.front().is_some_and(|(at, _)| old(at)) {
            self.delays.pop_front();
        }
    }

    /// Whether the process woke late just now: what came meanwhile is still to be read, so nobody
    /// is judged in this moment.
    pub fn is_late(&self) -> bool {
        self.late
    }

    /// How much of the time since `from` this process did not run.
    pub fn since(&self, from: Instant) -> Duration {
        let part =
            |(rang, delay): &(Instant, Duration)| rang.saturating_duration_since(from).min(*delay);
        self.delays.iter().map(part).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_timer_that_rings_in_time_is_no_delay() {
        let (mut lateness, start) = (Lateness::default(), Instant::now());
        lateness.woke(start + ms(100), start + ms(100));
        lateness.woke(start + ms(200), start + ms(201));
        lateness.woke(start + ms(300), start + ms(250));
        assert!(!lateness.is_late());
        assert_eq!(lateness.since(start), ms(0));
    }

    #[test]
    fn only_the_part_within_the_time_counts() {
        let (mut lateness, start) = (Lateness::default(), Instant::now());
        lateness.woke(start + ms(100), start + ms(400));
        assert!(lateness.is_late());
        lateness.woke(start + ms(500), start + ms(550));
        assert_eq!(lateness.since(start), ms(350));
        assert_eq!(lateness.since(start + ms(300)), ms(150));
        assert_eq!(lateness.since(start + ms(450)), ms(50));
        assert_eq!(lateness.since(start + ms(600)), ms(0));
    }

    #[test]
    fn who_is_in_time_again_is_not_late() {
        let (mut lateness, start) = (Lateness::default(), Instant::now());
        lateness.woke(start, start + ms(400));
        lateness.woke(start + ms(420), start + ms(421));
        assert!(!lateness.is_late());
        lateness.woke(start + KEPT + ms(500), start + KEPT + ms(500));
        assert_eq!(lateness.since(start), ms(0), "it is forgotten");
    }
}
