//! The consensus engine's types, as this system fills them in.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use openraft::type_config::alias;
use recado_chat::Outcome;
use recado_storage::Reader;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::snapshot::Received;

/// The bytes of one chat log entry; a clone shares them.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload(pub Bytes);

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.0.len())
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BytesVisitor;
        impl Visitor<'_> for BytesVisitor {
            type Value = Payload;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the bytes of a log entry")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Payload, E> {
                Ok(Payload(Bytes::copy_from_slice(bytes)))
            }
            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Payload, E> {
                Ok(Payload(bytes.into()))
            }
        }
        deserializer.deserialize_bytes(BytesVisitor)
    }
}

/// What applying an entry gave. It never leaves the process, so it has no bytes, and none comes
/// back from them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Response {
    /// For whoever asked.
    #[serde(skip)]
    pub outcome: Option<Outcome>,
}

openraft::declare_raft_types!(
    /// The engine's type table. Addresses are not part of the consensus membership: a server that
    /// moves only announces itself anew.
    pub TypeConfig:
        D = Payload,
        R = Response,
        NodeId = u64,
        Node = openraft::EmptyNode,
        LeaderId = openraft::impls::leader_id_std::LeaderId<u64, u64>,
        AsyncRuntime = crate::runtime::Runtime,
);

pub type Engine = openraft::Raft<TypeConfig, crate::machine::Machine>;
pub type LogId = alias::LogIdOf<TypeConfig>;
pub type Vote = alias::VoteOf<TypeConfig>;
pub type Entry = alias::EntryOf<TypeConfig>;
pub type EntryPayload = alias::EntryPayloadOf<TypeConfig>;
pub type StoredMembership = alias::StoredMembershipOf<TypeConfig>;
pub type SnapshotMeta = alias::SnapshotMetaOf<TypeConfig>;
pub type Snapshot = alias::SnapshotOf<TypeConfig, SnapshotData>;
pub type AppendRequest = openraft::raft::AppendEntriesRequest<TypeConfig>;
pub type AppendResponse = openraft::raft::AppendEntriesResponse<TypeConfig>;
pub type VoteRequest = openraft::raft::VoteRequest<TypeConfig>;
pub type VoteResponse = openraft::raft::VoteResponse<TypeConfig>;
pub type TransferRequest = openraft::raft::TransferLeaderRequest<TypeConfig>;
pub type SnapshotResponse = openraft::raft::SnapshotResponse<TypeConfig>;
pub type RpcError = openraft::errors::RPCError<TypeConfig>;

/// A snapshot on its way: rows still in the store on the sender's side, a file on the
/// receiver's. Building one costs no copy of the rows; the file is written when somebody needs
/// it.
#[derive(Clone)]
pub enum SnapshotData {
    /// A consistent view of the sender's rows.
    View(Arc<Reader>),
    /// A complete, verified file that was received.
    Received(Arc<Received>),
}

impl fmt::Debug for SnapshotData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SnapshotData::View(_) => f.write_str("SnapshotData::View"),
            SnapshotData::Received(received) => {
                write!(f, "SnapshotData::Received({} bytes)", received.info.bytes)
            }
        }
    }
}
