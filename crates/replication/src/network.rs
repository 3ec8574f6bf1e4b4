//! The engine's network over [`PeerTransport`](crate::PeerTransport): every message carries the
//! cluster's id, so that servers of different clusters that meet by mistake don't understand each
//! other. What is not meant for this node is not even decoded.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures::stream::{self, Stream, StreamExt};
use openraft::base::{BoxFuture, BoxStream};
use openraft::errors::{ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2, stream_append_sequential};
use openraft::raft::{StreamAppendResult, TransferLeaderResponse};
use openraft::{EmptyNode, OptionalSend};
#[cfg(feature = "planted")]
use recado_chat::planted::{self, Bug};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};

use crate::NodeId;
use crate::bounds::message;
use crate::catch_up::CatchUp;
use crate::detector::Sign;
use crate::disk::Syncs;
use crate::peer::Lane;
use crate::propose::LARGE_BATCH;
use crate::shared::{Shared, lock};
use crate::snapshot::send_snapshot;
use crate::types::{
    AppendRequest, AppendResponse, RpcError, Snapshot, SnapshotData, SnapshotResponse,
    TransferRequest, TypeConfig, Vote, VoteRequest, VoteResponse,
};

/// Kinds of peer messages, the first byte of each.
pub mod kind {
    /// Entries, or a heartbeat.
    pub const APPEND: u8 = 1;
    /// A vote is asked for.
    pub const VOTE: u8 = 2;
    /// Would a vote be given?
    pub const PRE_VOTE: u8 = 3;
    /// A piece of a snapshot.
    pub const SNAPSHOT: u8 = 4;
    /// Please take over.
    pub const TRANSFER: u8 = 5;
    /// Up to where must be applied before a read?
    pub const READ_INDEX: u8 = 6;
    /// A server is here.
    pub const ANNOUNCE: u8 = 7;
    /// Who is there, and is the node that asks a removed one?
    pub const WHO: u8 = 8;
    /// Does the cluster have what a damaged server held?
    pub const HOLD: u8 = 9;
    /// Is a server there, and how does its disk do?
    pub const SIGN: u8 = 10;
    /// What are the sums of your rows, behind the newest positions that all compare?
    pub const CHECKPOINTS: u8 = 11;
}

/// How long entries may be on their way before they are sent again. Longer than a slow disk
/// needs; a dead peer is known by its closed connection.
const APPEND_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a sign of life may take; who takes longer is asked again meanwhile.
const SIGN_TIMEOUT: Duration = Duration::from_secs(1);

/// Stands for the cluster's id where it is not known.
pub const NO_CLUSTER: u64 = 0;

/// How deep a message may nest; the deepest that is ever sent has nine levels.
const MAX_DEPTH: usize = 32;

/// Entries for a witness that does not vote wait so long for company: nobody waits for it, and
/// few large messages cost much less than many small ones.
const WITNESS_PAUSE: Duration = Duration::from_millis(25);

/// So long a commit waits, behind a large batch, for entries that take it along: under load the
/// next ones are not far, and a message of its own would hold them up.
const COMMIT_PAUSE: Duration = Duration::from_millis(2);

/// A message of this cluster, for this node; or an answer from it. An address alone is not enough:
/// a server that lost its disk listens where the node that it was did, and must not vote or
/// acknowledge in that one's name.
pub fn seal<T: Serialize>(cluster: u64, node: NodeId, message: &T) -> Result<Bytes, String> {
    let mut bytes = BytesMut::with_capacity(256);
    bytes.put_u64(cluster);
    bytes.put_u64(node);
    let mut writer = bytes.writer();
    rmp_serde::encode::write(&mut writer, message).map_err(|error| error.to_string())?;
    Ok(writer.into_inner().freeze())
}

/// Reads a message, if it is one of this cluster and for (or from) this node; none stands for any.
pub fn unseal<T: DeserializeOwned>(
    cluster: Option<u64>,
    node: Option<NodeId>,
    bytes: &[u8],
) -> Option<T> {
    let (_, named, body) = open(cluster, bytes)?;
    node.is_none_or(|node| node == named).then(|| decode(body)).flatten()
}

