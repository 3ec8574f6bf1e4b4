//! What can be refused without asking anybody: sizes, and what is not a request.

use recado_protocol::codec::{self, BadRequest};
use recado_protocol::limits::{MAX_PAGE_ROWS, MAX_REQUEST_BYTES};
use recado_protocol::{Code, Incoming, Refusal, Request};

/// Decodes a body and checks its sizes. Names are the state machine's business: it sees every
/// name at one point of the log, and what it refuses once it refuses again on a repeat.
///
/// A message may be empty: the standard does not forbid it.
pub fn decode(body: &[u8], message_limit_bytes: usize) -> Result<Incoming, BadRequest> {
    if body.len() > MAX_REQUEST_BYTES {
        let service = codec::peek_service(body).unwrap_or("error").to_owned();
        let text =
            format!("the request has {} bytes; {MAX_REQUEST_BYTES} are the limit", body.len());
        return Err(BadRequest { service, refusal: Refusal::new(Code::TooLarge, text) });
    }
    let incoming = codec::decode_request(body)?;
    match size_refusal(&incoming.request, message_limit_bytes) {
        None => Ok(incoming),
        Some(refusal) => {
            Err(BadRequest { service: incoming.request.service().to_owned(), refusal })
        }
    }
}

fn size_refusal(request: &Request, message_limit_bytes: usize) -> Option<Refusal> {
    match request {
        Request::Publish { message, .. } | Request::Message { message, .. } => {
            message_refusal(message, message_limit_bytes)
        }
        Request::Import { rows } if rows.len() > MAX_PAGE_ROWS => {
            let text = format!("an import takes up to {MAX_PAGE_ROWS} rows at a time");
            Some(Refusal::new(Code::TooLarge, text))
        }
        _ => None,
    }
}

/// The refusal of a text that is too long.
pub fn message_refusal(message: &str, message_limit_bytes: usize) -> Option<Refusal> {
    (message.len() > message_limit_bytes).then(|| {
        let text =
            format!("the message has {} bytes; {message_limit_bytes} are the limit", message.len());
        Refusal::new(Code::TooLarge, text)
    })
}
