//! A replica: one server's part in the cluster.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use recado_chat::{Command, Origin, Outcome, Stamp};
use recado_storage::{Reader, Store};
use tokio::sync::watch;

use crate::NodeId;
use crate::peer::PeerTransport;
use crate::view::View;

/// How long things take, ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Between two heartbeats of the primary.
    pub heartbeat_ms: u64,
    /// How long the primary's silence is no reason for an election; also its lease.
    pub election_ms: u64,
    /// Between the election attempts of two servers that are neighbours in rank.
    pub slot_ms: u64,
    /// A backup that is silent for so long is dropped.
    pub silence_ms: u64,
    /// A live backup that lags so long is dropped.
    pub lag_ms: u64,
    /// A returning backup keeps pace for so long before it is active again; doubles when it flaps.
    pub steady_ms: u64,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            heartbeat_ms: 75,
            election_ms: 300,
            slot_ms: 60,
            silence_ms: 300,
            lag_ms: 1000,
            steady_ms: 500,
        }
    }
}

/// Who this replica is.
#[derive(Clone, Debug)]
pub struct ReplicaConfig {
    /// Its data folder, which exists and is writable.
    pub dir: PathBuf,
    /// The server's name.
    pub name: String,
    /// Where other servers reach it (`tcp://host:port`).
    pub address: String,
    /// A random number of this start.
    pub boot: u64,
    /// The process id.
    pub pid: u32,
    /// Time-outs.
    pub timing: Timing,
}

/// Where a proposed entry's time comes from: the server's clocks.
pub trait StampSource: Send + Sync + 'static {
    /// The corrected time, and the logical clock after adding one.
    fn stamp(&self) -> Stamp;
}

/// Another server, as the reference lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its node id.
    pub node: NodeId,
    /// Where it is reached.
    pub address: String,
    /// Its rank now.
    pub rank: u64,
}

/// A committed and everywhere stored entry.
#[derive(Clone, Debug)]
pub struct Committed {
    /// What came of it.
    pub outcome: Outcome,
    /// Its log position.
    pub position: u64,
    /// The time it got.
    pub stamp: Stamp,
    /// On how many servers' disks it is.
    pub stored: u32,
    /// How many servers the cluster has.
    pub members: u32,
}

/// Why a proposal gave no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// This node is not the primary (or not yet, or no more); certainly not done.
    #[error("not the primary")]
    NotPrimary {
        /// Who is, if known.
        primary: Option<NodeId>,
    },
    /// Certainly not done: the queue is full or the node is stopping.
    #[error("busy")]
    Busy,
    /// The primary lost its place while the entry was on its way; it may be done.
    #[error("outcome unknown")]
    Uncertain,
}

/// Why a read could not be made linearizable now; trying again later, or elsewhere, is safe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no primary confirms the read now")]
pub struct ReadError;

/// Why a replica could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store could not be opened.
    #[error(transparent)]
    Store(#[from] recado_storage::OpenError),
    /// Anything else, in one sentence for people.
    #[error("{0}")]
    Failed(String),
}

/// A handle on the running replica; clones share it.
#[derive(Clone)]
pub struct Replica {}

impl Replica {
    /// Opens the data folder and starts taking part. Must run within a tokio runtime.
    pub async fn start(
        _config: ReplicaConfig,
        _transport: Arc<dyn PeerTransport>,
        _stamps: Arc<dyn StampSource>,
    ) -> Result<Replica, StartError> {
        todo!()
    }

    /// This data folder's node id.
    pub fn node(&self) -> NodeId {
        todo!()
    }

    /// The cluster whose data this node holds; none as long as it has neither formed nor joined
    /// one.
    pub fn cluster(&self) -> Option<u64> {
        todo!()
    }

    /// Forms a new cluster with this node alone, as the reference granted. Does nothing when the
    /// node belongs to one already.
    pub async fn form(&self, _cluster: u64) -> Result<(), StartError> {
        todo!()
    }

    /// The rank that the reference gave; the replica announces itself with it by itself.
    pub fn set_rank(&self, _rank: u64) {
        todo!()
    }

    /// The servers that the reference lists: whom to connect to and in which order to take over.
    pub fn learn_peers(&self, _peers: &[Peer]) {
        todo!()
    }

    /// Proposes a command and waits until it is applied here and on the disk of every active
    /// backup. On the primary only.
    pub async fn propose(
        &self,
        _command: Command,
        _origin: Option<Origin>,
    ) -> Result<Committed, ProposeError> {
        todo!()
    }

    /// A view of the rows that shows everything that was acknowledged before the call, on any
    /// server (read index).
    pub async fn read(&self) -> Result<Reader, ReadError> {
        todo!()
    }

    /// The store, for reads that need not be linearizable (publishing, status).
    pub fn store(&self) -> &Store {
        todo!()
    }

    /// The current view, and its changes.
    pub fn view(&self) -> watch::Receiver<Arc<View>> {
        todo!()
    }

    /// The last applied position, and its changes.
    pub fn applied(&self) -> watch::Receiver<u64> {
        todo!()
    }

    /// Tells up to which position events are surely published; rides with the next entry.
    pub fn set_published(&self, _position: u64) {
        todo!()
    }

    /// Takes a peer's message of a kind below `FIRST_SERVER_KIND`. Call it in order of arrival:
    /// what must be ordered is queued before it returns. `from` tells connections apart. No
    /// answer (none) when there is nothing to say.
    pub fn handle_peer(
        &self,
        _from: Bytes,
        _kind: u8,
        _body: Bytes,
    ) -> BoxFuture<'static, Option<Bytes>> {
        todo!()
    }

    /// Resolves, with one sentence, when the replica had to stop (a failed fsync, a damaged file).
    pub async fn failed(&self) -> String {
        todo!()
    }

    /// Stops taking part, with everything on disk.
    pub async fn shutdown(&self) {
        todo!()
    }
}