/// Reads a message of who may not know the cluster's id yet, which leaves it out.
pub fn unseal_newcomer<T: DeserializeOwned>(cluster: Option<u64>, bytes: &[u8]) -> Option<T> {
    let (theirs, _, body) = open(None, bytes)?;
    let fits = theirs == NO_CLUSTER || cluster.is_none_or(|mine| mine == theirs);
    fits.then(|| decode(body)).flatten()
}

/// Reads a message, if it is one of this cluster, and whom it is for, or from.
pub fn unseal_named<T: DeserializeOwned>(
    cluster: Option<u64>,
    bytes: &[u8],
) -> Option<(NodeId, T)> {
    let (_, named, body) = open(cluster, bytes)?;
    Some((named, decode(body)?))
}

/// The cluster that a message names, whichever it is, and the node that stands alone in its body.
/// Whoever is of an earlier generation of this cluster asks so.
pub fn unseal_node(bytes: &[u8]) -> Option<(u64, NodeId)> {
    let (theirs, _, body) = open(None, bytes)?;
    Some((theirs, decode(body)?))
}

/// The head of a message, cluster and node, and what is behind it; none for another cluster's.
fn open(cluster: Option<u64>, bytes: &[u8]) -> Option<(u64, NodeId, &[u8])> {
    let (theirs, rest) = bytes.split_first_chunk::<8>()?;
    let (named, body) = rest.split_first_chunk::<8>()?;
    let theirs = u64::from_be_bytes(*theirs);
    if cluster.is_some_and(|mine| mine != theirs) {
        return None;
    }
    Some((theirs, u64::from_be_bytes(*named), body))
}

fn decode<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    let mut reader = rmp_serde::Deserializer::from_read_ref(body);
    reader.set_max_depth(MAX_DEPTH);
    T::deserialize(&mut reader).ok()
}

fn unreachable(why: impl Into<String>) -> RpcError {
    RpcError::Unreachable(Unreachable::from_string(why.into()))
}

/// Makes a [`Link`] for every target.
pub struct Links(pub Arc<Shared>);

impl RaftNetworkFactory<TypeConfig> for Links {
    type Network = Link;

    async fn new_client(&mut self, target: NodeId, _node: &EmptyNode) -> Link {
        Link::new(target, Lane::Log, &self.0)
    }

    async fn new_heartbeat_client(&mut self, target: NodeId, _node: &EmptyNode) -> Link {
        Link::new(target, Lane::Control, &self.0)
    }

    async fn new_snapshot_client(&mut self, target: NodeId, _node: &EmptyNode) -> Link {
        Link::new(target, Lane::Snapshot, &self.0)
    }
}

/// The way to one node.
pub struct Link {
    target: NodeId,
    lane: Lane,
    shared: Arc<Shared>,
    catch_up: CatchUp,
}

impl Link {
    fn new(target: NodeId, lane: Lane, shared: &Arc<Shared>) -> Link {
        Link { target, lane, shared: shared.clone(), catch_up: CatchUp::default() }
    }

    /// Leaves time to those who write, after entries for a server that comes back were answered.
    async fn spare(&mut self, took: Duration) {
        let (target, now) = (self.target, Instant::now());
        let members = self.shared.members();
        let row = members.iter().find(|member| member.announced.node == target);
        if row.is_none_or(|member| member.active || member.announced.witness) {
            return;
        }
        let matched = lock(&self.shared.gate).matched(target).unwrap_or(0);
        let lacks = self.shared.position.borrow().saturating_sub(matched);
        let rest = self.catch_up.rest(took, lacks, now);
        if !rest.is_zero() {
            tokio::time::sleep(rest).await;
        }
    }

    async fn call<Q: Serialize, A: DeserializeOwned>(
        &self,
        lane: Lane,
        kind: u8,
        request: &Q,
        timeout: Duration,
    ) -> Result<A, RpcError> {
        call(&self.shared, self.target, lane, kind, request, timeout).await.map_err(unreachable)
    }

