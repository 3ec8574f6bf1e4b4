//! The connection, the servers behind it, and what is told while either is away.

use recado_protocol::Status;
use recado_protocol::reply::Role;

use super::State;
use super::event::Effect;
use super::room::Progress;

/// How often the cluster is asked how it is, ms.
const STATUS_EVERY_MS: u64 = 5_000;

/// How often while no server answers, ms.
const STATUS_AGAIN_MS: u64 = 2_000;

/// How long a message may be on its way before the person is told that nobody answers, ms.
const TELL_AFTER_MS: u64 = 1_500;

/// The connection to the broker, as far as this client knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// Not known yet, since then, ms.
    Unseen {
        since_ms: u64,
    },
    Up,
    /// Lost at this time, ms.
    Lost {
        since_ms: u64,
    },
}

impl State {
    /// Asks how the cluster is, every now and then. That also tells who only reads that no server
    /// answers.
    pub(super) fn ask_status(&mut self, effects: &mut Vec<Effect>) {
        let every_ms = if self.silence.is_some() { STATUS_AGAIN_MS } else { STATUS_EVERY_MS };
        if self.broker == Link::Up
            && !self.no_status
            && self.now_ms >= self.status_asked_ms + every_ms
        {
            self.ask_status_now(effects);
        }
    }

    /// Asks how the cluster is. While that is being asked, it is asked again afterwards: what comes
    /// back may be older than the reason to ask.
    pub(super) fn ask_status_now(&mut self, effects: &mut Vec<Effect>) {
        if self.status_open {
            self.status_asked_ms = 0;
            return;
        }
        (self.status_open, self.heard_since) = (true, false);
        self.status_asked_ms = self.now_ms;
        effects.push(Effect::AskStatus { asked: false });
    }

    /// Nobody told how the cluster is. Who was heard since it was asked for is there all the same.
    pub(super) fn unanswered(&mut self) {
        self.status_open = false;
        if !self.heard_since {
            self.not_heard(0);
        }
    }

    pub(super) fn regular_status(&mut self, status: &Status) {
        self.status_open = false;
        if self.heard_since && status.members.is_empty() {
            return;
        }
        self.status(status);
    }

    pub(super) fn broker(&mut self, connected: bool, effects: &mut Vec<Effect>) {
        self.broker = match (connected, self.broker) {
            (true, _) => Link::Up,
            (false, Link::Up) => Link::Lost { since_ms: self.now_ms },
            (false, before) => before,
        };
        if connected {
            self.no_status = false;
            self.heard();
            self.ask_status_now(effects);
            // So that the first Tab has something to offer.
            self.ask_names(effects);
        }
    }

    /// Whether a message is on its way for so long that the person should know.
    pub(crate) fn nobody_answers(&self) -> bool {
        let now_ms = self.now_ms;
        self.rooms.values().flat_map(|room| &room.outgoing).any(|out| {
            matches!(out.progress, Progress::Sending { since_ms } if since_ms + TELL_AFTER_MS <= now_ms)
        })
    }

    /// Whether the broker is away for so long that the person should know.
    pub(crate) fn broker_away(&self) -> bool {
        match self.broker {
            Link::Up => false,
            Link::Unseen { since_ms } | Link::Lost { since_ms } => {
                since_ms + TELL_AFTER_MS <= self.now_ms
            }
        }
    }

    /// What is wrong for as long as it is.
    pub(crate) fn banner(&self) -> Option<String> {
        let texts = self.texts;
        match self.broker {
            Link::Unseen { .. } if self.broker_away() => {
                Some(texts.cant_connect(&self.broker_address))
            }
            Link::Lost { .. } if self.broker_away() => {
                Some(texts.broker_away(&self.broker_address))
            }
            _ if self.nobody_answers() => Some(texts.nobody_answers()),
            _ if self.silence.is_some_and(|tell_ms| tell_ms <= self.now_ms) => {
                Some(texts.servers_silent())
            }
            _ if self.proxy_lost => Some(texts.proxy_away()),
            _ => None,
        }
    }

    pub(super) fn status(&mut self, status: &Status) {
        self.no_status = false;
        let primary = status.members.iter().find(|member| member.role == Role::Primary);
        self.primary = primary.map(|member| member.name.clone());
        match &self.primary {
            Some(_) => self.heard(),
            // The broker alone answered: it has waited for the servers already.
            None if status.members.is_empty() => self.not_heard(0),
            None => self.not_heard(TELL_AFTER_MS),
        }
    }

    /// That is an answer too, and the next one would be no other until the broker is connected anew.
    pub(super) fn status_refused(&mut self) {
        (self.no_status, self.status_open) = (true, false);
        self.heard();
    }

    /// A server answered, or sent something.
    pub(super) fn heard(&mut self) {
        (self.silence, self.heard_since) = (None, true);
    }

    /// No server answers; the person is told so much later, unless one does before, ms.
    pub(super) fn not_heard(&mut self, tell_after_ms: u64) {
        self.silence.get_or_insert(self.now_ms + tell_after_ms);
    }
}
