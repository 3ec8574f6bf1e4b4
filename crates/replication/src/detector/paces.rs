//! Whose disk sets the pace for all.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::NodeId;
use crate::detector::Delays;
use crate::disk::{HANGS, Syncs};

/// A disk is slow when it takes so many times what the others take, …
const FACTOR: u32 = 4;
/// … and at least this: below it nobody is kept waiting in a way that people notice.
const FLOOR: Duration = Duration::from_millis(60);
/// It is slow for good when it was so in each of so many seconds.
const SECONDS: usize = 5;

/// A disk that sets the pace, and what the others' disks take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slow {
    /// What a sync took on it, on average.
    pub takes: Duration,
    /// What it took on the others.
    pub others: Duration,
}

impl std::fmt::Display for Slow {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (takes, others) = (self.takes.as_millis(), self.others.as_millis());
        write!(out, "its disk is slow: it takes {takes} ms where the others take {others} ms")
    }
}

/// What a node says of its own disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sign {
    /// The syncs of its log since its start.
    pub syncs: Syncs,
    /// How long the oldest sync has waited for an answer of the disk.
    pub hangs_for: Duration,
    /// The last position that it shows.
    pub applied: u64,
    /// Whether it gave the lead up a moment ago, because it held the others up.
    pub gave_up: bool,
}

/// What a node said last that matters for who leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// How long ago.
    pub age: Duration,
    /// Whether its disk hung.
    pub hangs: bool,
    /// Whether it had given the lead up.
    pub gave_up: bool,
}

/// How the disks of the cluster do, as each node measures and says itself: so neither the distance
/// nor a busy network makes a disk slow.
#[derive(Clone, Debug, Default)]
pub struct Paces {
    nodes: BTreeMap<NodeId, Pace>,
}

#[derive(Clone, Debug, Default)]
struct Pace {
    said: Sign,
    said_at: Option<Instant>,
    delays: Delays,
}

impl Paces {
    /// A node said how its disk does.
    pub fn says(&mut self, node: NodeId, sign: Sign, now: Instant) {
        let pace = self.nodes.entry(node).or_default();
        if let Some(mean) = sign.syncs.mean_since(pace.said.syncs) {
            pace.delays.took(mean, now);
        }
        pace.said = sign;
        pace.said_at = Some(now);
    }

    /// Whether a node's disk hung when it last spoke of it.
    pub fn hangs(&self, node: NodeId) -> bool {
        self.nodes.get(&node).is_some_and(|pace| pace.said.hangs_for >= HANGS)
    }

    /// What a node said last; none when it never did.
    pub fn said(&self, node: NodeId, now: Instant) -> Option<Said> {
        let pace = self.nodes.get(&node)?;
        Some(Said {
            age: now.saturating_duration_since(pace.said_at?),
            hangs: self.hangs(node),
            gave_up: pace.said.gave_up,
        })
    }

    /// How far the others of `nodes` show the log: the median, the lower one of two.
    pub fn others_applied(&self, node: NodeId, nodes: &[NodeId]) -> u64 {
        let applied = |other: &NodeId| self.nodes.get(other).map_or(0, |pace| pace.said.applied);
        let others = nodes.iter().filter(|other| **other != node);
        let mut positions: Vec<u64> = others.map(applied).collect();
        positions.sort_unstable();
        positions.get(positions.len().saturating_sub(1) / 2).copied().unwrap_or(0)
    }

    /// Whether a node's disk has been slow for seconds, beside those of `others`.
    pub fn slow(&self, node: NodeId, others: &[NodeId], now: Instant) -> Option<Slow> {
        let others = self.usual(others, now)?;
        let limit = FLOOR.max(FACTOR * others);
        let delays = &self.nodes.get(&node)?.delays;
        let slow_seconds = delays.means(now).take_while(|mean| *mean > limit).take(SECONDS).count();
        let takes = delays.mean(now)?;
        (slow_seconds == SECONDS).then_some(Slow { takes, others })
    }

    /// Whether a node that was slow keeps pace with `others` again: it takes no more than half of
    /// what was too much, so that it does not come and go.
    pub fn recovered(&self, node: NodeId, others: &[NodeId], now: Instant) -> bool {
        let Some(takes) = self.nodes.get(&node).and_then(|pace| pace.delays.mean(now)) else {
            // Nothing is written: nobody would wait for it.
            return true;
        };
        let others = self.usual(others, now).unwrap_or_default();
        takes <= FLOOR.max(FACTOR * others) / 2
    }

