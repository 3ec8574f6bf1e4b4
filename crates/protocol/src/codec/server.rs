//! Between servers: the standard's services.

use bytes::Bytes;

use super::field::{self, Message};
use super::reply::{refused, write_refusal};
use super::{BadRequest, DecodeError, Stamp, decode_any_request, write};
use crate::server::{ServerReply, ServerRequest};

/// Encodes a standard request to another server.
pub fn encode_server_request(request: &ServerRequest, stamp: Stamp) -> Bytes {
    write::message(request.service(), stamp, 32, |data| {
        if let ServerRequest::ClockAdjust { delta_ms } = request {
            data.sint("delta_ms", *delta_ms);
        }
    })
}

/// Decodes a standard request from another server; the second value is the sender's clock.
///
/// # Errors
/// The refusal to answer with: `malformed`, `unknown_service` or `too_large`.
pub fn decode_server_request(body: &[u8]) -> Result<(ServerRequest, u64), BadRequest> {
    decode_any_request(body, |Message { service, data }| {
        let request = match *service {
            "clock" => Ok(ServerRequest::Clock),
            "clock_adjust" => {
                let [delta] = data.pick(["delta_ms"]);
                delta.sint().map(|delta_ms| ServerRequest::ClockAdjust { delta_ms })
            }
            "election" => Ok(ServerRequest::Election),
            // Refused in any case, so what they bring does not matter.
            "replicate_login" | "replicate_channel" | "replicate_publish" | "replicate_message" => {
                Ok(ServerRequest::Replicate { service: (*service).to_owned() })
            }
            _ => return None,
        };
        Some(request.map(|request| (request, data.stamp().clock)))
    })
}

/// Encodes the answer to another server.
pub fn encode_server_reply(service: &str, reply: &ServerReply, stamp: Stamp) -> Bytes {
    write::message(service, stamp, 96, |data| match reply {
        ServerReply::Clock { time } => data.uint("time", *time),
        ServerReply::Adjusted => data.str("status", "OK"),
        ServerReply::Election => data.str("election", "OK"),
        ServerReply::Refused(refusal) => write_refusal(data, refusal, "description"),
    })
}

/// Decodes another server's answer.
///
/// # Errors
/// A sentence that says what is wrong with the body.
pub fn decode_server_reply(body: &[u8]) -> Result<(ServerReply, Stamp), DecodeError> {
    let Message { service, data } = field::message(body)?;
    let reply = if let Some(refusal) = refused(service, data) {
        ServerReply::Refused(refusal)
    } else {
        match service {
            "clock" => {
                let [time] = data.pick(["time"]);
                ServerReply::Clock { time: time.uint()? }
            }
            "clock_adjust" => ServerReply::Adjusted,
            "election" => ServerReply::Election,
            _ => return Err(DecodeError("servers have no such service".into())),
        }
    };
    Ok((reply, data.stamp()))
}
