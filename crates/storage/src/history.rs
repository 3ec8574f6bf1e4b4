//! Pages of messages: by seq, by conversation, and in the order of the log for publishing.

use std::collections::HashMap;

use recado_chat::rows::{MessageKey, MessageRow, TopicId};
use redb::ReadOnlyTable;

use crate::error::StoreError;
use crate::reader::{Reader, StoredMessage};
use crate::{tables, values};

/// How many rows that are not wanted a page may pass over, for each one that is allowed on it.
const SCAN_FACTOR: usize = 16;

/// How many messages are passed over in the search for the newest clock.
const CLOCK_SCAN_ROWS: usize = 65_536;

/// The three ways to look at what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryOf<'a> {
    /// A channel's messages, by `seq`.
    Channel(&'a str),
    /// A user's inbox, by `seq`.
    Inbox(&'a str),
    /// Both directions between two users, by `pos`.
    Conversation {
        /// One of them.
        user: &'a str,
        /// The other one.
        with: &'a str,
    },
}

/// How much a page carries at the most. One row always fits, or a long message would stop all
/// who page past it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageLimit {
    /// How many rows.
    pub rows: usize,
    /// How many bytes their texts and names have together.
    pub bytes: usize,
}

/// A page of messages, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryPage {
    /// The rows.
    pub messages: Vec<StoredMessage>,
    /// The newest `seq` (or `pos`) there is, on this page or not; 0 if there is none.
    pub newest: u64,
}

/// Messages to publish, in the order of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Publishable {
    /// The messages.
    pub messages: Vec<StoredMessage>,
    /// Everything up to this log position has been looked at: go on behind it.
    pub through: u64,
}

/// What is taken onto a page, and whether there is room for more.
struct Page {
    messages: Vec<StoredMessage>,
    limit: PageLimit,
    bytes: usize,
}

impl Page {
    fn new(limit: PageLimit) -> Page {
        Page { messages: Vec::new(), limit, bytes: 0 }
    }

    /// Takes the message if there is room.
    fn take(&mut self, message: StoredMessage) -> bool {
        self.bytes += message.text.len() + message.from.len() + message.to.len();
        let fits = self.messages.is_empty() || self.bytes <= self.limit.bytes;
        if fits {
            self.messages.push(message);
        }
        fits && self.messages.len() < self.limit.rows
    }
}

impl Reader {
    /// A page of history: the rows between `after` and `before` (both exclusive, `seq`, or `pos`
    /// for a conversation). With `after` the page is filled from the oldest row, without it from
    /// the newest; either way the rows come oldest first. A name that nobody bears has no rows.
    ///
    /// # Errors
    /// When the file can't be read or a row is damaged.
    pub fn history(
        &self,
        of: HistoryOf<'_>,
        after: Option<u64>,
        before: Option<u64>,
        limit: PageLimit,
    ) -> Result<HistoryPage, StoreError> {
        self.look(|| {
            let range = Range { after, before, limit };
            match of {
                HistoryOf::Channel(name) => match self.channel_topic(name)? {
                    Some(topic) => self.topic_page(topic, range),
                    None => Ok(HistoryPage::default()),
                },
                HistoryOf::Inbox(name) => match self.user_topic(name)? {
                    Some(topic) => self.topic_page(topic, range),
                    None => Ok(HistoryPage::default()),
                },
                HistoryOf::Conversation { user, with } => {
                    let (user, with) = (self.name_row(user)?, self.name_row(with)?);
                    let (Some(user), Some(with)) = (user, with) else {
                        return Ok(HistoryPage::default());
                    };
                    self.conversation_page(user.person, with.person, range)
                }
            }
        })
    }

    fn topic_page(&self, topic: TopicId, range: Range) -> Result<HistoryPage, StoreError> {
        let newest = match self.table(tables::HEADS)?.get(topic)? {
            Some(value) => values::read_head(value.value())?.seq,
            None => 0,
        };
        let index = self.table(tables::INDEX)?;
        let Some((low, high)) = range.bounds() else {
            return Ok(HistoryPage { messages: Vec::new(), newest });
        };
        let rows = index.range((topic, low)..=(topic, high))?;
        let keys = rows.map(|row| {
            let (_, value) = row?;
            values::read_number("index row", value.value())
        });
        Ok(HistoryPage { messages: self.page(keys, range)?, newest })
    }

    fn conversation_page(
        &self,
        one: TopicId,
        other: TopicId,
        range: Range,
    ) -> Result<HistoryPage, StoreError> {
        let (a, b) = (one.min(other), one.max(other));
        let conversations = self.table(tables::CONVERSATIONS)?;
        let newest = match conversations.range((a, b, 0)..=(a, b, u64::MAX))?.next_back() {
            Some(row) => row?.0.value().2,
            None => 0,
        };
        let Some((low, high)) = range.bounds() else {
            return Ok(HistoryPage { messages: Vec::new(), newest });
        };
        let rows = conversations.range((a, b, low)..=(a, b, high))?;
        let keys = rows.map(|row| Ok(row?.0.value().2));
        Ok(HistoryPage { messages: self.page(keys, range)?, newest })
    }

    /// Fetches the messages of these keys, which come in order, until the page is full.
    fn page(
        &self,
        mut keys: impl DoubleEndedIterator<Item = Result<u64, StoreError>>,
        range: Range,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        let mut page = Page::new(range.limit);
        if range.limit.rows == 0 {
            return Ok(page.messages);
        }
        let mut messages = Messages::open(self)?;
        let from_oldest = range.after.is_some();
        let mut next = || if from_oldest { keys.next() } else { keys.next_back() };
        while let Some(key) = next() {
            if !page.take(messages.get(key?)?) {
                break;
            }
        }
        if !from_oldest {
            page.messages.reverse();
        }
        Ok(page.messages)
    }

