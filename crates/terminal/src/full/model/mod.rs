//! What the client shows and does, as a function of what happens: no socket, no terminal, no
//! clock. [`State::update`] takes an event and gives back what is to be done.

mod attention;
mod commands;
mod complete;
pub(crate) mod editor;
pub(crate) mod event;
mod keys;
mod link;
pub(crate) mod log;
mod login;
pub(crate) mod memory;
pub(crate) mod mention;
mod network;
mod order;
pub(crate) mod picker;
pub(crate) mod room;
mod search;
mod view;

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;

use super::page::Line;
use crate::texts::Texts;
use attention::Attention;
use complete::Completion;
use editor::Editor;
use event::{Effect, Event, Want};
pub(crate) use link::Link;
use log::Stored;
use memory::Memory;
use order::HeldOrder;
pub(crate) use picker::Picker;
use room::{Outgoing, Place, Progress, Room, Scroll};
pub(crate) use search::Search;

/// How long a note is shown, ms.
const NOTE_MS: u64 = 6_000;

/// How long something that went wrong is shown, ms.
const ERROR_MS: u64 = 15_000;

/// How many messages may wait to be sent in all.
const MAX_UNSENT: usize = 1_000;

/// When the terminal rings, or shows a note of its own, while it is not looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Notify {
    /// Never.
    Off,
    /// When the user's name is mentioned, and for private messages.
    #[default]
    Mentions,
    /// For every message.
    All,
}

impl std::str::FromStr for Notify {
    type Err = String;

    fn from_str(word: &str) -> Result<Notify, String> {
        match word {
            "off" => Ok(Notify::Off),
            "mentions" => Ok(Notify::Mentions),
            "all" => Ok(Notify::All),
            _ => Err("one of off, mentions and all is needed".to_owned()),
        }
    }
}

/// Whether something is worth knowing or went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Note,
    Error,
}

/// What is told for a while.
#[derive(Clone, Debug)]
pub(crate) struct Notice {
    pub(crate) kind: Kind,
    pub(crate) text: String,
    until_ms: u64,
}

/// What lies over the timeline.
#[derive(Debug)]
pub(crate) enum Overlay {
    Picker(Picker),
    /// A text that can be scrolled: its title, its lines, and the first row that is shown.
    Text {
        title: String,
        lines: Vec<Line>,
        first: usize,
        /// The key that opened it, if it is a letter that begins a message when it is pressed again.
        typed: Option<char>,
    },
}

/// Everything that is shown.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) now_ms: u64,
    pub(crate) zone: TimeZone,
    pub(crate) texts: Texts,
    pub(crate) columns: u16,
    pub(crate) rows: u16,
    attention: Attention,
    pub(crate) notify: Notify,
    /// Who is logged in.
    pub(crate) me: Option<String>,
    /// Who is being logged in.
    pub(crate) logging_in: Option<String>,
    pub(crate) broker: Link,
    /// Where it is, for people.
    pub(crate) broker_address: String,
    pub(crate) proxy_lost: bool,
    pub(crate) primary: Option<String>,
    /// No server answers; to be told from then on, ms.
    silence: Option<u64>,
    pub(crate) rooms: BTreeMap<Place, Room>,
    pub(crate) open: Option<Place>,
    order: HeldOrder,
    pub(crate) input: Editor,
    completion: Option<Completion>,
    pub(crate) overlay: Option<Overlay>,
    pub(crate) search: Option<Search>,
    pub(crate) notice: Option<Notice>,
    pub(crate) users: BTreeSet<String>,
    pub(crate) channels: BTreeSet<String>,
    /// When they were asked for, ms.
    names_asked_ms: Option<u64>,
    /// Channels that are opened as soon as they are joined.
    joining: BTreeSet<String>,
    /// Direct conversations whose own messages are still to be read from the history, from where.
    refetch: BTreeMap<Place, Want>,
    /// What was remembered at the login.
    memory: Memory,
    /// What was written down last; none before it was read.
    saved: Option<Memory>,
    /// That failed, and is tried again.
    save_failed: bool,
    save_after_ms: u64,
    /// Something happened since it was compared with what was written down.
    unsaved: bool,
    /// Whether anything can be written down at all.
    pub(crate) has_memory: bool,
    /// Whether it is, for the one who is logged in.
    pub(crate) keeps: bool,
    /// Whether something else is to be seen than what was drawn last.
    stale: bool,
    /// Conversations that were left since.
    left: BTreeSet<Place>,
    /// Direct conversations that were closed, each with its last message then.
    closed: BTreeMap<Place, u64>,
    /// Where the last acknowledged message is.
    pub(crate) last_stored: Option<Stored>,
    last_number: u64,
    status_asked_ms: u64,
    /// How the cluster is was asked for, and nothing came back yet.
    status_open: bool,
    /// A server was heard since it was asked for.
    heard_since: bool,
    /// Whoever is connected does not tell how the cluster is.
    no_status: bool,
    /// Quitting was asked for once, though something is not sent.
    quitting: bool,
    pub(crate) mouse: bool,
}

