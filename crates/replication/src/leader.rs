//! What a server does while it leads, beside committing entries: it drops backups that are gone,
//! takes back those that keep pace, keeps the voters in step with the active servers, and hands
//! over: to a lower rank, and to whoever has what its own disk holds up.

mod judge;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use openraft::{ChangeMembers, EmptyNode};
use recado_chat::members::takeover_key;
use recado_chat::{Member, MemberCommand};
use tokio::time::Instant;

use crate::NodeId;
use crate::detector::Lateness;
use crate::election::{Candidate, Electorate, target_voters};
use crate::shared::{Shared, lock};
use crate::types::Engine;
use judge::{Fault, Judge};

/// A backup keeps pace when it has what the primary had applied so long ago.
const PACE: Duration = Duration::from_millis(200);
/// The longest a flapping backup must keep pace before it is active again.
const MAX_STEADY: Duration = Duration::from_secs(60);
/// Drops that are longer ago are forgiven.
const FLAP_MEMORY: Duration = Duration::from_secs(300);
/// How long a server leads before it hands over to a lower rank, and between two tries.
const TRANSFER_AFTER: Duration = Duration::from_secs(2);
const TRANSFER_COOL_DOWN: Duration = Duration::from_secs(30);
/// A transfer stops heartbeats and writes; when nobody took over in this time, start anew.
const TRANSFER_LIMIT: Duration = Duration::from_secs(5);
/// Whoever is to take over from a server whose disk hangs was heard so lately.
const GIVE_UP_HEARD: Duration = Duration::from_millis(500);
/// The same for a witness, which is in the way as long as it leads.
const WITNESS_TRANSFER_COOL_DOWN: Duration = Duration::from_secs(1);
/// A voter that is not active keeps its vote until it was silent for so long.
const VOTER_SILENCE: Duration = Duration::from_millis(1500);
/// Between two changes of the consensus membership.
const CHANGE_COOL_DOWN: Duration = Duration::from_millis(100);

/// Consensus membership at a moment.
pub struct Consensus {
    /// Who votes.
    pub voters: BTreeSet<NodeId>,
    /// Who follows without a vote.
    pub learners: BTreeSet<NodeId>,
    /// Whether a change of voters stands half done.
    pub joint: bool,
}

/// The duties of one term.
pub struct Leadership {
    term: u64,
    since: Instant,
    judge: Judge,
    /// Member changes that are on their way; one at a time for each node.
    pending: Arc<std::sync::Mutex<BTreeSet<NodeId>>>,
    /// Whether a change of the consensus membership is on its way.
    changing: Arc<AtomicBool>,
    changed: Option<Instant>,
    /// Where the log stood, lately.
    marks: VecDeque<(Instant, u64)>,
    /// Since when inactive servers keep pace, and the position that an admitted one must reach.
    pace: BTreeMap<NodeId, Pace>,
    drops: Vec<(NodeId, Instant)>,
    transfer: Option<(NodeId, Instant)>,
    /// When this server gave the lead up because of its own disk, or when that last hung after.
    gave_up: Option<Instant>,
}

struct Pace {
    since: Instant,
    /// Whether that is long enough.
    ready: bool,
    must_reach: Option<u64>,
}

impl Leadership {
    /// A new term begins, after `predecessor` fell silent.
    pub fn begin(term: u64, predecessor: Option<NodeId>, now: Instant) -> Leadership {
        Leadership {
            term,
            since: now,
            judge: Judge::new(predecessor, now),
            pending: Arc::default(),
            changing: Arc::default(),
            changed: None,
            marks: VecDeque::new(),
            pace: BTreeMap::new(),
            drops: Vec::new(),
            transfer: None,
            gave_up: None,
        }
    }

    /// The term.
    pub fn term(&self) -> u64 {
        self.term
    }

