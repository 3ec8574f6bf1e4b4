//! This node's own disk: what the log waits for, and how long syncs take.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use recado_metrics::Histogram;
use tokio::time::Instant;

use crate::shared::lock;

/// A sync that takes so long hangs, as far as people are told.
pub const HANGS: Duration = Duration::from_secs(1);

/// What the log asked of its disk; clones share it.
#[derive(Clone, Default)]
pub struct Disk {
    state: Arc<Mutex<State>>,
    seconds: Option<Histogram>,
}

#[derive(Default)]
struct State {
    asked: u64,
    waiting: VecDeque<Waiting>,
    syncs: Syncs,
}

/// How many syncs of entries ended since the start, and how long they took together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Syncs {
    /// How many.
    pub count: u64,
    /// How long, together.
    pub total: Duration,
}

impl Syncs {
    /// The mean duration of those that ended after `before`; none when none did, or when `before`
    /// is of an earlier start.
    pub fn mean_since(self, before: Syncs) -> Option<Duration> {
        let count = self.count.checked_sub(before.count).and_then(|c| u32::try_from(c).ok())?;
        self.total.checked_sub(before.total)?.checked_div(count)
    }
}

struct Waiting {
    number: u64,
    /// The last position that is on its way with it; none for what has no position.
    position: Option<u64>,
    since: Instant,
}

/// A sync that was asked for. It counts as answered when this goes: nobody waits for it any more.
pub struct Asked {
    disk: Disk,
    number: u64,
}

impl Disk {
    /// Has the durations of syncs noted there too.
    pub fn measured(seconds: Histogram) -> Disk {
        Disk { state: Arc::default(), seconds: Some(seconds) }
    }

    /// A sync begins, of entries up to this position.
    pub fn ask(&self, position: Option<u64>) -> Asked {
        let mut state = lock(&self.state);
        state.asked += 1;
        let number = state.asked;
        state.waiting.push_back(Waiting { number, position, since: Instant::now() });
        Asked { disk: self.clone(), number }
    }

    /// How long the oldest sync that was not answered has been on its way.
    pub fn hangs_for(&self, now: Instant) -> Duration {
        let state = lock(&self.state);
        state.waiting.front().map_or(Duration::ZERO, |w| now.saturating_duration_since(w.since))
    }

    /// The first position that waits for the disk, and since when.
    pub fn waits(&self) -> Option<(u64, Instant)> {
        let state = lock(&self.state);
        state.waiting.iter().find_map(|waiting| Some((waiting.position?, waiting.since)))
    }

    /// The syncs of entries so far.
    pub fn syncs(&self) -> Syncs {
        lock(&self.state).syncs
    }

    /// Syncs end in the order in which they were asked for.
    fn done(&self, number: u64) {
        let mut state = lock(&self.state);
        while let Some(waiting) = state.waiting.front().filter(|w| w.number <= number) {
            let delay = waiting.since.elapsed();
            if waiting.position.is_some() {
                state.syncs.count += 1;
                state.syncs.total += delay;
                if let Some(seconds) = &self.seconds {
                    seconds.observe(delay.as_secs_f64());
                }
            }
            state.waiting.pop_front();
        }
    }
}

impl Asked {
    /// The disk answered, be it with an error.
    pub fn done(self) {}
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.disk.done(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_oldest_unanswered_sync_tells_how_long_the_disk_hangs() {
        let disk = Disk::default();
        assert_eq!(disk.hangs_for(Instant::now()), Duration::ZERO);
        let vote = disk.ask(None);
        tokio::time::advance(Duration::from_millis(300)).await;
        let entries = disk.ask(Some(7));
        tokio::time::advance(Duration::from_millis(200)).await;
        assert_eq!(disk.hangs_for(Instant::now()), Duration::from_millis(500));
        assert_eq!(disk.waits().map(|(position, _)| position), Some(7));
        vote.done();
        assert_eq!(disk.hangs_for(Instant::now()), Duration::from_millis(200));
        entries.done();
        assert_eq!(disk.hangs_for(Instant::now()), Duration::ZERO);
        assert_eq!(disk.waits(), None);
        let before = Syncs::default();
        let mean = disk.syncs().mean_since(before);
        assert_eq!(mean, Some(Duration::from_millis(200)), "votes are not counted");
        assert_eq!(disk.syncs().mean_since(disk.syncs()), None);
        assert_eq!(before.mean_since(disk.syncs()), None, "it was started again");
    }
}