    /// What these nodes' disks usually take: the median, the lower one of two.
    fn usual(&self, nodes: &[NodeId], now: Instant) -> Option<Duration> {
        let mean = |node: &NodeId| self.nodes.get(node)?.delays.mean(now);
        let mut means: Vec<Duration> = nodes.iter().filter_map(mean).collect();
        means.sort_unstable();
        means.get(means.len().saturating_sub(1) / 2).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each node syncs once and says so.
    fn sync(paces: &mut Paces, node: NodeId, delay: Duration, now: Instant) {
        let before = paces.nodes.entry(node).or_default().said.syncs;
        let syncs = Syncs { count: before.count + 1, total: before.total + delay };
        paces.says(node, Sign { syncs, ..Sign::default() }, now);
    }

    /// Ten syncs a second on each node, for so many seconds; gives when that was over.
    fn run(paces: &mut Paces, delays_ms: &[(NodeId, u64)], seconds: u32, from: Instant) -> Instant {
        for tenth in 0..seconds * 10 {
            let now = from + Duration::from_millis(100) * tenth;
            for (node, delay) in delays_ms {
                sync(paces, *node, Duration::from_millis(*delay), now);
            }
        }
        from + Duration::from_secs(1) * seconds
    }

    #[test]
    fn a_disk_is_slow_beside_others_and_only_for_good() {
        let (mut paces, start) = (Paces::default(), Instant::now());
        let now = run(&mut paces, &[(1, 1), (2, 2), (3, 120)], 4, start);
        assert_eq!(paces.slow(3, &[1, 2], now), None, "not long enough");
        let now = run(&mut paces, &[(1, 1), (2, 2), (3, 120)], 2, now);
        let slow = paces.slow(3, &[1, 2], now).expect("it sets the pace");
        assert_eq!((slow.takes.as_millis(), slow.others.as_millis()), (120, 1));
        assert_eq!(paces.slow(2, &[1, 3], now), None);
        assert!(!paces.recovered(3, &[1, 2], now));
    }

    #[test]
    fn where_all_are_slow_nobody_is() {
        let (mut paces, start) = (Paces::default(), Instant::now());
        let now = run(&mut paces, &[(1, 150), (2, 180), (3, 400)], 8, start);
        assert_eq!(paces.slow(3, &[1, 2], now), None);
    }

    #[test]
    fn two_of_five_that_are_slow_are_both_found() {
        let (mut paces, start) = (Paces::default(), Instant::now());
        let all = [(1, 2), (2, 3), (3, 2), (4, 150), (5, 300)];
        let now = run(&mut paces, &all, 8, start);
        assert!(paces.slow(4, &[1, 2, 3, 5], now).is_some());
        assert!(paces.slow(5, &[1, 2, 3, 4], now).is_some());
        assert!(paces.slow(2, &[1, 3, 4, 5], now).is_none());
    }

    #[test]
    fn one_long_pause_is_no_slow_disk() {
        let (mut paces, start) = (Paces::default(), Instant::now());
        let now = run(&mut paces, &[(1, 1), (2, 1)], 3, start);
        sync(&mut paces, 2, Duration::from_secs(2), now);
        let now = run(&mut paces, &[(1, 1), (2, 1)], 3, now);
        assert_eq!(paces.slow(2, &[1], now), None);
    }

    #[test]
    fn a_node_that_was_started_again_is_measured_anew() {
        let (mut paces, start) = (Paces::default(), Instant::now());
        let now = run(&mut paces, &[(1, 1), (2, 1)], 3, start);
        paces.says(2, Sign { hangs_for: HANGS, ..Sign::default() }, now);
        assert!(paces.hangs(2));
        let now = run(&mut paces, &[(1, 1), (2, 1)], 8, now);
        assert!(!paces.hangs(2));
        assert_eq!(paces.slow(2, &[1], now), None);
    }

    #[test]
    fn who_is_fast_again_has_recovered() {
        let (mut paces, start) = (Paces::default(), Instant::now());
        let now = run(&mut paces, &[(1, 1), (2, 1), (3, 120)], 8, start);
        assert!(!paces.recovered(3, &[1, 2], now));
        let now = run(&mut paces, &[(1, 1), (2, 1), (3, 3)], 8, now);
        assert!(paces.recovered(3, &[1, 2], now));
        assert!(paces.recovered(3, &[1, 2], now + Duration::from_secs(60)), "nothing is written");
    }
}
