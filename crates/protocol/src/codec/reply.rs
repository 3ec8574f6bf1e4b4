//! What clients get back.

use bytes::Bytes;

use super::field::{self, Field, Fields, Message};
use super::write::{self, MapWriter};
use super::{DecodeError, Stamp, record};
use crate::code::Refusal;
use crate::reply::{Ack, HistoryReply, ImportResult, MemberStatus, Reply, Role, Scrub, Status};

/// Whether the standard has this service say `OK` instead of `sucesso`, and put the reason of a
/// refusal into `message` instead of `description`.
fn is_sending(service: &str) -> bool {
    matches!(service, "publish" | "message")
}

/// Encodes the reply to a request for `service`.
pub fn encode_reply(service: &str, reply: &Reply, stamp: Stamp) -> Bytes {
    write::message(service, stamp, room(reply), |data| match reply {
        Reply::Done => data.str("status", if is_sending(service) { "OK" } else { "sucesso" }),
        Reply::Acked(ack) => write_ack(data, ack),
        Reply::Users(names) => data.strs("users", names),
        Reply::Channels(names) => {
            data.strs("channels", names);
            // The standard's text calls this list `users` too, and some programs believe it.
            data.strs("users", names);
        }
        Reply::Session { session, window } => {
            data.uint("session", *session);
            data.uint("window", *window);
        }
        Reply::History(page) => {
            data.maps("messages", &page.messages, |map, row| {
                record::write_record(map, row);
                map.uint("timestamp", row.timestamp);
                map.uint("clock", row.clock);
            });
            data.uint("newest", page.newest);
        }
        Reply::Status(status) => write_status(data, status),
        Reply::Export { rows, next } => {
            record::write_rows(data, rows);
            if let Some(next) = next {
                data.bin("next", next);
            }
        }
        Reply::Import(results) => data.maps("results", results, write_import_result),
        Reply::Refused(refusal) if is_sending(service) => {
            write_refusal(data, refusal, "message");
        }
        Reply::Refused(refusal) => write_refusal(data, refusal, "description"),
    })
}

/// About how many bytes a reply's fields take.
fn room(reply: &Reply) -> usize {
    match reply {
        Reply::Users(names) => names.iter().map(|name| name.len() + 5).sum(),
        Reply::Channels(names) => names.iter().map(|name| (name.len() + 5) * 2).sum(),
        Reply::History(page) => page.messages.iter().map(record::record_room).sum(),
        Reply::Export { rows, .. } => record::rows_room(rows),
        Reply::Import(results) => results.len() * 32,
        Reply::Status(_) => 1024,
        Reply::Refused(refusal) => 96 + refusal.text.len(),
        Reply::Acked(_) | Reply::Done | Reply::Session { .. } => 128,
    }
}

fn write_ack(data: &mut MapWriter, ack: &Ack) {
    data.str("status", "OK");
    if !ack.id.is_empty() {
        data.hex("id", &ack.id);
    }
    data.uint("seq", ack.seq);
    data.uint("stored", u64::from(ack.stored));
    data.uint("members", u64::from(ack.members));
}

/// A refusal, its text in the field of this name.
pub(super) fn write_refusal(data: &mut MapWriter, refusal: &Refusal, text: &str) {
    data.str("status", "erro");
    data.str(text, &refusal.text);
    data.str("code", refusal.code.as_str());
}

fn write_import_result(map: &mut MapWriter, result: &ImportResult) {
    match result {
        ImportResult::Stored => map.str("status", "stored"),
        ImportResult::Known => map.str("status", "known"),
        ImportResult::LeftOut(refusal) => {
            map.str("status", "left_out");
            map.str("description", &refusal.text);
            map.str("code", refusal.code.as_str());
        }
    }
}

fn write_status(data: &mut MapWriter, status: &Status) {
    data.maps("members", &status.members, |map, member| {
        map.str("name", &member.name);
        map.uint("rank", member.rank);
        map.str("role", member.role.as_str());
        map.str("address", &member.address);
        map.uint("pid", u64::from(member.pid));
        map.uint("applied", member.applied);
        map.uint("term", member.term);
        if let Some(offset_ms) = member.clock_offset_ms {
            map.sint("clock_offset_ms", offset_ms);
        }
        if let Some(http) = &member.http {
            map.str("http", http);
        }
        if let Some(why) = &member.why {
            map.str("why", why);
        }
        write_scrub(map, member.scrub);
    });
    data.uint("min_copies", u64::from(status.min_copies));
    data.free("broker", &status.broker);
    data.free("proxy", &status.proxy);
    data.free("reference", &status.reference);
    data.free("brokers", &status.brokers);
    data.free("proxies", &status.proxies);
    if let Some(why) = &status.why {
        data.str("why", why);
    }
}

/// Decodes a reply; the stamp is the sender's. Understands a standard server's replies too, which
/// have none of our extensions: an acknowledgement without them has an empty id and zeros.
///
/// # Errors
/// A sentence that says what is wrong with the body.
pub fn decode_reply(body: &[u8]) -> Result<(String, Reply, Stamp), DecodeError> {
    let Message { service, data } = field::message(body)?;
    let reply = match refused(service, data) {
        Some(refusal) => Reply::Refused(refusal),
        None => read_success(service, data)?,
    };
    Ok((service.to_owned(), reply, data.stamp()))
}

