//! From bytes to messages and back.
//!
//! Every message is a map `{"service": …, "data": {…}}` whose data ends with `timestamp` and
//! `clock`. Decoding first walks the whole body once (`skim`), bounded in depth and by the
//! bytes that are really there, and then picks the fields it knows; nothing in between is built.

mod backend;
mod digest;
mod event;
mod field;
mod marker;
mod record;
mod reference;
mod reply;
mod request;
mod server;
mod skim;
mod write;

use crate::code::{Code, Refusal};
use crate::limits::{MAX_REQUEST_BYTES, MAX_SERVICE_BYTES};
use field::Message;
use skim::Value;

pub use backend::{
    decode_broker_facts, decode_to_broker, decode_to_server, encode_broker_facts, encode_to_broker,
    encode_to_server,
};
pub use digest::request_digest;
pub use event::{decode_event, encode_event};
pub use marker::{decode_marker, decode_proxy_facts, encode_marker, encode_proxy_facts};
pub use reference::{
    decode_reference_reply, decode_reference_request, encode_reference_reply,
    encode_reference_request,
};
pub use reply::{decode_reply, encode_reply};
pub use request::{decode_request, encode_request};
pub use server::{
    decode_server_reply, decode_server_request, encode_server_reply, encode_server_request,
};

/// A body that is not a message of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DecodeError(pub String);

/// What a sender puts into every message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Stamp {
    /// ms since the Unix epoch.
    pub timestamp: u64,
    /// The sender's logical clock.
    pub clock: u64,
}

/// A request that can't be carried out, with the service that the reply must name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRequest {
    /// The service, as far as it could be read, else `error`.
    pub service: String,
    /// Why.
    pub refusal: Refusal,
}

impl BadRequest {
    fn new(service: Option<&str>, code: Code, text: impl Into<String>) -> BadRequest {
        // A name longer than any real one is not worth sending back.
        let service = service.filter(|name| name.len() <= MAX_SERVICE_BYTES).unwrap_or("error");
        BadRequest { service: service.to_owned(), refusal: Refusal::new(code, text) }
    }

    fn unknown_service(service: &str) -> BadRequest {
        let text = "there is no such service on this port";
        BadRequest::new(Some(service), Code::UnknownService, text)
    }
}

/// The service that a body names, read without decoding the rest; none if it can't be seen.
///
/// Safe on any bytes and without allocation, but no proof that the rest of the body is sound.
pub fn peek_service(body: &[u8]) -> Option<&str> {
    let Value::Map(mut items) = skim::value_of(body)? else { return None };
    while let Some(key) = items.next_bytes() {
        let value = items.next_bytes()?;
        if skim::key_of(key) == Some(b"service") {
            return skim::value_of(value).and_then(field::text);
        }
    }
    None
}

/// Takes a request's body apart and lets `read` make of it what the port understands: none for a
/// service that it does not know.
fn decode_any_request<'a, T>(
    body: &'a [u8],
    read: impl FnOnce(&Message<'a>) -> Option<Result<T, DecodeError>>,
) -> Result<T, BadRequest> {
    if body.len() > MAX_REQUEST_BYTES {
        let text = format!(
            "the request has {} bytes, {MAX_REQUEST_BYTES} are allowed; send less at a time",
            body.len()
        );
        return Err(BadRequest::new(peek_service(body), Code::TooLarge, text));
    }
    let malformed = |DecodeError(text)| BadRequest::new(peek_service(body), Code::Malformed, text);
    let message = field::message(body).map_err(malformed)?;
    match read(&message) {
        Some(result) => result.map_err(malformed),
        None => Err(BadRequest::unknown_service(message.service)),
    }
}
