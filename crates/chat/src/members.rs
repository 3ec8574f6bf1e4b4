//! Who the servers of the cluster are, in the replicated state, and the rules of rank.

use serde::{Deserialize, Serialize};

/// A change of the member table; each is a committed entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MemberCommand {
    /// A server is here (again): adds or updates its row and leaves it inactive, unless it is the
    /// same boot, in which case only rank and address change.
    Announce(Announcement),
    /// From here on an acknowledgement waits for this server's disk too.
    Activate {
        /// Its node id.
        node: u64,
    },
    /// From here on no acknowledgement waits for these servers; they lose their ranks.
    Drop {
        /// Their node ids.
        nodes: Vec<u64>,
        /// Why, for people.
        reason: String,
    },
    /// Takes a server out for good; its node id is never used again.
    Remove {
        /// Its node id.
        node: u64,
    },
    /// From here on writes are taken only while so many servers are active.
    MinCopies {
        /// How many, at least 1.
        copies: u32,
    },
}

/// What a server says of itself when it comes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// The node id of its data folder.
    pub node: u64,
    /// Its name.
    pub name: String,
    /// Where other servers reach it (`tcp://host:port`).
    pub address: String,
    /// The rank that the reference gave it; 0 when the reference could not be asked.
    pub rank: u64,
    /// A random number of this start.
    pub boot: u64,
    /// Its process id.
    pub pid: u32,
    /// Whether it is the reference's replica, which keeps everything and serves nobody: it has no
    /// rank, is never active, and votes only to make an even number of servers odd.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub witness: bool,
}

/// A server's row in the replicated state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// What it said of itself last; rank 0 after it was dropped.
    pub announced: Announcement,
    /// Whether acknowledgements wait for it.
    pub active: bool,
}

/// The key by which servers take over: lowest rank first, servers without a rank last, ties by
/// node id.
pub fn takeover_key(rank: u64, node: u64) -> (u64, u64) {
    (if rank == 0 { u64::MAX } else { rank }, node)
}
