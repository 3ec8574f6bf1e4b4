//! Stored messages and rows, as they stand in events, history, export and import.

use super::DecodeError;
use super::field::{Field, Fields};
use super::write::MapWriter;
use crate::message::ImportRow;
use crate::reply::Record;

/// About how many bytes a record takes.
pub(super) fn record_room(record: &Record) -> usize {
    128 + record.from.len() + record.to.len() + record.message.len() + record.id.len() * 2
}

/// What stands in a record beside its stamp.
pub(super) fn write_record(map: &mut MapWriter, record: &Record) {
    if record.private {
        map.str("src", &record.from);
        map.str("dst", &record.to);
    } else {
        map.str("user", &record.from);
        map.str("channel", &record.to);
    }
    map.str("message", &record.message);
    if !record.id.is_empty() {
        map.hex("id", &record.id);
    }
    map.uint("seq", record.seq);
    map.uint("pos", record.pos);
}

/// Reads a record of ours, in which every number is exact.
pub(super) fn read_record(fields: Fields<'_>) -> Result<Record, DecodeError> {
    let [user, channel, src, dst] = fields.pick(["user", "channel", "src", "dst"]);
    let private = src.is_there();
    let (from, to) = if private { (src, dst) } else { (user, channel) };
    let [message, timestamp, clock, id, seq, pos] =
        fields.pick(["message", "timestamp", "clock", "id", "seq", "pos"]);
    Ok(Record {
        from: from.string()?,
        to: to.string()?,
        message: message.string()?,
        timestamp: timestamp.uint()?,
        clock: clock.uint()?,
        id: id.message_id(),
        seq: seq.uint()?,
        pos: pos.optional(Field::uint)?.unwrap_or(0),
        private,
    })
}

/// About how many bytes the rows take.
pub(super) fn rows_room(rows: &[ImportRow]) -> usize {
    rows.iter().map(row_room).sum()
}

fn row_room(row: &ImportRow) -> usize {
    96 + match row {
        ImportRow::User { user, .. } => user.len(),
        ImportRow::Channel { channel } => channel.len(),
        ImportRow::Publication { user, channel, message, .. } => {
            user.len() + channel.len() + message.len()
        }
        ImportRow::Private { src, dst, message, .. } => src.len() + dst.len() + message.len(),
    }
}

pub(super) fn write_rows(data: &mut MapWriter, rows: &[ImportRow]) {
    data.maps("rows", rows, write_row);
}

fn write_row(map: &mut MapWriter, row: &ImportRow) {
    match row {
        ImportRow::User { user, login_ms, seen_ms, created_ms } => {
            map.str("user", user);
            map.uint("loginTime", *login_ms);
            map.uint("lastSeen", *seen_ms);
            map.uint("createdAt", *created_ms);
        }
        ImportRow::Channel { channel } => map.str("channel", channel),
        ImportRow::Publication { user, channel, message, timestamp, clock } => {
            map.str("user", user);
            map.str("channel", channel);
            map.str("message", message);
            map.uint("timestamp", *timestamp);
            map.uint("clock", *clock);
        }
        ImportRow::Private { src, dst, message, timestamp, clock } => {
            map.str("src", src);
            map.str("dst", dst);
            map.str("message", message);
            map.uint("timestamp", *timestamp);
            map.uint("clock", *clock);
        }
    }
}

/// Reads the rows; fails on the first that is none of the four kinds. What stands behind the
/// first `most` of them is not read.
pub(super) fn read_rows(rows: Field<'_>, most: usize) -> Result<Vec<ImportRow>, DecodeError> {
    rows.maps(read_row, most)
}

/// The kind of a row shows in its fields: `src`, else `message`, else `channel`, else `user`.
fn read_row(fields: Fields<'_>) -> Result<ImportRow, DecodeError> {
    let [src, message, channel, user] = fields.pick(["src", "message", "channel", "user"]);
    let [dst, timestamp, clock] = fields.pick(["dst", "timestamp", "clock"]);
    if src.is_there() {
        Ok(ImportRow::Private {
            src: src.string()?,
            dst: dst.string()?,
            message: message.string()?,
            timestamp: timestamp.uint()?,
            clock: clock.optional(Field::uint)?.unwrap_or(0),
        })
    } else if message.is_there() {
        Ok(ImportRow::Publication {
            user: user.string()?,
            channel: channel.string()?,
            message: message.string()?,
            timestamp: timestamp.uint()?,
            clock: clock.optional(Field::uint)?.unwrap_or(0),
        })
    } else if channel.is_there() {
        Ok(ImportRow::Channel { channel: channel.string()? })
    } else {
        let [login, seen, created] = fields.pick(["loginTime", "lastSeen", "createdAt"]);
        let login_ms = login.uint()?;
        Ok(ImportRow::User {
            user: user.string()?,
            login_ms,
            seen_ms: seen.optional(Field::uint)?.unwrap_or(login_ms),
            created_ms: created.optional(Field::uint)?.unwrap_or(login_ms),
        })
    }
}
