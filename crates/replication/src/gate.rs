//! The gate in front of every acknowledgement.
//!
//! An entry that a majority has is committed, but an acknowledgement promises more: that every
//! active server has it on disk, this one too: consensus may commit an entry that the others have
//! while the primary's own disk is still busy with it. So replies are held here, in log order,
//! until each of them has their position. Three rules keep that true:
//!
//! * answers count only for the term in which this node leads, and replies that are held when it
//!   stops leading are never released: their outcome is unknown;
//! * nothing is released unless a majority answered a message that was sent within the last
//!   lease: a primary that was stopped for a while can't know whether it still is one;
//! * a backup that comes back counts from before its activation is proposed ([`Gate::admit`]), so
//!   that no reply slips through between proposal and commit.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

#[cfg(feature = "planted")]
use recado_chat::planted::{self, Bug};
use tokio::time::Instant;

use crate::NodeId;
use crate::detector::{Bounds, Rhythm};

/// What is known of another node while this one leads.
#[derive(Clone, Debug, Default)]
struct Progress {
    /// The last position that it has on disk.
    matched: u64,
    /// When the newest message that it answered was sent.
    answered_sent: Option<Instant>,
    /// When its answers came.
    heard: Rhythm,
}

struct Held<T> {
    index: u64,
    since: Instant,
    reply: T,
    /// On how many servers' disks it must be, however few are active.
    copies: u32,
}

/// A reply that may leave, with the number of servers that have the entry on disk.
#[derive(Debug, PartialEq, Eq)]
pub struct Released<T> {
    /// The reply.
    pub reply: T,
    /// On how many servers' disks the entry is, this one included.
    pub stored: u32,
}

/// Held replies and who must answer before they leave; `T` is a reply.
pub struct Gate<T> {
    me: NodeId,
    lease: Duration,
    term: Option<u64>,
    voters: BTreeSet<NodeId>,
    active: BTreeSet<NodeId>,
    /// Who has copies without being a server.
    witnesses: BTreeSet<NodeId>,
    admitted: BTreeSet<NodeId>,
    /// How many servers must be active for writes to be taken.
    min_copies: u32,
    progress: BTreeMap<NodeId, Progress>,
    /// The last position of this term on this node's own disk.
    flushed: u64,
    held: VecDeque<Held<T>>,
    released: u64,
    since: Option<Instant>,
}

impl<T> Gate<T> {
    /// A gate of a node that does not lead; `lease` is how long a majority's answer is good for.
    pub fn new(me: NodeId, lease: Duration) -> Gate<T> {
        Gate {
            me,
            lease,
            term: None,
            voters: BTreeSet::new(),
            active: BTreeSet::new(),
            witnesses: BTreeSet::new(),
            admitted: BTreeSet::new(),
            min_copies: 1,
            progress: BTreeMap::new(),
            flushed: 0,
            held: VecDeque::new(),
            released: 0,
            since: None,
        }
    }

    /// This node begins to lead in `term`. Gives back what an earlier term left: their outcome is
    /// unknown.
    pub fn lead(&mut self, term: u64, now: Instant) -> Vec<T> {
        let left = self.resign();
        self.term = Some(term);
        self.since = Some(now);
        left
    }

    /// This node leads no more. Gives back all held replies: their outcome is unknown.
    pub fn resign(&mut self) -> Vec<T> {
        self.term = None;
        self.since = None;
        self.flushed = 0;
        self.progress.clear();
        self.admitted.clear();
        self.released = 0;
        self.held.drain(..).map(|held| held.reply).collect()
    }

    /// The term in which this node leads.
    pub fn term(&self) -> Option<u64> {
        self.term
    }

    /// Who votes, as consensus has it.
    pub fn set_voters(&mut self, voters: BTreeSet<NodeId>) {
        self.voters = voters;
    }

    /// Who is active and who is a witness, as the applied member table has it.
    pub fn set_members(&mut self, active: BTreeSet<NodeId>, witnesses: BTreeSet<NodeId>) {
        self.admitted.retain(|node| !active.contains(node));
        self.active = active;
        self.witnesses = witnesses;
    }

    /// How many servers must be active for writes to be taken, as the applied state has it.
    pub fn set_min_copies(&mut self, copies: u32) {
        self.min_copies = copies;
    }

    /// How many servers must be active for writes to be taken.
    pub fn min_copies(&self) -> u32 {
        self.min_copies
    }

    /// How many servers are active, if writes need more.
    pub fn too_few(&self) -> Option<u32> {
        // Who leads has everything, though it may only be about to count as active.
        let active = self.active.len().max(1) as u32;
        (active < self.min_copies).then_some(active)
    }

