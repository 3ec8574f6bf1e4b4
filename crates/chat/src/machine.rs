//! The rules: one entry, applied.

use crate::command::LogEntry;
use crate::rows::Rows;

/// Why a command was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The channel exists already.
    ChannelExists,
    /// No such channel.
    UnknownChannel,
    /// No such user.
    UnknownUser,
    /// The name breaks the rules.
    InvalidName,
    /// A user and a channel can't share a name.
    NameTaken,
    /// Another request came under the same id.
    IdConflict,
    /// The session is unknown, or the request left its window.
    IdExpired,
}

/// What whoever asked gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Done,
    /// A message was stored.
    Stored {
        /// Its public id.
        id: [u8; 16],
        /// Its number in the channel or inbox.
        seq: u64,
    },
    /// The session is open.
    Session {
        /// Its number.
        session: u64,
    },
    /// One result a row: stored (true), known already (false), or left out.
    Imported(Vec<Result<bool, Refusal>>),
    /// Refused; nothing changed.
    Refused(Refusal),
}

/// What applying an entry gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// For whoever asked.
    pub outcome: Outcome,
    /// Whether the entry stored a message that is to be published.
    pub publishes: bool,
    /// Whether the member table changed.
    pub members_changed: bool,
}

/// Applies the entry at this log position.
///
/// # Errors
/// Only those of the rows; a command that can't be carried out is a refusal.
pub fn apply<R: Rows>(
    _rows: &mut R,
    _position: u64,
    _entry: &LogEntry,
) -> Result<Applied, R::Error> {
    todo!()
}
