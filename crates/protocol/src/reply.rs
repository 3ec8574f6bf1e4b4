//! What a client gets back.

use bytes::Bytes;

use crate::code::Refusal;
use crate::message::ImportRow;

/// What an acknowledged `publish` or `message` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The message's public id, a hash (16 bytes); empty in an acknowledgement that brings none.
    pub id: Bytes,
    /// Its number in the channel or inbox.
    pub seq: u64,
    /// On how many servers' disks it is.
    pub stored: u32,
    /// How many servers the cluster has.
    pub members: u32,
}

/// One stored message, as `history` gives it and as subscribers get it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The sender.
    pub from: String,
    /// The channel, or the recipient of a private message.
    pub to: String,
    /// The text.
    pub message: String,
    /// When it was stored: ms since the Unix epoch.
    pub timestamp: u64,
    /// The primary's logical clock when it stamped the message.
    pub clock: u64,
    /// The public id.
    pub id: Bytes,
    /// The number in the channel, or in the recipient's inbox.
    pub seq: u64,
    /// The position in the log.
    pub pos: u64,
    /// Whether it is a private message.
    pub private: bool,
}

/// A page of history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryReply {
    /// The rows, oldest first.
    pub messages: Vec<Record>,
    /// The newest `seq` (or `pos`) there is, 0 if there is none.
    pub newest: u64,
}

/// A member of the cluster, as `status` shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberStatus {
    /// The server's name.
    pub name: String,
    /// Its rank, 0 if it has none now.
    pub rank: u64,
    /// `primary`, `backup`, `joining` or `down`.
    pub role: Role,
    /// Where other servers reach it.
    pub address: String,
    /// Its process id, where it runs.
    pub pid: u32,
    /// The last log position that it is known to hold.
    pub applied: u64,
    /// The election term.
    pub term: u64,
    /// Its physical clock's offset from the cluster's in the last round; none before the first.
    pub clock_offset_ms: Option<i64>,
    /// Where it serves HTTP (`host:port`); none if it does not, or if the broker has not heard.
    pub http: Option<String>,
    /// Why acknowledgements don't wait for it, in a clause, where the primary set it aside.
    pub why: Option<String>,
    /// How the check of its rows stands, as far as the broker has heard.
    pub scrub: Scrub,
}

/// How a server's check of all its rows in the background stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scrub {
    /// When all rows had been read last, and none was damaged: ms since the Unix epoch. None before
    /// the first time since the server's start.
    pub ended_ms: Option<u64>,
    /// How many rows are still to be read; none between two times.
    pub left_rows: Option<u64>,
}

/// What a server is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Takes the writes.
    Primary,
    /// Holds every acknowledged write.
    Backup,
    /// Is catching up.
    Joining,
    /// Not heard of.
    Down,
}

impl Role {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Primary => "primary",
            Role::Backup => "backup",
            Role::Joining => "joining",
            Role::Down => "down",
        }
    }

    /// The role that a word on the wire stands for.
    pub fn parse(word: &str) -> Option<Role> {
        [Role::Primary, Role::Backup, Role::Joining, Role::Down]
            .into_iter()
            .find(|role| role.as_str() == word)
    }
}

/// What `status` answers. The servers fill in `members` and what they know of brokers, proxies and
/// the reference; the broker that passes it on adds itself. All but `members` is of no fixed shape:
/// maps, or arrays of maps, for people and tools to look at.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// All servers of the cluster, by rank.
    pub members: Vec<MemberStatus>,
    /// How many servers must be active for writes to be taken.
    pub min_copies: u32,
    /// What the broker that was asked says of itself.
    pub broker: rmpv::Value,
    /// What the answering server knows of the first proxy.
    pub proxy: rmpv::Value,
    /// What the servers know of the reference.
    pub reference: rmpv::Value,
    /// What the answering server knows of each broker; nil when it says nothing of them.
    pub brokers: rmpv::Value,
    /// What it knows of each proxy; nil when it says nothing of them.
    pub proxies: rmpv::Value,
    /// Why no server can take requests now, in a sentence without its stop, when that is known.
    pub why: Option<String>,
}

/// What became of one row of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportResult {
    /// It is stored now.
    Stored,
    /// It was there already.
    Known,
    /// It was left out.
    LeftOut(Refusal),
}

/// A reply, before it becomes bytes.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// `login` and `channel`: done.
    Done,
    /// `publish` and `message`: stored.
    Acked(Ack),
    /// `users`: all names.
    Users(Vec<String>),
    /// `channels`: all names.
    Channels(Vec<String>),
    /// `session`: the new session and its window (requests).
    Session {
        /// The session, to be put into request ids; a secret of its owner.
        session: u64,
        /// How many results it keeps.
        window: u64,
    },
    /// `history`.
    History(HistoryReply),
    /// `status`.
    Status(Box<Status>),
    /// `export`: rows, and the cursor for the next page if there is one.
    Export {
        /// The rows, in the table's order.
        rows: Vec<ImportRow>,
        /// What to send as `after` for the next page; none on the last.
        next: Option<Bytes>,
    },
    /// `import`: one result a row.
    Import(Vec<ImportResult>),
    /// Not done, and why.
    Refused(Refusal),
}
