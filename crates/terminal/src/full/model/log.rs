//! What is held of a conversation's messages: a row of neighbours out of its history.
//!
//! The row may end before the newest message (when older ones are being read) and starts where it
//! starts; what is missing at either end is fetched when it is looked for. It is bounded: what is
//! farthest from where the reader looks goes first.

use std::collections::VecDeque;

use bytes::Bytes;
use recado_protocol::Record;

/// How many messages of the open conversation are held.
pub(crate) const MAX_HELD_MESSAGES: usize = 4000;

/// How many bytes of text that may be, about.
pub(crate) const MAX_HELD_BYTES: usize = 4 * 1024 * 1024;

/// How many messages are held of a conversation that is not open.
pub(crate) const MAX_HELD_ASIDE: usize = 200;

/// How many bytes of text that may be.
pub(crate) const MAX_HELD_ASIDE_BYTES: usize = 256 * 1024;

/// On how many servers a message is, as its acknowledgement said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) on: u32,
    /// How many servers there are; 0 when the server does not tell.
    pub(crate) of: u32,
}

/// A message as it is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its place: the `seq` in a channel, the position in a direct conversation.
    pub(crate) key: u64,
    pub(crate) id: Bytes,
    pub(crate) from: String,
    pub(crate) text: String,
    pub(crate) at_ms: u64,
    /// Known for what was sent from here.
    pub(crate) stored: Option<Stored>,
}

impl Entry {
    pub(crate) fn new(key: u64, record: Record) -> Entry {
        Entry {
            key,
            id: record.id,
            from: record.from,
            text: record.message,
            at_ms: record.timestamp,
            stored: None,
        }
    }
}

/// The row of messages.
#[derive(Debug)]
pub(crate) struct Log {
    entries: VecDeque<Entry>,
    bytes: usize,
    /// Whether there is nothing before the first one.
    pub(crate) complete: bool,
    /// Whether the last one is the newest there is.
    pub(crate) live: bool,
}

impl Default for Log {
    fn default() -> Log {
        Log { entries: VecDeque::new(), bytes: 0, complete: false, live: true }
    }
}

impl Log {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Entry> {
        self.entries.get(index)
    }

    pub(crate) fn first_key(&self) -> Option<u64> {
        self.entries.front().map(|entry| entry.key)
    }

    pub(crate) fn last_key(&self) -> Option<u64> {
        self.entries.back().map(|entry| entry.key)
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.iter()
    }

    /// The index of the message with this key, or of the next one before it.
    pub(crate) fn index_of(&self, key: u64) -> Option<usize> {
        self.entries.partition_point(|entry| entry.key <= key).checked_sub(1)
    }

    /// Whether the message with this key is held.
    pub(crate) fn holds(&self, key: u64) -> bool {
        self.index_of(key).and_then(|index| self.get(index)).is_some_and(|held| held.key == key)
    }

    /// The newest message with this public id.
    pub(crate) fn by_id(&mut self, id: &Bytes) -> Option<&mut Entry> {
        if id.is_empty() {
            return None;
        }
        self.entries.iter_mut().rev().find(|entry| entry.id == *id)
    }

    /// Puts a message in its place; false when it is there already.
    pub(crate) fn insert(&mut self, entry: Entry) -> bool {
        let at = self.entries.partition_point(|held| held.key < entry.key);
        if self.entries.get(at).is_some_and(|held| held.key == entry.key) {
            return false;
        }
        self.bytes += cost(&entry);
        self.entries.insert(at, entry);
        true
    }

    /// Lets go of what is before this key.
    pub(crate) fn drop_before(&mut self, key: u64) {
        while self.first_key().is_some_and(|first| first < key) {
            self.bytes -= self.entries.pop_front().as_ref().map_or(0, cost);
        }
    }

    /// Holds no message any more; whatever comes next is fetched.
    pub(crate) fn clear(&mut self) {
        *self = Log { live: false, ..Log::default() };
    }

    /// Lets go of what is too much, from whichever end is farther from this message.
    pub(crate) fn trim(&mut self, around: Option<u64>, max_messages: usize, max_bytes: usize) {
        while self.entries.len() > max_messages.max(1) || (self.bytes > max_bytes && self.len() > 1)
        {
            let reader = around.and_then(|key| self.index_of(key));
            let newest_goes = reader.is_some_and(|index| index < self.len() / 2);
            let gone = if newest_goes {
                self.live = false;
                self.entries.pop_back()
            } else {
                self.complete = false;
                self.entries.pop_front()
            };
            self.bytes -= gone.as_ref().map_or(0, cost);
        }
    }
}

fn cost(entry: &Entry) -> usize {
    entry.from.len() + entry.text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn entry(key: u64) -> Entry {
        Entry {
            key,
            id: Bytes::new(),
            from: "bob".to_owned(),
            text: format!("message {key}"),
            at_ms: key,
            stored: None,
        }
    }

    fn keys(log: &Log) -> Vec<u64> {
        log.iter().map(|entry| entry.key).collect()
    }

    #[test]
    fn messages_find_their_place_once() {
        let mut log = Log::default();
        for key in [5, 7, 6, 5, 2] {
            log.insert(entry(key));
        }
        assert_eq!(keys(&log), [2, 5, 6, 7]);
        assert_eq!([log.index_of(6), log.index_of(4), log.index_of(1)], [Some(2), Some(0), None]);
    }

    #[test]
    fn what_is_far_from_the_reader_goes_first() {
        let mut log = Log { complete: true, ..Log::default() };
        (1..=10).for_each(|key| assert!(log.insert(entry(key))));
        log.trim(Some(10), 8, usize::MAX);
        assert_eq!((keys(&log)[0], log.live, log.complete), (3, true, false));
        log.trim(Some(4), 6, usize::MAX);
        assert_eq!((log.first_key(), log.last_key(), log.live), (Some(3), Some(8), false));
    }

    #[test]
    fn bytes_are_bounded_and_the_last_message_stays() {
        let mut log = Log::default();
        for key in 1..=100 {
            log.insert(Entry { text: "x".repeat(1000), ..entry(key) });
            log.trim(None, usize::MAX, 5000);
        }
        assert_eq!(keys(&log), [97, 98, 99, 100]);
        log.trim(None, 10, 1);
        assert_eq!(keys(&log), [100]);
    }
}
