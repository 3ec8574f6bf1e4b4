//! The bytes of values: fixed layouts for what every message touches, MessagePack for the rest.
//! Numbers are little-endian.

use recado_chat::rows::{
    ChannelRow, Counters, Head, Holder, MessageRow, NameRow, SessionRow, SlotRow, UserRow,
};
use recado_chat::{Member, Outcome, Refusal, Stamp};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::error::StoreError;
use crate::sums::Sums;
use crate::tables::{STATE_COUNTERS, STATE_MIN_COPIES, STATE_PUBLISHED, VERSION};

type Result<T> = std::result::Result<T, StoreError>;

/// Reads fields off the front of a value.
struct Fields<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Fields<'a> {
    /// Checks the version byte.
    fn of(what: &'static str, value: &'a [u8]) -> Result<Fields<'a>> {
        let mut fields = Fields { rest: value, what };
        if fields.u8()? == VERSION { Ok(fields) } else { Err(StoreError::unreadable(what)) }
    }

    fn bytes(&mut self, count: usize) -> Result<&'a [u8]> {
        let Some((head, rest)) = self.rest.split_at_checked(count) else {
            return Err(StoreError::unreadable(self.what));
        };
        self.rest = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(N)?);
        Ok(array)
    }

    fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn text(&mut self, count: usize) -> Result<&'a str> {
        let what = self.what;
        std::str::from_utf8(self.bytes(count)?).map_err(|_| StoreError::unreadable(what))
    }
}

/// A fixed layout from pieces that add up to its length.
fn fixed<const N: usize>(pieces: &[&[u8]]) -> [u8; N] {
    let mut value = [0; N];
    let mut at = 0;
    for piece in std::iter::once(&[VERSION].as_slice()).chain(pieces) {
        if let Some(room) = value.get_mut(at..at + piece.len()) {
            room.copy_from_slice(piece);
        }
        at += piece.len();
    }
    debug_assert_eq!(at, N, "the pieces fill the value");
    value
}

/// MessagePack behind the version byte.
pub(crate) fn pack(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut bytes = vec![VERSION];
    value
        .serialize(&mut rmp_serde::Serializer::new(&mut bytes))
        .map_err(|error| StoreError::Failed(format!("a row has no bytes: {error}")))?;
    Ok(bytes)
}

pub(crate) fn unpack<T: DeserializeOwned>(what: &'static str, value: &[u8]) -> Result<T> {
    let fields = Fields::of(what, value)?;
    rmp_serde::from_slice(fields.rest).map_err(|_| StoreError::unreadable(what))
}

pub(crate) fn number(value: u64) -> [u8; 9] {
    fixed(&[&value.to_le_bytes()])
}

pub(crate) fn read_number(what: &'static str, value: &[u8]) -> Result<u64> {
    Fields::of(what, value)?.u64()
}

pub(crate) fn read_copies(value: &[u8]) -> Result<u32> {
    let copies = read_number("number of copies", value)?;
    u32::try_from(copies).map_err(|_| StoreError::unreadable("number of copies"))
}

/// Bytes that belong to somebody else, behind the version byte.
pub(crate) fn opaque(value: &[u8]) -> Vec<u8> {
    [&[VERSION], value].concat()
}

pub(crate) fn read_opaque(what: &'static str, value: &[u8]) -> Result<Vec<u8>> {
    Ok(Fields::of(what, value)?.rest.to_vec())
}

/// The last applied position and replication's mark of it.
pub(crate) fn applied(position: u64, mark: &[u8]) -> Vec<u8> {
    [&[VERSION], position.to_le_bytes().as_slice(), mark].concat()
}

pub(crate) fn read_applied(value: &[u8]) -> Result<(u64, Vec<u8>)> {
    let mut fields = Fields::of("mark", value)?;
    Ok((fields.u64()?, fields.rest.to_vec()))
}

pub(crate) fn sums(sums: Sums) -> [u8; Sums::BYTES + 1] {
    fixed(&[&sums.to_bytes()])
}

pub(crate) fn read_sums(value: &[u8]) -> Result<Sums> {
    Ok(Sums::from_bytes(Fields::of("sum", value)?.array()?))
}

pub(crate) fn counters(row: Counters) -> [u8; 13] {
    fixed(&[&row.topics.to_le_bytes(), &row.sessions.to_le_bytes()])
}

pub(crate) fn read_counters(value: &[u8]) -> Result<Counters> {
    let mut fields = Fields::of("counter", value)?;
    Ok(Counters { topics: fields.u32()?, sessions: fields.u64()? })
}

pub(crate) fn name(row: NameRow) -> [u8; 10] {
    let (kind, id) = match row.holder {
        Holder::Nobody => (0u8, 0),
        Holder::User(id) => (1, id),
        Holder::Channel(id) => (2, id),
    };
    fixed(&[&[kind], &id.to_le_bytes(), &row.person.to_le_bytes()])
}

