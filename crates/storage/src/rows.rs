//! The chat's rows over one write transaction.
//!
//! What every message touches (names, heads, sessions, counters) is read once and kept for the
//! batch; heads and counters are written once, at its end. The copies live no longer than the
//! transaction, so they can't disagree with the tables, whatever becomes of it.

use std::collections::{BTreeMap, HashMap};

use recado_chat::rows::{
    ChannelRow, Counters, Head, MessageKey, MessageRow, NameRow, SessionRow, SlotRow, TopicId,
    UserRow,
};
use recado_chat::{Member, Rows};
use redb::{ReadableTable, Table, WriteTransaction};

use crate::error::StoreError;
use crate::{tables, values};

type Result<T> = std::result::Result<T, StoreError>;

/// All tables, open in one write transaction.
pub(crate) struct TableRows<'txn> {
    state: Table<'txn, u8, &'static [u8]>,
    names: Table<'txn, &'static [u8], &'static [u8; 10]>,
    users: Table<'txn, u32, &'static [u8]>,
    channels: Table<'txn, u32, &'static [u8]>,
    logins: Table<'txn, u64, &'static [u8; 13]>,
    heads: Table<'txn, u32, &'static [u8; 17]>,
    messages: Table<'txn, u64, &'static [u8]>,
    index: Table<'txn, (u32, u64), &'static [u8; 9]>,
    conversations: Table<'txn, (u32, u32, u64), ()>,
    sessions: Table<'txn, u64, &'static [u8; 19]>,
    uses: Table<'txn, (u64, u64), ()>,
    slots: Table<'txn, (u16, u16), &'static [u8]>,
    members: Table<'txn, u64, &'static [u8]>,
    removed: Table<'txn, u64, ()>,
    kept: Kept,
    /// A message's or result's bytes on their way into a table.
    buffer: Vec<u8>,
}

/// Copies of hot rows, for one batch.
#[derive(Default)]
struct Kept {
    counters: Option<Changeable<Counters>>,
    published: Option<Changeable<u64>>,
    heads: BTreeMap<TopicId, Changeable<Head>>,
    names: HashMap<String, Option<NameRow>>,
    sessions: HashMap<u64, Option<SessionRow>>,
}

/// A copy, and whether the table must still learn of it.
#[derive(Clone, Copy)]
struct Changeable<T> {
    value: T,
    changed: bool,
}

impl<T> Changeable<T> {
    fn read(value: T) -> Changeable<T> {
        Changeable { value, changed: false }
    }

    fn written(value: T) -> Changeable<T> {
        Changeable { value, changed: true }
    }
}

impl<'txn> TableRows<'txn> {
    /// Opens the tables.
    pub(crate) fn open(transaction: &'txn WriteTransaction) -> Result<TableRows<'txn>> {
        Ok(TableRows {
            state: transaction.open_table(tables::STATE)?,
            names: transaction.open_table(tables::NAMES)?,
            users: transaction.open_table(tables::USERS)?,
            channels: transaction.open_table(tables::CHANNELS)?,
            logins: transaction.open_table(tables::LOGINS)?,
            heads: transaction.open_table(tables::HEADS)?,
            messages: transaction.open_table(tables::MESSAGES)?,
            index: transaction.open_table(tables::INDEX)?,
            conversations: transaction.open_table(tables::CONVERSATIONS)?,
            sessions: transaction.open_table(tables::SESSIONS)?,
            uses: transaction.open_table(tables::USES)?,
            slots: transaction.open_table(tables::SLOTS)?,
            members: transaction.open_table(tables::MEMBERS)?,
            removed: transaction.open_table(tables::REMOVED)?,
            kept: Kept::default(),
            buffer: Vec::new(),
        })
    }

    /// Writes what was kept back. The transaction must not be committed without.
    pub(crate) fn finish(mut self) -> Result<()> {
        if let Some(Changeable { value, changed: true }) = self.kept.counters {
            self.state.insert(tables::STATE_COUNTERS, values::counters(value).as_slice())?;
        }
        if let Some(Changeable { value, changed: true }) = self.kept.published {
            self.state.insert(tables::STATE_PUBLISHED, values::number(value).as_slice())?;
        }
        for (topic, head) in &self.kept.heads {
            if head.changed {
                self.heads.insert(topic, &values::head(head.value))?;
            }
        }
        Ok(())
    }
}

impl Rows for TableRows<'_> {
    type Error = StoreError;

    fn counters(&mut self) -> Result<Counters> {
        if let Some(kept) = self.kept.counters {
            return Ok(kept.value);
        }
        let row = match self.state.get(tables::STATE_COUNTERS)? {
            Some(value) => values::read_counters(value.value())?,
            None => Counters::default(),
        };
        self.kept.counters = Some(Changeable::read(row));
        Ok(row)
    }

    fn put_counters(&mut self, counters: Counters) -> Result<()> {
        self.kept.counters = Some(Changeable::written(counters));
        Ok(())
    }

    fn published(&mut self) -> Result<u64> {
        if let Some(kept) = self.kept.published {
            return Ok(kept.value);
        }
        let position = match self.state.get(tables::STATE_PUBLISHED)? {
            Some(value) => values::read_number("watermark", value.value())?,
            None => 0,
        };
        self.kept.published = Some(Changeable::read(position));
        Ok(position)
    }

    fn put_published(&mut self, position: u64) -> Result<()> {
        self.kept.published = Some(Changeable::written(position));
        Ok(())
    }

