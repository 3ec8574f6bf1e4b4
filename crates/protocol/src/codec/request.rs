//! What clients ask, through the broker.

use bytes::Bytes;

use super::field::{Field, Fields};
use super::write::{self, MapWriter};
use super::{BadRequest, DecodeError, Stamp, decode_any_request, record};
use crate::code::Code;
use crate::limits::{DEFAULT_PAGE_ROWS, MAX_CLOCK, MAX_PAGE_ROWS};
use crate::message::{ExportTable, HistoryOf, HistoryQuery, Incoming, Request, RequestId};

/// Decodes a client's request, leniently as PROTOCOL.md says.
///
/// # Errors
/// The refusal to answer with: `malformed`, `unknown_service` or `too_large`.
pub fn decode_request(body: &[u8]) -> Result<Incoming, BadRequest> {
    let incoming = decode_any_request(body, |message| {
        let request = match read_request(message.service, message.data)? {
            Ok(request) => request,
            Err(error) => return Some(Err(error)),
        };
        let [clock, id] = message.data.pick(["clock", "id"]);
        // A client that claims an absurd clock must not carry everybody's clock to its end.
        let clock = Some(clock.lenient_clock()).filter(|&c| c <= MAX_CLOCK).unwrap_or(0);
        Some(read_request_id(id).map(|id| Incoming { request, clock, id }))
    })?;
    match &incoming.request {
        Request::Import { rows } if rows.len() > MAX_PAGE_ROWS => {
            let text = format!("an import brings at most {MAX_PAGE_ROWS} rows at a time");
            Err(BadRequest::new(Some("import"), Code::TooLarge, text))
        }
        _ => Ok(incoming),
    }
}

fn read_request(service: &str, data: Fields<'_>) -> Option<Result<Request, DecodeError>> {
    Some(match service {
        "login" => {
            let [user] = data.pick(["user"]);
            user.string().map(|user| Request::Login { user })
        }
        "users" => Ok(Request::Users),
        "channel" => {
            let [channel] = data.pick(["channel"]);
            channel.string().map(|channel| Request::Channel { channel })
        }
        "channels" => Ok(Request::Channels),
        "publish" => read_publish(data),
        "message" => read_message(data),
        "session" => Ok(Request::Session),
        "history" => read_history(data).map(Request::History),
        "status" => Ok(Request::Status),
        "export" => read_export(data),
        "import" => {
            let [rows] = data.pick(["rows"]);
            // One row too many is enough to refuse them all; the rest is not looked at.
            record::read_rows(rows, MAX_PAGE_ROWS + 1).map(|rows| Request::Import { rows })
        }
        "remove" => {
            let [server] = data.pick(["server"]);
            server.string().map(|server| Request::Remove { server })
        }
        _ => return None,
    })
}

fn read_publish(data: Fields<'_>) -> Result<Request, DecodeError> {
    let [user, channel, message] = data.pick(["user", "channel", "message"]);
    Ok(Request::Publish {
        user: user.string()?,
        channel: channel.string()?,
        message: message.string()?,
    })
}

fn read_message(data: Fields<'_>) -> Result<Request, DecodeError> {
    let [src, dst, message] = data.pick(["src", "dst", "message"]);
    Ok(Request::Message { src: src.string()?, dst: dst.string()?, message: message.string()? })
}

fn read_history(data: Fields<'_>) -> Result<HistoryQuery, DecodeError> {
    let [channel, user, with] = data.pick(["channel", "user", "with"]);
    let [after, before, limit] = data.pick(["after", "before", "limit"]);
    let of = if channel.is_there() {
        HistoryOf::Channel(channel.string()?)
    } else if !user.is_there() {
        return Err(DecodeError("one of the fields `channel` and `user` must be there".into()));
    } else if with.is_there() {
        HistoryOf::Conversation { user: user.string()?, with: with.string()? }
    } else {
        HistoryOf::Inbox(user.string()?)
    };
    Ok(HistoryQuery {
        of,
        after: after.optional(Field::uint)?,
        before: before.optional(Field::uint)?,
        limit: limit.limit(DEFAULT_PAGE_ROWS, MAX_PAGE_ROWS)?,
    })
}