    /// Looks at everything once.
    pub fn tick(
        &mut self,
        shared: &Arc<Shared>,
        engine: &Engine,
        consensus: &Consensus,
        lateness: &Lateness,
        now: Instant,
    ) {
        if let Some(since) = self.gave_up {
            self.waits_for_a_successor(shared, since, now);
            return;
        }
        let members = shared.members();
        self.marks.push_back((now, *shared.position.borrow()));
        while self.marks.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= PACE) {
            self.marks.pop_front();
        }
        let servers: Vec<NodeId> =
            members.iter().filter(|m| !m.announced.witness).map(|m| m.announced.node).collect();
        self.judge.ask(shared, &servers, now);
        if self.gives_up(shared, engine, &members, consensus, lateness, now) {
            return;
        }
        self.activate_self(shared, &members);
        self.set_min_copies(shared, now);
        self.drop_the_gone(shared, &members, lateness, now);
        self.take_back(shared, &members, consensus, now);
        self.change_consensus(shared, engine, &members, consensus, now);
        self.hand_over(shared, engine, &members, consensus, now);
    }

    /// Whoever leads holds every acknowledged entry. A witness is never active.
    fn activate_self(&self, shared: &Arc<Shared>, members: &[Member]) {
        let me = shared.node;
        if !shared.config.witness && members.iter().any(|m| m.announced.node == me && !m.active) {
            self.propose(shared, me, MemberCommand::Activate { node: me });
        }
    }

    /// Brings the cluster's setting to what this server was told.
    fn set_min_copies(&self, shared: &Arc<Shared>, now: Instant) {
        let (before, leads) = {
            let gate = lock(&shared.gate);
            (gate.min_copies(), gate.lease_holds(now))
        };
        if leads
            && let Some(copies) = shared.config.min_copies.filter(|copies| *copies != before)
            && self.propose(shared, shared.node, MemberCommand::MinCopies { copies })
        {
            tracing::info!(before, "from now on writes need {copies} active servers");
        }
    }

    fn drop_the_gone(
        &mut self,
        shared: &Arc<Shared>,
        members: &[Member],
        lateness: &Lateness,
        now: Instant,
    ) {
        let active = active(members);
        let least = lock(&shared.gate).min_copies() as usize;
        // Those whose drop is on its way count as gone.
        let mut left = {
            let pending = lock(&self.pending);
            active.iter().filter(|node| !pending.contains(node)).count()
        };
        for member in members.iter().filter(|m| m.active && m.announced.node != shared.node) {
            let node = member.announced.node;
            let Some(fault) = self.judge.fault(shared, node, &active, lateness, now) else {
                continue;
            };
            // Slow copies are better than too few.
            if matches!(fault, Fault::Slow(_)) && left <= least {
                continue;
            }
            let name = &member.announced.name;
            let reason = fault.to_string();
            let change = MemberCommand::Drop { nodes: vec![node], reason: reason.clone() };
            if self.propose(shared, node, change) {
                left = left.saturating_sub(1);
                if fault.flaps() {
                    self.drops.push((node, now));
                }
                shared.config.metrics.drops.inc();
                if matches!(fault, Fault::Slow(_)) {
                    shared.config.metrics.slow_drops.inc();
                }
                tracing::warn!(server = %name, "dropping a backup: {reason}");
                lock(&shared.why).insert(node, reason);
            }
        }
    }

    /// Makes servers active again that have kept pace for long enough.
    ///
    /// Who is to vote does so before: when a server counts as active, another one may die.
    fn take_back(
        &mut self,
        shared: &Arc<Shared>,
        members: &[Member],
        consensus: &Consensus,
        now: Instant,
    ) {
        // What earlier primaries acknowledged is all applied here once an entry of this term is.
        let applied = *shared.applied.borrow();
        let Some(applied) = applied.filter(|id| id.leader_id.term == self.term) else { return };
        let inactive: Vec<NodeId> = members
            .iter()
            .filter(|m| !m.active && !m.announced.witness && m.announced.node != shared.node)
            .map(|m| m.announced.node)
            .collect();
        self.pace.retain(|node, _| inactive.contains(node));
        let activating = lock(&self.pending).clone();
        lock(&shared.why).retain(|node, _| inactive.contains(node) || activating.contains(node));
        let active = active(members);
        // Whose activation is on its way stays admitted, however slow: it may be committed.
        for node in inactive.into_iter().filter(|node| !activating.contains(node)) {
            // Slow copies are better than too few.
            let too_few = lock(&shared.gate).too_few().is_some();
            let may_return = self.judge.may_return(shared, node, &active, now) || too_few;
            if !may_return || !self.keeps_pace(shared, node, now) {
                self.pace.remove(&node);
                lock(&shared.gate).dismiss(node);
                continue;
            }
            let steady = self.steady(shared, node, now);
            let pace = self.pace.entry(node).or_insert(Pace {
                since: now,
                ready: false,
                must_reach: None,
            });
            if now.duration_since(pace.since) < steady {
                continue;
            }
            pace.ready = true;
            let votes = consensus.voters.contains(&node) && !consensus.joint;
            if !votes && self.target(shared, members, consensus, now).contains(&node) {
                continue;
            }
            let Some(pace) = self.pace.get_mut(&node) else { continue };
            let must_reach = *pace
                .must_reach
                .get_or_insert_with(|| lock(&shared.gate).admit(node).max(applied.index));
            if lock(&shared.gate).matched(node) >= Some(must_reach)
                && self.propose(shared, node, MemberCommand::Activate { node })
            {
                shared.config.metrics.activations.inc();
                tracing::debug!(node, "a server has kept pace and becomes active");
            }
        }
    }

    fn keeps_pace(&self, shared: &Shared, node: NodeId, now: Instant) -> bool {
        let timing = shared.config.timing;
        let gate = lock(&shared.gate);
        let silence = Duration::from_millis(timing.silence_ms);
        let alive = gate.heard(node).is_some_and(|at| now.duration_since(at) < silence);
        let waits = gate.waits_for(node, now);
        // An admitted server may hold replies up, but not for long.
        let admitted = self.pace.get(&node).is_some_and(|pace| pace.must_reach.is_some());
        let too_slow = admitted && waits > Duration::from_millis(timing.lag_ms / 2);
        alive && !too_slow && gate.matched(node) >= Some(self.mark())
    }

    /// Where the log stood a moment ago: who is there now keeps pace.
    fn mark(&self) -> u64 {
        self.marks.front().map_or(0, |(_, position)| *position)
    }

    /// How long this server must keep pace: doubled for each time that it fell silent or behind.
    /// While a witness leads no writes come, and it waits only for somebody to hand over to.
    fn steady(&self, shared: &Shared, node: NodeId, now: Instant) -> Duration {
        if shared.config.witness {
            return Duration::ZERO;
        }
        let lately =
            |(n, at): &&(NodeId, Instant)| *n == node && now.duration_since(*at) < FLAP_MEMORY;
        let flaps = self.drops.iter().filter(lately).count() as u32;
        let steady = Duration::from_millis(shared.config.timing.steady_ms);
        steady.saturating_mul(1 << flaps.min(16)).min(MAX_STEADY)
    }

    /// Learners for new members, voters in step with the active servers.
    fn change_consensus(
        &mut self,
        shared: &Arc<Shared>,
        engine: &Engine,
        members: &[Member],
        consensus: &Consensus,
        now: Instant,
    ) {
        let rested = self.changed.is_none_or(|at| now.duration_since(at) > CHANGE_COOL_DOWN);
        if self.changing.load(Ordering::Relaxed) || !rested {
            return;
        }
        let stranger = members
            .iter()
            .map(|m| m.announced.node)
            .find(|node| !consensus.voters.contains(node) && !consensus.learners.contains(node));
        if let Some(node) = stranger {
            let learner = [(node, EmptyNode::new())].into();
            self.change(shared, engine, ChangeMembers::AddNodes(learner), "a new learner", now);
            return;
        }
        let gone: BTreeSet<NodeId> = consensus
            .learners
            .iter()
            .filter(|node| !members.iter().any(|m| m.announced.node == **node))
            .copied()
            .collect();
        if !gone.is_empty() && !members.is_empty() {
            self.change(shared, engine, ChangeMembers::RemoveNodes(gone), "a removed server", now);
            return;
        }
        if shared.config.witness {
            // It might take the vote from itself, and hands over in a moment.
            return;
        }
        let target = self.target(shared, members, consensus, now);
        let wanted = (target != consensus.voters || consensus.joint) && !target.is_empty();
        if wanted {
            let change = ChangeMembers::ReplaceAllVoters(target);
            self.change(shared, engine, change, "the voters follow the active servers", now);
        }
    }

    /// Who should vote: the active servers, and those that are about to be.
    fn target(
        &self,
        shared: &Shared,
        members: &[Member],
        consensus: &Consensus,
        now: Instant,
    ) -> BTreeSet<NodeId> {
        if shared.config.witness {
            // It changes no voters.
            return BTreeSet::new();
        }
        let ready = |node: &NodeId| self.pace.get(node).is_some_and(|pace| pace.ready);
        let counts = |m: &&Member| m.active || ready(&m.announced.node);
        let active = members.iter().filter(counts).map(|m| shared.candidate(m)).collect();
        target_voters(&electorate(shared, members, consensus, active, self.mark(), now))
    }

    fn change(
        &mut self,
        shared: &Arc<Shared>,
        engine: &Engine,
        change: ChangeMembers<NodeId, EmptyNode>,
        why: &'static str,
        now: Instant,
    ) {
        self.changed = Some(now);
        tracing::debug!(?change, "changing the consensus membership: {why}");
        self.changing.store(true, Ordering::Relaxed);
        let (engine, changing, shared) = (engine.clone(), self.changing.clone(), shared.clone());
        tokio::spawn(async move {
            // Servers that stop voting go on following as learners.
            if let Err(error) = engine.change_membership(change, true).await {
                tracing::warn!(node = shared.node, "the membership was not changed: {error}");
            }
            changing.store(false, Ordering::Relaxed);
        });
    }

    /// The primary is the live server with the lowest rank: when that is another one and it is
    /// level, it takes over.
    fn hand_over(
        &mut self,
        shared: &Arc<Shared>,
        engine: &Engine,
        members: &[Member],
        consensus: &Consensus,
        now: Instant,
    ) {
        if let Some((node, at)) = self.transfer
            && now.duration_since(at) > TRANSFER_LIMIT
            && now.duration_since(at) < TRANSFER_COOL_DOWN
            && !lock(&shared.gate).lease_holds(now)
        {
            shared.fail(format!(
                "handing over to node {node} got stuck; start this server again, nothing is lost"
            ));
        }
        let witness = shared.config.witness;
        let (after, cool_down) = if witness {
            (Duration::ZERO, WITNESS_TRANSFER_COOL_DOWN)
        } else {
            (TRANSFER_AFTER, TRANSFER_COOL_DOWN)
        };
        let rested = self.transfer.is_none_or(|(_, at)| now.duration_since(at) > cool_down);
        // A change of voters that stands half done is finished first; by the next one if this is a
        // witness, which changes no voters.
        let unfinished = consensus.joint && !witness;
        if !rested || now.duration_since(self.since) < after || unfinished {
            return;
        }
        let key = |m: &Member| takeover_key(shared.rank_of(m), m.announced.node);
        let mine = members.iter().find(|m| m.announced.node == shared.node).map(key);
        // A witness gives way to every server.
        let Some(mine) = mine.filter(|_| !witness).or(witness.then_some((u64::MAX, u64::MAX)))
        else {
            return;
        };
        let position = *shared.position.borrow();
        let level = |m: &&Member| {
            let node = m.announced.node;
            let gate = lock(&shared.gate);
            m.active
                && consensus.voters.contains(&node)
                && gate.matched(node) >= Some(position)
                && gate.heard(node).is_some_and(|at| now.duration_since(at) < PACE)
        };
        let better = members.iter().filter(|m| key(m) < mine).filter(level).min_by_key(|m| key(m));
        let may_lead = |node| self.judge.may_lead(shared, node, &active(members), now);
        let Some(better) = better.filter(|m| may_lead(m.announced.node)) else { return };
        tracing::info!(server = %better.announced.name, "handing over to a lower rank");
        self.transfer(engine, better.announced.node, now);
    }

    fn transfer(&mut self, engine: &Engine, node: NodeId, now: Instant) {
        self.transfer = Some((node, now));
        let engine = engine.clone();
        tokio::spawn(async move {
            if let Err(error) = engine.trigger().transfer_leader(node).await {
                tracing::warn!("the hand-over was not started: {error}");
            }
        });
    }

    /// Gives the lead up when this server's own disk holds up what the others have. Its engine may
    /// not hear of its successor before the disk answers: to note another term, it writes.
    fn gives_up(
        &mut self,
        shared: &Arc<Shared>,
        engine: &Engine,
        members: &[Member],
        consensus: &Consensus,
        lateness: &Lateness,
        now: Instant,
    ) -> bool {
        if shared.config.witness || consensus.joint {
            return false;
        }
        let active = active(members);
        let Some(why) = self.judge.own_fault(shared, engine, &active, lateness, now) else {
            return false;
        };
        let successors = {
            let gate = lock(&shared.gate);
            let others = gate.others_have(shared.node);
            let can = |m: &&Member| {
                let node = m.announced.node;
                m.active
                    && node != shared.node
                    && consensus.voters.contains(&node)
                    && gate.matched(node) >= Some(others)
                    && gate.heard(node).is_some_and(|at| now.duration_since(at) < GIVE_UP_HEARD)
            };
            members.iter().filter(can).collect::<Vec<_>>()
        };
        let key = |m: &&&Member| takeover_key(shared.rank_of(m), m.announced.node);
        let may_lead = |m: &&&Member| self.judge.may_lead(shared, m.announced.node, &active, now);
        let successor = successors.iter().filter(may_lead).min_by_key(key);
        let rested =
            self.transfer.is_none_or(|(_, at)| now.duration_since(at) > TRANSFER_COOL_DOWN);
        let rested = rested && !shared.gave_up_lately(now);
        let Some(successor) = successor.filter(|_| rested) else { return false };
        tracing::warn!(
            server = %successor.announced.name,
            "{why}, and the others have what it lacks: handing over"
        );
        shared.config.metrics.disk_handovers.inc();
        self.gave_up = Some(now);
        shared.gave_up.send_replace(Some((self.term, now)));
        self.transfer(engine, successor.announced.node, now);
        // Nothing more is released in this term. Whoever waits may ask the successor at once.
        Shared::abandon(lock(&shared.gate).resign());
        true
    }

    /// After it gave up, a server is led by another one, once its disk lets it hear that.
    fn waits_for_a_successor(&mut self, shared: &Shared, since: Instant, now: Instant) {
        if shared.disk_hangs(now) {
            self.gave_up = Some(now);
        } else if now.duration_since(since) > TRANSFER_LIMIT {
            shared.fail(
                "nobody took over from this server, whose disk held the others up; start it again, \
                 nothing is lost",
            );
        }
    }

    /// Proposes a member change, one at a time for each node. Says whether it did.
    fn propose(&self, shared: &Arc<Shared>, node: NodeId, change: MemberCommand) -> bool {
        let Some(proposals) = shared.proposals.get().cloned() else { return false };
        if !lock(&self.pending).insert(node) {
            return false;
        }
        let pending = self.pending.clone();
        tokio::spawn(async move {
            if let Err(error) = proposals.change_members(change).await {
                tracing::debug!("a member change was not made: {error}");
            }
            lock(&pending).remove(&node);
        });
        true
    }
}