    fn min_copies(&mut self) -> Result<u32> {
        match self.state.get(tables::STATE_MIN_COPIES)? {
            Some(value) => values::read_copies(value.value()),
            None => Ok(1),
        }
    }

    fn put_min_copies(&mut self, copies: u32) -> Result<()> {
        let value = values::number(copies.into());
        self.state.insert(tables::STATE_MIN_COPIES, value.as_slice())?;
        Ok(())
    }

    fn name(&mut self, name: &str) -> Result<Option<NameRow>> {
        if let Some(kept) = self.kept.names.get(name) {
            return Ok(*kept);
        }
        let row = match self.names.get(name.as_bytes())? {
            Some(value) => Some(values::read_name(value.value())?),
            None => None,
        };
        self.kept.names.insert(name.to_owned(), row);
        Ok(row)
    }

    fn put_name(&mut self, name: &str, row: NameRow) -> Result<()> {
        self.names.insert(name.as_bytes(), &values::name(row))?;
        self.kept.names.insert(name.to_owned(), Some(row));
        Ok(())
    }

    fn user(&mut self, id: TopicId) -> Result<Option<UserRow>> {
        match self.users.get(id)? {
            Some(value) => values::read_user(value.value()).map(Some),
            None => Ok(None),
        }
    }

    fn put_user(&mut self, id: TopicId, row: &UserRow) -> Result<()> {
        self.users.insert(id, values::user(row).as_slice())?;
        Ok(())
    }

    fn put_channel(&mut self, id: TopicId, row: &ChannelRow) -> Result<()> {
        self.channels.insert(id, values::channel(row).as_slice())?;
        Ok(())
    }

    fn put_login(&mut self, position: u64, id: TopicId, time_ms: u64) -> Result<()> {
        self.logins.insert(position, &values::login(id, time_ms))?;
        Ok(())
    }

    fn head(&mut self, topic: TopicId) -> Result<Head> {
        if let Some(kept) = self.kept.heads.get(&topic) {
            return Ok(kept.value);
        }
        let row = match self.heads.get(topic)? {
            Some(value) => values::read_head(value.value())?,
            None => Head::default(),
        };
        self.kept.heads.insert(topic, Changeable::read(row));
        Ok(row)
    }

    fn put_head(&mut self, topic: TopicId, head: Head) -> Result<()> {
        self.kept.heads.insert(topic, Changeable::written(head));
        Ok(())
    }

    fn put_message(&mut self, key: MessageKey, row: MessageRow<'_>) -> Result<()> {
        self.buffer.clear();
        values::message(&row, &mut self.buffer);
        self.messages.insert(key.0, self.buffer.as_slice())?;
        self.index.insert((row.topic, row.seq), &values::number(key.0))?;
        Ok(())
    }

    fn put_conversation(&mut self, low: TopicId, high: TopicId, key: MessageKey) -> Result<()> {
        self.conversations.insert((low, high, key.0), ())?;
        Ok(())
    }

    fn session(&mut self, session: u64) -> Result<Option<SessionRow>> {
        if let Some(kept) = self.kept.sessions.get(&session) {
            return Ok(*kept);
        }
        let row = match self.sessions.get(session)? {
            Some(value) => Some(values::read_session(value.value())?),
            None => None,
        };
        self.kept.sessions.insert(session, row);
        Ok(row)
    }

    fn put_session(&mut self, session: u64, row: SessionRow) -> Result<()> {
        if let Some(old) = self.session(session)? {
            self.uses.remove((old.used, session))?;
        }
        self.sessions.insert(session, &values::session(row))?;
        self.uses.insert((row.used, session), ())?;
        self.kept.sessions.insert(session, Some(row));
        Ok(())
    }

    fn remove_session(&mut self, session: u64) -> Result<()> {
        if let Some(old) = self.session(session)? {
            self.uses.remove((old.used, session))?;
        }
        self.sessions.remove(session)?;
        self.kept.sessions.insert(session, None);
        Ok(())
    }

    fn oldest_session(&mut self) -> Result<Option<u64>> {
        Ok(self.uses.first()?.map(|(key, _)| key.value().1))
    }

    fn slot(&mut self, window: u16, slot: u16) -> Result<Option<SlotRow>> {
        match self.slots.get((slot, window))? {
            Some(value) => values::read_slot(value.value()).map(Some),
            None => Ok(None),
        }
    }

    fn put_slot(&mut self, window: u16, slot: u16, row: &SlotRow) -> Result<()> {
        self.buffer.clear();
        values::slot(row, &mut self.buffer);
        self.slots.insert((slot, window), self.buffer.as_slice())?;
        Ok(())
    }

    fn member(&mut self, node: u64) -> Result<Option<Member>> {
        match self.members.get(node)? {
            Some(value) => values::read_member(value.value()).map(Some),
            None => Ok(None),
        }
    }

    fn is_held_by_another(&mut self, name: &str, but_for: u64) -> Result<bool> {
        for row in self.members.iter()? {
            let other = values::read_member(row?.1.value())?.announced;
            if other.node != but_for && other.name == name {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn put_member(&mut self, row: &Member) -> Result<()> {
        self.members.insert(row.announced.node, values::member(row)?.as_slice())?;
        Ok(())
    }

    fn remove_member(&mut self, node: u64) -> Result<()> {
        self.members.remove(node)?;
        self.removed.insert(node, ())?;
        Ok(())
    }

    fn is_removed(&mut self, node: u64) -> Result<bool> {
        Ok(self.removed.get(node)?.is_some())
    }
}
