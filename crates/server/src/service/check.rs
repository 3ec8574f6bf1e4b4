//! What can be refused without asking anybody: sizes, and what is not a request.

use recado_chat::names;
use recado_protocol::codec::{self, BadRequest};
use recado_protocol::limits::{MAX_PAGE_ROWS, MAX_REQUEST_BYTES};
use recado_protocol::{Code, Incoming, Refusal, Request};

/// Decodes a body and checks its sizes, and names that would be new: what breaks the rules for
/// names breaks them at every point of the log, so it need not go there, and here it is known
/// which rule it was. All else about names is the state machine's business.
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
    let request = &incoming.request;
    match size_refusal(request, message_limit_bytes).or_else(|| name_refusal(request)) {
        None => Ok(incoming),
        Some(refusal) => {
            Err(BadRequest { service: incoming.request.service().to_owned(), refusal })
        }
    }
}

fn name_refusal(request: &Request) -> Option<Refusal> {
    let (Request::Login { user: name } | Request::Channel { channel: name }) = request else {
        return None;
    };
    let error = names::check(name).err()?;
    Some(Refusal::new(Code::InvalidName, error.to_string()))
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