    async fn ask_for_vote(
        &self,
        kind: u8,
        request: VoteRequest,
        option: RPCOption,
    ) -> Result<VoteResponse, RpcError> {
        let answer: VoteResponse =
            self.call(Lane::Control, kind, &request, option.hard_ttl()).await?;
        message::answered(&answer.vote, request.vote.leader_id.term).map_err(unreachable)?;
        lock(&self.shared.voted).insert(self.target, Instant::now());
        Ok(answer)
    }
}

/// Asks a peer; every failure is a reason in words.
pub async fn call<Q: Serialize, A: DeserializeOwned>(
    shared: &Shared,
    target: NodeId,
    lane: Lane,
    kind: u8,
    request: &Q,
    timeout: Duration,
) -> Result<A, String> {
    let cluster = shared.cluster();
    let body = seal(cluster.unwrap_or(NO_CLUSTER), target, request)?;
    let pending =
        shared.transport.send(target, lane, kind, body).map_err(|error| error.to_string())?;
    let answer = tokio::time::timeout(timeout, pending).await;
    let answer = answer.map_err(|_| "no answer in time")?.map_err(|error| error.to_string())?;
    // Whoever answers an announcement will do.
    let from = (kind != kind::ANNOUNCE).then_some(target);
    unseal(cluster, from, &answer).ok_or_else(|| "an answer that can't be read".to_owned())
}

/// A sign of life: the answer to [`kind::SIGN`].
#[derive(Serialize, Deserialize)]
pub struct SignMessage {
    /// Syncs of the log since the start.
    syncs: u64,
    /// How long they took together, µs.
    syncs_us: u64,
    /// How long the oldest sync has waited for the disk, ms.
    hangs_ms: u64,
    /// The last position that it shows.
    applied: u64,
    /// Whether it gave the lead up a moment ago.
    gave_up: bool,
}

impl From<Sign> for SignMessage {
    fn from(sign: Sign) -> SignMessage {
        SignMessage {
            syncs: sign.syncs.count,
            syncs_us: u64::try_from(sign.syncs.total.as_micros()).unwrap_or(u64::MAX),
            hangs_ms: u64::try_from(sign.hangs_for.as_millis()).unwrap_or(u64::MAX),
            applied: sign.applied,
            gave_up: sign.gave_up,
        }
    }
}

impl From<SignMessage> for Sign {
    fn from(message: SignMessage) -> Sign {
        Sign {
            syncs: Syncs { count: message.syncs, total: Duration::from_micros(message.syncs_us) },
            hangs_for: Duration::from_millis(message.hangs_ms),
            applied: message.applied,
            gave_up: message.gave_up,
        }
    }
}

/// Asks another server for a sign of life, and notes it when it comes.
pub fn ask_for_sign(shared: &Arc<Shared>, node: NodeId) {
    let shared = shared.clone();
    tokio::spawn(async move {
        let asked =
            call::<(), SignMessage>(&shared, node, Lane::Control, kind::SIGN, &(), SIGN_TIMEOUT);
        // Silence is noticed without it.
        let Ok(sign) = asked.await else { return };
        let now = Instant::now();
        lock(&shared.gate).heard_of(node, now);
        lock(&shared.paces).says(node, sign.into(), now);
    });
}