pub(crate) fn read_name(value: &[u8]) -> Result<NameRow> {
    let mut fields = Fields::of("name", value)?;
    let (kind, id, person) = (fields.u8()?, fields.u32()?, fields.u32()?);
    let holder = match kind {
        0 => Holder::Nobody,
        1 => Holder::User(id),
        2 => Holder::Channel(id),
        _ => return Err(StoreError::unreadable("name")),
    };
    Ok(NameRow { holder, person })
}

pub(crate) fn user(row: &UserRow) -> Vec<u8> {
    let times = [row.created_ms, row.login_ms, row.seen_ms].map(u64::to_le_bytes).concat();
    [&[VERSION], times.as_slice(), row.name.as_bytes()].concat()
}

pub(crate) fn read_user(value: &[u8]) -> Result<UserRow> {
    let mut fields = Fields::of("user", value)?;
    let (created_ms, login_ms, seen_ms) = (fields.u64()?, fields.u64()?, fields.u64()?);
    let name = fields.text(fields.rest.len())?.to_owned();
    Ok(UserRow { name, created_ms, login_ms, seen_ms })
}

pub(crate) fn channel(row: &ChannelRow) -> Vec<u8> {
    [&[VERSION], row.created_ms.to_le_bytes().as_slice(), row.name.as_bytes()].concat()
}

pub(crate) fn read_channel(value: &[u8]) -> Result<ChannelRow> {
    let mut fields = Fields::of("channel", value)?;
    let created_ms = fields.u64()?;
    let name = fields.text(fields.rest.len())?.to_owned();
    Ok(ChannelRow { name, created_ms })
}

/// A login: the user's topic id, and when (ms).
pub(crate) fn login(id: u32, time_ms: u64) -> [u8; 13] {
    fixed(&[&id.to_le_bytes(), &time_ms.to_le_bytes()])
}

pub(crate) fn read_login(value: &[u8]) -> Result<(u32, u64)> {
    let mut fields = Fields::of("login", value)?;
    Ok((fields.u32()?, fields.u64()?))
}

pub(crate) fn head(row: Head) -> [u8; 17] {
    fixed(&[&row.seq.to_le_bytes(), &row.time_ms.to_le_bytes()])
}

pub(crate) fn read_head(value: &[u8]) -> Result<Head> {
    let mut fields = Fields::of("head", value)?;
    Ok(Head { seq: fields.u64()?, time_ms: fields.u64()? })
}

pub(crate) fn session(row: SessionRow) -> [u8; 19] {
    fixed(&[&row.opened.to_le_bytes(), &row.used.to_le_bytes(), &row.window.to_le_bytes()])
}

pub(crate) fn read_session(value: &[u8]) -> Result<SessionRow> {
    let mut fields = Fields::of("session", value)?;
    Ok(SessionRow { opened: fields.u64()?, used: fields.u64()?, window: fields.u16()? })
}

const PRIVATE: u8 = 1;
const IMPORTED: u8 = 2;

/// Writes a message's bytes into an empty buffer, which is used again for the next one.
pub(crate) fn message(row: &MessageRow<'_>, bytes: &mut Vec<u8>) {
    let flags = if row.private { PRIVATE } else { 0 } | if row.imported { IMPORTED } else { 0 };
    bytes.extend([VERSION, flags]);
    bytes.extend(row.topic.to_le_bytes());
    bytes.extend(row.seq.to_le_bytes());
    bytes.extend(row.stamp.time_ms.to_le_bytes());
    bytes.extend(row.stamp.clock.to_le_bytes());
    bytes.extend(row.id);
    // A name was checked before it came here: it has 256 bytes at the most.
    bytes.extend((row.from.len() as u16).to_le_bytes());
    bytes.extend(row.from.as_bytes());
    bytes.extend(row.text.as_bytes());
}

pub(crate) fn read_message(value: &[u8]) -> Result<MessageRow<'_>> {
    let mut fields = Fields::of("message", value)?;
    let flags = fields.u8()?;
    let (topic, seq) = (fields.u32()?, fields.u64()?);
    let stamp = Stamp { time_ms: fields.u64()?, clock: fields.u64()? };
    let id = fields.array()?;
    let from_bytes = usize::from(fields.u16()?);
    let from = fields.text(from_bytes)?;
    let text = fields.text(fields.rest.len())?;
    let (private, imported) = (flags & PRIVATE != 0, flags & IMPORTED != 0);
    Ok(MessageRow { topic, private, imported, seq, stamp, id, from, text })
}

