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
    /// Whether it is the reference's replica.
    pub witness: bool,
}

/// The slot of `me` among the candidates, without the primary that fell silent: active servers
/// before others, then by rank. The witness comes last, with a slot to spare: it stands only in
/// case that nobody else holds what was committed.
pub fn slot(candidates: &[Candidate], me: NodeId, silent: Option<NodeId>) -> u32 {
    let key = |c: &Candidate| (!c.active, takeover_key(c.rank, c.node));
    let Some(my) = candidates.iter().find(|c| c.node == me) else { return 0 };
    if my.witness {
        return candidates.len() as u32;
    }
    let mine = key(my);
    let before = candidates.iter().filter(|c| Some(c.node) != silent && c.node != me);
    before.filter(|c| key(c) < mine).count() as u32
}

/// How long a primary may be silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// After so much silence it is gone.
    pub limit: Duration,
    /// So much of the silence this process itself did not run.
    pub not_run: Duration,
    /// Whether this process runs late in this moment, and has not read yet what came.
    pub late: bool,
}

impl Patience {
    /// No silence at all is waited for: there is nobody to hear.
    pub const NONE: Patience =
        Patience { limit: Duration::ZERO, not_run: Duration::ZERO, late: false };
}

/// When this server last had a reason to be quiet, and when it tries next.
#[derive(Debug)]
pub struct Campaign {
    slot: Duration,
    quiet_since: Instant,
    attempts: u32,
}

impl Campaign {
    /// Quiet since `now`; servers that are neighbours in rank stand `slot` apart.
    pub fn new(slot: Duration, now: Instant) -> Campaign {
        Campaign { slot, quiet_since: now, attempts: 0 }
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
    pub fn due(&mut self, my_slot: u32, voters: u32, patience: Patience, now: Instant) -> bool {
        let round = self.slot * (voters + 1);
        let wait = patience.limit + self.slot * my_slot + round * self.attempts;
        let silence = now.duration_since(self.quiet_since).saturating_sub(patience.not_run);
        if silence < wait || patience.late {
            return false;
        }
        self.attempts += 1;
        true
    }
}

/// What the primary knows about whom it leads, as far as it matters for who should vote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Electorate {
    /// Who votes now.
    pub voters: BTreeSet<NodeId>,
    /// The active servers.
    pub active: Vec<Candidate>,
    /// The witness, if it keeps pace (as a voter: if it is only there).
    pub witness: Option<NodeId>,
    /// Whether a server that votes and is not active answered lately.
    pub laggards: bool,
}

