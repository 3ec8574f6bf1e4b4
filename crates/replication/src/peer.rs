//! What replication needs of a network, as a trait: the server crate brings ZeroMQ, tests bring
//! memory.

use bytes::Bytes;
use futures::future::BoxFuture;

use crate::NodeId;

/// Kinds of peer messages below this number are replication's own; the server crate numbers its
/// own from here.
pub const FIRST_SERVER_KIND: u8 = 32;

/// Separate connections, so that votes and heartbeats never wait behind appends or snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Votes, heartbeats, read indexes, announcements.
    Control,
    /// Log entries.
    Log,
    /// Snapshot chunks.
    Snapshot,
    /// Clients' requests on their way to the primary.
    Forward,
}

/// Why a peer gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// There is no connection; the message was certainly not delivered.
    #[error("not connected")]
    NotConnected,
    /// The connection broke, or the peer can't take it; the message may have been delivered.
    #[error("disconnected")]
    Disconnected,
}

/// Resolves when the peer answered or can't any more. Time limits are the caller's.
pub type PendingAnswer = BoxFuture<'static, Result<Bytes, PeerError>>;

/// Connections to the other servers.
pub trait PeerTransport: Send + Sync + 'static {
    /// Where a node is; connects at once, all lanes. A changed address replaces the connections.
    fn set_address(&self, node: NodeId, address: &str);

    /// Which of the lane's connections to the node stands now: each has its own number. None while
    /// there is none.
    fn connection(&self, node: NodeId, lane: Lane) -> Option<u64>;

    /// Queues a message. Messages of one lane to one node arrive in the order in which `send`
    /// was called; the returned future needs no polling for that.
    ///
    /// # Errors
    /// [`PeerError::NotConnected`] at once when there is no connection.
    fn send(
        &self,
        node: NodeId,
        lane: Lane,
        kind: u8,
        body: Bytes,
    ) -> Result<PendingAnswer, PeerError>;
}