/// Writes a result's bytes into an empty buffer.
pub(crate) fn slot(row: &SlotRow, bytes: &mut Vec<u8>) {
    bytes.push(VERSION);
    bytes.extend(row.session.to_le_bytes());
    bytes.extend(row.n.to_le_bytes());
    bytes.extend(row.digest.to_le_bytes());
    match &row.outcome {
        Outcome::Done => bytes.push(0),
        Outcome::Stored { id, seq } => {
            bytes.push(1);
            bytes.extend(id);
            bytes.extend(seq.to_le_bytes());
        }
        Outcome::Session { session } => {
            bytes.push(2);
            bytes.extend(session.to_le_bytes());
        }
        Outcome::Imported(results) => {
            bytes.push(3);
            bytes.extend(results.iter().map(|result| match result {
                Ok(known) => u8::from(*known),
                Err(refusal) => refusal_byte(*refusal),
            }));
        }
        Outcome::Refused(refusal) => bytes.extend([4, refusal_byte(*refusal)]),
    }
}

pub(crate) fn read_slot(value: &[u8]) -> Result<SlotRow> {
    let mut fields = Fields::of("result", value)?;
    let (session, n, digest) = (fields.u64()?, fields.u64()?, fields.u64()?);
    let outcome = match fields.u8()? {
        0 => Outcome::Done,
        1 => Outcome::Stored { id: fields.array()?, seq: fields.u64()? },
        2 => Outcome::Session { session: fields.u64()? },
        3 => Outcome::Imported(
            fields.rest.iter().map(|byte| import_result(*byte)).collect::<Result<_>>()?,
        ),
        4 => Outcome::Refused(read_refusal(fields.u8()?)?),
        _ => return Err(StoreError::unreadable("result")),
    };
    Ok(SlotRow { session, n, digest, outcome })
}

fn import_result(byte: u8) -> Result<std::result::Result<bool, Refusal>> {
    Ok(match byte {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(read_refusal(other)?),
    })
}

/// A refusal's byte, from 2: 0 and 1 are an import's results.
fn refusal_byte(refusal: Refusal) -> u8 {
    match refusal {
        Refusal::ChannelExists => 2,
        Refusal::UnknownChannel => 3,
        Refusal::UnknownUser => 4,
        Refusal::InvalidName => 5,
        Refusal::NameTaken => 6,
        Refusal::IdConflict => 7,
        Refusal::IdExpired => 8,
        Refusal::Removed => 9,
        Refusal::TooLarge => 10,
    }
}

fn read_refusal(byte: u8) -> Result<Refusal> {
    Ok(match byte {
        2 => Refusal::ChannelExists,
        3 => Refusal::UnknownChannel,
        4 => Refusal::UnknownUser,
        5 => Refusal::InvalidName,
        6 => Refusal::NameTaken,
        7 => Refusal::IdConflict,
        8 => Refusal::IdExpired,
        9 => Refusal::Removed,
        10 => Refusal::TooLarge,
        _ => return Err(StoreError::unreadable("result")),
    })
}

/// A member's columns. Not the struct itself: its fields may grow, this layout may not.
#[derive(Serialize, Deserialize)]
struct MemberValue {
    node: u64,
    name: String,
    address: String,
    rank: u64,
    boot: u64,
    pid: u32,
    active: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    witness: bool,
}

pub(crate) fn member(row: &Member) -> Result<Vec<u8>> {
    let announced = row.announced.clone();
    pack(&MemberValue {
        node: announced.node,
        name: announced.name,
        address: announced.address,
        rank: announced.rank,
        boot: announced.boot,
        pid: announced.pid,
        active: row.active,
        witness: announced.witness,
    })
}

pub(crate) fn read_member(value: &[u8]) -> Result<Member> {
    let row: MemberValue = unpack("member", value)?;
    let announced = recado_chat::members::Announcement {
        node: row.node,
        name: row.name,
        address: row.address,
        rank: row.rank,
        boot: row.boot,
        pid: row.pid,
        witness: row.witness,
    };
    Ok(Member { announced, active: row.active })
}

/// Checks that this version can read a row of the table of this number (see
/// [`crate::tables::each_table`]), whose key and value have the width of its table.
pub(crate) fn check(table: u8, key: &[u8], value: &[u8]) -> Result<()> {
    match (table, key) {
        (1, [STATE_COUNTERS]) => read_counters(value).map(drop),
        (1, [STATE_PUBLISHED]) => read_number("watermark", value).map(drop),
        (1, [STATE_MIN_COPIES]) => read_copies(value).map(drop),
        (2, _) => read_name(value).map(drop),
        (3, _) => read_user(value).map(drop),
        (4, _) => read_channel(value).map(drop),
        (5, _) => read_login(value).map(drop),
        (6, _) => read_head(value).map(drop),
        (7, _) => read_message(value).map(drop),
        (8, _) => read_number("index", value).map(drop),
        (10, _) => read_session(value).map(drop),
        (12, _) => read_slot(value).map(drop),
        (13, _) => read_member(value).map(drop),
        // These have no value.
        (9 | 11 | 14, _) => Ok(()),
        _ => Err(StoreError::unreadable("row")),
    }
}

#[cfg(test)]
mod tests;
