//! What is remembered from one start to the next: where one was, how far one had read, and what
//! one wrote.

use std::collections::BTreeMap;

use super::State;
use super::event::{Effect, Want};
use super::room::{Outgoing, Place, Progress, Room};
use crate::line::command::{Command, parse};

/// How often it is written down, when it changed, ms.
const SAVE_EVERY_MS: u64 = 3_000;

/// How soon again when that failed, ms.
const SAVE_AGAIN_MS: u64 = 10_000;

/// How many written lines are remembered.
const MAX_LINES: usize = 200;

/// How long such a line may be, bytes; a longer one is more than one would look for with Up.
const MAX_LINE_BYTES: usize = 4 * 1024;

/// How long they may be together, bytes.
const MAX_LINES_BYTES: usize = 64 * 1024;

/// A message that was not sent, as far as is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unsent {
    pub(crate) place: Place,
    pub(crate) text: String,
    /// When it was written, ms since the Unix epoch.
    pub(crate) written_ms: u64,
}

/// What is remembered of a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Conversations, each with the key up to which it was read.
    pub(crate) read: BTreeMap<Place, u64>,
    /// Direct conversations that were closed, each with its last message then.
    pub(crate) closed: BTreeMap<Place, u64>,
    /// The one that was open.
    pub(crate) open: Option<Place>,
    /// What was being written.
    pub(crate) drafts: BTreeMap<Place, String>,
    /// What was written and not sent, oldest first.
    pub(crate) unsent: Vec<Unsent>,
    /// The lines that were written last, oldest first.
    pub(crate) lines: Vec<String>,
}

impl State {
    /// Joins again what was joined before.
    pub(super) fn recalled(&mut self, user: &str, memory: Memory, effects: &mut Vec<Effect>) {
        if self.me.as_deref() != Some(user) {
            return;
        }
        let open = memory.open.clone();
        let mut places: BTreeMap<Place, u64> = memory.read.clone();
        let written = memory.drafts.keys().chain(memory.unsent.iter().map(|unsent| &unsent.place));
        for place in written {
            places.entry(place.clone()).or_default();
        }
        self.closed.clone_from(&memory.closed);
        self.input.remember_before(&memory.lines);
        if !memory.unsent.is_empty() {
            self.error(self.texts.unsent_from_before(memory.unsent.len()));
        }
        self.saved = Some(memory.clone());
        self.memory = memory;
        for (place, read) in places {
            match &place {
                Place::Channel(channel) if !self.rooms.contains_key(&place) => {
                    effects.push(Effect::Join { channel: channel.clone() });
                    continue;
                }
                Place::Channel(_) => {}
                Place::Direct(_) => {
                    let room = self.rooms.entry(place.clone()).or_default();
                    room.read = room.read.max(read);
                }
            }
            self.take_up(&place);
        }
        if let Some(place) = open.filter(|place| self.rooms.contains_key(place))
            && self.open.is_none()
        {
            self.show(place, effects);
        }
        effects.push(Effect::FetchInbox { user: user.to_owned() });
    }

    /// Goes on where one stopped writing: the draft, unless another one was begun, and what was
    /// not sent. That may have arrived all the same, so it is sent again only when it is wanted.
    pub(super) fn take_up(&mut self, place: &Place) {
        let (unsent, elsewhere) =
            std::mem::take(&mut self.memory.unsent).into_iter().partition(|u| u.place == *place);
        self.memory.unsent = elsewhere;
        let unsent: Vec<Unsent> = unsent;
        let draft = self.memory.drafts.remove(place).unwrap_or_default();
        let Some(from) = self.me.clone() else { return };
        let numbers: Vec<u64> = unsent.iter().map(|_| self.next_number()).collect();
        let is_open = self.open.as_ref() == Some(place);
        let Some(room) = self.rooms.get_mut(place) else { return };
        room.outgoing.extend(unsent.into_iter().zip(numbers).map(|(unsent, number)| Outgoing {
            number,
            from: from.clone(),
            text: unsent.text,
            written_ms: unsent.written_ms,
            progress: Progress::Failed,
            echo: None,
            behind: None,
        }));
        let begun = if is_open { self.input.text() } else { &room.draft };
        match (begun.is_empty(), is_open) {
            (true, true) => {
                self.completion = None;
                self.input.replace(draft);
            }
            (true, false) => room.draft = draft,
            (false, _) => self.input.remember(draft),
        }
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
        self.unsaved = false;
        let memory = self.to_remember();
        if self.save_failed || self.saved.as_ref() != Some(&memory) {
            self.save_failed = false;
            self.save_after_ms = self.now_ms + SAVE_EVERY_MS;
            self.saved = Some(memory.clone());
            effects.push(Effect::Remember { user, memory });
        }
    }

