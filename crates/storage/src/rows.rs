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
use redb::{ReadableTable, WriteTransaction};

use crate::damage::Damage;
use crate::error::StoreError;
use crate::sums::Sums;
use crate::tables::{self, Summed};
use crate::values;

type Result<T> = std::result::Result<T, StoreError>;

/// All tables, open in one write transaction.
pub(crate) struct TableRows<'txn> {
    state: Summed<'txn, u8, &'static [u8]>,
    names: Summed<'txn, &'static [u8], &'static [u8; 10]>,
    users: Summed<'txn, u32, &'static [u8]>,
    channels: Summed<'txn, u32, &'static [u8]>,
    logins: Summed<'txn, u64, &'static [u8; 13]>,
    heads: Summed<'txn, u32, &'static [u8; 17]>,
    messages: Summed<'txn, u64, &'static [u8]>,
    index: Summed<'txn, (u32, u64), &'static [u8; 9]>,
    conversations: Summed<'txn, (u32, u32, u64), ()>,
    sessions: Summed<'txn, u64, &'static [u8; 19]>,
    uses: Summed<'txn, (u64, u64), ()>,
    slots: Summed<'txn, (u16, u16), &'static [u8]>,
    members: Summed<'txn, u64, &'static [u8]>,
    removed: Summed<'txn, u64, ()>,
    /// Of all rows, but for those that are kept back.
    sums: Sums,
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

impl<T: Copy> Changeable<T> {
    fn read(value: T) -> Changeable<T> {
        Changeable { value, changed: false }
    }

    fn written(value: T) -> Changeable<T> {
        Changeable { value, changed: true }
    }

    /// What the table must learn of.
    fn take_change(&mut self) -> Option<T> {
        std::mem::take(&mut self.changed).then_some(self.value)
    }
}

impl<'txn> TableRows<'txn> {
    /// Opens the tables.
    pub(crate) fn open(
        transaction: &'txn WriteTransaction,
        damage: &'txn Damage,
        sums: Sums,
    ) -> Result<TableRows<'txn>> {
        Ok(TableRows {
            state: Summed::open(transaction, damage, 1, tables::STATE)?,
            names: Summed::open(transaction, damage, 2, tables::NAMES)?,
            users: Summed::open(transaction, damage, 3, tables::USERS)?,
            channels: Summed::open(transaction, damage, 4, tables::CHANNELS)?,
            logins: Summed::open(transaction, damage, 5, tables::LOGINS)?,
            heads: Summed::open(transaction, damage, 6, tables::HEADS)?,
            messages: Summed::open(transaction, damage, 7, tables::MESSAGES)?,
            index: Summed::open(transaction, damage, 8, tables::INDEX)?,
            conversations: Summed::open(transaction, damage, 9, tables::CONVERSATIONS)?,
            sessions: Summed::open(transaction, damage, 10, tables::SESSIONS)?,
            uses: Summed::open(transaction, damage, 11, tables::USES)?,
            slots: Summed::open(transaction, damage, 12, tables::SLOTS)?,
            members: Summed::open(transaction, damage, 13, tables::MEMBERS)?,
            removed: Summed::open(transaction, damage, 14, tables::REMOVED)?,
            sums,
            kept: Kept::default(),
            buffer: Vec::new(),
        })
    }

    /// Writes what was kept back, and gives the sums of all rows. The transaction must not be
    /// committed without.
    pub(crate) fn write_kept(&mut self) -> Result<Sums> {
        let TableRows { state, heads, sums, kept, .. } = self;
        if let Some(row) = kept.counters.as_mut().and_then(Changeable::take_change) {
            state.insert(sums, tables::STATE_COUNTERS, values::counters(row).as_slice())?;
        }
        if let Some(row) = kept.published.as_mut().and_then(Changeable::take_change) {
            state.insert(sums, tables::STATE_PUBLISHED, values::number(row).as_slice())?;
        }
        for (topic, head) in &mut kept.heads {
            if let Some(row) = head.take_change() {
                heads.insert(sums, *topic, &values::head(row))?;
            }
        }
        Ok(*sums)
    }
}

