//! What the cluster's events do to the state.

use recado_client::ClientError;
use recado_protocol::{Ack, Code, HistoryReply, Record};

use super::event::{Effect, Listed, Names, Want};
use super::log::{Entry, MAX_HELD_ASIDE, MAX_HELD_ASIDE_BYTES, MAX_HELD_BYTES, MAX_HELD_MESSAGES};
use super::memory::count_unread;
use super::room::{Place, Progress, Room, Scroll};
use super::{Kind, Notify, Overlay, Picker, State};
use crate::texts::{About, Texts};

/// How many rows a page of history has.
pub(crate) const PAGE_ROWS: usize = 200;

/// How many rows a page has while something is searched for.
pub(crate) const SEARCH_PAGE_ROWS: usize = 1000;

/// After a page that failed, when the next one is asked for, ms.
const FETCH_AGAIN_MS: u64 = 2000;

impl State {
    /// The newest private messages make the direct conversations that the left side shows.
    pub(super) fn inbox(&mut self, outcome: Result<HistoryReply, ClientError>) {
        let Ok(page) = outcome else { return };
        let me = self.me.clone();
        for record in page.messages {
            // Somebody else may have logged in while it was on its way.
            if me.as_deref() != Some(record.to.as_str()) {
                continue;
            }
            let place = Place::Direct(record.from.clone());
            let key = place.key(&record);
            if self.closed.get(&place).is_some_and(|closed| key <= *closed) {
                continue;
            }
            // Nothing is unread for who comes for the first time.
            let first_time = self.memory.read.is_empty();
            let room = self.begin_direct(&place);
            room.take_in(Entry::new(key, record));
            if key > room.read && !room.loaded {
                if first_time {
                    room.read = key;
                } else {
                    count_unread(room, &place, me.as_deref().unwrap_or_default());
                }
            }
        }
        self.trim();
    }

    pub(super) fn message(&mut self, record: Record, effects: &mut Vec<Effect>) {
        let me = self.me.clone();
        let place = if record.private {
            // An inbox that was left a moment ago may still deliver.
            if me.as_deref() != Some(record.to.as_str()) {
                return;
            }
            let place = Place::Direct(record.from.clone());
            self.begin_direct(&place);
            place
        } else {
            Place::Channel(record.to.clone())
        };
        if !record.private && !self.rooms.contains_key(&place) {
            return;
        }
        self.heard();
        self.users.insert(record.from.clone());
        let open = self.open.as_ref() == Some(&place);
        let own = me.as_deref() == Some(record.from.as_str());
        let mention = !own
            && (record.private
                || me.as_deref().is_some_and(|me| super::mention::mentions(&record.message, me)));
        let focused = self.is_here();
        let room = self.rooms.entry(place.clone()).or_default();
        let seen = room.newest;
        let key = match place.key(&record) {
            // A standard server numbers nothing.
            0 => seen + 1,
            key => key,
        };
        let from = record.from.clone();
        let entry = Entry::new(key, record);
        if room.log.live {
            room.take_in(entry);
        } else {
            room.newest = room.newest.max(key);
        }
        if own {
            if room.unread == 0 {
                room.read = room.read.max(key);
            }
        } else if key > seen && key > room.read {
            if room.unread == 0 && !(open && focused && room.scroll == Scroll::Bottom) {
                room.line = Some(room.read.max(seen));
            }
            room.unread = room.unread.saturating_add(1);
            room.mentions = room.mentions.saturating_add(u32::from(mention));
            if !focused && wanted(self.notify, mention) {
                effects.push(Effect::Alert(alert(self.texts, &from, &place, mention)));
            }
        }
        self.trim();
    }

    /// What is told of an own message.
    pub(super) fn sent(
        &mut self,
        place: &Place,
        number: u64,
        outcome: Result<Ack, ClientError>,
        effects: &mut Vec<Effect>,
    ) {
        if outcome.is_ok() {
            self.heard();
        }
        let Some(room) = self.rooms.get_mut(place) else { return };
        match outcome {
            Ok(ack) => {
                let want = room.acknowledged(number, &ack, place);
                self.last_stored = Some(super::log::Stored { on: ack.stored, of: ack.members });
                if let (Place::Direct(_), Some(want)) = (place, want) {
                    // It comes back to nobody but the recipient: the history has it.
                    room.fetch_after_ms = 0;
                    let from = self.refetch.entry(place.clone()).or_insert(want);
                    *from = want.min(*from);
                }
            }
            Err(error) => {
                let about = match place {
                    Place::Channel(name) => About::Channel(name),
                    Place::Direct(name) => About::User(name),
                };
                let why = self.texts.failed(&error, about);
                if let Some(out) = room.outgoing.iter_mut().find(|out| out.number == number) {
                    out.progress = Progress::Failed;
                    out.echo = None;
                }
                self.error(self.texts.not_sent(&why));
            }
        }
        self.send_next(place, effects);
        self.fetch_what_is_missing(effects);
    }

