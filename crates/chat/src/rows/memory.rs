//! Rows in memory, for tests and simulations. Compared with `==`, two of them are the same state.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use super::{
    ChannelRow, Counters, Head, MessageKey, MessageRow, NameRow, Rows, SessionRow, SlotRow,
    TopicId, UserRow,
};
use crate::command::Stamp;
use crate::members::Member;

/// A message that owns its texts; see [`MessageRow`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptMessage {
    /// The channel, or the recipient.
    pub topic: TopicId,
    /// Whether `topic` is a recipient.
    pub private: bool,
    /// Whether an import brought it.
    pub imported: bool,
    /// Its number in the channel or inbox.
    pub seq: u64,
    /// The time it bears.
    pub stamp: Stamp,
    /// Its public id.
    pub id: [u8; 16],
    /// The sender's name.
    pub from: String,
    /// The text.
    pub text: String,
}

/// All rows, each table a map that anyone may look into.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryRows {
    /// The counters.
    pub counters: Counters,
    /// The published watermark.
    pub published: u64,
    /// How many servers must be active for writes to be taken, where that was ever set.
    pub min_copies: Option<u32>,
    /// Names.
    pub names: BTreeMap<String, NameRow>,
    /// Users in the order of their creation.
    pub users: BTreeMap<TopicId, UserRow>,
    /// Channels in the order of their creation.
    pub channels: BTreeMap<TopicId, ChannelRow>,
    /// Logins by log position: who, and when (ms).
    pub logins: BTreeMap<u64, (TopicId, u64)>,
    /// Heads of channels and inboxes.
    pub heads: BTreeMap<TopicId, Head>,
    /// Messages in log order.
    pub messages: BTreeMap<MessageKey, KeptMessage>,
    /// Messages by topic and seq.
    pub index: BTreeMap<(TopicId, u64), MessageKey>,
    /// Messages by the two persons.
    pub conversations: BTreeSet<(TopicId, TopicId, MessageKey)>,
    /// Sessions.
    pub sessions: BTreeMap<u64, SessionRow>,
    /// Sessions by last use.
    pub uses: BTreeSet<(u64, u64)>,
    /// Results by window and slot.
    pub slots: BTreeMap<(u16, u16), SlotRow>,
    /// Members by node id.
    pub members: BTreeMap<u64, Member>,
    /// Node ids that are never used again.
    pub removed: BTreeSet<u64>,
}

impl Rows for MemoryRows {
    type Error = Infallible;

    fn counters(&mut self) -> Result<Counters, Infallible> {
        Ok(self.counters)
    }

    fn put_counters(&mut self, counters: Counters) -> Result<(), Infallible> {
        self.counters = counters;
        Ok(())
    }

    fn published(&mut self) -> Result<u64, Infallible> {
        Ok(self.published)
    }

    fn put_published(&mut self, position: u64) -> Result<(), Infallible> {
        self.published = position;
        Ok(())
    }

    fn min_copies(&mut self) -> Result<u32, Infallible> {
        Ok(self.min_copies.unwrap_or(1))
    }

    fn put_min_copies(&mut self, copies: u32) -> Result<(), Infallible> {
        self.min_copies = Some(copies);
        Ok(())
    }

    fn name(&mut self, name: &str) -> Result<Option<NameRow>, Infallible> {
        Ok(self.names.get(name).copied())
    }

    fn put_name(&mut self, name: &str, row: NameRow) -> Result<(), Infallible> {
        self.names.insert(name.to_owned(), row);
        Ok(())
    }

    fn user(&mut self, id: TopicId) -> Result<Option<UserRow>, Infallible> {
        Ok(self.users.get(&id).cloned())
    }

    fn put_user(&mut self, id: TopicId, row: &UserRow) -> Result<(), Infallible> {
        self.users.insert(id, row.clone());
        Ok(())
    }

    fn put_channel(&mut self, id: TopicId, row: &ChannelRow) -> Result<(), Infallible> {
        self.channels.insert(id, row.clone());
        Ok(())
    }

    fn put_login(&mut self, position: u64, id: TopicId, time_ms: u64) -> Result<(), Infallible> {
        self.logins.insert(position, (id, time_ms));
        Ok(())
    }

    fn head(&mut self, topic: TopicId) -> Result<Head, Infallible> {
        Ok(self.heads.get(&topic).copied().unwrap_or_default())
    }

    fn put_head(&mut self, topic: TopicId, head: Head) -> Result<(), Infallible> {
        self.heads.insert(topic, head);
        Ok(())
    }

    fn put_message(&mut self, key: MessageKey, row: MessageRow<'_>) -> Result<(), Infallible> {
        self.index.insert((row.topic, row.seq), key);
        let kept = KeptMessage {
            topic: row.topic,
            private: row.private,
            imported: row.imported,
            seq: row.seq,
            stamp: row.stamp,
            id: row.id,
            from: row.from.to_owned(),
            text: row.text.to_owned(),
        };
        self.messages.insert(key, kept);
        Ok(())
    }

    fn put_conversation(
        &mut self,
        low: TopicId,
        high: TopicId,
        key: MessageKey,
    ) -> Result<(), Infallible> {
        self.conversations.insert((low, high, key));
        Ok(())
    }

    fn session(&mut self, session: u64) -> Result<Option<SessionRow>, Infallible> {
        Ok(self.sessions.get(&session).copied())
    }

    fn put_session(&mut self, session: u64, row: SessionRow) -> Result<(), Infallible> {
        if let Some(old) = self.sessions.insert(session, row) {
            self.uses.remove(&(old.used, session));
        }
        self.uses.insert((row.used, session));
        Ok(())
    }

    fn remove_session(&mut self, session: u64) -> Result<(), Infallible> {
        if let Some(old) = self.sessions.remove(&session) {
            self.uses.remove(&(old.used, session));
        }
        Ok(())
    }

    fn oldest_session(&mut self) -> Result<Option<u64>, Infallible> {
        Ok(self.uses.first().map(|(_, session)| *session))
    }

    fn slot(&mut self, window: u16, slot: u16) -> Result<Option<SlotRow>, Infallible> {
        Ok(self.slots.get(&(window, slot)).cloned())
    }

    fn put_slot(&mut self, window: u16, slot: u16, row: &SlotRow) -> Result<(), Infallible> {
        self.slots.insert((window, slot), row.clone());
        Ok(())
    }

    fn member(&mut self, node: u64) -> Result<Option<Member>, Infallible> {
        Ok(self.members.get(&node).cloned())
    }

    fn is_held_by_another(&mut self, name: &str, but_for: u64) -> Result<bool, Infallible> {
        let mut others = self.members.values().map(|row| &row.announced);
        Ok(others.any(|other| other.node != but_for && other.name == name))
    }

    fn put_member(&mut self, row: &Member) -> Result<(), Infallible> {
        self.members.insert(row.announced.node, row.clone());
        Ok(())
    }

    fn remove_member(&mut self, node: u64) -> Result<(), Infallible> {
        self.members.remove(&node);
        self.removed.insert(node);
        Ok(())
    }

    fn is_removed(&mut self, node: u64) -> Result<bool, Infallible> {
        Ok(self.removed.contains(&node))
    }
}