impl Rows for TableRows<'_> {
    type Error = StoreError;

    fn counters(&mut self) -> Result<Counters> {
        if let Some(kept) = self.kept.counters {
            return Ok(kept.value);
        }
        let row = self.state.get(tables::STATE_COUNTERS, values::read_counters)?;
        let row = row.unwrap_or_default();
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
        let read = |value: &[u8]| values::read_number("watermark", value);
        let position = self.state.get(tables::STATE_PUBLISHED, read)?.unwrap_or_default();
        self.kept.published = Some(Changeable::read(position));
        Ok(position)
    }

    fn put_published(&mut self, position: u64) -> Result<()> {
        self.kept.published = Some(Changeable::written(position));
        Ok(())
    }

    fn min_copies(&mut self) -> Result<u32> {
        let copies = self.state.get(tables::STATE_MIN_COPIES, values::read_copies)?;
        Ok(copies.unwrap_or(1))
    }

    fn put_min_copies(&mut self, copies: u32) -> Result<()> {
        let value = values::number(copies.into());
        self.state.insert(&mut self.sums, tables::STATE_MIN_COPIES, value.as_slice())?;
        Ok(())
    }

    fn name(&mut self, name: &str) -> Result<Option<NameRow>> {
        if let Some(kept) = self.kept.names.get(name) {
            return Ok(*kept);
        }
        let row = self.names.get(name.as_bytes(), |value| values::read_name(value))?;
        self.kept.names.insert(name.to_owned(), row);
        Ok(row)
    }

    fn put_name(&mut self, name: &str, row: NameRow) -> Result<()> {
        self.names.insert(&mut self.sums, name.as_bytes(), &values::name(row))?;
        self.kept.names.insert(name.to_owned(), Some(row));
        Ok(())
    }

    fn user(&mut self, id: TopicId) -> Result<Option<UserRow>> {
        self.users.get(id, values::read_user)
    }

    fn put_user(&mut self, id: TopicId, row: &UserRow) -> Result<()> {
        self.users.insert(&mut self.sums, id, values::user(row).as_slice())
    }

    fn put_channel(&mut self, id: TopicId, row: &ChannelRow) -> Result<()> {
        self.channels.insert(&mut self.sums, id, values::channel(row).as_slice())
    }

    fn put_login(&mut self, position: u64, id: TopicId, time_ms: u64) -> Result<()> {
        self.logins.insert(&mut self.sums, position, &values::login(id, time_ms))
    }

    fn head(&mut self, topic: TopicId) -> Result<Head> {
        if let Some(kept) = self.kept.heads.get(&topic) {
            return Ok(kept.value);
        }
        let row = self.heads.get(topic, |value| values::read_head(value))?.unwrap_or_default();
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
        self.messages.insert(&mut self.sums, key.0, self.buffer.as_slice())?;
        self.index.insert(&mut self.sums, (row.topic, row.seq), &values::number(key.0))
    }

    fn put_conversation(&mut self, low: TopicId, high: TopicId, key: MessageKey) -> Result<()> {
        self.conversations.insert(&mut self.sums, (low, high, key.0), ())
    }

    fn session(&mut self, session: u64) -> Result<Option<SessionRow>> {
        if let Some(kept) = self.kept.sessions.get(&session) {
            return Ok(*kept);
        }
        let row = self.sessions.get(session, |value| values::read_session(value))?;
        self.kept.sessions.insert(session, row);
        Ok(row)
    }

    fn put_session(&mut self, session: u64, row: SessionRow) -> Result<()> {
        if let Some(old) = self.session(session)? {
            self.uses.remove(&mut self.sums, (old.used, session))?;
        }
        self.sessions.insert(&mut self.sums, session, &values::session(row))?;
        self.uses.insert(&mut self.sums, (row.used, session), ())?;
        self.kept.sessions.insert(session, Some(row));
        Ok(())
    }

    fn remove_session(&mut self, session: u64) -> Result<()> {
        if let Some(old) = self.session(session)? {
            self.uses.remove(&mut self.sums, (old.used, session))?;
        }
        self.sessions.remove(&mut self.sums, session)?;
        self.kept.sessions.insert(session, None);
        Ok(())
    }

    fn oldest_session(&mut self) -> Result<Option<u64>> {
        self.uses.read(|table| Ok(table.first()?.map(|(key, _)| key.value().1)))
    }

    fn slot(&mut self, window: u16, slot: u16) -> Result<Option<SlotRow>> {
        self.slots.get((slot, window), values::read_slot)
    }

    fn put_slot(&mut self, window: u16, slot: u16, row: &SlotRow) -> Result<()> {
        self.buffer.clear();
        values::slot(row, &mut self.buffer);
        self.slots.insert(&mut self.sums, (slot, window), self.buffer.as_slice())
    }

    fn member(&mut self, node: u64) -> Result<Option<Member>> {
        self.members.get(node, values::read_member)
    }

    fn is_held_by_another(&mut self, name: &str, but_for: u64) -> Result<bool> {
        self.members.read(|table| {
            for row in table.iter()? {
                let other = values::read_member(row?.1.value())?.announced;
                if other.node != but_for && other.name == name {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }

    fn put_member(&mut self, row: &Member) -> Result<()> {
        let value = values::member(row)?;
        self.members.insert(&mut self.sums, row.announced.node, value.as_slice())
    }

    fn remove_member(&mut self, node: u64) -> Result<()> {
        self.members.remove(&mut self.sums, node)?;
        self.removed.insert(&mut self.sums, node, ())
    }

    fn is_removed(&mut self, node: u64) -> Result<bool> {
        Ok(self.removed.get(node, Ok)?.is_some())
    }
}
