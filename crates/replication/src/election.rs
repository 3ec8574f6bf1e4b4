//! Who stands for election when: pure rules, time comes in from outside.
//!
//! The engine's own randomised timer is off. When the primary has been silent for a lease, the
//! first server in takeover order starts a pre-vote at once, the second one slot later, and so on;
//! who does not win tries again one whole round later. Rank only decides who asks first: the
//! term, the vote on disk and the log decide who may lead.

use std::collections::BTreeSet;
use std::time::Duration;

use recado_chat::members::takeover_key;
use tokio::time::Instant;

use crate::NodeId;

/// A voter, as the takeover order sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its node id.
    pub node: NodeId,
    /// Its rank, 0 for none.
    pub rank: u64,
    /// Whether it holds every acknowledged entry.
    pub active: bool,
}

/// The slot of `me` among the candidates, without the primary that fell silent: active servers
/// before others, then by rank.
pub fn slot(candidates: &[Candidate], me: NodeId, silent: Option<NodeId>) -> u32 {
    let key = |c: &Candidate| (!c.active, takeover_key(c.rank, c.node));
    let Some(mine) = candidates.iter().find(|c| c.node == me).map(key) else { return 0 };
    let before = candidates.iter().filter(|c| Some(c.node) != silent && c.node != me);
    before.filter(|c| key(c) < mine).count() as u32
}

/// When this server last had a reason to be quiet, and when it tries next.
#[derive(Debug)]
pub struct Campaign {
    election: Duration,
    slot: Duration,
    quiet_since: Instant,
    attempts: u32,
}

impl Campaign {
    /// Quiet since `now`; `election` of silence start a campaign, `slot` apart by rank.
    pub fn new(election: Duration, slot: Duration, now: Instant) -> Campaign {
        Campaign { election, slot, quiet_since: now, attempts: 0 }
    }

    /// A primary was heard of at `when`, or this server voted for somebody then.
    pub fn quiet(&mut self, when: Instant) {
        if when > self.quiet_since {
            self.quiet_since = when;
            self.attempts = 0;
        }
    }

    /// Whether this server stood for election since the primary was last heard of.
    pub fn stood(&self) -> bool {
        self.attempts > 0
    }

    /// Whether to start a pre-vote now. Counts the attempt.
    pub fn due(&mut self, my_slot: u32, voters: u32, now: Instant) -> bool {
        let round = self.slot * (voters + 1);
        let wait = self.election + self.slot * my_slot + round * self.attempts;
        if now.duration_since(self.quiet_since) < wait {
            return false;
        }
        self.attempts += 1;
        true
    }
}

/// Which servers should vote, given who is active and who votes now.
///
/// An even number of voters tolerates no more deaths than the odd number below it and has more
/// that can die, so the set is odd: the active servers in takeover order, one less if they are
/// even. With fewer than three active servers the voters stay who they are if they are three or
/// more, the dead included: any two of three can go on later, while a set of one could not.
pub fn target_voters(active: &[Candidate], voters: &BTreeSet<NodeId>) -> BTreeSet<NodeId> {
    if active.len() < 3 && voters.len() >= 3 {
        return voters.clone();
    }
    let mut order: Vec<&Candidate> = active.iter().collect();
    order.sort_by_key(|c| takeover_key(c.rank, c.node));
    let odd = order.len() - usize::from(order.len().is_multiple_of(2) && !order.is_empty());
    order.into_iter().take(odd).map(|c| c.node).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(node: NodeId, rank: u64, active: bool) -> Candidate {
        Candidate { node, rank, active }
    }

    #[test]
    fn slots_follow_rank_and_leave_out_the_silent_primary() {
        let all = [
            candidate(70, 1, true),
            candidate(10, 2, true),
            candidate(40, 3, true),
            candidate(50, 0, true),
            candidate(5, 4, false),
        ];
        assert_eq!(slot(&all, 70, None), 0);
        assert_eq!(slot(&all, 10, Some(70)), 0);
        assert_eq!(slot(&all, 40, Some(70)), 1);
        assert_eq!(slot(&all, 50, Some(70)), 2);
        assert_eq!(slot(&all, 5, Some(70)), 3);
    }

    #[test]
    fn campaigns_wait_for_silence_and_their_slot() {
        let start = Instant::now();
        let ms = Duration::from_millis;
        let mut campaign = Campaign::new(ms(300), ms(60), start);
        assert!(!campaign.due(1, 3, start + ms(359)));
        assert!(campaign.due(1, 3, start + ms(360)));
        assert!(!campaign.due(1, 3, start + ms(599)), "the next try is a round of slots later");
        assert!(campaign.due(1, 3, start + ms(600)));
        campaign.quiet(start + ms(610));
        assert!(!campaign.due(0, 3, start + ms(909)));
        assert!(campaign.due(0, 3, start + ms(910)));
    }

    fn target(active: &[u64], voters: &[u64]) -> Vec<u64> {
        let active: Vec<Candidate> =
            active.iter().map(|node| candidate(*node, *node, true)).collect();
        target_voters(&active, &voters.iter().copied().collect()).into_iter().collect()
    }

    #[test]
    fn the_voters_are_odd_and_the_first_in_order() {
        assert_eq!(target(&[1], &[1]), [1]);
        assert_eq!(target(&[1, 2], &[1]), [1]);
        assert_eq!(target(&[1, 2, 3], &[1]), [1, 2, 3]);
        assert_eq!(target(&[1, 2, 3, 4], &[1, 2, 3]), [1, 2, 3]);
        assert_eq!(target(&[1, 2, 3, 4, 5], &[1, 2, 3]), [1, 2, 3, 4, 5]);
        assert_eq!(target(&[], &[]), [0; 0]);
    }

    #[test]
    fn the_dead_stay_voters_only_to_keep_three() {
        assert_eq!(target(&[1, 2], &[1, 2, 3]), [1, 2, 3]);
        assert_eq!(target(&[2], &[1, 2, 3]), [1, 2, 3]);
        assert_eq!(target(&[1, 2, 3], &[1, 2, 3, 4, 5]), [1, 2, 3]);
        assert_eq!(target(&[2, 3, 4], &[1, 2, 3]), [2, 3, 4]);
    }
}