    /// Messages behind one log position and up to another (inclusive) that are to be published:
    /// all but imported ones. At most `limit` of them; work is bounded too, so a call may return
    /// fewer, or none, before the end: go on behind [`Publishable::through`] until it is `upto`.
    ///
    /// # Errors
    /// When the file can't be read or a row is damaged.
    pub fn publishable(
        &self,
        after_position: u64,
        upto: u64,
        limit: usize,
    ) -> Result<Publishable, StoreError> {
        self.look(|| {
            let mut found = Publishable { messages: Vec::new(), through: upto };
            if after_position >= upto {
                return Ok(found);
            }
            let first = MessageKey::new(after_position + 1, 0).0;
            let last = MessageKey::new(upto, u16::MAX).0;
            let mut messages = Messages::open(self)?;
            let most = limit.max(1);
            let mut looking_at = after_position;
            let table = self.table(tables::MESSAGES)?;
            for (seen, row) in table.range(first..=last)?.enumerate() {
                let (key, value) = row?;
                let position = MessageKey(key.value()).position();
                let full = found.messages.len() >= most || seen >= most.saturating_mul(SCAN_FACTOR);
                // Only between two entries, so that none is left half looked at.
                if full && position != looking_at {
                    found.through = position - 1;
                    break;
                }
                looking_at = position;
                let row = values::read_message(value.value())?;
                if !row.imported {
                    found.messages.push(messages.resolve(key.value(), &row)?);
                }
            }
            Ok(found)
        })
    }

    /// The logical clock of the newest message that was not imported: a primary that starts anew
    /// goes on behind it. 0 if none of the last 65,536 messages is such a one.
    ///
    /// # Errors
    /// When the file can't be read or a row is damaged.
    pub fn newest_clock(&self) -> Result<u64, StoreError> {
        self.look(|| {
            let table = self.table(tables::MESSAGES)?;
            for row in table.range::<u64>(..)?.rev().take(CLOCK_SCAN_ROWS) {
                let (_, value) = row?;
                let row = values::read_message(value.value())?;
                if !row.imported {
                    return Ok(row.stamp.clock);
                }
            }
            Ok(0)
        })
    }
}

impl Reader {
    /// When the newest message that was not imported was stored, ms since the Unix epoch. None if
    /// none of the last 65,536 messages is such a one.
    ///
    /// # Errors
    /// When the file can't be read or a row is damaged.
    pub fn newest_time_ms(&self) -> Result<Option<u64>, StoreError> {
        self.look(|| {
            let table = self.table(tables::MESSAGES)?;
            for row in table.range::<u64>(..)?.rev().take(CLOCK_SCAN_ROWS) {
                let (_, value) = row?;
                let row = values::read_message(value.value())?;
                if !row.imported {
                    return Ok(Some(row.stamp.time_ms));
                }
            }
            Ok(None)
        })
    }
}

/// Messages with the names of their topics, each of which is looked up once.
pub(crate) struct Messages {
    messages: ReadOnlyTable<u64, &'static [u8]>,
    users: ReadOnlyTable<u32, &'static [u8]>,
    channels: ReadOnlyTable<u32, &'static [u8]>,
    names: HashMap<TopicId, String>,
}

impl Messages {
    pub(crate) fn open(reader: &Reader) -> Result<Messages, StoreError> {
        Ok(Messages {
            messages: reader.table(tables::MESSAGES)?,
            users: reader.table(tables::USERS)?,
            channels: reader.table(tables::CHANNELS)?,
            names: HashMap::new(),
        })
    }

    /// The message of a key that stands in an index.
    fn get(&mut self, key: u64) -> Result<StoredMessage, StoreError> {
        match self.messages.get(key)? {
            Some(value) => self.resolve(key, &values::read_message(value.value())?),
            None => Err(StoreError::unreadable("index row without its message")),
        }
    }

    pub(crate) fn resolve(
        &mut self,
        key: u64,
        row: &MessageRow<'_>,
    ) -> Result<StoredMessage, StoreError> {
        Ok(StoredMessage {
            from: row.from.to_owned(),
            to: self.topic_name(row)?,
            text: row.text.to_owned(),
            timestamp: row.stamp.time_ms,
            clock: row.stamp.clock,
            id: row.id,
            seq: row.seq,
            pos: key,
            private: row.private,
            imported: row.imported,
        })
    }

    fn topic_name(&mut self, row: &MessageRow<'_>) -> Result<String, StoreError> {
        if let Some(name) = self.names.get(&row.topic) {
            return Ok(name.clone());
        }
        let table = if row.private { &self.users } else { &self.channels };
        let Some(value) = table.get(row.topic)? else {
            return Err(StoreError::unreadable("message without its topic"));
        };
        let name = if row.private {
            values::read_user(value.value())?.name
        } else {
            values::read_channel(value.value())?.name
        };
        self.names.insert(row.topic, name.clone());
        Ok(name)
    }
}

/// Which rows of a history are asked for.
#[derive(Clone, Copy)]
struct Range {
    after: Option<u64>,
    before: Option<u64>,
    limit: PageLimit,
}

impl Range {
    /// First and last, inclusive; none if nothing can lie between.
    fn bounds(&self) -> Option<(u64, u64)> {
        let low = self.after.map_or(Some(0), |after| after.checked_add(1))?;
        let high = self.before.map_or(Some(u64::MAX), |before| before.checked_sub(1))?;
        (low <= high).then_some((low, high))
    }
}
