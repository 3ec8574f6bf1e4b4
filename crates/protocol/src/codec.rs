//! From bytes to messages and back.

use bytes::Bytes;

use crate::backend::{ToBroker, ToServer};
use crate::code::Refusal;
use crate::event::Event;
use crate::message::Incoming;
use crate::reference::{ReferenceReply, ReferenceRequest};
use crate::reply::Reply;
use crate::server::{ServerReply, ServerRequest};

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

/// The service that a body names, read without decoding the rest; none if it can't be seen.
pub fn peek_service(_body: &[u8]) -> Option<&str> {
    todo!()
}
/// Decodes a client's request, leniently as PROTOCOL.md says.
pub fn decode_request(_body: &[u8]) -> Result<Incoming, BadRequest> {
    todo!()
}
/// Encodes a request.
pub fn encode_request(_incoming: &Incoming, _stamp: Stamp) -> Bytes {
    todo!()
}
/// Encodes the reply to a request for `service`.
pub fn encode_reply(_service: &str, _reply: &Reply, _stamp: Stamp) -> Bytes {
    todo!()
}
/// Decodes a reply; the stamp is the sender's.
pub fn decode_reply(_body: &[u8]) -> Result<(String, Reply, Stamp), DecodeError> {
    todo!()
}
/// Encodes an event. Publications and private messages carry the record's own stamp.
pub fn encode_event(_event: &Event) -> Bytes {
    todo!()
}
/// Decodes an event from the topic and body frames.
pub fn decode_event(_topic: &[u8], _body: &[u8]) -> Result<Event, DecodeError> {
    todo!()
}
/// Encodes a request to the reference.
pub fn encode_reference_request(_request: &ReferenceRequest, _stamp: Stamp) -> Bytes {
    todo!()
}
/// Decodes a request to the reference; the second value is the sender's clock.
pub fn decode_reference_request(_body: &[u8]) -> Result<(ReferenceRequest, u64), BadRequest> {
    todo!()
}
/// Encodes the reference's reply.
pub fn encode_reference_reply(_service: &str, _reply: &ReferenceReply, _stamp: Stamp) -> Bytes {
    todo!()
}
/// Decodes the reference's reply.
pub fn decode_reference_reply(_body: &[u8]) -> Result<(ReferenceReply, Stamp), DecodeError> {
    todo!()
}
/// Encodes a standard request to another server.
pub fn encode_server_request(_request: &ServerRequest, _stamp: Stamp) -> Bytes {
    todo!()
}
/// Decodes a standard request from another server; the second value is the sender's clock.
pub fn decode_server_request(_body: &[u8]) -> Result<(ServerRequest, u64), BadRequest> {
    todo!()
}
/// Encodes the answer to another server.
pub fn encode_server_reply(_service: &str, _reply: &ServerReply, _stamp: Stamp) -> Bytes {
    todo!()
}
/// Decodes another server's answer.
pub fn decode_server_reply(_body: &[u8]) -> Result<(ServerReply, Stamp), DecodeError> {
    todo!()
}
/// Encodes the header frame from a server to the broker.
pub fn encode_to_broker(_header: &ToBroker, _stamp: Stamp) -> Bytes {
    todo!()
}
/// Decodes the header frame from a server.
pub fn decode_to_broker(_frame: &[u8]) -> Result<(ToBroker, u64), DecodeError> {
    todo!()
}
/// Encodes the header frame from the broker to a server.
pub fn encode_to_server(_header: &ToServer, _stamp: Stamp) -> Bytes {
    todo!()
}
/// Decodes the header frame from the broker.
pub fn decode_to_server(_frame: &[u8]) -> Result<(ToServer, u64), DecodeError> {
    todo!()
}
/// A stable digest of what a request asks for (not of its id, clock or timestamp), with which a
/// repeat is told from another request under the same id.
pub fn request_digest(_request: &crate::message::Request) -> u64 {
    todo!()
}