/// Sends entries or a heartbeat, and notes what the answer says of the backup.
async fn append(
    shared: Arc<Shared>,
    target: NodeId,
    lane: Lane,
    request: AppendRequest,
) -> Result<AppendResponse, RpcError> {
    let term = request.vote.leader_id.term;
    let before = request.prev_log_id;
    let last = request.entries.last().map(|entry| entry.log_id).or(request.prev_log_id);
    if !request.entries.is_empty() && lock(&shared.gate).only_watches(target) {
        tokio::time::sleep(WITNESS_PAUSE).await;
    }
    let sent = Instant::now();
    let response: AppendResponse =
        match call(&shared, target, lane, kind::APPEND, &request, APPEND_TIMEOUT).await {
            Ok(response) => response,
            #[cfg(feature = "planted")]
            Err(_) if planted::on(Bug::AckBeforeQuorum) => AppendResponse::Success,
            Err(why) => return Err(unreachable(why)),
        };
    message::appended(&response, (before, last), term).map_err(unreachable)?;
    let matched = match &response {
        // Answered when everything that it accepted is on disk.
        AppendResponse::Success => Some(last),
        AppendResponse::PartialSuccess(upto) => Some(*upto),
        // It is there, but its log is not yet where ours is.
        AppendResponse::Conflict => Some(None),
        AppendResponse::HigherVote(_) => None,
    };
    if let Some(matched) = matched {
        shared.answered(term, target, matched.map(|id| id.index), sent);
    }
    Ok(response)
}

/// Leaves out what only tells of a commit when the next request, which tells of it too, comes soon.
/// The engine takes the answer to a later request for one to all before it, and counts its lease
/// from when a request was made, not from when it left: the pause can only shorten that.
fn in_company(
    input: impl Stream<Item = AppendRequest> + Send + Unpin + 'static,
) -> impl Stream<Item = AppendRequest> + Send + Unpin + 'static {
    let requests = stream::unfold((input.fuse(), 0), |(mut input, mut before)| async move {
        let mut request = input.next().await?;
        let latest = Instant::now() + COMMIT_PAUSE;
        while request.entries.is_empty()
            && before >= LARGE_BATCH
            && let Ok(Some(next)) = timeout_at(latest, input.next()).await
        {
            request = next;
        }
        if !request.entries.is_empty() {
            before = request.entries.len();
        }
        Some((request, (input, before)))
    });
    Box::pin(requests)
}

/// The answers to a stream of entries.
type AppendResults<'s> = BoxStream<'s, Result<StreamAppendResult<TypeConfig>, RpcError>>;

impl RaftNetworkV2<TypeConfig> for Link {
    type SnapshotData = SnapshotData;

    async fn append_entries(
        &mut self,
        request: AppendRequest,
        _option: RPCOption,
    ) -> Result<AppendResponse, RpcError> {
        let (shared, target, lane) = (self.shared.clone(), self.target, self.lane);
        let has_entries = !request.entries.is_empty();
        let sending = append(shared, target, lane, request);
        if self.lane == Lane::Control {
            // The engine gives a heartbeat up after an interval. The answer of a backup with a
            // slow disk comes later, and still says that it lives.
            let answer = tokio::spawn(sending).await;
            return answer.unwrap_or_else(|error| Err(unreachable(error.to_string())));
        }
        let begun = Instant::now();
        let answer = sending.await;
        if has_entries && answer.is_ok() {
            self.spare(begun.elapsed()).await;
        }
        answer
    }

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        option: RPCOption,
    ) -> BoxFuture<'s, Result<AppendResults<'s>, RpcError>>
    where
        S: Stream<Item = AppendRequest> + OptionalSend + Unpin + 'static,
    {
        stream_append_sequential(self, in_company(input), option)
    }

    async fn vote(
        &mut self,
        request: VoteRequest,
        option: RPCOption,
    ) -> Result<VoteResponse, RpcError> {
        self.ask_for_vote(kind::VOTE, request, option).await
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest,
        option: RPCOption,
    ) -> Result<VoteResponse, RpcError> {
        self.ask_for_vote(kind::PRE_VOTE, request, option).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse, StreamingError<TypeConfig>> {
        tokio::select! {
            biased;
            closed = cancel => Err(StreamingError::Closed(closed)),
            sent = send_snapshot(&self.shared, self.target, vote, snapshot) => {
                sent.map_err(|why| StreamingError::Unreachable(Unreachable::from_string(why)))
            }
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferRequest,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RpcError> {
        self.call(Lane::Control, kind::TRANSFER, &request, option.hard_ttl()).await
    }
}
