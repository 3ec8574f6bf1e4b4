//! A client on a stage: events go in, screens and effects come out.

use bytes::Bytes;
use jiff::tz::TimeZone;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Rect;
use recado_client::ClientError;
use recado_protocol::{Ack, Code, HistoryReply, Record, Refusal, Status};

use crate::full::draw::draw;
use crate::full::draw::theme::{Colours, Look};
use crate::full::model::State;
use crate::full::model::event::{Effect, Event, Want};
use crate::full::model::memory::Memory;
use crate::full::model::room::Place;
use crate::texts::{Language, Texts};

/// 2024-05-01 12:30:00 UTC.
pub(super) const START_MS: u64 = 1_714_566_600_000;

pub(super) struct Stage {
    pub(super) state: State,
    /// What was wanted and not yet looked at.
    pub(super) effects: Vec<Effect>,
}

impl Stage {
    /// Nobody logged in, connected, in a terminal that tells whether it is looked at.
    pub(super) fn new(columns: u16, rows: u16) -> Stage {
        let mut stage = Stage::without_focus(columns, rows);
        stage.happens(Event::Focus(true));
        stage
    }

    /// The same in a terminal that tells nothing of its focus.
    pub(super) fn without_focus(columns: u16, rows: u16) -> Stage {
        let texts = Texts::new(Language::English, "/");
        let state = State::new(texts, "127.0.0.1:5555".to_owned(), TimeZone::UTC, START_MS);
        let mut stage = Stage { state, effects: Vec::new() };
        stage.happens(Event::Resize { columns, rows });
        stage.happens(Event::Broker(true));
        stage
    }

    /// ana is logged in, has joined tea, and sees its messages.
    pub(super) fn in_tea(columns: u16, rows: u16, messages: Vec<Record>) -> Stage {
        Stage::new(columns, rows).into_tea(messages)
    }

    pub(super) fn into_tea(mut self, messages: Vec<Record>) -> Stage {
        self.log_in("ana");
        self.join("tea", messages);
        self.happens(Event::Tick { now_ms: START_MS + 60_000 });
        self.effects.clear();
        self
    }

    /// Joins channels without opening them.
    pub(super) fn has_joined(&mut self, channels: &[&str]) {
        for channel in channels {
            self.happens(Event::Joined { channel: (*channel).to_owned(), outcome: Ok(()) });
        }
    }

    /// The conversations as the left side lists them.
    pub(super) fn listed(&self) -> Vec<String> {
        self.state.sorted().iter().map(|place| place.title()).collect()
    }

    pub(super) fn log_in(&mut self, user: &str) {
        self.happens(Event::LoggedIn { user: user.to_owned(), outcome: Ok(()) });
        self.happens(Event::Recalled { user: user.to_owned(), memory: Memory::default() });
        self.happens(Event::Inbox(Ok(HistoryReply { messages: Vec::new(), newest: 0 })));
    }

    pub(super) fn join(&mut self, channel: &str, messages: Vec<Record>) {
        self.line(&format!("/join {channel}"));
        self.happens(Event::Joined { channel: channel.to_owned(), outcome: Ok(()) });
        let newest = messages.last().map_or(0, |record| record.seq);
        self.serve(messages, newest);
    }

    pub(super) fn happens(&mut self, event: Event) {
        let effects = self.state.update(event);
        self.effects.extend(effects);
    }

    /// Answers the fetch that is under way with this page.
    pub(super) fn serve(&mut self, messages: Vec<Record>, newest: u64) {
        let (place, ticket, want) = self.take_fetch().expect("something is being fetched");
        let outcome = Ok(HistoryReply { messages, newest });
        self.happens(Event::Page { place, ticket, want, outcome });
    }

    /// The last fetch that was wanted.
    pub(super) fn take_fetch(&mut self) -> Option<(Place, u64, Want)> {
        let at = self.effects.iter().rposition(|effect| matches!(effect, Effect::Fetch { .. }))?;
        match self.effects.remove(at) {
            Effect::Fetch { place, ticket, want, .. } => Some((place, ticket, want)),
            _ => None,
        }
    }

    /// Answers every fetch out of a channel's whole history, until nothing is wanted.
    pub(super) fn serve_all(&mut self, history: &[Record]) -> usize {
        let mut served = 0;
        while let Some(at) = self.effects.iter().position(|e| matches!(e, Effect::Fetch { .. })) {
            let Effect::Fetch { place, ticket, want, limit, .. } = self.effects.remove(at) else {
                continue;
            };
            let rows: Vec<Record> = match want {
                Want::Newest => history[history.len().saturating_sub(limit)..].to_vec(),
                Want::Before(key) => {
                    let end = history.partition_point(|record| record.seq < key);
                    history[end.saturating_sub(limit)..end].to_vec()
                }
                Want::After(key) => {
                    let start = history.partition_point(|record| record.seq <= key);
                    history[start..history.len().min(start + limit)].to_vec()
                }
            };
            let newest = history.last().map_or(0, |record| record.seq);
            let outcome = Ok(HistoryReply { messages: rows, newest });
            self.happens(Event::Page { place, ticket, want, outcome });
            served += 1;
        }
        served
    }

