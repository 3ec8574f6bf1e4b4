//! How much of the log is kept, and the one task that removes the rest.
//!
//! Who was away is sent what it lacks by log as long as the log reaches back so far. So the log is
//! kept up to a bound in bytes and entries, and beyond it, up to a hard bound, for who lives and
//! catches up and for who is being sent a snapshot. Only what the store has on disk is removed.

use std::sync::Arc;
use std::time::Duration;

use openraft::async_runtime::WatchReceiver;
use recado_metrics::count;
use recado_storage::free_bytes;
use tokio::time::{Instant, sleep, timeout};

use crate::log::NodeLog;
use crate::replica::Sizes;
use crate::shared::{Shared, lock};
use crate::snapshot::Files;
use crate::types::{Engine, LogId};

/// The log is looked at so often at the most.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Who answered within this time comes back, or is back, and is sent the rest by log.
const LIVES: Duration = Duration::from_secs(10);
/// The hard bound is so many times the usual one.
const HARD_FACTOR: u64 = 4;
/// Removed at a time: this part of the bound in bytes.
const SLACK_PART: u64 = 16;
/// The log takes at most this part of what it has and what is free on its disk.
const DISK_PART: u64 = 4;
/// Even for who catches up it takes at most this part.
const HARD_DISK_PART: u64 = 2;
/// How long the store may take to be brought to disk, and the log to go, before the next look tries
/// again.
const REMOVE_TIMEOUT: Duration = Duration::from_secs(10);

/// How much a log holds, or may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Bytes on disk.
    pub bytes: u64,
    /// Entries.
    pub entries: u64,
}

impl Extent {
    fn exceeds(&self, most: Extent) -> bool {
        self.bytes > most.bytes || self.entries > most.entries
    }

    fn times(&self, factor: u64) -> Extent {
        Extent {
            bytes: self.bytes.saturating_mul(factor),
            entries: self.entries.saturating_mul(factor),
        }
    }
}

/// The position up to which the log is to go: `surplus` is what must go for the usual bound, `hard`
/// what must go for the hard one, `needed` the last position that somebody has who still needs all
/// behind it.
fn purge_upto(surplus: Option<u64>, hard: Option<u64>, needed: Option<u64>) -> Option<u64> {
    let surplus = surplus?;
    match needed {
        Some(needed) if needed < surplus => hard.max(Some(needed)),
        _ => Some(surplus),
    }
}

/// How much is kept when nobody catches up, of a log that has `extent`, with `free` bytes beside it.
fn usual(sizes: Sizes, extent: Extent, free: Option<u64>) -> Extent {
    let share = free.map_or(u64::MAX, |free| free.saturating_add(extent.bytes) / DISK_PART);
    Extent { bytes: sizes.keep_bytes.min(share), entries: sizes.keep_entries }
}

/// How much is kept at the most, while somebody catches up: the rest of the disk is for the store.
fn hard(usual: Extent, extent: Extent, free: Option<u64>) -> Extent {
    let share = free.map_or(u64::MAX, |free| free.saturating_add(extent.bytes) / HARD_DISK_PART);
    let hard = usual.times(HARD_FACTOR);
    Extent { bytes: hard.bytes.min(share), ..hard }
}

/// Runs until the replica stops.
pub async fn run(shared: Arc<Shared>, engine: Engine, log: impl NodeLog) {
    let mut position = shared.position.subscribe();
    while position.changed().await.is_ok() {
        if let Some(upto) = surplus(&shared, &log) {
            remove(&shared, &engine, upto).await;
        }
        let Extent { bytes, entries } = log.extent();
        shared.config.metrics.kept_log_bytes.set(count(bytes));
        shared.config.metrics.kept_log_entries.set(count(entries));
        shared.config.metrics.purged_position.set(count(log.purged()));
        // Under load the position changes all the time.
        sleep(LOOK_EVERY).await;
    }
}