    /// Gives back the replies whose entries won't be on as many disks as they need, since too few
    /// servers are active: their outcome is unknown.
    pub fn give_up(&mut self) -> Vec<T> {
        let (Some(active), least) = (self.too_few(), self.min_copies) else { return Vec::new() };
        let (left, kept) = self.held.drain(..).partition(|held| held.copies.min(least) > active);
        self.held = kept;
        let left: VecDeque<Held<T>> = left;
        left.into_iter().map(|held| held.reply).collect()
    }

    /// Whether a node is a witness without a vote.
    pub fn only_watches(&self, node: NodeId) -> bool {
        self.witnesses.contains(&node) && !self.voters.contains(&node)
    }

    /// Counts a returning node from now on. Gives the position that it must have on disk before
    /// its activation may be proposed: everything up to there was released without it.
    pub fn admit(&mut self, node: NodeId) -> u64 {
        self.admitted.insert(node);
        self.released
    }

    /// Takes [`Gate::admit`] back, when the node fell behind before it was active.
    pub fn dismiss(&mut self, node: NodeId) {
        self.admitted.remove(&node);
    }

    /// A node answered a message of `term` that was sent at `sent`: it has everything up to
    /// `matched` on disk (none: it only said that it is there).
    pub fn answered(
        &mut self,
        term: u64,
        node: NodeId,
        matched: Option<u64>,
        sent: Instant,
        now: Instant,
    ) {
        if self.term != Some(term) {
            return;
        }
        let progress = self.progress.entry(node).or_default();
        progress.matched = progress.matched.max(matched.unwrap_or(0));
        progress.answered_sent = progress.answered_sent.max(Some(sent));
        progress.heard.heard(now);
    }

    /// A node gave a sign of life, which says nothing of its disk and confirms no lease.
    pub fn heard_of(&mut self, node: NodeId, now: Instant) {
        if self.term.is_some() {
            self.progress.entry(node).or_default().heard.heard(now);
        }
    }

    /// This node's own disk has everything up to this position of `term`.
    pub fn flushed(&mut self, term: u64, index: u64) {
        if self.term == Some(term) {
            self.flushed = self.flushed.max(index);
        }
    }

    /// Holds the reply to a committed and applied entry. Entries come in log order. A `write` also
    /// needs as many copies as writes need.
    pub fn hold(&mut self, index: u64, reply: T, write: bool, now: Instant) {
        let copies = if write { self.min_copies } else { 1 };
        self.held.push_back(Held { index, since: now, reply, copies });
    }

    /// The replies that may leave now.
    pub fn release(&mut self, now: Instant) -> Vec<Released<T>> {
        if self.held.is_empty() || !self.lease_holds(now) {
            return Vec::new();
        }
        let floor = self.floor();
        let mut ready = Vec::new();
        while let Some(held) = self.held.front() {
            let stored = self.stored(held.index);
            // What was asked for when it was held, or less if less is asked for now.
            if held.index > floor || stored < held.copies.min(self.min_copies) {
                break;
            }
            self.released = self.released.max(held.index);
            ready.extend(self.held.pop_front().map(|held| Released { stored, reply: held.reply }));
        }
        ready
    }

    /// How many replies are held.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// The position that every active server has on disk.
    fn floor(&self) -> u64 {
        #[cfg(feature = "planted")]
        if planted::on(Bug::AckSkipsGate) {
            return self.flushed;
        }
        let backups = self.active.union(&self.admitted).filter(|node| **node != self.me);
        backups.map(|node| self.matched(*node).unwrap_or(0)).fold(self.flushed, u64::min)
    }

    /// On how many servers' disks this position is, this one included.
    pub fn stored(&self, index: u64) -> u32 {
        let counts = |node: &NodeId| *node != self.me && !self.witnesses.contains(node);
        let others = self.progress.iter().filter(|(node, _)| counts(node));
        1 + others.filter(|(_, p)| p.matched >= index).count() as u32
    }

    /// Whether this node leads and a majority of voters answered a message that was sent within
    /// the last lease.
    pub fn lease_holds(&self, now: Instant) -> bool {
        if self.term.is_none() {
            return false;
        }
        let fresh = |node: &NodeId| {
            *node == self.me
                || self
                    .progress
                    .get(node)
                    .and_then(|p| p.answered_sent)
                    .is_some_and(|sent| now.duration_since(sent) < self.lease)
        };
        self.voters.iter().filter(|node| fresh(node)).count() > self.voters.len() / 2
    }

    /// Since when this node leads.
    pub fn since(&self) -> Option<Instant> {
        self.since
    }

    /// The last position that a node is known to have on disk.
    pub fn matched(&self, node: NodeId) -> Option<u64> {
        self.progress.get(&node).map(|progress| progress.matched)
    }

    /// When a node's last answer came, while this node leads.
    pub fn heard(&self, node: NodeId) -> Option<Instant> {
        self.progress.get(&node).and_then(|progress| progress.heard.last())
    }

