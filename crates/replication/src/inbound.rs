//! What peers send, and what they are answered.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use openraft::async_runtime::WatchReceiver;
use recado_chat::members::Announcement;
#[cfg(feature = "planted")]
use recado_chat::planted::{self, Bug};
use serde::Serialize;
use tokio::time::Instant;

use crate::announce::{Announced, receive_announcement};
use crate::bounds::message::{self, Known};
use crate::compare;
use crate::confirm;
use crate::meet;
use crate::network::{NO_CLUSTER, SignMessage, kind, seal, unseal, unseal_newcomer};
use crate::reads::Reads;
use crate::shared::{Shared, lock};
use crate::snapshot::{Chunk, receive_chunk};
use crate::types::{AppendRequest, Engine, VoteRequest};
#[cfg(feature = "planted")]
use crate::types::{Vote, VoteResponse};

/// So long nothing more is said about messages that are out of bounds.
const QUIET: Duration = Duration::from_secs(60);

/// Answers a peer's message; none when it is not one of this cluster's for this node, is out of
/// bounds, or can't be answered.
pub async fn handle(shared: Arc<Shared>, reads: Reads, kind: u8, body: Bytes) -> Option<Bytes> {
    let engine = shared.engine()?;
    let (cluster, me) = (shared.cluster(), Some(shared.node));
    match kind {
        kind::APPEND => {
            let request: AppendRequest = unseal(cluster, me, &body)?;
            within_bounds(&shared, "entries", message::append(&request, known(&shared, engine)))?;
            // On receipt, not when it is answered: that waits for the disk, and a slow disk is no
            // reason to stand for election.
            if request.vote.leader_id.term >= current_term(engine) {
                shared.hears_primary(request.vote.leader_id.voted_for);
            }
            answer(&shared, &engine.append_entries(request).await.ok()?)
        }
        kind::VOTE => {
            let request = vote_request(&shared, &body)?;
            #[cfg(feature = "planted")]
            let asked = request.vote;
            let response = engine.vote(request).await.ok()?;
            #[cfg(feature = "planted")]
            let response = planted_vote(asked, response);
            if response.vote_granted {
                shared.hush();
            }
            answer(&shared, &response)
        }
        kind::PRE_VOTE => {
            let request = vote_request(&shared, &body)?;
            #[cfg(feature = "planted")]
            let asked = request.vote;
            let response = engine.pre_vote(request).await.ok()?;
            #[cfg(feature = "planted")]
            let response = planted_vote(asked, response);
            answer(&shared, &response)
        }
        kind::TRANSFER => {
            let request = unseal(cluster, me, &body)?;
            within_bounds(
                &shared,
                "a hand-over",
                message::transfer(&request, known(&shared, engine)),
            )?;
            answer(&shared, &engine.handle_transfer_leader(request).await.ok()?)
        }
        kind::SNAPSHOT => {
            let chunk: Chunk = unseal(cluster, me, &body)?;
            answer(&shared, &receive_chunk(&shared, chunk).await)
        }
        kind::READ_INDEX => {
            let () = unseal(cluster, me, &body)?;
            answer(&shared, &read_index(engine, &reads).await)
        }
        kind::ANNOUNCE => {
            // A newcomer does not know the cluster's id yet, and perhaps only where somebody is.
            let announcement: Announcement = unseal_newcomer(cluster, &body)?;
            let answered: Announced = receive_announcement(&shared, announcement).await;
            answer(&shared, &answered)
        }
        kind::WHO => meet::answer(&shared, &body),
        // Not by way of the engine: it may wait for the disk.
        kind::SIGN => {
            let () = unseal(cluster, me, &body)?;
            answer(&shared, &SignMessage::from(shared.sign(Instant::now())))
        }
        kind::CHECKPOINTS => {
            let () = unseal(cluster, me, &body)?;
            answer(&shared, &compare::answer(&shared))
        }
        kind::HOLD => answer(&shared, &confirm::answer(&shared, &reads, &body).await?),
        _ => None,
    }
}

/// A request for a vote; none when a removed node asks, which has no say.
fn vote_request(shared: &Shared, body: &[u8]) -> Option<VoteRequest> {
    let request: VoteRequest = unseal(shared.cluster(), Some(shared.node), body)?;
    let engine = shared.engine()?;
    within_bounds(shared, "a vote", message::vote(&request, known(shared, engine)))?;
    (!shared.is_removed(request.vote.leader_id.voted_for)).then_some(request)
}

/// What this node knows of itself, to tell what can't be.
pub fn known(shared: &Shared, engine: &Engine) -> Known {
    let committed = engine.data_metrics().borrow_watched().local_committed;
    Known { me: shared.node, term: current_term(engine), committed }
}

/// Says why a message is refused, and drops it: no server of ours waits for an answer to it.
fn within_bounds(shared: &Shared, what: &str, checked: Result<(), String>) -> Option<()> {
    let why = match checked {
        Ok(()) => return Some(()),
        Err(why) => why,
    };
    let mut complained = lock(&shared.complained);
    if complained.is_some_and(|at| at.elapsed() < QUIET) {
        tracing::debug!("another server sends {what} out of bounds: {why}");
    } else {
        *complained = Some(Instant::now());
        tracing::warn!("another server sends {what} out of bounds: {why}");
    }
    None
}

fn answer<T: Serialize>(shared: &Shared, message: &T) -> Option<Bytes> {
    // A node without a cluster answers the one that is taking it in, which checks nothing yet.
    seal(shared.cluster().unwrap_or(NO_CLUSTER), shared.node, message).ok()
}

#[cfg(feature = "planted")]
fn planted_vote(asked: Vote, response: VoteResponse) -> VoteResponse {
    if planted::on(Bug::VoteTwice) {
        return VoteResponse { vote: asked, vote_granted: true, ..response };
    }
    response
}

fn current_term(engine: &Engine) -> u64 {
    engine.server_metrics().borrow_watched().vote.leader_id.term
}

async fn read_index(engine: &Engine, reads: &Reads) -> Option<u64> {
    if !engine.is_leader() {
        return None;
    }
    reads.confirm().await
}
