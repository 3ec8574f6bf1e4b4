//! What happens to the client, and what it wants done.

use ratatui::crossterm::event::{KeyEvent, MouseEvent};
use recado_client::ClientError;
use recado_protocol::{Ack, HistoryReply, Record, Status};

use super::memory::Memory;
use super::room::Place;

/// Something that happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// A key was pressed.
    Key(KeyEvent),
    /// A text was pasted.
    Paste(String),
    Mouse(MouseEvent),
    Resize {
        columns: u16,
        rows: u16,
    },
    /// The terminal's window has the focus, or has it no more.
    Focus(bool),
    /// Time goes on.
    Tick {
        now_ms: u64,
    },
    /// The broker is connected, or is not.
    Broker(bool),
    /// The proxy is connected again, or is not.
    Proxy(bool),
    Election {
        coordinator: String,
    },
    /// A message of a joined channel or of the inbox.
    Message(Record),
    /// So many messages that were just delivered came late.
    GapFilled {
        topic: String,
        count: usize,
    },
    LoggedIn {
        user: String,
        outcome: Result<(), ClientError>,
    },
    /// What was remembered of a user.
    Recalled {
        user: String,
        memory: Memory,
    },
    /// It is written down.
    Remembered {
        user: String,
    },
    /// It could not be written down, for this reason.
    NotRemembered {
        user: String,
        why: String,
    },
    /// It was damaged, and is now kept under this name.
    Damaged {
        kept_as: String,
    },
    /// Another client of the same user writes it down.
    KeptElsewhere,
    /// It could not be read, for this reason.
    NotRecalled(String),
    /// The newest messages of the inbox, asked for after the login.
    Inbox(Result<HistoryReply, ClientError>),
    Names {
        users: Vec<String>,
        channels: Vec<String>,
    },
    /// The names that a person asked for.
    Asked(Result<Names, ClientError>),
    Created {
        channel: String,
        outcome: Result<(), ClientError>,
    },
    Joined {
        channel: String,
        outcome: Result<(), ClientError>,
    },
    Sent {
        place: Place,
        /// The number that the effect had.
        number: u64,
        outcome: Result<Ack, ClientError>,
    },
    Page {
        place: Place,
        ticket: u64,
        want: Want,
        outcome: Result<HistoryReply, ClientError>,
    },
    /// How the cluster is, asked for every now and then.
    Status(Status),
    /// Nobody told it.
    Unanswered,
    /// Somebody answered, and does not tell it: a standard server.
    StatusRefused,
    /// The same, because a person asked.
    AskedStatus(Result<Status, ClientError>),
    /// The process is told to end.
    Terminate,
}

/// All names, as the cluster gave them.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) users: Vec<String>,
    pub(crate) channels: Vec<String>,
    /// Which list was asked for.
    pub(crate) of: Listed,
}

/// A list that a person can ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Listed {
    #[default]
    Everything,
    Users,
    Channels,
}

/// Which part of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Want {
    Newest,
    Before(u64),
    After(u64),
}

/// What is to be done; the driver does it and tells what came out as an [`Event`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Log in, and open the inbox; close that of the user before.
    Login {
        user: String,
        before: Option<String>,
    },
    /// The newest messages that this user received.
    FetchInbox {
        user: String,
    },
    /// Read what was remembered of this user.
    Recall {
        user: String,
    },
    /// Write it down.
    Remember {
        user: String,
        memory: Memory,
    },
    Ask(Listed),
    /// Get the names that can be completed and chosen.
    AskNames,
    Create {
        channel: String,
    },
    Join {
        channel: String,
    },
    Leave {
        channel: String,
    },
    Send {
        place: Place,
        number: u64,
        from: String,
        text: String,
    },
    Fetch {
        /// Who looks; needed for a direct conversation.
        me: String,
        place: Place,
        ticket: u64,
        want: Want,
        limit: usize,
    },
    AskStatus {
        /// Whether a person waits for it.
        asked: bool,
    },
    /// Ring, and tell who called; never what was said.
    Alert(String),
    /// Whether the mouse is listened to; otherwise the terminal selects text with it.
    Mouse(bool),
    /// Draw everything anew.
    Redraw,
    Quit {
        code: u8,
    },
}
