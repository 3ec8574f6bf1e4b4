//! The rules: one entry, applied.

mod import;
mod member;
mod post;
mod window;

use crate::command::{Command, LogEntry, Stamp};
use crate::names;
use crate::rows::{ChannelRow, Holder, NameRow, Rows, TopicId, UserRow};
pub use window::{SESSION_WINDOW, SESSIONS_MAX, TOUCH_POSITIONS};

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
    /// A user and a channel can't share a name, nor can two servers.
    NameTaken,
    /// Another request came under the same id.
    IdConflict,
    /// The session is unknown, or the request left its window.
    IdExpired,
    /// The node was removed for good, or was never a member.
    Removed,
    /// More than one entry, or the store, has room for.
    TooLarge,
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

impl Applied {
    fn quiet(outcome: Outcome) -> Applied {
        Applied { outcome, publishes: false, members_changed: false }
    }

    fn refused(refusal: Refusal) -> Applied {
        Applied::quiet(Outcome::Refused(refusal))
    }
}

/// Applies the entry at this log position. Positions must grow from call to call.
///
/// An entry with an origin takes effect at most once (P2): the first result, a refusal too, is
/// kept in the session's window and comes again for every repeat. Whatever comes of the entry,
/// its `published` raises the watermark, which never goes back and never passes the entry itself.
///
/// # Errors
/// Only those of the rows; a command that can't be carried out is a refusal.
pub fn apply<R: Rows>(rows: &mut R, position: u64, entry: &LogEntry) -> Result<Applied, R::Error> {
    let published = entry.published.min(position.saturating_sub(1));
    if published > rows.published()? {
        rows.put_published(published)?;
    }
    let Some(origin) = entry.origin else {
        return execute(rows, position, entry);
    };
    match window::look(rows, position, origin)? {
        window::Seen::Before(outcome) => Ok(Applied::quiet(outcome)),
        window::Seen::Never { window } => {
            let applied = execute(rows, position, entry)?;
            window::remember(rows, window, origin, &applied.outcome)?;
            Ok(applied)
        }
    }
}

fn execute<R: Rows>(rows: &mut R, position: u64, entry: &LogEntry) -> Result<Applied, R::Error> {
    let stamp = entry.stamp;
    match &entry.command {
        Command::Login { user } => login(rows, position, stamp, user),
        Command::Channel { channel } => Ok(match create_channel(rows, stamp, channel)? {
            Ok(_) => Applied::quiet(Outcome::Done),
            Err(refusal) => Applied::refused(refusal),
        }),
        Command::Publish { user, channel, message } => {
            let post = post::Post { from: user, to: channel, text: message, private: false };
            post::native(rows, position, entry, post)
        }
        Command::Message { src, dst, message } => {
            let post = post::Post { from: src, to: dst, text: message, private: true };
            post::native(rows, position, entry, post)
        }
        Command::Session { session } => window::open(rows, position, *session).map(Applied::quiet),
        Command::Import { rows: imported } => {
            import::apply(rows, position, entry, imported).map(Applied::quiet)
        }
        Command::Member(command) => member::apply(rows, command),
    }
}

/// A first login makes the user known; each one is stored with its time.
fn login<R: Rows>(
    rows: &mut R,
    position: u64,
    stamp: Stamp,
    user: &str,
) -> Result<Applied, R::Error> {
    let time_ms = stamp.time_ms;
    let name = rows.name(user)?;
    let id = if let Some(NameRow { holder: Holder::User(id), .. }) = name {
        if let Some(mut row) = rows.user(id)? {
            row.login_ms = row.login_ms.max(time_ms);
            row.seen_ms = row.seen_ms.max(time_ms);
            rows.put_user(id, &row)?;
        }
        id
    } else {
        let row = UserRow {
            name: user.to_owned(),
            created_ms: time_ms,
            login_ms: time_ms,
            seen_ms: time_ms,
        };
        match create_user(rows, row)? {
            Ok(id) => id,
            Err(refusal) => return Ok(Applied::refused(refusal)),
        }
    };
    rows.put_login(position, id, time_ms)?;
    Ok(Applied::quiet(Outcome::Done))
}

/// Makes a user whose name nobody holds.
fn create_user<R: Rows>(rows: &mut R, row: UserRow) -> Result<Result<TopicId, Refusal>, R::Error> {
    if names::check(&row.name).is_err() {
        return Ok(Err(Refusal::InvalidName));
    }
    let seen = rows.name(&row.name)?;
    if seen.is_some_and(|name| name.holder != Holder::Nobody) {
        return Ok(Err(Refusal::NameTaken));
    }
    let Some(id) = next_topic(rows)? else { return Ok(Err(Refusal::TooLarge)) };
    let person = seen.map_or(id, |name| name.person);
    rows.put_name(&row.name, NameRow { holder: Holder::User(id), person })?;
    rows.put_user(id, &row)?;
    Ok(Ok(id))
}

/// Makes a channel whose name nobody holds.
fn create_channel<R: Rows>(
    rows: &mut R,
    stamp: Stamp,
    channel: &str,
) -> Result<Result<TopicId, Refusal>, R::Error> {
    if names::check(channel).is_err() {
        return Ok(Err(Refusal::InvalidName));
    }
    let seen = rows.name(channel)?;
    match seen.map(|name| name.holder) {
        Some(Holder::Channel(_)) => return Ok(Err(Refusal::ChannelExists)),
        Some(Holder::User(_)) => return Ok(Err(Refusal::NameTaken)),
        Some(Holder::Nobody) | None => {}
    }
    let Some(id) = next_topic(rows)? else { return Ok(Err(Refusal::TooLarge)) };
    let person = seen.map_or(id, |name| name.person);
    rows.put_name(channel, NameRow { holder: Holder::Channel(id), person })?;
    rows.put_channel(id, &ChannelRow { name: channel.to_owned(), created_ms: stamp.time_ms })?;
    Ok(Ok(id))
}

/// The next topic id; none when all 2^32-1 are given.
fn next_topic<R: Rows>(rows: &mut R) -> Result<Option<TopicId>, R::Error> {
    let mut counters = rows.counters()?;
    let Some(id) = counters.topics.checked_add(1) else { return Ok(None) };
    counters.topics = id;
    rows.put_counters(counters)?;
    Ok(Some(id))
}