fn read_export(data: Fields<'_>) -> Result<Request, DecodeError> {
    let [table, after, limit] = data.pick(["table", "after", "limit"]);
    let table = ExportTable::parse(table.text()?).ok_or_else(|| {
        DecodeError(
            "the field `table` must be `users`, `channels`, `messages` or `publications`".into(),
        )
    })?;
    Ok(Request::Export {
        table,
        after: after.optional(Field::bin)?,
        limit: limit.limit(DEFAULT_PAGE_ROWS, MAX_PAGE_ROWS)?,
    })
}

/// A request id. Only a map is one; a client of another kind may send something else of this
/// name, which means nothing here.
pub(super) fn read_request_id(id: Field<'_>) -> Result<Option<RequestId>, DecodeError> {
    let Ok(fields) = id.map() else { return Ok(None) };
    let [session, n] = fields.pick(["session", "n"]);
    let in_id = |DecodeError(text)| DecodeError(format!("in the request's `id`, {text}"));
    let id = RequestId { session: session.uint().map_err(in_id)?, n: n.uint().map_err(in_id)? };
    if id.n == 0 {
        return Err(DecodeError("in the request's `id`, the field `n` counts from 1".into()));
    }
    Ok(Some(id))
}

/// Encodes a request. `stamp` holds the clock that is sent; the one in `incoming` is not used.
pub fn encode_request(incoming: &Incoming, stamp: Stamp) -> Bytes {
    let request = &incoming.request;
    write::message(request.service(), stamp, room(request), |data| {
        write_request(data, request);
        if let Some(id) = incoming.id {
            write_request_id(data, id);
        }
    })
}

/// About how many bytes a request's fields take.
fn room(request: &Request) -> usize {
    match request {
        Request::Publish { user, channel, message } => {
            96 + user.len() + channel.len() + message.len()
        }
        Request::Message { src, dst, message } => 96 + src.len() + dst.len() + message.len(),
        Request::Import { rows } => record::rows_room(rows),
        _ => 128,
    }
}

fn write_request(data: &mut MapWriter, request: &Request) {
    match request {
        Request::Login { user } => data.str("user", user),
        Request::Channel { channel } => data.str("channel", channel),
        Request::Users | Request::Channels | Request::Session | Request::Status => {}
        Request::Publish { user, channel, message } => {
            data.str("user", user);
            data.str("channel", channel);
            data.str("message", message);
        }
        Request::Message { src, dst, message } => {
            data.str("src", src);
            data.str("dst", dst);
            data.str("message", message);
        }
        Request::History(query) => write_history(data, query),
        Request::Export { table, after, limit } => {
            data.str("table", table.as_str());
            if let Some(after) = after {
                data.bin("after", after);
            }
            data.uint("limit", *limit as u64);
        }
        Request::Import { rows } => record::write_rows(data, rows),
        Request::Remove { server } => data.str("server", server),
    }
}

fn write_history(data: &mut MapWriter, query: &HistoryQuery) {
    match &query.of {
        HistoryOf::Channel(channel) => data.str("channel", channel),
        HistoryOf::Inbox(user) => data.str("user", user),
        HistoryOf::Conversation { user, with } => {
            data.str("user", user);
            data.str("with", with);
        }
    }
    if let Some(after) = query.after {
        data.uint("after", after);
    }
    if let Some(before) = query.before {
        data.uint("before", before);
    }
    data.uint("limit", query.limit as u64);
}

pub(super) fn write_request_id(data: &mut MapWriter, id: RequestId) {
    data.map("id", |map| {
        map.uint("session", id.session);
        map.uint("n", id.n);
    });
}
