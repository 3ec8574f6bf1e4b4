//! The supervisor of one replica: it stands for election when the primary is silent, and while
//! its node leads it keeps the member table and the voters true.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use openraft::ServerState;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::Fatal;
use tokio::time::Instant;

use crate::NodeId;
use crate::detector::{EXCUSED, Lateness};
use crate::election::{Campaign, Candidate, Patience, slot};
use crate::leader::{Consensus, Leadership};
use crate::peer::Lane;
use crate::quorum::{self, Lacks, Missing};
use crate::shared::{Shared, lock};
use crate::types::{Engine, TypeConfig};
use crate::view::{MemberView, View};

/// How often everything is looked at as long as anything moves.
const TICK: Duration = Duration::from_millis(20);

/// For so long nobody leads before it is looked who is missing: no election takes so long.
const LEADERLESS: Duration = Duration::from_secs(1);
/// Who was asked for a vote and answered within this time is there. It is asked several times
/// meanwhile.
const VOTE_FRESH: Duration = Duration::from_secs(3);

/// What consensus says at a moment.
#[derive(Clone, Debug, PartialEq)]
struct Standing {
    term: u64,
    leads: bool,
    leader: Option<NodeId>,
    voters: BTreeSet<NodeId>,
    learners: BTreeSet<NodeId>,
    joint: bool,
    /// The sets of voters, each of which needs a majority: two in the middle of a change.
    sets: Vec<BTreeSet<NodeId>>,
}

/// Runs until the replica stops.
pub async fn run(shared: Arc<Shared>, engine: Engine) {
    let timing = shared.config.timing;
    let mut campaign = Campaign::new(Duration::from_millis(timing.slot_ms), Instant::now());
    let mut leadership: Option<Leadership> = None;
    let mut silent: Option<NodeId> = None;
    let mut lateness = Lateness::default();
    let mut hangs = false;
    let mut metrics = engine.server_metrics();
    let mut members = shared.members.subscribe();
    let mut position = shared.position.subscribe();
    let mut heartbeat_due = Instant::now();
    let mut looked = Instant::now();
    let mut next = looked;
    loop {
        tokio::select! {
            // One order always, for the sake of replayed simulations.
            biased;
            () = tokio::time::sleep_until(next) => {}
            changed = metrics.changed() => {
                if changed.is_err() {
                    shared.fail("the consensus engine stopped; see the log above for the reason");
                    return;
                }
            }
            _ = members.changed() => {}
            _ = position.changed() => {
                // Under load that is most of the time.
                next = next.min((looked + TICK).max(Instant::now()));
                continue;
            }
        }
        let now = Instant::now();
        lateness.woke(next, now);
        looked = now;
        let standing = standing(&engine);
        lock(&shared.gate).set_voters(standing.voters.clone());
        if standing.leads {
            if leadership.as_ref().is_none_or(|l| l.term() != standing.term) {
                Shared::abandon(lock(&shared.gate).lead(standing.term, now));
                // What is applied already is wanted from now on.
                shared.wake_writer();
                shared.config.metrics.terms_led.inc();
                tracing::info!(term = standing.term, "this server leads now");
                // A hand-over is no silence: its predecessor is well.
                let predecessor = silent.take().filter(|_| campaign.stood());
                leadership = Some(Leadership::begin(standing.term, predecessor, now));
            }
            if let Some(leadership) = leadership.as_mut() {
                let consensus = Consensus {
                    voters: standing.voters.clone(),
                    learners: standing.learners.clone(),
                    joint: standing.joint,
                };
                leadership.tick(&shared, &engine, &consensus, &lateness, now);
            }
            shared.release();
        } else {
            if leadership.take().is_some() {
                Shared::abandon(lock(&shared.gate).resign());
                lock(&shared.why).clear();
                tracing::info!(term = standing.term, "this server leads no more");
            }
            // Never this node itself: it can't have been silent to itself.
            silent = standing.leader.filter(|node| *node != shared.node).or(silent);
            campaign.quiet(*lock(&shared.quiet));
            if standing.voters.contains(&shared.node) {
                let patience = patience(&shared, &lateness);
                stand(&shared, &engine, &standing, &mut campaign, silent, patience, now).await;
            }
        }
        tell_of_the_disk(&shared, &mut hangs, now);
        publish_view(&shared, &standing, now);
        next = now + TICK;
        if standing.leads {
            // By these a primary learns that it still leads.
            if now >= heartbeat_due {
                heartbeat_due = now + Duration::from_millis(timing.heartbeat_ms);
                trigger(&shared, engine.trigger().heartbeat().await);
            }
            next = if is_settled(&shared) { heartbeat_due } else { next.min(heartbeat_due) };
        } else {
            // What time alone brings is that the primary was silent for too long.
            next = next.max(*lock(&shared.quiet) + Duration::from_millis(timing.election_ms));
        }
    }
}

