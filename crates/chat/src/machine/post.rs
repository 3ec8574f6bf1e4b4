//! Publications and private messages: checks, numbers, timestamps and ids.

use sha2::{Digest, Sha256};

use super::{Applied, Outcome, Refusal, next_topic};
use crate::command::{LogEntry, Origin, Stamp};
use crate::names;
#[cfg(feature = "planted")]
use crate::planted::{self, Bug};
use crate::rows::{Head, Holder, MessageKey, MessageRow, NameRow, Rows, TopicId};

/// In front of everything that becomes a message id, so that such a hash means nothing elsewhere.
const ID_TAG: &[u8] = b"recado message id 1";

/// A message on its way in.
#[derive(Clone, Copy)]
pub(super) struct Post<'a> {
    pub(super) from: &'a str,
    /// A channel, or a user if it is private.
    pub(super) to: &'a str,
    pub(super) text: &'a str,
    pub(super) private: bool,
}

/// A message that was sent now: its time is the entry's, but never before the topic's last one.
pub(super) fn native<R: Rows>(
    rows: &mut R,
    position: u64,
    entry: &LogEntry,
    post: Post<'_>,
) -> Result<Applied, R::Error> {
    let topic = match recipient(rows, post)? {
        Ok(topic) => topic,
        Err(refusal) => return Ok(Applied::refused(refusal)),
    };
    let head = rows.head(topic)?;
    let place = Place {
        topic,
        key: MessageKey::new(position, 0),
        id: message_id(entry.origin, position, 0),
        seq: head.seq + 1,
        stamp: Stamp { time_ms: entry.stamp.time_ms.max(head.time_ms), clock: entry.stamp.clock },
        imported: false,
    };
    #[cfg(feature = "planted")]
    let place = Place { stamp: planted_time(place.stamp), ..place };
    if let Err(refusal) = store(rows, &place, head, post)? {
        return Ok(Applied::refused(refusal));
    }
    let outcome = Outcome::Stored { id: place.id, seq: place.seq };
    Ok(Applied { outcome, publishes: true, members_changed: false })
}

/// A message of an import: it gets the next number and keeps the time that it brings.
pub(super) fn imported<R: Rows>(
    rows: &mut R,
    (position, row): (u64, u16),
    origin: Option<Origin>,
    stamp: Stamp,
    post: Post<'_>,
) -> Result<Result<bool, Refusal>, R::Error> {
    let topic = match recipient(rows, post)? {
        Ok(topic) => topic,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let head = rows.head(topic)?;
    let place = Place {
        topic,
        key: MessageKey::new(position, row),
        id: message_id(origin, position, row),
        seq: head.seq + 1,
        stamp,
        imported: true,
    };
    Ok(store(rows, &place, head, post)?.map(|()| true))
}

/// Where a message goes and what it gets.
struct Place {
    topic: TopicId,
    key: MessageKey,
    id: [u8; 16],
    seq: u64,
    stamp: Stamp,
    imported: bool,
}

/// The topic of a message, if its names are in order. The sender needs a valid name but no login.
fn recipient<R: Rows>(rows: &mut R, post: Post<'_>) -> Result<Result<TopicId, Refusal>, R::Error> {
    if names::check(post.from).is_err() {
        return Ok(Err(Refusal::InvalidName));
    }
    let holder = rows.name(post.to)?.map(|name| name.holder);
    Ok(match (post.private, holder) {
        (false, Some(Holder::Channel(id))) | (true, Some(Holder::User(id))) => Ok(id),
        (false, _) => Err(Refusal::UnknownChannel),
        (true, _) => Err(Refusal::UnknownUser),
    })
}

fn store<R: Rows>(
    rows: &mut R,
    place: &Place,
    head: Head,
    post: Post<'_>,
) -> Result<Result<(), Refusal>, R::Error> {
    #[cfg(feature = "planted")]
    if planted::on(Bug::LostPrivate) && post.private && place.seq.is_multiple_of(5) {
        return Ok(Ok(()));
    }
    if post.private {
        let Some(from) = person(rows, post.from)? else { return Ok(Err(Refusal::TooLarge)) };
        let Some(to) = person(rows, post.to)? else { return Ok(Err(Refusal::TooLarge)) };
        rows.put_conversation(from.min(to), from.max(to), place.key)?;
    }
    let row = MessageRow {
        topic: place.topic,
        private: post.private,
        imported: place.imported,
        seq: place.seq,
        stamp: place.stamp,
        id: place.id,
        from: post.from,
        text: post.text,
    };
    rows.put_message(place.key, row)?;
    let time_ms = head.time_ms.max(place.stamp.time_ms);
    rows.put_head(place.topic, Head { seq: place.seq, time_ms })?;
    Ok(Ok(()))
}

/// A name's number in the conversation index; a sender who is nobody yet gets one.
fn person<R: Rows>(rows: &mut R, name: &str) -> Result<Option<TopicId>, R::Error> {
    if let Some(row) = rows.name(name)? {
        return Ok(Some(row.person));
    }
    let Some(person) = next_topic(rows)? else { return Ok(None) };
    rows.put_name(name, NameRow { holder: Holder::Nobody, person })?;
    Ok(Some(person))
}

/// A message's public id: a hash, so that it shows nothing of the session, which is its owner's
/// secret, and lets nobody guess the next one.
fn message_id(origin: Option<Origin>, position: u64, row: u16) -> [u8; 16] {
    let mut hash = Sha256::new();
    hash.update(ID_TAG);
    match origin {
        Some(origin) => {
            hash.update(b"session");
            hash.update(origin.session.to_be_bytes());
            hash.update(origin.n.to_be_bytes());
        }
        None => {
            hash.update(b"position");
            hash.update(position.to_be_bytes());
        }
    }
    hash.update(row.to_be_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&hash.finalize()[..16]);
    id
}

/// The time that who applies it has on a clock of its own.
#[cfg(feature = "planted")]
fn planted_time(stamp: Stamp) -> Stamp {
    let late = planted::on(Bug::ClockInApply) && planted::whim(2);
    Stamp { time_ms: stamp.time_ms + u64::from(late), ..stamp }
}