impl State {
    pub(crate) fn new(texts: Texts, broker_address: String, zone: TimeZone, now_ms: u64) -> State {
        State {
            now_ms,
            zone,
            texts,
            columns: 80,
            rows: 24,
            attention: Attention::new(now_ms),
            notify: Notify::default(),
            me: None,
            logging_in: None,
            broker: Link::Unseen { since_ms: now_ms },
            broker_address,
            proxy_lost: false,
            primary: None,
            silence: None,
            rooms: BTreeMap::new(),
            open: None,
            order: HeldOrder::default(),
            input: Editor::default(),
            completion: None,
            overlay: None,
            search: None,
            notice: None,
            users: BTreeSet::new(),
            channels: BTreeSet::new(),
            names_asked_ms: None,
            joining: BTreeSet::new(),
            refetch: BTreeMap::new(),
            memory: Memory::default(),
            saved: None,
            save_failed: false,
            save_after_ms: 0,
            unsaved: false,
            has_memory: true,
            keeps: true,
            stale: true,
            left: BTreeSet::new(),
            closed: BTreeMap::new(),
            last_stored: None,
            last_number: 0,
            status_asked_ms: now_ms,
            status_open: false,
            heard_since: false,
            no_status: false,
            quitting: false,
            mouse: true,
        }
    }