/// Which nodes should vote.
///
/// An even number of voters tolerates no more deaths than the odd number below it and has more
/// that can die, so the set is odd: the active servers, and the witness if they are even. So of
/// three servers, two may die one after the other: {A, B, C} → {A, B, witness} → {A}.
///
/// The last active server becomes the only voter while the witness is there to agree, but not
/// as long as another server that votes may only lag: it must be able to take over. Without a
/// witness an even number of servers does without the last in takeover order; and with fewer
/// than three active servers the voters stay who they are if they are three or more, the dead
/// included: any two of three can go on later, while a set of one could not.
pub fn target_voters(now: &Electorate) -> BTreeSet<NodeId> {
    let mut order: Vec<&Candidate> = now.active.iter().collect();
    order.sort_by_key(|c| takeover_key(c.rank, c.node));
    let mut target: BTreeSet<NodeId> = order.iter().map(|c| c.node).collect();
    let voters = &now.voters;
    match (order.last(), now.witness) {
        (Some(_), Some(witness)) if order.len().is_multiple_of(2) => {
            target.insert(witness);
        }
        (Some(_), Some(_)) if order.len() == 1 && voters.len() >= 3 && now.laggards => {
            return voters.clone();
        }
        (_, None) if order.len() < 3 && voters.len() >= 3 => return voters.clone(),
        (Some(last), None) if order.len().is_multiple_of(2) => {
            target.remove(&last.node);
        }
        _ => {}
    }
    target
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(node: NodeId, rank: u64, active: bool) -> Candidate {
        Candidate { node, rank, active, witness: false }
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
        let witness = Candidate { witness: true, ..candidate(1, 0, false) };
        let all = [candidate(70, 1, true), candidate(10, 2, true), witness];
        assert_eq!(slot(&all, 10, Some(70)), 0);
        assert_eq!(slot(&all, 1, Some(70)), 3, "after all servers, and one slot more");
    }

    #[test]
    fn campaigns_wait_for_silence_and_their_slot() {
        let start = Instant::now();
        let ms = Duration::from_millis;
        let patience = Patience { limit: ms(300), ..Patience::NONE };
        let mut campaign = Campaign::new(ms(60), start);
        assert!(!campaign.due(1, 3, patience, start + ms(359)));
        assert!(campaign.due(1, 3, patience, start + ms(360)));
        let next = start + ms(599);
        assert!(!campaign.due(1, 3, patience, next), "the next try is a round of slots later");
        assert!(campaign.due(1, 3, patience, start + ms(600)));
        campaign.quiet(start + ms(610));
        assert!(!campaign.due(0, 3, patience, start + ms(909)));
        assert!(campaign.due(0, 3, patience, start + ms(910)));
    }

    #[test]
    fn who_runs_late_does_not_accuse_others() {
        let start = Instant::now();
        let ms = Duration::from_millis;
        let mut campaign = Campaign::new(ms(60), start);
        let patience = Patience { limit: ms(300), not_run: ms(250), late: true };
        assert!(!campaign.due(0, 3, patience, start + ms(900)), "what came is still to be read");
        let patience = Patience { late: false, ..patience };
        assert!(!campaign.due(0, 3, patience, start + ms(549)));
        assert!(campaign.due(0, 3, patience, start + ms(550)));
    }

    /// Node ids are ranks here; the witness is node 9.
    fn electorate(active: &[u64], voters: &[u64]) -> Electorate {
        let active = active.iter().map(|node| candidate(*node, *node, true)).collect();
        let voters = voters.iter().copied().collect();
        Electorate { voters, active, witness: None, laggards: false }
    }

    fn alone(active: &[u64], voters: &[u64]) -> Vec<u64> {
        target_voters(&electorate(active, voters)).into_iter().collect()
    }

    fn witnessed(active: &[u64], voters: &[u64]) -> Vec<u64> {
        let now = Electorate { witness: Some(9), ..electorate(active, voters) };
        target_voters(&now).into_iter().collect()
    }

    #[test]
    fn without_a_witness_the_voters_are_odd_and_the_first_in_order() {
        assert_eq!(alone(&[1], &[1]), [1]);
        assert_eq!(alone(&[1, 2], &[1]), [1]);
        assert_eq!(alone(&[1, 2, 3], &[1]), [1, 2, 3]);
        assert_eq!(alone(&[1, 2, 3, 4], &[1, 2, 3]), [1, 2, 3]);
        assert_eq!(alone(&[1, 2, 3, 4, 5], &[1, 2, 3]), [1, 2, 3, 4, 5]);
        assert_eq!(alone(&[], &[]), [0; 0]);
    }

    #[test]
    fn without_a_witness_the_dead_stay_voters_only_to_keep_three() {
        assert_eq!(alone(&[1, 2], &[1, 2, 3]), [1, 2, 3]);
        assert_eq!(alone(&[2], &[1, 2, 3]), [1, 2, 3]);
        assert_eq!(alone(&[2, 3], &[2, 3, 9]), [2, 3, 9], "a witness that is away stays");
        assert_eq!(alone(&[1, 2, 3], &[1, 2, 3, 4, 5]), [1, 2, 3]);
        assert_eq!(alone(&[2, 3, 4], &[1, 2, 3]), [2, 3, 4]);
    }

    #[test]
    fn the_witness_makes_an_even_number_odd() {
        assert_eq!(witnessed(&[1], &[1]), [1]);
        assert_eq!(witnessed(&[1, 2], &[1]), [1, 2, 9]);
        assert_eq!(witnessed(&[1, 2, 3], &[1, 2, 9]), [1, 2, 3]);
        assert_eq!(witnessed(&[1, 2, 3, 4], &[1, 2, 3]), [1, 2, 3, 4, 9]);
        assert_eq!(witnessed(&[2, 3], &[1, 2, 3]), [2, 3, 9]);
        assert_eq!(witnessed(&[], &[]), [0; 0]);
    }

    #[test]
    fn the_last_server_votes_alone_unless_another_only_lags() {
        assert_eq!(witnessed(&[3], &[2, 3, 9]), [3]);
        let lagging = electorate(&[3], &[2, 3, 9]);
        let lagging = Electorate { witness: Some(9), laggards: true, ..lagging };
        assert_eq!(target_voters(&lagging), lagging.voters);
    }
}
