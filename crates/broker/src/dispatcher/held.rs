//! A request that the broker holds until it is answered.

use bytes::Bytes;
use recado_protocol::RequestId;
use recado_transport::Envelope;

/// Who asked.
#[derive(Debug)]
pub(super) enum Origin {
    /// A client.
    Client(Envelope),
    /// The broker itself, for a session.
    Session,
}

/// What kind of request it is, as far as the broker cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Changes what is stored: carried out under an id, and may be done when no answer comes.
    Write,
    /// The broker adds itself to the answer.
    Status,
    /// Anything else; asking twice does no harm.
    Read,
}

impl Kind {
    pub(super) fn of(service: &str) -> Kind {
        match service {
            "login" | "channel" | "publish" | "message" | "import" => Kind::Write,
            "status" => Kind::Status,
            _ => Kind::Read,
        }
    }
}

#[derive(Debug)]
pub(super) struct Held {
    pub(super) origin: Origin,
    pub(super) body: Bytes,
    pub(super) kind: Kind,
    /// The broker's id for it, the same on every attempt.
    pub(super) id: Option<RequestId>,
    /// The servers it was with, and whether they may still answer.
    pub(super) attempts: Vec<(u64, bool)>,
    /// An attempt may have taken effect without an answer.
    pub(super) uncertain: bool,
    /// In the queue, or in a pause before it.
    pub(super) waiting: bool,
    /// When it came.
    pub(super) since_ms: u64,
    /// The last pause.
    pub(super) pause_ms: u64,
}

impl Held {
    /// A request that just came and waits for its first attempt.
    pub(super) fn new(origin: Origin, body: Bytes, kind: Kind, now: u64) -> Held {
        Held {
            origin,
            body,
            kind,
            id: None,
            attempts: Vec::new(),
            uncertain: false,
            waiting: true,
            since_ms: now,
            pause_ms: 0,
        }
    }

    /// Whether a server may still answer.
    pub(super) fn with(&self, server: u64) -> bool {
        self.attempts.contains(&(server, true))
    }

    /// Whether any server may still answer.
    pub(super) fn open(&self) -> bool {
        self.attempts.iter().any(|(_, open)| *open)
    }

    /// Whether it was with a server before.
    pub(super) fn was_with(&self, server: u64) -> bool {
        self.attempts.iter().any(|(key, _)| *key == server)
    }

    /// The server will not answer any more; whether it was asked.
    pub(super) fn lost(&mut self, server: u64) -> bool {
        let mut asked = false;
        for attempt in &mut self.attempts {
            if *attempt == (server, true) {
                attempt.1 = false;
                asked = true;
            }
        }
        asked
    }

    /// What it weighs.
    pub(super) fn bytes(&self) -> usize {
        let envelope = match &self.origin {
            Origin::Client(envelope) => envelope.bytes(),
            Origin::Session => 0,
        };
        self.body.len() + envelope
    }
}