/// The position up to which the log is to go now, if it has grown enough beyond its bounds.
fn surplus(shared: &Shared, log: &impl NodeLog) -> Option<u64> {
    let extent = log.extent();
    let sizes = shared.config.sizes;
    // A simulation does not depend on the disk that it happens to run on.
    let free = match shared.files {
        Files::Threads => free_bytes(&shared.config.dir).ok(),
        Files::Inline => None,
    };
    let usual = usual(sizes, extent, free);
    let slack = Extent {
        bytes: usual.bytes.saturating_add(usual.bytes / SLACK_PART),
        entries: usual.entries.saturating_add(sizes.purge_entries),
    };
    if !extent.exceeds(slack) {
        return None;
    }
    let hard = log.surplus(hard(usual, extent, free));
    let upto = purge_upto(log.surplus(usual), hard, needed(shared, Instant::now()))?;
    // What is not applied is not in the store.
    let upto = upto.min(*shared.position.borrow());
    (upto > log.purged()).then_some(upto)
}

/// The position behind which everything is needed: by who catches up, and by who is being sent a
/// snapshot. None when nobody needs anything; a server that does not lead knows of nobody.
fn needed(shared: &Shared, now: Instant) -> Option<u64> {
    let members = shared.members();
    let gate = lock(&shared.gate);
    gate.term()?;
    let others = members.iter().map(|member| member.announced.node);
    let others = others.filter(|node| *node != shared.node);
    let need = |node| {
        let lives = gate.heard(node).is_some_and(|at| now.duration_since(at) < LIVES);
        let matched = lives.then(|| gate.matched(node).unwrap_or(0));
        // Who is sent a snapshot has no use for what is before it.
        shared.transfers.position(node).or(matched)
    };
    others.filter_map(need).min()
}

/// Removes the log up to this position, once the store has it on disk.
async fn remove(shared: &Shared, engine: &Engine, upto: u64) {
    for node in shared.transfers.overtake(upto) {
        tracing::warn!(
            node,
            "the log has outgrown {HARD_FACTOR} times what is kept of it (--keep-log) before the \
             snapshot for a server was installed; that is sent anew"
        );
    }
    let mut data = engine.data_metrics();
    let reaches = |id: Option<LogId>| id.is_some_and(|id| id.index >= upto);
    let removed = async {
        // The engine calls it a snapshot: a position up to which the store is on disk.
        if !reaches(data.borrow_watched().snapshot) {
            engine.trigger().snapshot().await.ok()?;
        }
        while !reaches(data.borrow_watched().snapshot) {
            data.changed().await.ok()?;
        }
        engine.trigger().purge_log(upto).await.ok()?;
        while !reaches(data.borrow_watched().purged) {
            data.changed().await.ok()?;
        }
        Some(())
    };
    // None when the engine ended, which the supervisor tells. It takes its time while entries that
    // are to go are on their way to somebody.
    let _ = timeout(REMOVE_TIMEOUT, removed).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_takes_a_share_of_a_small_disk_at_the_most() {
        let sizes = Sizes::keeping(1000);
        let extent = Extent { bytes: 100, entries: 1 };
        assert_eq!(usual(sizes, extent, Some(300)).bytes, 100);
        assert_eq!(usual(sizes, extent, Some(1_000_000)).bytes, 1000);
        assert_eq!(usual(sizes, extent, None).bytes, 1000);
    }

    #[test]
    fn half_of_a_small_disk_is_never_the_logs() {
        let sizes = Sizes::keeping(1000);
        let extent = Extent { bytes: 100, entries: 1 };
        let small = usual(sizes, extent, Some(300));
        assert_eq!(hard(small, extent, Some(300)).bytes, 200);
        assert_eq!(hard(usual(sizes, extent, None), extent, None).bytes, 4000);
        assert_eq!(hard(usual(sizes, extent, Some(9900)), extent, Some(9900)).bytes, 4000);
    }

    #[test]
    fn nobody_needs_what_is_beyond_the_usual_bound() {
        assert_eq!(purge_upto(None, None, Some(7)), None);
        assert_eq!(purge_upto(Some(100), None, None), Some(100));
        assert_eq!(purge_upto(Some(100), Some(30), Some(100)), Some(100));
        assert_eq!(purge_upto(Some(100), None, Some(400)), Some(100));
    }

    #[test]
    fn who_needs_more_gets_it_up_to_the_hard_bound() {
        assert_eq!(purge_upto(Some(100), None, Some(60)), Some(60));
        assert_eq!(purge_upto(Some(100), Some(30), Some(60)), Some(60));
        assert_eq!(purge_upto(Some(100), Some(80), Some(60)), Some(80));
    }
}
