//! Our own messages between servers, beside replication's: a byte for the kind, then the payload.
//!
//! Numbers are big-endian. Whoever reads them takes nothing for granted: the port is open. The
//! cluster's id stands in front of all of them: where another cluster's server listens by now,
//! nothing is carried out.

use bytes::{BufMut, Bytes, BytesMut};
use recado_protocol::RequestId;
use recado_replication::peer::FIRST_SERVER_KIND;

/// A client's request, handed on to the primary: [`Forward`], answered by [`Answer`].
pub const FORWARD: u8 = FIRST_SERVER_KIND;

/// The primary corrects a clock: [`Adjust`], answered by a standard body.
pub const ADJUST: u8 = FIRST_SERVER_KIND + 1;

/// A payload for servers of this cluster; [`open`] reads it.
pub fn seal(cluster: Option<u64>, payload: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(8 + payload.len());
    out.put_u64(cluster.unwrap_or(0));
    out.put_slice(payload);
    out.freeze()
}

/// What is behind the cluster's id; none when it is another one's.
pub fn open(cluster: Option<u64>, mut sealed: Bytes) -> Option<Bytes> {
    let named = number(&sealed, 0)?;
    (cluster == Some(named)).then(|| sealed.split_off(8))
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Here is the reply's body.
    Done(Bytes),
    /// Not answered here; `uncertain` when it may take effect none the less.
    Again {
        /// Whether it may take effect.
        uncertain: bool,
    },
}

impl Answer {
    /// Certainly not done here.
    pub const ELSEWHERE: Answer = Answer::Again { uncertain: false };
    /// Perhaps done.
    pub const PERHAPS: Answer = Answer::Again { uncertain: true };

    /// The payload.
    pub fn encode(&self) -> Bytes {
        match self {
            Answer::Done(body) => {
                let mut out = BytesMut::with_capacity(1 + body.len());
                out.put_u8(0);
                out.put_slice(body);
                out.freeze()
            }
            Answer::Again { uncertain: false } => Bytes::from_static(&[1]),
            Answer::Again { uncertain: true } => Bytes::from_static(&[2]),
        }
    }

    /// Reads a payload; what can't be read leaves everything open.
    pub fn decode(mut payload: Bytes) -> Answer {
        match payload.first() {
            Some(0) => Answer::Done(payload.split_off(1)),
            Some(1) => Answer::ELSEWHERE,
            _ => Answer::PERHAPS,
        }
    }
}

/// A client's request on its way to the primary. It is never handed on again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// The id under which it is carried out unless its body brings one.
    pub id: Option<RequestId>,
    /// The client's own words.
    pub body: Bytes,
}

impl Forward {
    const HEAD_BYTES: usize = 16;

    /// The payload.
    pub fn encode(&self) -> Bytes {
        // Sessions are never 0, so zeroes can stand for "no id".
        let (session, n) = self.id.map_or((0, 0), |id| (id.session, id.n));
        let mut out = BytesMut::with_capacity(Self::HEAD_BYTES + self.body.len());
        out.put_u64(session);
        out.put_u64(n);
        out.put_slice(&self.body);
        out.freeze()
    }

    /// Reads a payload; none if it is too short.
    pub fn decode(mut payload: Bytes) -> Option<Forward> {
        let session = number(&payload, 0)?;
        let n = number(&payload, 8)?;
        let id = (session != 0).then_some(RequestId { session, n });
        Some(Forward { id, body: payload.split_off(Self::HEAD_BYTES) })
    }
}

/// The primary's word on a server's clock. The standard's body says by how much to correct it;
/// what stands before says who speaks, so that a deposed primary is not listened to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adjust {
    /// The node id of the primary.
    pub node: u64,
    /// Its term.
    pub term: u64,
    /// How far the clock was from the cluster's average, ms.
    pub offset_ms: i64,
    /// A standard `clock_adjust` body.
    pub body: Bytes,
}

impl Adjust {
    const HEAD_BYTES: usize = 24;

    /// The payload.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(Self::HEAD_BYTES + self.body.len());
        out.put_u64(self.node);
        out.put_u64(self.term);
        out.put_i64(self.offset_ms);
        out.put_slice(&self.body);
        out.freeze()
    }

    /// Reads a payload; none if it is too short.
    pub fn decode(mut payload: Bytes) -> Option<Adjust> {
        let node = number(&payload, 0)?;
        let term = number(&payload, 8)?;
        let offset_ms = number(&payload, 16)?.cast_signed();
        Some(Adjust { node, term, offset_ms, body: payload.split_off(Self::HEAD_BYTES) })
    }
}

fn number(payload: &[u8], at: usize) -> Option<u64> {
    let bytes = payload.get(at..at + 8)?;
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_back_as_they_went() {
        for answer in [
            Answer::Done(Bytes::from_static(b"reply")),
            Answer::Done(Bytes::new()),
            Answer::ELSEWHERE,
            Answer::PERHAPS,
        ] {
            assert_eq!(Answer::decode(answer.encode()), answer);
        }
    }

    #[test]
    fn an_unreadable_answer_leaves_everything_open() {
        assert_eq!(Answer::decode(Bytes::new()), Answer::PERHAPS);
        assert_eq!(Answer::decode(Bytes::from_static(&[9, 1, 2])), Answer::PERHAPS);
    }

    #[test]
    fn forwarded_requests_come_back_as_they_went() {
        for id in [None, Some(RequestId { session: 1, n: 0 }), Some(RequestId { session: 9, n: 7 })]
        {
            let forward = Forward { id, body: Bytes::from_static(b"body") };
            assert_eq!(Forward::decode(forward.encode()), Some(forward));
        }
    }

    #[test]
    fn only_the_own_cluster_is_understood() {
        let sealed = seal(Some(7), b"payload");
        assert_eq!(open(Some(7), sealed.clone()), Some(Bytes::from_static(b"payload")));
        assert_eq!(open(Some(8), sealed.clone()), None);
        assert_eq!(open(None, sealed), None);
        assert_eq!(open(None, seal(None, b"payload")), None, "who has no cluster has no primary");
        assert_eq!(open(Some(7), Bytes::from_static(b"short")), None);
    }

    #[test]
    fn corrections_come_back_as_they_went() {
        let body = Bytes::from_static(b"x");
        let adjust = Adjust { node: 1, term: 2, offset_ms: -3, body };
        assert_eq!(Adjust::decode(adjust.encode()), Some(adjust));
    }

    #[test]
    fn short_payloads_are_refused() {
        for length in 0..Adjust::HEAD_BYTES {
            assert_eq!(Adjust::decode(Bytes::from(vec![0; length])), None);
        }
        for length in 0..Forward::HEAD_BYTES {
            assert_eq!(Forward::decode(Bytes::from(vec![0; length])), None);
        }
    }
}
