//! Primary-backup replication on a consensus engine: openraft over a durable log (raft-log) and
//! the chat's rows (redb), a supervisor that elects by rank, and the gate that holds every
//! acknowledgement until all active backups have the entry on disk.

pub mod peer;
pub mod replica;
pub mod view;

pub use peer::{Lane, PeerError, PeerTransport, PendingAnswer};
pub use replica::{
    Committed, Peer, ProposeError, ReadError, Replica, ReplicaConfig, StampSource, StartError,
    Timing,
};
pub use view::{MemberView, View};

/// Identifies a data folder for ever; given once, never used again. Not a rank.
pub type NodeId = u64;
