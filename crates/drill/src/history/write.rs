//! What clients sent, and what they were told of it.

use super::{Name, Topic};

/// The id under which a client's request takes effect once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId {
    /// The session.
    pub session: u64,
    /// The number within it.
    pub n: u64,
}

/// One message: a request, however often it was sent.
#[derive(Clone, Debug)]
pub struct Write {
    /// The number of the client that sent it.
    pub client: u32,
    /// Its request id. Without one there is one attempt only.
    pub id: Option<RequestId>,
    /// Where it goes.
    pub topic: Topic,
    /// The user who sends it.
    pub from: Name,
    /// Its text; no other message of the drill has the same.
    pub text: Name,
    /// In the order in which they were sent; at least one.
    pub attempts: Vec<Attempt>,
}

/// One time that a message was sent.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// When, just before it left.
    pub sent_at_us: u64,
    /// What came of it.
    pub outcome: Outcome,
}

/// What a client knows of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was acknowledged.
    Acked(Ack),
    /// This attempt certainly has no effect.
    Refused {
        /// When the answer was there.
        at_us: u64,
        /// The code of the refusal. `unknown` never stands here: that is [`Outcome::Unknown`].
        code: Name,
    },
    /// It may have taken effect: no answer came, or one that says so.
    Unknown,
}

/// An acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// When it was there.
    pub at_us: u64,
    /// The message's number in its topic.
    pub seq: u64,
    /// The message's public id, where it was told.
    pub message_id: Option<[u8; 16]>,
    /// On how many servers' disks it was, as the answer says; 0 when it does not say.
    pub stored: u32,
    /// How many servers the cluster had, as the answer says.
    pub members: u32,
}

impl Write {
    /// When it was sent for the first time.
    pub fn sent_at_us(&self) -> u64 {
        self.attempts.iter().map(|attempt| attempt.sent_at_us).min().unwrap_or(0)
    }

    /// All acknowledgements, one for each attempt that got one.
    pub fn acks(&self) -> impl Iterator<Item = &Ack> {
        self.attempts.iter().filter_map(|attempt| match &attempt.outcome {
            Outcome::Acked(ack) => Some(ack),
            _ => None,
        })
    }

    /// The acknowledgement that came first, in time.
    pub fn first_ack(&self) -> Option<&Ack> {
        self.acks().min_by_key(|ack| ack.at_us)
    }

    /// Whether every attempt was refused: it certainly was not done.
    pub fn is_refused(&self) -> bool {
        self.attempts.iter().all(|attempt| matches!(attempt.outcome, Outcome::Refused { .. }))
    }
}