    /// After how much silence a node counts as gone.
    pub fn silence_limit(&self, node: NodeId, bounds: Bounds) -> Duration {
        self.progress.get(&node).map_or(bounds.most, |progress| progress.heard.limit(bounds))
    }

    /// How long the oldest reply has waited for this node.
    pub fn waits_for(&self, node: NodeId, now: Instant) -> Duration {
        let matched = self.matched(node).unwrap_or(0);
        self.held
            .iter()
            .find(|held| held.index > matched)
            .map_or(Duration::ZERO, |held| now.duration_since(held.since))
    }

    /// The position that those whom acknowledgements wait for have on disk, but for `node`: the
    /// median of theirs, the lower one of two, so that one or two that lag behind too don't excuse
    /// it. This node's own disk is one of them.
    pub fn others_have(&self, node: NodeId) -> u64 {
        let mut positions: Vec<u64> =
            (self.active.iter())
                .filter(|other| **other != node)
                .map(|other| {
                    if *other == self.me { self.flushed } else { self.matched(*other).unwrap_or(0) }
                })
                .collect();
        positions.sort_unstable();
        positions.get(positions.len().saturating_sub(1) / 2).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_millis(300);

    fn gate_of_three(now: Instant) -> Gate<&'static str> {
        let mut gate = Gate::new(1, LEASE);
        gate.lead(5, now);
        gate.flushed(5, 1000);
        gate.set_voters([1, 2, 3].into());
        gate.set_members([1, 2, 3].into(), [].into());
        gate.answered(5, 2, Some(0), now, now);
        gate.answered(5, 3, Some(0), now, now);
        gate
    }