/// Those whom acknowledgements wait for.
fn active(members: &[Member]) -> Vec<NodeId> {
    members.iter().filter(|m| m.active).map(|m| m.announced.node).collect()
}

/// Who is there to vote.
fn electorate(
    shared: &Shared,
    members: &[Member],
    consensus: &Consensus,
    active: Vec<Candidate>,
    mark: u64,
    now: Instant,
) -> Electorate {
    let gate = lock(&shared.gate);
    let within = |node, limit| gate.heard(node).is_some_and(|at| now.duration_since(at) < limit);
    // Who was not heard of in a young term may only not have answered yet.
    let lately = |node, limit| {
        let at = gate.heard(node).max(gate.since());
        at.is_some_and(|at| now.duration_since(at) < limit)
    };
    let silence = Duration::from_millis(shared.config.timing.silence_ms);
    let useful = |member: &&Member| {
        let node = member.announced.node;
        let votes = consensus.voters.contains(&node);
        member.announced.witness
            && if votes {
                lately(node, VOTER_SILENCE)
            } else {
                within(node, silence) && gate.matched(node) >= Some(mark)
            }
    };
    // A hung disk answers signs of life, and votes for nobody.
    let hangs = |node| lock(&shared.paces).hangs(node);
    let lags = |member: &&Member| {
        let node = member.announced.node;
        !member.active
            && !hangs(node)
            && !member.announced.witness
            && consensus.voters.contains(&node)
            && lately(node, VOTER_SILENCE)
    };
    let witness = members.iter().find(useful).map(|member| member.announced.node);
    let laggards = members.iter().any(|member| lags(&member));
    drop(gate);
    // Who was removed does not come back: its vote holds no place for it.
    let stays = |node: &&NodeId| members.iter().any(|m| m.announced.node == **node);
    let voters = consensus.voters.iter().filter(stays).copied().collect();
    Electorate { voters, active, witness, laggards }
}