    pub(super) fn remembered(&mut self, user: &str) {
        if self.me.as_deref() == Some(user) {
            self.keeps = true;
        }
    }

    /// It is tried again, and told once until it succeeds.
    pub(super) fn not_remembered(&mut self, user: &str, why: &str) {
        let is_me = self.me.as_deref() == Some(user);
        if self.keeps || !is_me {
            self.error(self.texts.not_remembered(why));
        }
        if is_me {
            (self.keeps, self.save_failed) = (false, true);
            self.save_after_ms = self.now_ms + SAVE_AGAIN_MS;
        }
    }

    fn to_remember(&self) -> Memory {
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
        let still_away = |place: &Place| !self.left.contains(place);
        let mut drafts = self.memory.drafts.clone();
        drafts.retain(|place, _| still_away(place));
        drafts.extend(self.drafts().map(|(place, draft)| (place.clone(), draft.to_owned())));
        let mut unsent = self.memory.unsent.clone();
        unsent.retain(|unsent| still_away(&unsent.place));
        for (place, room) in &self.rooms {
            unsent.extend(room.unfinished().map(|out| Unsent {
                place: place.clone(),
                text: out.text.clone(),
                written_ms: out.written_ms,
            }));
        }
        Memory {
            read,
            closed: self.closed.clone(),
            open: self.open.clone(),
            drafts,
            unsent,
            lines: last_lines(self.input.remembered(), self.input.put_behind()),
        }
    }

    /// What is being written, in all conversations.
    fn drafts(&self) -> impl Iterator<Item = (&Place, &str)> {
        self.rooms.iter().filter_map(|(place, room)| {
            let is_open = self.open.as_ref() == Some(place);
            let draft = if is_open { self.input.draft() } else { &room.draft };
            (!draft.is_empty()).then_some((place, draft))
        })
    }

    /// Whether what is written is written down for the next start.
    pub(super) fn is_kept(&self) -> bool {
        self.keeps && self.saved.is_some()
    }

    /// How many texts nobody would have any more if the client ended now.
    pub(super) fn to_lose(&self) -> usize {
        let homeless = usize::from(self.open.is_none() && is_text(self.input.draft()));
        if self.is_kept() {
            return homeless;
        }
        homeless
            + self.drafts().filter(|(_, draft)| is_text(draft)).count()
            + self.rooms.values().flat_map(Room::unfinished).count()
    }

    /// Writes down what belongs to the user who goes, and forgets it.
    pub(super) fn forget_writer(&mut self, effects: &mut Vec<Effect>) {
        self.save(true, effects);
        self.input.forget();
        self.completion = None;
        for room in self.rooms.values_mut() {
            room.draft.clear();
            room.outgoing.retain(|out| out.progress != Progress::Failed);
        }
    }
}

/// Whether this is somebody's text. A command is none, unless it is one that sends a text.
fn is_text(line: &str) -> bool {
    match line.strip_prefix('/') {
        Some(command) if !command.starts_with('/') => {
            let command = parse(command);
            matches!(command, Ok(Some(Command::Message { .. } | Command::Publish { .. })))
        }
        _ => !line.trim().is_empty(),
    }
}

/// As many of the last lines as are remembered.
fn last_lines(lines: &[String], one_more: Option<&str>) -> Vec<String> {
    let mut bytes = 0;
    let lines = lines.iter().map(String::as_str).chain(one_more);
    let newest = lines.rev().filter(|line| !line.is_empty() && line.len() <= MAX_LINE_BYTES);
    let newest = newest.take(MAX_LINES).take_while(|line| {
        bytes += line.len();
        bytes <= MAX_LINES_BYTES
    });
    let mut newest: Vec<String> = newest.map(str::to_owned).collect();
    newest.reverse();
    newest
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