/// The refusal, if the reply says that it is one.
pub(super) fn refused(service: &str, data: Fields<'_>) -> Option<Refusal> {
    let [status, code, description, message] =
        data.pick(["status", "code", "description", "message"]);
    let status = status.text().ok()?;
    if !["erro", "error"].iter().any(|word| status.eq_ignore_ascii_case(word)) {
        return None;
    }
    let texts = if is_sending(service) { [message, description] } else { [description, message] };
    Some(field::refusal(code, texts))
}

fn read_success(service: &str, data: Fields<'_>) -> Result<Reply, DecodeError> {
    match service {
        "publish" | "message" => {
            must_succeed(data)?;
            Ok(Reply::Acked(read_ack(data)))
        }
        "users" => {
            let [users] = data.pick(["users"]);
            users.strings().map(Reply::Users)
        }
        "channels" => {
            let [channels, users] = data.pick(["channels", "users"]);
            let list = if channels.is_there() || !users.is_there() { channels } else { users };
            list.strings().map(Reply::Channels)
        }
        "session" => {
            let [session, window] = data.pick(["session", "window"]);
            Ok(Reply::Session { session: session.uint()?, window: window.uint()? })
        }
        "history" => {
            let [messages, newest] = data.pick(["messages", "newest"]);
            let messages = messages.maps(record::read_record, usize::MAX)?;
            Ok(Reply::History(HistoryReply { messages, newest: newest.uint()? }))
        }
        "status" => read_status(data).map(|status| Reply::Status(Box::new(status))),
        "export" => {
            let [rows, next] = data.pick(["rows", "next"]);
            let rows = record::read_rows(rows, usize::MAX)?;
            Ok(Reply::Export { rows, next: next.optional(Field::bin)? })
        }
        "import" => {
            let [results] = data.pick(["results"]);
            results.maps(read_import_result, usize::MAX).map(Reply::Import)
        }
        _ => must_succeed(data).map(|()| Reply::Done),
    }
}

/// Only a word that means success is one: what a reply without it did is unknown.
fn must_succeed(data: Fields<'_>) -> Result<(), DecodeError> {
    let [status] = data.pick(["status"]);
    let word = status.text()?;
    if ["sucesso", "ok", "success"].iter().any(|known| word.eq_ignore_ascii_case(known)) {
        Ok(())
    } else {
        Err(DecodeError("the field `status` is neither success nor refusal".into()))
    }
}

/// What stands beside an acknowledgement's status. Another program may use our names for
/// something else, which takes nothing from its success.
fn read_ack(data: Fields<'_>) -> Ack {
    let [id, seq, stored, members] = data.pick(["id", "seq", "stored", "members"]);
    Ack {
        id: id.message_id(),
        seq: seq.uint().unwrap_or(0),
        stored: stored.uint32().unwrap_or(0),
        members: members.uint32().unwrap_or(0),
    }
}

fn read_import_result(fields: Fields<'_>) -> Result<ImportResult, DecodeError> {
    let [status, code, description, message] =
        fields.pick(["status", "code", "description", "message"]);
    match status.text()? {
        "stored" => Ok(ImportResult::Stored),
        "known" => Ok(ImportResult::Known),
        "left_out" => Ok(ImportResult::LeftOut(field::refusal(code, [description, message]))),
        _ => Err(DecodeError(
            "in `results`, the field `status` must be `stored`, `known` or `left_out`".into(),
        )),
    }
}

fn read_status(data: Fields<'_>) -> Result<Status, DecodeError> {
    let [members, min_copies] = data.pick(["members", "min_copies"]);
    let [broker, proxy, reference, brokers, proxies] =
        data.pick(["broker", "proxy", "reference", "brokers", "proxies"]);
    let [why] = data.pick(["why"]);
    Ok(Status {
        members: members.maps(read_member, usize::MAX)?,
        min_copies: min_copies.optional(Field::uint32)?.unwrap_or(1),
        broker: broker.free()?,
        proxy: proxy.free()?,
        reference: reference.free()?,
        brokers: brokers.free()?,
        proxies: proxies.free()?,
        why: why.optional(Field::reason)?,
    })
}

fn read_member(fields: Fields<'_>) -> Result<MemberStatus, DecodeError> {
    let [name, rank, role, address] = fields.pick(["name", "rank", "role", "address"]);
    let [pid, applied, term, offset, http, why] =
        fields.pick(["pid", "applied", "term", "clock_offset_ms", "http", "why"]);
    let role = Role::parse(role.text()?).ok_or_else(|| {
        DecodeError("the field `role` must be `primary`, `backup`, `joining` or `down`".into())
    })?;
    Ok(MemberStatus {
        name: name.string()?,
        rank: rank.uint()?,
        role,
        address: address.string()?,
        pid: pid.uint32()?,
        applied: applied.uint()?,
        term: term.uint()?,
        clock_offset_ms: offset.optional(Field::sint)?,
        http: http.optional(Field::string)?,
        why: why.optional(Field::string)?,
        scrub: read_scrub(fields)?,
    })
}

/// How a server's check of its rows stands, where that is known.
pub(super) fn write_scrub(map: &mut MapWriter, scrub: Scrub) {
    if let Some(ended_ms) = scrub.ended_ms {
        map.uint("scrubbed", ended_ms);
    }
    if let Some(left_rows) = scrub.left_rows {
        map.uint("scrub_left", left_rows);
    }
}

pub(super) fn read_scrub(fields: Fields<'_>) -> Result<Scrub, DecodeError> {
    let [ended, left] = fields.pick(["scrubbed", "scrub_left"]);
    Ok(Scrub { ended_ms: ended.optional(Field::uint)?, left_rows: left.optional(Field::uint)? })
}
