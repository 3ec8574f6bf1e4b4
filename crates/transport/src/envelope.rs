//! The way back, and the frames around a request.

use bytes::Bytes;
use omq_tokio::Message;

/// How many routing frames an envelope may have, the connection's identity included.
pub const MAX_ENVELOPE_FRAMES: usize = 16;
/// How many frames a message may have after its envelope.
pub const MAX_BODY_FRAMES: usize = 16;

/// The way back: routing frames up to and including the empty one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Envelope {
    /// The frames; the first is the connection's identity.
    pub frames: Vec<Bytes>,
}

impl Envelope {
    /// The connection that the request came by; empty if there is none.
    pub fn identity(&self) -> Bytes {
        self.frames.first().cloned().unwrap_or_default()
    }

    /// How many bytes the frames hold.
    pub fn bytes(&self) -> usize {
        self.frames.iter().map(Bytes::len).sum()
    }
}

/// A request that came in on a [`crate::Responder`].
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Whom to answer: the peer's identity and the other routing frames.
    pub envelope: Envelope,
    /// The body frames, at least one.
    pub body: Vec<Bytes>,
}

/// Splits what a ROUTER received, `[identity, routing …, "", body …]`; none if it is no envelope
/// with a body, or has too many frames.
pub(crate) fn split(message: &Message) -> Option<Incoming> {
    let frames = message.len();
    if !(3..=MAX_ENVELOPE_FRAMES + MAX_BODY_FRAMES).contains(&frames) {
        return None;
    }
    // The identity itself is never the delimiter.
    let delimiter = (1..frames.min(MAX_ENVELOPE_FRAMES))
        .find(|&index| message.part_slice(index).is_some_and(<[u8]>::is_empty))?;
    if delimiter + 1 >= frames || frames - delimiter - 1 > MAX_BODY_FRAMES {
        return None;
    }
    Some(Incoming {
        envelope: Envelope { frames: parts(message, 0..delimiter + 1) },
        body: parts(message, delimiter + 1..frames),
    })
}

/// Copies a range of frames out of a message; bodies are shared, not copied.
pub(crate) fn parts(message: &Message, range: std::ops::Range<usize>) -> Vec<Bytes> {
    range.filter_map(|index| message.part_bytes(index)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(frames: &[&[u8]]) -> Message {
        Message::multipart(frames.iter().map(|frame| Bytes::copy_from_slice(frame)))
    }

    #[test]
    fn a_req_envelope_is_split() {
        let incoming = split(&message(&[b"id", b"", b"body"])).unwrap();
        assert_eq!(incoming.envelope.frames, [&b"id"[..], b""]);
        assert_eq!(incoming.body, [&b"body"[..]]);
    }

    #[test]
    fn a_dealer_envelope_keeps_its_number_and_all_body_frames() {
        let incoming = split(&message(&[b"id", b"12345678", b"", b"a", b"", b"c"])).unwrap();
        assert_eq!(incoming.envelope.frames, [&b"id"[..], b"12345678", b""]);
        assert_eq!(incoming.body, [&b"a"[..], b"", b"c"]);
    }

    #[test]
    fn what_is_no_envelope_is_refused() {
        assert!(split(&message(&[b"id"])).is_none());
        assert!(split(&message(&[b"id", b"body"])).is_none());
        assert!(split(&message(&[b"id", b""])).is_none());
        assert!(split(&message(&[b"id", b"no", b"delimiter"])).is_none());
        let endless: Vec<&[u8]> = vec![b"x"; 1000];
        assert!(split(&message(&endless)).is_none());
        let empties: Vec<&[u8]> = vec![b""; 1000];
        assert!(split(&message(&empties)).is_none());
    }
}
