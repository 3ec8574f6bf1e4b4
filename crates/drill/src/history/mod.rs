//! What was done and what was seen during a drill, for the [checkers](crate::check).
//!
//! Plain data without a clock: times are µs since the drill's start, from a monotonic clock or
//! from simulated time. All times of one history come from the same clock, so that "before" means
//! before. What was not seen is left out; a promise that nothing was seen of is *not checked*.
//!
//! What is known for certain and what is not are kept apart: an attempt without an answer is
//! [`Outcome::Unknown`], never a failure.

mod end;
mod read;
mod seen;
mod write;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

pub use end::{End, FinalRow, State};
pub use read::{Delivery, Gap, Read, Row, Source, Subscription};
pub use seen::{Active, Fault, Folder, Led, Ranked, Skipped};
pub use write::{Ack, Attempt, Outcome, RequestId, Write};

/// Of a user, channel, server or fault; shared, since a history has millions of them.
pub type Name = Arc<str>;

/// Where a message goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    /// A channel.
    Channel(Name),
    /// The private messages that a user receives.
    Inbox(Name),
}

impl Topic {
    /// The channel of this name.
    pub fn channel(name: &str) -> Topic {
        Topic::Channel(name.into())
    }

    /// The inbox of this user.
    pub fn inbox(name: &str) -> Topic {
        Topic::Inbox(name.into())
    }

    /// The channel's or user's name, which is also the topic on which its events are published.
    pub fn name(&self) -> &Name {
        match self {
            Topic::Channel(name) | Topic::Inbox(name) => name,
        }
    }

    /// Whether its messages are private.
    pub fn is_private(&self) -> bool {
        matches!(self, Topic::Inbox(_))
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Topic::Channel(name) => write!(f, "#{name}"),
            Topic::Inbox(name) => write!(f, "@{name}"),
        }
    }
}

/// Everything that is known of one drill. Entries of a list may come in any order.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Messages that clients sent, each with all its attempts.
    pub writes: Vec<Write>,
    /// Pages of history that clients asked for and got.
    pub reads: Vec<Read>,
    /// Who listened where, and how long.
    pub subscriptions: Vec<Subscription>,
    /// Messages that subscribers got.
    pub deliveries: Vec<Delivery>,
    /// Gaps that subscribers saw.
    pub gaps: Vec<Gap>,
    /// Who led in which term.
    pub led: Vec<Led>,
    /// Which servers were certainly active when.
    pub active: Vec<Active>,
    /// Which ranks the reference gave.
    pub ranks: Vec<Ranked>,
    /// Which data folders got which node id.
    pub folders: Vec<Folder>,
    /// What was broken on purpose.
    pub faults: Vec<Fault>,
    /// What should have been broken, and could not be.
    pub skipped: Vec<Skipped>,
    /// The clients and subscribers that go on at another broker or proxy by themselves, and read as
    /// fast as they can: how long such a one waits is told of its own.
    pub movers: BTreeSet<u32>,
    /// Whether the cluster was looked at from outside only: others may write to it too, and its
    /// servers' logs and stores are out of reach.
    pub from_outside: bool,
    /// How all of it ended; none when the drill broke off before.
    pub end: Option<End>,
}

impl History {
    /// Notes a message that is about to be sent for the first time. Gives its place in
    /// [`History::writes`], for its outcome.
    pub fn send(
        &mut self,
        client: u32,
        id: Option<RequestId>,
        (topic, from, text): (Topic, Name, Name),
        at_us: u64,
    ) -> usize {
        let attempts = vec![Attempt { sent_at_us: at_us, outcome: Outcome::Unknown }];
        self.writes.push(Write { client, id, topic, from, text, attempts });
        self.writes.len() - 1
    }

    /// Notes that the message is sent again under the same id.
    pub fn send_again(&mut self, write: usize, at_us: u64) {
        let attempt = Attempt { sent_at_us: at_us, outcome: Outcome::Unknown };
        self.writes[write].attempts.push(attempt);
    }

    /// Notes how the last attempt ended; without a call it stays unknown.
    pub fn ended(&mut self, write: usize, outcome: Outcome) {
        if let Some(attempt) = self.writes[write].attempts.last_mut() {
            attempt.outcome = outcome;
        }
    }

    /// Takes over what another part of the drill recorded.
    pub fn add(&mut self, other: History) {
        self.writes.extend(other.writes);
        self.reads.extend(other.reads);
        self.subscriptions.extend(other.subscriptions);
        self.deliveries.extend(other.deliveries);
        self.gaps.extend(other.gaps);
        self.led.extend(other.led);
        self.active.extend(other.active);
        self.ranks.extend(other.ranks);
        self.folders.extend(other.folders);
        self.faults.extend(other.faults);
        self.skipped.extend(other.skipped);
        self.movers.extend(other.movers);
        self.from_outside |= other.from_outside;
        self.end = other.end.or(self.end.take());
    }
}
