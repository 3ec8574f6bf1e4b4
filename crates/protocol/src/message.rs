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
    User {
        /// The name.
        user: String,
        /// The last login, ms since the Unix epoch.
        login_ms: u64,
        /// Last seen, ms since the Unix epoch.
        seen_ms: u64,
        /// The first login, ms since the Unix epoch.
        created_ms: u64,
    },
    /// A channel.
    Channel {
        /// The name.
        channel: String,
    },
    /// A message on a channel.
    Publication {
        /// The sender.
        user: String,
        /// The channel.
        channel: String,
        /// The text.
        message: String,
        /// When it was stored, ms since the Unix epoch.
        timestamp: u64,
        /// The logical clock it was stored with.
        clock: u64,
    },
    /// A private message.
    Private {
        /// The sender.
        src: String,
        /// The recipient.
        dst: String,
        /// The text.
        message: String,
        /// When it was stored, ms since the Unix epoch.
        timestamp: u64,
        /// The logical clock it was stored with.
        clock: u64,
    },
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
    Conversation {
        /// The one.
        user: String,
        /// The other.
        with: String,
    },
}

/// What is asked of the cluster, through the broker.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Log in (again), or become known.
    Login {
        /// The name.
        user: String,
    },
    /// All users.
    Users,
    /// Create a channel.
    Channel {
        /// Its name.
        channel: String,
    },
    /// All channels.
    Channels,
    /// Publish to a channel.
    Publish {
        /// The sender.
        user: String,
        /// The channel.
        channel: String,
        /// The text.
        message: String,
    },
    /// Send a private message.
    Message {
        /// The sender.
        src: String,
        /// The recipient.
        dst: String,
        /// The text.
        message: String,
    },
    /// Open a session for requests with ids.
    Session,
    /// Read what is stored.
    History(HistoryQuery),
    /// How the cluster is.
    Status,
    /// One page of the export: the table's rows after a cursor.
    Export {
        /// Which table.
        table: ExportTable,
        /// The cursor that the last page's reply gave; none for the first page.
        after: Option<Bytes>,
        /// How many rows at the most.
        limit: usize,
    },
    /// Store rows with their own times.
    Import {
        /// The rows, in the order in which they are to be stored.
        rows: Vec<ImportRow>,
    },
    /// Take a server out of the cluster for good.
    Remove {
        /// Its name.
        server: String,
    },
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

impl ExportTable {
    /// All tables, in the order in which an import wants them.
    pub const ALL: [ExportTable; 4] = [
        ExportTable::Users,
        ExportTable::Channels,
        ExportTable::Messages,
        ExportTable::Publications,
    ];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            ExportTable::Users => "users",
            ExportTable::Channels => "channels",
            ExportTable::Messages => "messages",
            ExportTable::Publications => "publications",
        }
    }

    /// The table that a word on the wire stands for.
    pub fn parse(word: &str) -> Option<ExportTable> {
        ExportTable::ALL.into_iter().find(|table| table.as_str() == word)
    }
}

impl Request {
    /// The service's name on the wire.
    pub const fn service(&self) -> &'static str {
        match self {
            Request::Login { .. } => "login",
            Request::Users => "users",
            Request::Channel { .. } => "channel",
            Request::Channels => "channels",
            Request::Publish { .. } => "publish",
            Request::Message { .. } => "message",
            Request::Session => "session",
            Request::History(_) => "history",
            Request::Status => "status",
            Request::Export { .. } => "export",
            Request::Import { .. } => "import",
            Request::Remove { .. } => "remove",
        }
    }

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