    /// Takes in what happened; gives what is to be done about it.
    pub(crate) fn update(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        let ticks = matches!(event, Event::Tick { .. });
        self.unsaved |= !ticks;
        let regular = match event {
            Event::Tick { .. } | Event::Status(_) | Event::Remembered { .. } => true,
            Event::Names { .. } => self.overlay.is_none(),
            _ => false,
        };
        let before = regular.then(|| self.changes_with_time());
        match event {
            Event::Key(key) => self.key(key, &mut effects),
            Event::Paste(text) => self.paste(&text, &mut effects),
            Event::Mouse(mouse) => self.mouse(mouse, &mut effects),
            Event::Resize { columns, rows } => {
                (self.columns, self.rows) = (columns, rows);
                self.fetch_what_is_missing(&mut effects);
            }
            Event::Focus(focused) => self.attention.told(focused, self.now_ms),
            Event::Tick { now_ms } => self.tick(now_ms, &mut effects),
            Event::Broker(connected) => self.broker(connected, &mut effects),
            Event::Proxy(connected) => self.proxy_lost = !connected,
            Event::Election { coordinator } => {
                self.mention(self.texts.elected(&coordinator));
                self.primary = Some(coordinator);
                self.ask_status_now(&mut effects);
            }
            Event::Message(record) => self.message(record, &mut effects),
            Event::GapFilled { topic, count } => self.mention(self.texts.gap_filled(count, &topic)),
            Event::LoggedIn { user, outcome } => self.logged_in(user, outcome, &mut effects),
            Event::Inbox(outcome) => self.inbox(outcome),
            Event::Recalled { user, memory } => self.recalled(&user, memory, &mut effects),
            Event::Remembered { user } => self.remembered(&user),
            Event::NotRemembered { user, why } => self.not_remembered(&user, &why),
            Event::KeptElsewhere => {
                self.keeps = false;
                self.note(self.texts.kept_elsewhere());
            }
            Event::Damaged { kept_as } => self.error(self.texts.memory_damaged(&kept_as)),
            Event::NotRecalled(why) => {
                // Nothing is written over what may be read another time.
                self.keeps = false;
                self.error(self.texts.not_recalled(&why));
            }
            Event::Names { users, channels } => self.names(users, channels),
            Event::Asked(outcome) => self.asked(outcome),
            Event::Created { channel, outcome } => self.created(channel, outcome, &mut effects),
            Event::Joined { channel, outcome } => self.joined(channel, outcome, &mut effects),
            Event::Sent { place, number, outcome } => {
                self.sent(&place, number, outcome, &mut effects);
            }
            Event::Page { place, ticket, want, outcome } => {
                self.page(&place, ticket, want, outcome, &mut effects);
            }
            Event::Status(status) => self.regular_status(&status),
            Event::Unanswered => self.unanswered(),
            Event::StatusRefused => self.status_refused(),
            Event::AskedStatus(outcome) => self.asked_status(outcome),
            Event::Terminate => effects.push(Effect::Quit { code: super::EXIT_INTERRUPTED }),
        }
        self.settle_read();
        self.remember(ticks, &mut effects);
        self.stale |= before.is_none_or(|before| before != self.changes_with_time());
        effects
    }

    /// What is to be seen that time and the cluster's regular answers change.
    fn changes_with_time(&self) -> impl PartialEq + use<> {
        (
            self.notice.is_some(),
            self.banner(),
            self.broker_away(),
            self.order_is_held(),
            self.primary.clone(),
            self.room().map(|room| room.fetching.is_some()),
        )
    }

    /// Whether something else is to be seen than the last time this was asked.
    pub(crate) fn take_stale(&mut self) -> bool {
        std::mem::take(&mut self.stale)
    }

    /// Writes down what changed, every now and then and before the end.
    fn remember(&mut self, ticks: bool, effects: &mut Vec<Effect>) {
        let end = effects.iter().position(|effect| matches!(effect, Effect::Quit { .. }));
        let quit = end.map(|at| effects.remove(at));
        if quit.is_some() || (ticks && self.unsaved) {
            self.save(quit.is_some(), effects);
        }
        effects.extend(quit);
    }

    fn tick(&mut self, now_ms: u64, effects: &mut Vec<Effect>) {
        if now_ms < self.now_ms {
            self.clock_set_back(now_ms);
        }
        self.now_ms = now_ms;
        if self.notice.as_ref().is_some_and(|notice| notice.until_ms <= now_ms) {
            self.notice = None;
        }
        if self.notice.is_none() {
            // What is not shown any more is not asked any more.
            self.quitting = false;
        }
        self.ask_status(effects);
        self.fetch_what_is_missing(effects);
    }

    /// Nothing waits for a time that is far away now.
    fn clock_set_back(&mut self, now_ms: u64) {
        for at_ms in [&mut self.save_after_ms, &mut self.status_asked_ms, &mut self.order.until_ms]
        {
            *at_ms = (*at_ms).min(now_ms);
        }
        for room in self.rooms.values_mut() {
            room.fetch_after_ms = room.fetch_after_ms.min(now_ms);
            for out in &mut room.outgoing {
                if let Progress::Sending { since_ms } = &mut out.progress {
                    *since_ms = (*since_ms).min(now_ms);
                }
            }
        }
        self.silence = self.silence.map(|tell_ms| tell_ms.min(now_ms));
        if let Link::Unseen { since_ms } | Link::Lost { since_ms } = &mut self.broker {
            *since_ms = (*since_ms).min(now_ms);
        }
        self.attention.set_back(now_ms);
        if let Some(notice) = &mut self.notice {
            notice.until_ms = notice.until_ms.min(now_ms + ERROR_MS);
        }
    }