    /// Sends the first of what waits, when nothing of this conversation is on its way.
    pub(super) fn send_next(&mut self, place: &Place, effects: &mut Vec<Effect>) {
        let now_ms = self.now_ms;
        let Some(room) = self.rooms.get_mut(place) else { return };
        if room.outgoing.iter().any(|out| matches!(out.progress, Progress::Sending { .. })) {
            return;
        }
        let waiting = room.outgoing.iter_mut().find(|out| out.progress == Progress::Waiting);
        if let Some(out) = waiting {
            out.progress = Progress::Sending { since_ms: now_ms };
            effects.push(Effect::Send {
                place: place.clone(),
                number: out.number,
                from: out.from.clone(),
                text: out.text.clone(),
            });
        }
    }

    pub(super) fn page(
        &mut self,
        place: &Place,
        ticket: u64,
        want: Want,
        outcome: Result<HistoryReply, ClientError>,
        effects: &mut Vec<Effect>,
    ) {
        let (me, now_ms) = (self.me.clone(), self.now_ms);
        let Some(room) = self.rooms.get_mut(place) else { return };
        if room.fetching != Some((ticket, want)) {
            return;
        }
        room.fetching = None;
        match outcome {
            Ok(page) => {
                let first_load = !room.loaded;
                merge(room, place, want, page);
                if first_load && self.memory.read.contains_key(place) {
                    count_unread(room, place, me.as_deref().unwrap_or_default());
                } else if first_load && room.unread == 0 {
                    // Who comes for the first time has nothing unread.
                    room.read = room.read.max(room.newest);
                }
            }
            Err(error) => {
                room.fetch_after_ms = now_ms + FETCH_AGAIN_MS;
                if matches!((place, want), (Place::Direct(_), Want::After(_)) | (_, Want::Newest)) {
                    self.refetch.insert(place.clone(), want);
                }
                let no_history = matches!(
                    error.code(),
                    Some(Code::UnknownService | Code::Malformed | Code::Refused)
                );
                if no_history {
                    room.loaded = true;
                    room.log.complete = true;
                } else if error.code().is_some() {
                    room.loaded = true;
                    self.failed(&error, About::Nothing);
                }
            }
        }
        self.trim();
        self.go_on_searching();
        self.fetch_what_is_missing(effects);
    }

    /// Asks for what the open conversation lacks in sight, and for what was sent directly.
    pub(super) fn fetch_what_is_missing(&mut self, effects: &mut Vec<Effect>) {
        let refetch = std::mem::take(&mut self.refetch);
        for (place, want) in refetch {
            if !self.fetch(&place, want, PAGE_ROWS, effects) {
                self.refetch.insert(place, want);
            }
        }
        let Some(place) = self.open.clone() else { return };
        let Some(want) = self.missing_in_sight(&place) else { return };
        let rows = if self.searching() { SEARCH_PAGE_ROWS } else { PAGE_ROWS };
        self.fetch(&place, want, rows, effects);
    }

    /// Which part of the history is looked at and not there.
    fn missing_in_sight(&self, place: &Place) -> Option<Want> {
        let room = self.rooms.get(place)?;
        let Some(last) = room.log.last_key() else {
            if let (Scroll::At { key, .. }, true) = (room.scroll, room.loaded) {
                return (!room.log.complete).then_some(Want::Before(key.saturating_add(1)));
            }
            return (!room.loaded || !room.log.live).then_some(Want::Newest);
        };
        if !room.loaded {
            return Some(Want::Newest);
        }
        if !room.log.complete && (self.searching() || self.near_start(place)) {
            return room.log.first_key().map(Want::Before);
        }
        let at_end = match room.scroll {
            Scroll::Bottom => true,
            Scroll::At { key, .. } => {
                let index = room.log.index_of(key).unwrap_or(0);
                index + PAGE_ROWS / 2 >= room.log.len()
            }
        };
        (at_end && !room.log.live).then_some(Want::After(last))
    }

    fn fetch(
        &mut self,
        place: &Place,
        want: Want,
        limit: usize,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let Some(me) = self.me.clone() else { return true };
        let (ticket, now_ms) = (self.next_number(), self.now_ms);
        let Some(room) = self.rooms.get_mut(place) else { return true };
        if room.fetching.is_some() || now_ms < room.fetch_after_ms {
            return false;
        }
        room.fetching = Some((ticket, want));
        effects.push(Effect::Fetch { me, place: place.clone(), ticket, want, limit });
        true
    }

    pub(super) fn created(
        &mut self,
        channel: String,
        outcome: Result<(), ClientError>,
        effects: &mut Vec<Effect>,
    ) {
        match outcome {
            Ok(()) => {
                self.note(self.texts.created(&channel));
                self.join(channel, effects);
            }
            Err(error) => self.failed(&error, About::Channel(&channel)),
        }
    }