    fn replies(released: Vec<Released<&'static str>>) -> Vec<&'static str> {
        released.into_iter().map(|r| r.reply).collect()
    }

    #[test]
    fn what_the_others_have_is_their_median() {
        let now = Instant::now();
        let mut gate = Gate::<&str>::new(1, LEASE);
        gate.lead(5, now);
        gate.flushed(5, 20);
        gate.set_members([1, 2, 3, 4, 5].into(), [9].into());
        for (node, matched) in [(2, 30), (3, 25), (4, 10), (5, 5), (9, 90)] {
            gate.answered(5, node, Some(matched), now, now);
        }
        assert_eq!(gate.others_have(5), 20, "of 30, 25, 20 and 10");
        assert_eq!(gate.others_have(1), 10, "of 30, 25, 10 and 5");
        gate.set_members([1, 3].into(), [9].into());
        assert_eq!((gate.others_have(3), gate.others_have(1)), (20, 25));
        gate.set_members([1].into(), [].into());
        assert_eq!(gate.others_have(1), 0, "there is nobody");
    }

    #[test]
    fn a_sign_of_life_confirms_nothing() {
        let now = Instant::now();
        let mut gate = gate_of_three(now);
        gate.hold(10, "a", true, now);
        let later = now + 2 * LEASE;
        gate.heard_of(2, later);
        gate.heard_of(3, later);
        assert_eq!(gate.heard(2), Some(later));
        assert!(!gate.lease_holds(later));
        assert!(gate.release(later).is_empty());
    }

    #[test]
    fn a_majority_is_not_enough() {
        let now = Instant::now();
        let mut gate = gate_of_three(now);
        gate.hold(10, "a", true, now);
        gate.answered(5, 2, Some(10), now, now);
        assert!(gate.release(now).is_empty());
        gate.answered(5, 3, Some(9), now, now);
        assert!(gate.release(now).is_empty());
        gate.answered(5, 3, Some(10), now, now);
        assert_eq!(gate.release(now), [Released { reply: "a", stored: 3 }]);
    }

    #[test]
    fn the_primarys_own_disk_counts() {
        let now = Instant::now();
        let mut gate = Gate::new(1, LEASE);
        gate.lead(5, now);
        gate.set_voters([1, 2, 3].into());
        gate.set_members([1, 2, 3].into(), [].into());
        gate.hold(10, "a", true, now);
        gate.answered(5, 2, Some(10), now, now);
        gate.answered(5, 3, Some(10), now, now);
        gate.flushed(5, 9);
        gate.flushed(4, 12);
        assert!(gate.release(now).is_empty());
        gate.flushed(5, 10);
        assert_eq!(gate.release(now), [Released { reply: "a", stored: 3 }]);
    }

    #[test]
    fn replies_leave_in_order_and_as_far_as_the_slowest_backup() {
        let now = Instant::now();
        let mut gate = gate_of_three(now);
        for (index, reply) in [(10, "a"), (11, "b"), (12, "c")] {
            gate.hold(index, reply, true, now);
        }
        gate.answered(5, 2, Some(12), now, now);
        gate.answered(5, 3, Some(11), now, now);
        assert_eq!(replies(gate.release(now)), ["a", "b"]);
        assert_eq!(gate.held.len(), 1);
    }

    #[test]
    fn answers_to_another_term_do_not_count() {
        let now = Instant::now();
        let mut gate = gate_of_three(now);
        gate.hold(10, "a", true, now);
        gate.answered(4, 2, Some(10), now, now);
        gate.answered(6, 3, Some(10), now, now);
        assert!(gate.release(now).is_empty());
    }

    #[test]
    fn a_dropped_backup_is_waited_for_no_more() {
        let now = Instant::now();
        let mut gate = gate_of_three(now);
        gate.hold(10, "a", true, now);
        gate.answered(5, 2, Some(10), now, now);
        assert_eq!(gate.waits_for(3, now + LEASE / 2), LEASE / 2);
        gate.set_members([1, 2].into(), [].into());
        assert_eq!(gate.release(now), [Released { reply: "a", stored: 2 }]);
    }

    #[test]
    fn a_primary_that_lost_its_term_releases_nothing() {
        let now = Instant::now();
        let mut gate = gate_of_three(now);
        gate.hold(10, "a", true, now);
        assert_eq!(gate.resign(), ["a"]);
        gate.answered(5, 2, Some(10), now, now);
        gate.answered(5, 3, Some(10), now, now);
        assert!(gate.release(now).is_empty());
    }

    #[test]
    fn a_primary_that_slept_longer_than_its_lease_releases_nothing_until_confirmed() {
        let now = Instant::now();
        let mut gate = gate_of_three(now);
        gate.hold(10, "a", true, now);
        let woken = now + 10 * LEASE;
        // Answers to what was sent before the sleep arrive after it.
        gate.answered(5, 2, Some(10), now, woken);
        gate.answered(5, 3, Some(10), now, woken);
        assert!(gate.release(woken).is_empty());
        gate.answered(5, 2, Some(10), woken, woken);
        assert_eq!(replies(gate.release(woken)), ["a"]);
    }

    #[test]
    fn an_admitted_node_counts_before_it_is_active() {
        let now = Instant::now();
        let mut gate = gate_of_three(now);
        gate.set_members([1, 2].into(), [].into());
        gate.hold(10, "a", true, now);
        gate.answered(5, 2, Some(10), now, now);
        assert_eq!(replies(gate.release(now)), ["a"]);
        // Position 10 left without node 3: it must have it before it may become active.
        assert_eq!(gate.admit(3), 10);
        gate.hold(11, "b", true, now);
        gate.answered(5, 2, Some(11), now, now);
        assert!(gate.release(now).is_empty());
        gate.answered(5, 3, Some(11), now, now);
        assert_eq!(replies(gate.release(now)), ["b"]);
    }

    #[test]
    fn a_write_that_too_few_have_is_given_back_and_a_member_change_is_not() {
        let now = Instant::now();
        let mut gate = gate_of_three(now);
        gate.set_min_copies(2);
        assert_eq!(gate.too_few(), None);
        gate.hold(10, "a", true, now);
        gate.hold(11, "b", false, now);
        assert_eq!(gate.give_up(), [""; 0], "enough are active");
        gate.set_members([1].into(), [].into());
        assert_eq!(gate.too_few(), Some(1));
        assert!(gate.release(now).is_empty());
        assert_eq!(gate.give_up(), ["a"]);
        assert_eq!(replies(gate.release(now)), ["b"]);
    }

    #[test]
    fn where_fewer_copies_are_needed_now_fewer_are_enough() {
        let now = Instant::now();
        let mut gate = gate_of_three(now);
        gate.set_min_copies(3);
        gate.hold(10, "a", true, now);
        gate.answered(5, 2, Some(10), now, now);
        gate.set_min_copies(2);
        gate.set_members([1, 2].into(), [].into());
        assert_eq!(gate.release(now), [Released { reply: "a", stored: 2 }]);
    }

    #[test]
    fn copies_on_servers_that_were_dropped_since_count() {
        let now = Instant::now();
        let mut gate = gate_of_three(now);
        gate.set_min_copies(2);
        gate.hold(10, "a", true, now);
        gate.answered(5, 2, Some(10), now, now);
        gate.set_members([1].into(), [].into());
        assert_eq!(gate.release(now), [Released { reply: "a", stored: 2 }]);
    }

    #[test]
    fn alone_nobody_is_waited_for() {
        let now = Instant::now();
        let mut gate = Gate::new(1, LEASE);
        gate.lead(1, now);
        gate.flushed(1, 1);
        gate.set_voters([1].into());
        gate.set_members([1].into(), [].into());
        gate.hold(1, "a", true, now);
        assert_eq!(gate.release(now + 100 * LEASE), [Released { reply: "a", stored: 1 }]);
    }
}
