//! What is remembered from one start to the next: where one was, and how far one had read.

use std::collections::BTreeMap;

use super::State;
use super::event::{Effect, Want};
use super::room::{Place, Room};

/// How often it is written down, when it changed, ms.
const SAVE_EVERY_MS: u64 = 3_000;

/// What is remembered of a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Conversations, each with the key up to which it was read.
    pub(crate) read: BTreeMap<Place, u64>,
    /// Direct conversations that were closed, each with its last message then.
    pub(crate) closed: BTreeMap<Place, u64>,
    /// The one that was open.
    pub(crate) open: Option<Place>,
}

impl State {
    /// Joins again what was joined before.
    pub(super) fn recalled(&mut self, user: &str, memory: Memory, effects: &mut Vec<Effect>) {
        if self.me.as_deref() != Some(user) {
            return;
        }
        for (place, read) in &memory.read {
            match place {
                Place::Channel(channel) if !self.rooms.contains_key(place) => {
                    effects.push(Effect::Join { channel: channel.clone() });
                }
                Place::Channel(_) => {}
                Place::Direct(_) => {
                    let room = self.rooms.entry(place.clone()).or_default();
                    room.read = room.read.max(*read);
                }
            }
        }
        if let Some(place) = memory.open.clone()
            && self.open.is_none()
            && self.rooms.contains_key(&place)
        {
            self.show(place, effects);
        }
        self.closed.clone_from(&memory.closed);
        self.saved = Some(memory.clone());
        self.memory = memory;
        effects.push(Effect::FetchInbox { user: user.to_owned() });
    }

    /// A direct conversation is there, again if it was closed.
    pub(super) fn begin_direct(&mut self, place: &Place) -> &mut Room {
        self.left.remove(place);
        let closed = self.closed.remove(place);
        let room = self.rooms.entry(place.clone()).or_default();
        room.read = room.read.max(closed.unwrap_or(0));
        room
    }

    /// A channel was joined again: how far it was read, and what came since.
    pub(super) fn catch_up(&mut self, place: &Place) {
        let Some(read) = self.memory.read.get(place).copied() else { return };
        if let Some(room) = self.rooms.get_mut(place).filter(|room| !room.loaded) {
            room.read = room.read.max(read);
            self.refetch.insert(place.clone(), Want::Newest);
        }
    }

    /// Writes down what changed.
    pub(super) fn save(&mut self, now: bool, effects: &mut Vec<Effect>) {
        let Some(user) = self.me.clone() else { return };
        if self.saved.is_none() || (!now && self.now_ms < self.save_after_ms) {
            return;
        }
        let known = |(place, room): (&Place, &Room)| (place.clone(), room.read);
        let mut read: BTreeMap<Place, u64> = self.rooms.iter().map(known).collect();
        // What is still to be joined again is not forgotten meanwhile.
        for (place, before) in &self.memory.read {
            if !self.left.contains(place) {
                let key = read.entry(place.clone()).or_insert(*before);
                *key = (*before).max(*key);
            }
        }
        // A direct conversation without any message is none.
        read.retain(|place, key| {
            let spoken = self.rooms.get(place).is_some_and(|room| room.newest > 0);
            matches!(place, Place::Channel(_)) || *key > 0 || spoken
        });
        let memory = Memory { read, closed: self.closed.clone(), open: self.open.clone() };
        if self.saved.as_ref() != Some(&memory) {
            self.save_after_ms = self.now_ms + SAVE_EVERY_MS;
            self.saved = Some(memory.clone());
            effects.push(Effect::Remember { user, memory });
        }
    }
}

/// After the first page of a conversation: how much of it is unread, and where that starts. In a
/// channel all numbers count, held or not.
pub(super) fn count_unread(room: &mut Room, place: &Place, me: &str) {
    let unread = room.log.iter().filter(|entry| entry.key > room.read && entry.from != me);
    let (mut count, mut mentions) = (0, 0);
    for entry in unread {
        count += 1;
        let called = matches!(place, Place::Direct(_)) || super::mention::mentions(&entry.text, me);
        mentions += u32::from(called);
    }
    let first = room.log.first_key().unwrap_or(0);
    if matches!(place, Place::Channel(_)) && room.read + 1 < first {
        count += u32::try_from(first - room.read - 1).unwrap_or(u32::MAX);
    }
    (room.unread, room.mentions) = (count, mentions);
    if count > 0 {
        room.line = Some(room.read);
    }
}