    /// Opens a conversation that is there.
    pub(crate) fn show(&mut self, place: Place, effects: &mut Vec<Effect>) {
        if self.open.as_ref() != Some(&place) {
            self.search = None;
            self.completion = None;
            let draft = self.rooms.get_mut(&place).map(|room| std::mem::take(&mut room.draft));
            let draft = draft.unwrap_or_default();
            let before = self.open.replace(place);
            match before.and_then(|before| self.rooms.get_mut(&before)) {
                Some(before) => {
                    before.draft = self.input.replace(draft);
                    before.line = None;
                }
                // What was written before a conversation was open goes into the first one.
                None if draft.is_empty() => {}
                None => {
                    let written = self.input.replace(draft);
                    self.input.remember(written);
                }
            }
        }
        self.overlay = None;
        self.fetch_what_is_missing(effects);
    }

    /// Opens a direct conversation, which may be new.
    pub(crate) fn show_direct(&mut self, user: String, effects: &mut Vec<Effect>) {
        let place = Place::Direct(user);
        self.begin_direct(&place);
        self.show(place, effects);
    }

    /// Puts a message behind those that wait to be sent.
    pub(crate) fn write(&mut self, place: &Place, text: String, effects: &mut Vec<Effect>) -> bool {
        if self.rooms.values().map(Room::unsent).sum::<usize>() >= MAX_UNSENT {
            self.error(self.texts.too_many_unsent());
            return false;
        }
        let Some(from) = self.me.clone() else {
            self.error(self.texts.log_in_first());
            return false;
        };
        let number = self.next_number();
        let written_ms = self.now_ms;
        let Some(room) = self.rooms.get_mut(place) else { return false };
        room.line = None;
        let behind = room.loaded.then_some(room.newest).filter(|newest| *newest > 0);
        room.outgoing.push_back(Outgoing {
            number,
            from,
            text,
            written_ms,
            progress: Progress::Waiting,
            echo: None,
            behind,
        });
        self.send_next(place, effects);
        true
    }

    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    fn say(&mut self, kind: Kind, text: String) {
        let shown_ms = if kind == Kind::Error { ERROR_MS } else { NOTE_MS };
        self.notice = Some(Notice { kind, text, until_ms: self.now_ms + shown_ms });
    }

    /// Tells what nobody asked for, unless something that went wrong is still to be read.
    fn mention(&mut self, text: String) {
        if self.notice.as_ref().is_none_or(|notice| notice.kind == Kind::Note) {
            self.say(Kind::Note, text);
        }
    }

    /// What is in sight of somebody who looks is read.
    fn settle_read(&mut self) {
        if !self.is_here() {
            return;
        }
        let Some(room) = self.open.as_ref().and_then(|open| self.rooms.get_mut(open)) else {
            return;
        };
        if room.scroll == Scroll::Bottom && room.log.live && room.loaded {
            (room.read, room.unread, room.mentions) = (room.newest, 0, 0);
        }
    }

    /// Whether somebody looks.
    pub(super) fn is_here(&self) -> bool {
        self.attention.is_here(self.now_ms)
    }

    /// The open conversation.
    pub(crate) fn room(&self) -> Option<&Room> {
        self.rooms.get(self.open.as_ref()?)
    }

    pub(super) fn room_mut(&mut self) -> Option<&mut Room> {
        self.rooms.get_mut(self.open.as_ref()?)
    }

    /// How many messages are not acknowledged yet.
    pub(crate) fn unsent(&self) -> usize {
        self.rooms.values().map(Room::unsent).sum()
    }
}
