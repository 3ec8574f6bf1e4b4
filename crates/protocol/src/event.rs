//! What subscribers receive.

use crate::reply::Record;

/// A message to a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A channel's message; the topic is the channel's name.
    Publication(Record),
    /// A private message; the topic is the recipient's name.
    Private(Record),
    /// A new primary took over; the topic is [`Event::SERVERS_TOPIC`].
    Election {
        /// The new primary's name.
        coordinator: String,
        /// ms since the Unix epoch.
        timestamp: u64,
        /// The primary's logical clock.
        clock: u64,
    },
}

impl Event {
    /// The reserved topic of elections.
    pub const SERVERS_TOPIC: &str = "servers";

    /// The topic that the event is published on.
    pub fn topic(&self) -> &str {
        match self {
            Event::Publication(record) | Event::Private(record) => &record.to,
            Event::Election { .. } => Event::SERVERS_TOPIC,
        }
    }
}
