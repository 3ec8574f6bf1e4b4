//! One conversation: its messages, what is being sent to it, and how far it was read.

use std::collections::VecDeque;

use bytes::Bytes;
use recado_protocol::{Ack, Record};

use super::event::Want;
use super::log::{Entry, Log, Stored};

/// Where messages go: a channel, or a user.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Channel(String),
    Direct(String),
}

impl Place {
    pub(crate) fn name(&self) -> &str {
        let (Place::Channel(name) | Place::Direct(name)) = self;
        name
    }

    /// The name with a sign in front that tells what it is.
    pub(crate) fn title(&self) -> String {
        match self {
            Place::Channel(name) => format!("#{name}"),
            Place::Direct(name) => format!("@{name}"),
        }
    }

    /// What orders its messages.
    pub(crate) fn key(&self, record: &Record) -> u64 {
        match self {
            Place::Channel(_) => record.seq,
            Place::Direct(_) => record.pos,
        }
    }
}

/// How far a message of one's own is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Waits for the one before it.
    Waiting,
    /// On its way since then, ms.
    Sending { since_ms: u64 },
    /// Acknowledged; its echo is still to come.
    Stored { id: Bytes, stored: Stored },
    /// Not sent, as far as is known.
    Failed,
}

/// A message of one's own that is not in the history yet, as far as is known here.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) number: u64,
    /// Who wrote it.
    pub(crate) from: String,
    pub(crate) text: String,
    /// When, ms since the Unix epoch.
    pub(crate) written_ms: u64,
    pub(crate) progress: Progress,
    /// The message in the history that looks like this one, and came before the acknowledgement.
    pub(crate) echo: Option<Bytes>,
    /// The last message that was there when it was written, if any was known; it comes behind that.
    pub(crate) behind: Option<u64>,
}

/// What the window shows: the end, or the rows up to somewhere else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Scroll {
    #[default]
    Bottom,
    /// The last row in sight belongs to this message, of which so many rows are below.
    At { key: u64, below: usize },
}

/// A conversation.
#[derive(Debug, Default)]
pub(crate) struct Room {
    pub(crate) log: Log,
    pub(crate) outgoing: VecDeque<Outgoing>,
    pub(crate) scroll: Scroll,
    /// The highest key that was seen, in the log or beyond it.
    pub(crate) newest: u64,
    /// Everything up to this key was read.
    pub(crate) read: u64,
    pub(crate) unread: u32,
    pub(crate) mentions: u32,
    /// Behind which key the line stands where unread starts.
    pub(crate) line: Option<u64>,
    /// What is being written, while another conversation is open.
    pub(crate) draft: String,
    /// What is being fetched now, and under which ticket.
    pub(crate) fetching: Option<(u64, Want)>,
    /// Whether its newest messages were fetched once.
    pub(crate) loaded: bool,
    /// Not to ask for again before then, ms.
    pub(crate) fetch_after_ms: u64,
}

impl Room {
    /// An own message was acknowledged; gives where the history has it.
    pub(crate) fn acknowledged(&mut self, number: u64, ack: &Ack, place: &Place) -> Option<Want> {
        let at = self.outgoing.iter().position(|out| out.number == number)?;
        let behind = self.outgoing[at].behind;
        let stored = Stored { on: ack.stored, of: ack.members };
        if let Some(entry) = self.log.by_id(&ack.id) {
            entry.stored = Some(stored);
            self.outgoing.remove(at);
        } else if ack.id.is_empty() && matches!(place, Place::Direct(_)) {
            // A standard server: nobody will ever tell its place.
            let out = self.outgoing.remove(at)?;
            self.newest += 1;
            self.log.insert(Entry {
                key: self.newest,
                id: Bytes::new(),
                from: out.from,
                text: out.text,
                at_ms: out.written_ms,
                stored: Some(stored),
            });
            return None;
        } else {
            let out = &mut self.outgoing[at];
            out.progress = Progress::Stored { id: ack.id.clone(), stored };
            out.echo = None;
        }
        Some(behind.map_or(Want::Newest, Want::After))
    }

    /// Takes in a message of the history, once.
    pub(crate) fn take_in(&mut self, mut entry: Entry) {
        self.newest = self.newest.max(entry.key);
        entry.stored = self.settle_echo(&entry);
        self.log.insert(entry);
    }

    /// One's own message came back: what was sent is told apart by the acknowledgement's id, and
    /// before there is one, by its text.
    fn settle_echo(&mut self, entry: &Entry) -> Option<Stored> {
        let acknowledged = self.outgoing.iter().position(|out| {
            matches!(&out.progress, Progress::Stored { id, .. } if !id.is_empty() && *id == entry.id)
        });
        if let Some(at) = acknowledged {
            return match self.outgoing.remove(at)?.progress {
                Progress::Stored { stored, .. } => Some(stored),
                _ => None,
            };
        }
        let alike = self.outgoing.iter_mut().find(|out| {
            out.echo.is_none()
                && out.from == entry.from
                && out.text == entry.text
                && out.behind.is_none_or(|behind| entry.key > behind)
                && match &out.progress {
                    Progress::Sending { .. } => true,
                    // A server that gives no ids.
                    Progress::Stored { id, .. } => id.is_empty(),
                    _ => false,
                }
        })?;
        match alike.progress {
            Progress::Stored { stored, .. } => {
                let number = alike.number;
                self.outgoing.retain(|out| out.number != number);
                Some(stored)
            }
            _ => {
                alike.echo = Some(entry.id.clone());
                None
            }
        }
    }

    /// What is shown below the history: one's own messages that are not in it yet.
    pub(crate) fn shown_outgoing(&self) -> impl DoubleEndedIterator<Item = &Outgoing> {
        self.outgoing.iter().filter(|out| out.echo.is_none())
    }

    /// Whether something failed here.
    pub(crate) fn has_failed(&self) -> bool {
        self.outgoing.iter().any(|out| out.progress == Progress::Failed)
    }

    /// The messages that are not acknowledged, and failed or may still be. What the history has
    /// already, as far as can be seen, is none of them: it would be sent twice.
    pub(crate) fn unfinished(&self) -> impl Iterator<Item = &Outgoing> {
        let shown = self.shown_outgoing();
        shown.filter(|out| !matches!(out.progress, Progress::Stored { .. }))
    }

    /// How many messages are not acknowledged yet and may still be.
    pub(crate) fn unsent(&self) -> usize {
        let open =
            |out: &&Outgoing| matches!(out.progress, Progress::Waiting | Progress::Sending { .. });
        self.shown_outgoing().filter(open).count()
    }
}
