//! What stands in the replicated log.

use crate::members::MemberCommand;

/// Time as the primary saw it when it proposed an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Stamp {
    /// The primary's corrected time, ms since the Unix epoch.
    pub time_ms: u64,
    /// The primary's logical clock.
    pub clock: u64,
}

/// Under which id a request came, so that it takes effect once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The session.
    pub session: u64,
    /// The number within it, from 1.
    pub n: u64,
    /// A digest of what was asked: other content under the same id is a conflict.
    pub digest: u64,
}

/// One row of an import, with its own times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportedRow {
    /// A user.
    User { user: String, login_ms: u64, seen_ms: u64, created_ms: u64 },
    /// A channel.
    Channel { channel: String },
    /// A publication.
    Publication { user: String, channel: String, message: String, stamp: Stamp },
    /// A private message.
    Private { src: String, dst: String, message: String, stamp: Stamp },
}

/// What an entry does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `replicate_login`
    Login { user: String },
    /// `replicate_channel`
    Channel { channel: String },
    /// `replicate_publish`
    Publish { user: String, channel: String, message: String },
    /// `replicate_message`
    Message { src: String, dst: String, message: String },
    /// Opens a session; the number is random and comes from the primary.
    Session { session: u64 },
    /// Stores rows with their own times.
    Import { rows: Vec<ImportedRow> },
    /// Changes who is a member, and how.
    Member(MemberCommand),
}

/// An entry of the replicated log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Time, put in by the primary.
    pub stamp: Stamp,
    /// The request id, if the request is to take effect once.
    pub origin: Option<Origin>,
    /// The last log position whose events are known to be published.
    pub published: u64,
    /// What to do.
    pub command: Command,
}

/// An entry that can't be read: written by a newer version, or damaged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a log entry can't be read: {0}")]
pub struct EntryError(pub String);

impl LogEntry {
    /// The entry's bytes: a version byte, then MessagePack.
    pub fn encode(&self) -> Vec<u8> {
        todo!()
    }

    /// Reads what [`LogEntry::encode`] wrote.
    pub fn decode(_bytes: &[u8]) -> Result<LogEntry, EntryError> {
        todo!()
    }
}
