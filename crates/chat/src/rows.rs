//! What the state machine reads and writes: typed rows behind a trait, so that the same rules
//! run over redb, in tests and in simulations.

mod memory;

pub use memory::MemoryRows;

use crate::command::Stamp;
use crate::machine::Outcome;
use crate::members::Member;

/// Identifies a user or channel for ever, in messages and indexes. Given in the order of
/// creation, from 1; users and channels share one count, since both are topics.
pub type TopicId = u32;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Holder {
    /// A user.
    User(TopicId),
    /// A channel.
    Channel(TopicId),
    /// Nobody yet: someone sent a private message under this name without ever logging in.
    Nobody,
}

/// A name that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameRow {
    /// What it stands for.
    pub holder: Holder,
    /// The name's own number in the conversation index. It stays when a sender who was nobody
    /// logs in later, so that the conversation stays whole.
    pub person: TopicId,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRow {
    /// The name.
    pub name: String,
    /// The first login, ms since the Unix epoch.
    pub created_ms: u64,
    /// The last login, ms.
    pub login_ms: u64,
    /// When the user was last seen, ms: the last login, or what an import said. Messages don't
    /// count, they would rewrite this row each time.
    pub seen_ms: u64,
}

/// A channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelRow {
    /// The name.
    pub name: String,
    /// When it was created, ms.
    pub created_ms: u64,
}

/// The newest message of a channel or inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Head {
    /// Its number, 0 as long as there is none.
    pub seq: u64,
    /// The latest timestamp so far, ms: no later message goes below.
    pub time_ms: u64,
}

/// Where a message stands: its entry's log position and, as an import brings several in one
/// entry, its number within the entry. Keys grow with the log, which keeps inserts at the right
/// edge of the B-tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct MessageKey(pub u64);

impl MessageKey {
    /// How many bits the number within the entry has.
    pub const ROW_BITS: u32 = 16;
    /// How many messages one entry can store.
    pub const MAX_ROWS: usize = 1 << Self::ROW_BITS;

    /// The key of an entry's message; `row` is 0 for all but imports.
    pub const fn new(position: u64, row: u16) -> MessageKey {
        MessageKey((position << Self::ROW_BITS) | row as u64)
    }

    /// The entry's log position.
    pub const fn position(self) -> u64 {
        self.0 >> Self::ROW_BITS
    }
}

/// A stored message; borrowed when it is written, owned when it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageRow<'a> {
    /// The channel, or the recipient.
    pub topic: TopicId,
    /// Whether `topic` is a recipient.
    pub private: bool,
    /// Whether an import brought it: such a message is never published.
    pub imported: bool,
    /// Its number in the channel or inbox, from 1.
    pub seq: u64,
    /// The time it bears.
    pub stamp: Stamp,
    /// Its public id.
    pub id: [u8; 16],
    /// The sender's name.
    pub from: &'a str,
    /// The text.
    pub text: &'a str,
}

/// A session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionRow {
    /// The log position that opened it.
    pub opened: u64,
    /// The log position of its last use, brought up to date only now and then.
    pub used: u64,
    /// Which window holds its results. Windows are numbered from 0 and used again: an evicted
    /// session's goes to the session that takes its place.
    pub window: u16,
}

/// One result in a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotRow {
    /// The session whose result it is. Another one than the window's present owner had the window
    /// before; its results mean nothing any more and are written over one by one.
    pub session: u64,
    /// The request's number.
    pub n: u64,
    /// The digest of what was asked.
    pub digest: u64,
    /// What came of it.
    pub outcome: Outcome,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counters {
    /// The last topic id that was given.
    pub topics: TopicId,
    /// How many sessions are open.
    pub sessions: u64,
}

/// Read and write access to the rows, within one transaction. A write is seen by the reads that
/// follow it.
pub trait Rows {
    /// What a failed read or write gives; it is fatal for the node.
    type Error;

    /// The counters; all zero in an empty store.
    fn counters(&mut self) -> Result<Counters, Self::Error>;
    /// Replaces the counters.
    fn put_counters(&mut self, counters: Counters) -> Result<(), Self::Error>;
    /// The last log position whose events are known to be published.
    fn published(&mut self) -> Result<u64, Self::Error>;
    /// Replaces it.
    fn put_published(&mut self, position: u64) -> Result<(), Self::Error>;
    /// How many servers must be active for writes to be taken; 1 in an empty store.
    fn min_copies(&mut self) -> Result<u32, Self::Error>;
    /// Replaces it.
    fn put_min_copies(&mut self, copies: u32) -> Result<(), Self::Error>;

    /// What a name stands for, if it was ever seen.
    fn name(&mut self, name: &str) -> Result<Option<NameRow>, Self::Error>;
    /// Stores or replaces a name.
    fn put_name(&mut self, name: &str, row: NameRow) -> Result<(), Self::Error>;
    /// A user.
    fn user(&mut self, id: TopicId) -> Result<Option<UserRow>, Self::Error>;
    /// Stores or replaces a user.
    fn put_user(&mut self, id: TopicId, row: &UserRow) -> Result<(), Self::Error>;
    /// Stores a channel.
    fn put_channel(&mut self, id: TopicId, row: &ChannelRow) -> Result<(), Self::Error>;
    /// Stores a login: who, and when (ms).
    fn put_login(&mut self, position: u64, id: TopicId, time_ms: u64) -> Result<(), Self::Error>;

    /// The head of a channel or inbox; seq 0 if nothing is in it.
    fn head(&mut self, topic: TopicId) -> Result<Head, Self::Error>;
    /// Replaces a head.
    fn put_head(&mut self, topic: TopicId, head: Head) -> Result<(), Self::Error>;
    /// Stores a message and its place in the index (topic, seq).
    fn put_message(&mut self, key: MessageKey, row: MessageRow<'_>) -> Result<(), Self::Error>;
    /// Stores a message's place in the conversation of two persons, `low` ≤ `high`.
    fn put_conversation(
        &mut self,
        low: TopicId,
        high: TopicId,
        key: MessageKey,
    ) -> Result<(), Self::Error>;

    /// A session, if it is open.
    fn session(&mut self, session: u64) -> Result<Option<SessionRow>, Self::Error>;
    /// Stores or replaces a session, and its place in the order of last use.
    fn put_session(&mut self, session: u64, row: SessionRow) -> Result<(), Self::Error>;
    /// Removes a session, and its place in the order of last use.
    fn remove_session(&mut self, session: u64) -> Result<(), Self::Error>;
    /// The session with the lowest `used`, ties by number.
    fn oldest_session(&mut self) -> Result<Option<u64>, Self::Error>;
    /// A result in a window.
    fn slot(&mut self, window: u16, slot: u16) -> Result<Option<SlotRow>, Self::Error>;
    /// Stores or replaces a result.
    fn put_slot(&mut self, window: u16, slot: u16, row: &SlotRow) -> Result<(), Self::Error>;

    /// A member.
    fn member(&mut self, node: u64) -> Result<Option<Member>, Self::Error>;
    /// Whether a member of another node id has this name.
    fn is_held_by_another(&mut self, name: &str, but_for: u64) -> Result<bool, Self::Error>;
    /// Stores or replaces a member, under its node id.
    fn put_member(&mut self, row: &Member) -> Result<(), Self::Error>;
    /// Removes a member and notes its node id, which is never used again.
    fn remove_member(&mut self, node: u64) -> Result<(), Self::Error>;
    /// Whether a member with this node id was removed.
    fn is_removed(&mut self, node: u64) -> Result<bool, Self::Error>;
}
