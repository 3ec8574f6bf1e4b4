//! Peer messages as they look on the wire, written by hand: what a hostile or broken peer can send,
//! and no type of ours would let a test make.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use recado_chat::members::Announcement;
use serde::{Deserialize, Serialize};

pub const APPEND: u8 = 1;
pub const VOTE: u8 = 2;
pub const PRE_VOTE: u8 = 3;
pub const SNAPSHOT: u8 = 4;
pub const TRANSFER: u8 = 5;
pub const READ_INDEX: u8 = 6;
pub const ANNOUNCE: u8 = 7;
pub const WHO: u8 = 8;
pub const HOLD: u8 = 9;
/// One more than the kinds that there are.
pub const END: u8 = 10;

/// Term and candidate, and whether a majority gave its vote.
pub type Vote = ((u64, Option<u64>), bool);
/// Term and index.
pub type LogId = (u64, u64);

/// An entry's content.
#[derive(Serialize)]
pub enum Payload {
    Blank,
    Normal(#[serde(with = "bin")] Vec<u8>),
    Membership(Membership),
}

/// An entry.
pub type Entry = (LogId, Payload);

/// The vote, the entry before, the entries, what is committed.
pub type Append = (Vote, Option<LogId>, Vec<Entry>, Option<LogId>);

/// The vote, the candidate's last entry, and whether its predecessor asked it to stand.
pub type VoteRequest = (Vote, Option<LogId>, bool);

/// A piece of a snapshot.
#[derive(Serialize)]
pub struct Chunk {
    pub transfer: u64,
    pub offset: u64,
    #[serde(with = "bin")]
    pub bytes: Vec<u8>,
    pub end: Option<(Vote, Meta)>,
}

/// The last entry, the membership with its entry, and a field that is always empty.
pub type Meta = (Option<LogId>, (Option<LogId>, Membership), &'static str);
/// Sets of voters, and all nodes.
pub type Membership = (Vec<BTreeSet<u64>>, BTreeMap<u64, [u8; 0]>);

/// What an announcement is answered.
#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "what is not read is shown when a test fails")]
pub enum Announced {
    Welcome { cluster: u64 },
    Ask { primary: u64, address: String },
    Later,
    NameInUse,
    NameTaken { address: String },
    Removed,
    Refused(String),
}

/// What a damaged server is answered.
#[derive(Debug, PartialEq, Deserialize)]
pub enum Held {
    All,
    /// Term and index.
    Less((u64, u64)),
    NotPrimary,
}

mod bin {
    pub fn serialize<S: serde::Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }
}

/// A message of this cluster for this node.
pub fn seal<T: Serialize>(cluster: u64, node: u64, message: &T) -> Bytes {
    let mut bytes = [cluster.to_be_bytes(), node.to_be_bytes()].concat();
    bytes.extend(rmp_serde::to_vec(message).unwrap());
    bytes.into()
}

/// What an answer says.
pub fn unseal<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> T {
    rmp_serde::from_slice(&bytes[16..]).unwrap()
}

/// Nodes as a membership has them.
pub fn nodes(nodes: impl IntoIterator<Item = u64>) -> BTreeMap<u64, [u8; 0]> {
    nodes.into_iter().map(|node| (node, [])).collect()
}

/// A server that nobody knows says this of itself.
pub fn stranger(node: u64) -> Announcement {
    Announcement {
        node,
        name: format!("stranger-{node}"),
        address: format!("memory://stranger-{node}"),
        rank: 70,
        boot: 1,
        pid: 1,
        witness: false,
    }
}