/// Says once that the disk hangs, and once that it answers again.
fn tell_of_the_disk(shared: &Shared, hangs: &mut bool, now: Instant) {
    let before = std::mem::replace(hangs, shared.disk_hangs(now));
    shared.config.metrics.disk_hangs.set((*hangs).into());
    match (before, *hangs) {
        (false, true) => tracing::warn!(
            "the disk has not answered for a second; servers whose disks do will go on without \
             this one"
        ),
        (true, false) => tracing::info!("the disk answers again"),
        _ => {}
    }
}

/// Whether nobody waits for anything on this primary: all servers are active, and no reply is held.
fn is_settled(shared: &Shared) -> bool {
    let view = shared.view.borrow();
    let well = |m: &MemberView| m.member.active && m.alive;
    view.is_primary
        && !view.joint
        && view.members.iter().all(well)
        && lock(&shared.gate).held() == 0
}

fn standing(engine: &Engine) -> Standing {
    let metrics = engine.server_metrics();
    let metrics = metrics.borrow_watched();
    let membership = metrics.membership_config.membership();
    Standing {
        term: metrics.vote.leader_id.term,
        leads: metrics.state == ServerState::Leader,
        leader: metrics.current_leader,
        voters: membership.voter_ids().collect(),
        learners: membership.learner_ids().collect(),
        joint: membership.get_joint_config().len() > 1,
        sets: membership.get_joint_config().clone(),
    }
}

/// How long the primary may be silent before this server stands for election. A closed connection
/// tells a death at once; then only the lease is waited for, which the others wait for too.
fn patience(shared: &Shared, lateness: &Lateness) -> Patience {
    let connection = |node| shared.transport.connection(node, Lane::Control);
    let limit = lock(&shared.heard_primary).limit(connection, shared.config.timing.silence());
    let lease = Duration::from_millis(shared.config.timing.election_ms);
    let quiet = *lock(&shared.quiet);
    match limit {
        None => Patience { limit: lease, ..Patience::NONE },
        Some(limit) => Patience {
            limit: limit.max(lease),
            not_run: lateness.since(quiet).min(EXCUSED),
            late: lateness.is_late() && quiet.elapsed() < EXCUSED,
        },
    }
}

/// Starts a pre-vote when it is this server's turn.
async fn stand(
    shared: &Shared,
    engine: &Engine,
    standing: &Standing,
    campaign: &mut Campaign,
    silent: Option<NodeId>,
    patience: Patience,
    now: Instant,
) {
    if standing.voters.len() == 1 {
        // Nobody else to ask; the engine ignores a second start of a running election.
        if campaign.due(0, 1, Patience::NONE, now) {
            shared.config.metrics.elections.inc();
            trigger(shared, engine.trigger().elect(false).await);
        }
        return;
    }
    let members = shared.members();
    let candidates: Vec<Candidate> = standing
        .voters
        .iter()
        .map(|node| match members.iter().find(|m| m.announced.node == *node) {
            Some(m) => shared.candidate(m),
            None => Candidate { node: *node, rank: 0, active: false, witness: false },
        })
        .collect();
    let my_slot = slot(&candidates, shared.node, silent);
    let again = campaign.stood();
    if campaign.due(my_slot, candidates.len() as u32, patience, now) {
        shared.config.metrics.elections.inc();
        if again {
            tracing::debug!(slot = my_slot, "nobody leads yet; asking for votes again");
        } else {
            tracing::info!(slot = my_slot, ?silent, "the primary is silent; asking for votes");
        }
        trigger(shared, engine.trigger().elect(true).await);
    }
}

fn trigger(shared: &Shared, result: Result<(), Fatal<TypeConfig>>) {
    if let Err(error) = result {
        shared.fail(format!("the consensus engine stopped: {error}"));
    }
}

