//! Primary-backup replication on a consensus engine: openraft over a durable log (raft-log) and
//! the chat's rows (redb), a supervisor that elects by rank, and the gate that holds every
//! acknowledgement until all active backups have the entry on disk.

mod addresses;
mod announce;
mod bounds;
mod catch_up;
mod compare;
mod confirm;
mod detector;
mod disk;
mod election;
mod entropy;
mod folder;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod gate;
mod identity;
mod inbound;
mod keep;
mod leader;
mod log;
mod log_codec;
mod log_journal;
mod machine;
pub mod measured;
pub mod meet;
mod metrics;
mod network;
pub mod peer;
mod propose;
pub mod quorum;
mod reads;
pub mod replica;
pub mod rescue;
mod runtime;
mod scrub;
mod shared;
pub mod simulated;
mod snapshot;
mod supervisor;
mod tail;
mod types;
pub mod view;
mod watch;
mod writer;

pub use announce::{name_taken, of_an_earlier_generation, was_removed};
pub use bounds::imported_row;
pub use entropy::Entropy;
pub use folder::clean_folder;
pub use identity::IDENTITY_FILE;
pub use metrics::Metrics;
pub use peer::{Lane, PeerError, PeerTransport, PendingAnswer};
pub use replica::{
    Committed, Peer, ProposeError, ReadError, Replica, ReplicaConfig, Sizes, StampSource,
    StartError, Timing,
};
pub use view::{MemberView, View};

/// Identifies a data folder for ever; given once, never used again. Not a rank.
pub type NodeId = u64;