    /// Joins and opens a channel; one that is joined is only opened.
    pub(super) fn join(&mut self, channel: String, effects: &mut Vec<Effect>) {
        let place = Place::Channel(channel.clone());
        if self.rooms.contains_key(&place) {
            self.show(place, effects);
        } else {
            self.joining.insert(channel.clone());
            effects.push(Effect::Join { channel });
        }
    }

    pub(super) fn joined(
        &mut self,
        channel: String,
        outcome: Result<(), ClientError>,
        effects: &mut Vec<Effect>,
    ) {
        let wanted = self.joining.remove(&channel);
        match outcome {
            Ok(()) => {
                self.channels.insert(channel.clone());
                let place = Place::Channel(channel);
                self.left.remove(&place);
                self.rooms.entry(place.clone()).or_default();
                self.catch_up(&place);
                self.take_up(&place);
                let was_open = self.memory.open.as_ref() == Some(&place);
                let recalled = self.memory.read.contains_key(&place);
                if wanted || (self.open.is_none() && (was_open || !recalled)) {
                    self.show(place, effects);
                }
                self.fetch_what_is_missing(effects);
            }
            Err(error) => self.failed(&error, About::Channel(&channel)),
        }
    }

    pub(super) fn asked(&mut self, outcome: Result<Names, ClientError>) {
        match outcome {
            Ok(names) => {
                let of = names.of;
                let none = match of {
                    Listed::Users => names.users.is_empty().then(|| self.texts.no_users()),
                    Listed::Channels => names.channels.is_empty().then(|| self.texts.no_channels()),
                    Listed::Everything => None,
                };
                self.names(names.users, names.channels);
                match none {
                    Some(none) => self.note(none),
                    None => self.overlay = Some(Overlay::Picker(Picker::of(of))),
                }
            }
            Err(error) => self.failed(&error, About::Nothing),
        }
    }

    pub(super) fn names(&mut self, users: Vec<String>, channels: Vec<String>) {
        let chosen = self.chosen();
        self.users.extend(users);
        self.channels.extend(channels);
        self.choose(chosen);
    }

    pub(super) fn failed(&mut self, error: &ClientError, about: About<'_>) {
        self.error(self.texts.failed(error, about));
    }

    pub(super) fn error(&mut self, text: String) {
        self.say(Kind::Error, text);
    }

    pub(super) fn note(&mut self, text: String) {
        self.say(Kind::Note, text);
    }

    /// Brings every conversation within its limits.
    fn trim(&mut self) {
        for (place, room) in &mut self.rooms {
            if self.open.as_ref() == Some(place) {
                let around = match room.scroll {
                    Scroll::Bottom => None,
                    Scroll::At { key, .. } => Some(key),
                };
                room.log.trim(around, MAX_HELD_MESSAGES, MAX_HELD_BYTES);
            } else {
                room.log.trim(None, MAX_HELD_ASIDE, MAX_HELD_ASIDE_BYTES);
            }
        }
    }
}

/// Who called where, without what was said.
fn alert(texts: Texts, from: &str, place: &Place, mention: bool) -> String {
    match place {
        Place::Channel(_) if mention => texts.called_in(from, &place.title()),
        Place::Channel(_) => texts.spoke_in(from, &place.title()),
        Place::Direct(_) => texts.wrote_to_you(from),
    }
}

fn wanted(notify: Notify, mention: bool) -> bool {
    match notify {
        Notify::Off => false,
        Notify::Mentions => mention,
        Notify::All => true,
    }
}

/// Puts a page into the room.
fn merge(room: &mut Room, place: &Place, want: Want, page: HistoryReply) {
    let first_load = !room.loaded;
    room.loaded = true;
    let last = page.messages.last().map(|record| place.key(record));
    let first = page.messages.first().map(|record| place.key(record));
    match want {
        Want::Before(_) if first.is_none() => room.log.complete = true,
        Want::After(_) | Want::Newest => {
            let reached = last.is_none_or(|last| last >= page.newest.max(room.newest));
            if want == Want::Newest && !room.log.live {
                // A new start at the end.
                room.log.clear();
            }
            room.log.live |= reached;
            if want == Want::Newest && first.is_none() {
                room.log.complete = true;
            }
        }
        Want::Before(_) => {}
    }
    // The numbers of a channel start at 1.
    if matches!(place, Place::Channel(_)) && first == Some(1) {
        room.log.complete = true;
    }
    if let (true, Some(first)) = (first_load, first) {
        // What the inbox gave has only one side of the conversation.
        room.log.drop_before(first);
    }
    for record in page.messages {
        let key = place.key(&record);
        room.take_in(Entry::new(key, record));
    }
}
