//! What clients saw of the messages.

use super::{Name, Topic};

/// A message as somebody saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its number in its topic.
    pub seq: u64,
    /// Who sent it.
    pub from: Name,
    /// Its text.
    pub text: Name,
}

/// A page of history that somebody asked for and got. A read without an answer is left out.
#[derive(Clone, Debug)]
pub struct Read {
    /// The number of the client.
    pub client: u32,
    /// The server that answered, where it is known.
    pub server: Option<Name>,
    /// Which messages were asked for.
    pub topic: Topic,
    /// With an inbox: only what its user and this one wrote to each other, both ways. The page is
    /// then ordered by log position, and its `seq`s are of two inboxes.
    pub with: Option<Name>,
    /// Only messages behind this number, and from the oldest on.
    pub after: Option<u64>,
    /// Only messages before this number.
    pub before: Option<u64>,
    /// When it was asked.
    pub sent_at_us: u64,
    /// When the answer was there.
    pub got_at_us: u64,
    /// The page, oldest first.
    pub rows: Vec<Row>,
    /// The highest number that there is, as the answer says.
    pub newest: u64,
}

/// A subscriber of one topic.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// Its number; no other subscription of the drill has the same.
    pub subscriber: u32,
    /// What it listens to.
    pub topic: Topic,
    /// Since when.
    pub from_us: u64,
    /// Until when; none when it still listened at the end.
    pub to_us: Option<u64>,
    /// Whether it had time, after all was healed, to fill its gaps: if so, what it misses between
    /// its first message and the end of the topic is lost for it.
    pub settled: bool,
}

/// Where a delivered message came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// It was published.
    Live,
    /// It was missing and was fetched from the history.
    Filled,
}

/// A message that a subscriber got. Repeats are deliveries too.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The subscription's number.
    pub subscriber: u32,
    /// The topic that the message itself names: its channel, or its recipient.
    pub topic: Topic,
    /// The name in the first frame, under which it was published; what was filled has none, and
    /// neither has what a client library passes on without it.
    pub frame: Option<Name>,
    /// The message.
    pub row: Row,
    /// When it was there.
    pub at_us: u64,
    /// Where it came from.
    pub source: Source,
}

/// Messages that a subscriber found missing.
#[derive(Clone, Debug)]
pub struct Gap {
    /// The subscription's number.
    pub subscriber: u32,
    /// In which topic.
    pub topic: Topic,
    /// How many messages.
    pub messages: u64,
    /// When it was seen.
    pub seen_at_us: u64,
    /// When all of them had been fetched; none when they never were.
    pub filled_at_us: Option<u64>,
}