/// Whether a node is there, as far as one knows that does not lead: by its answers about votes, or,
/// for who has no vote and asks for none, by having been met.
fn answers(shared: &Shared, standing: &Standing, node: NodeId, now: Instant) -> bool {
    if node == shared.node {
        return true;
    }
    if standing.voters.contains(&shared.node) && standing.voters.contains(&node) {
        let voted = lock(&shared.voted).get(&node).copied();
        return voted.is_some_and(|at| now.duration_since(at) < VOTE_FRESH);
    }
    let connection = shared.transport.connection(node, Lane::Control);
    lock(&shared.addresses).was_met(node, connection)
}

/// Who is missing, when nobody leads for that reason.
fn lacks(shared: &Shared, standing: &Standing, now: Instant) -> Option<Lacks> {
    if now.duration_since(*lock(&shared.quiet)) < LEADERLESS {
        return None;
    }
    let members = shared.members();
    let who = |node| {
        let row = members.iter().find(|row| row.announced.node == node);
        Missing {
            node,
            name: row.map(|row| row.announced.name.clone()).unwrap_or_default(),
            address: row.map(|row| row.announced.address.clone()).unwrap_or_default(),
            witness: row.is_some_and(|row| row.announced.witness),
            usurped: lock(&shared.addresses).is_usurped(node),
        }
    };
    quorum::lacks(&standing.sets, |node| answers(shared, standing, node, now), who)
}

/// Replaces the view when something in it changed.
fn publish_view(shared: &Shared, standing: &Standing, now: Instant) {
    let applied = *shared.applied.borrow();
    let position = applied.map_or(0, |id| id.index);
    let in_term = applied.is_some_and(|id| id.leader_id.term == standing.term);
    let serves = standing.leads && !shared.config.witness;
    let leads = serves && in_term && lock(&shared.gate).lease_holds(now);
    let silence = Duration::from_millis(shared.config.timing.silence_ms);
    let heard = now.duration_since(*lock(&shared.quiet));
    let known_for = lock(&shared.heard_primary).known_for(shared.config.timing.silence());
    let all = shared.members();
    let is_witness =
        |node: NodeId| all.iter().any(|m| m.announced.witness && m.announced.node == node);
    let primary = if standing.leads {
        leads.then_some(shared.node)
    } else {
        let heard = |node: &NodeId| *node != shared.node && heard < known_for;
        standing.leader.filter(|node| heard(node) && !is_witness(*node))
    };
    let leaderless = primary.is_none() && !standing.leads;
    let lacks = if leaderless { lacks(shared, standing, now) } else { None };
    let there = |node| leaderless && answers(shared, standing, node, now);
    let there: BTreeSet<NodeId> =
        all.iter().map(|member| member.announced.node).filter(|node| there(*node)).collect();
    let why = lock(&shared.why).clone();
    let gate = lock(&shared.gate);
    let min_copies = gate.min_copies();
    let mut members: Vec<MemberView> = all
        .iter()
        .map(|member| {
            let node = member.announced.node;
            let me = node == shared.node;
            MemberView {
                member: member.clone(),
                voter: standing.voters.contains(&node),
                matched: if me { Some(position) } else { gate.matched(node) },
                why: why.get(&node).cloned(),
                alive: me
                    || primary == Some(node)
                    || there.contains(&node)
                    || gate.heard(node).is_some_and(|at| now.duration_since(at) < silence)
                    || shared.transfers.answers(node, now, silence),
            }
        })
        .collect();
    shared.config.metrics.held_acks.set(gate.held() as i64);
    drop(gate);
    let witness = members.extract_if(.., |m| m.member.announced.witness).last();
    members.sort_by_key(|m| {
        let rank = shared.rank_of(&m.member);
        recado_chat::members::takeover_key(rank, m.member.announced.node)
    });
    let view = View {
        joint: standing.joint,
        min_copies,
        node: shared.node,
        term: standing.term,
        primary,
        is_primary: leads,
        applied: position,
        members,
        witness,
        lacks,
    };
    shared.view.send_if_modified(|current| {
        let changed = **current != view;
        if changed {
            shared.config.metrics.show(&view);
            *current = Arc::new(view);
        }
        changed
    });
}