    pub(super) fn key(&mut self, code: KeyCode, modifiers: KeyModifiers) {
        self.happens(Event::Key(KeyEvent::new(code, modifiers)));
    }

    pub(super) fn press(&mut self, code: KeyCode) {
        self.key(code, KeyModifiers::NONE);
    }

    pub(super) fn ctrl(&mut self, letter: char) {
        self.key(KeyCode::Char(letter), KeyModifiers::CONTROL);
    }

    pub(super) fn alt(&mut self, letter: char) {
        self.key(KeyCode::Char(letter), KeyModifiers::ALT);
    }

    pub(super) fn types(&mut self, text: &str) {
        for letter in text.chars() {
            self.press(KeyCode::Char(letter));
        }
    }

    /// Types a line and presses Enter.
    pub(super) fn line(&mut self, text: &str) {
        self.types(text);
        self.press(KeyCode::Enter);
    }

    /// What is to be sent, in order; none of it stays.
    pub(super) fn take_sends(&mut self) -> Vec<(Place, u64, String)> {
        let mut sends = Vec::new();
        self.effects.retain(|effect| match effect {
            Effect::Send { place, number, text, .. } => {
                sends.push((place.clone(), *number, text.clone()));
                false
            }
            _ => true,
        });
        sends
    }

    pub(super) fn sent(&mut self, place: &Place, number: u64, ack: Ack) {
        self.happens(Event::Sent { place: place.clone(), number, outcome: Ok(ack) });
    }

    pub(super) fn passes(&mut self, ms: u64) {
        let now_ms = self.state.now_ms + ms;
        self.happens(Event::Tick { now_ms });
    }

    /// The screen as text; the cursor as `▏` in front of where it stands is left out.
    pub(super) fn screen(&self) -> String {
        let buffer = self.buffer();
        let mut text = String::new();
        for y in 0..buffer.area.height {
            let mut line = String::new();
            let mut skip = 0;
            for x in 0..buffer.area.width {
                if skip > 0 {
                    skip -= 1;
                    continue;
                }
                let symbol = buffer[(x, y)].symbol();
                line.push_str(symbol);
                skip = crate::full::wrap::columns(symbol).saturating_sub(1);
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    pub(super) fn buffer(&self) -> Buffer {
        let area = Rect::new(0, 0, self.state.columns, self.state.rows);
        let mut buffer = Buffer::empty(area);
        draw(&self.state, &Look::new(Colours::Sixteen, false), &mut buffer);
        buffer
    }
}

pub(super) fn tea() -> Place {
    Place::Channel("tea".to_owned())
}

pub(super) fn direct(user: &str) -> Place {
    Place::Direct(user.to_owned())
}

/// A message to tea, a minute after the one before it.
pub(super) fn record(seq: u64, from: &str, text: &str) -> Record {
    Record {
        from: from.to_owned(),
        to: "tea".to_owned(),
        message: text.to_owned(),
        timestamp: START_MS + seq * 60_000,
        clock: seq,
        id: id(seq),
        seq,
        pos: seq,
        private: false,
    }
}

pub(super) fn private(pos: u64, from: &str, to: &str, text: &str) -> Record {
    Record { to: to.to_owned(), private: true, ..record(pos, from, text) }
}

/// So many messages, from bob and carla in turn.
pub(super) fn chat(count: u64) -> Vec<Record> {
    let names = ["bob", "carla"];
    (1..=count)
        .map(|seq| record(seq, names[(seq % 2) as usize], &format!("message number {seq}")))
        .collect()
}

pub(super) fn id(seq: u64) -> Bytes {
    Bytes::copy_from_slice(&u128::from(seq).to_be_bytes())
}

pub(super) fn ack(seq: u64) -> Ack {
    Ack { id: id(seq), seq, stored: 3, members: 3 }
}

pub(super) fn refused(code: Code, text: &str) -> ClientError {
    ClientError::Refused(Refusal { code, text: text.to_owned() })
}

/// What the broker tells when no server answers.
pub(super) fn nobody() -> Status {
    Status {
        min_copies: 1,
        members: Vec::new(),
        broker: rmpv::Value::Nil,
        proxy: rmpv::Value::Nil,
        reference: rmpv::Value::Nil,
        brokers: rmpv::Value::Nil,
        proxies: rmpv::Value::Nil,
        why: None,
    }
}
