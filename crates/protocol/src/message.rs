//! What a client may ask.

use bytes::Bytes;

/// Makes a request safe to repeat: the first result comes again, without a second effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId {
    /// The session, as the reply to `session` gave it; a secret of its owner.
    pub session: u64,
    /// The request's number within the session, from 1.
    pub n: u64,
}

/// A request as it came in: what is asked, and what came beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Incoming {
    /// What is asked.
    pub request: Request,
    /// The sender's logical clock, 0 if it sent none.
    pub clock: u64,
    /// The request id, if the sender gave one.
    pub id: Option<RequestId>,
}

/// A row that an import brings, with the times it had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportRow {
    /// A user with its times, ms.
    User { user: String, login_ms: u64, seen_ms: u64, created_ms: u64 },
    /// A channel.
    Channel { channel: String },
    /// A message on a channel.
    Publication { user: String, channel: String, message: String, timestamp: u64, clock: u64 },
    /// A private message.
    Private { src: String, dst: String, message: String, timestamp: u64, clock: u64 },
}

/// Which stored messages are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryQuery {
    /// Whose messages.
    pub of: HistoryOf,
    /// Only rows behind this one (`seq`, or `pos` for a conversation). With `after` the page is
    /// filled from the oldest; without it, from the newest. Either way rows come in order.
    pub after: Option<u64>,
    /// Only rows before this one.
    pub before: Option<u64>,
    /// How many rows at the most.
    pub limit: usize,
}

/// The three ways to look at what is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistoryOf {
    /// A channel's messages by `seq`.
    Channel(String),
    /// A user's inbox by `seq`.
    Inbox(String),
    /// Both directions between two users, by log position (`pos`).
    Conversation { user: String, with: String },
}

/// What is asked of the cluster, through the broker.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Log in (again), or become known.
    Login { user: String },
    /// All users.
    Users,
    /// Create a channel.
    Channel { channel: String },
    /// All channels.
    Channels,
    /// Publish to a channel.
    Publish { user: String, channel: String, message: String },
    /// Send a private message.
    Message { src: String, dst: String, message: String },
    /// Open a session for requests with ids.
    Session,
    /// Read what is stored.
    History(HistoryQuery),
    /// How the cluster is.
    Status,
    /// One page of the export: the table's rows after a cursor.
    Export { table: ExportTable, after: Option<Bytes>, limit: usize },
    /// Store rows with their own times.
    Import { rows: Vec<ImportRow> },
}

/// The four tables of the export, named as their files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportTable {
    /// `users.json`
    Users,
    /// `channels.json`
    Channels,
    /// `messages.json`
    Messages,
    /// `publications.json`
    Publications,
}

impl Request {
    /// Whether carrying it out changes what is stored; such a request goes through the log.
    pub fn is_write(&self) -> bool {
        matches!(
            self,
            Request::Login { .. }
                | Request::Channel { .. }
                | Request::Publish { .. }
                | Request::Message { .. }
                | Request::Session
                | Request::Import { .. }
        )
    }
}
