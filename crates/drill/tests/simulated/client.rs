//! A client: one request at a time, again under the same id until it knows what came of it.

use rand::RngExt;
use rand::rngs::SmallRng;
use recado_chat::{Command, Origin};
use recado_drill::history::{Ack, History, Name, Outcome, Read, RequestId, Row, Topic};

use crate::seed::{dice, draw};
use crate::service::{Reply, Request};
use crate::wire::{Message, Place, Post};

/// All channels.
pub const CHANNELS: [&str; 2] = ["general", "random"];
/// How many clients there are, each a user of its own.
pub const CLIENTS: u32 = 5;

/// The name of a client's user.
pub fn user(client: u32) -> String {
    format!("user {client}")
}

/// What a client is doing.
enum State {
    Thinking { until_ms: u64 },
    Waiting { request: u64, deadline_ms: u64 },
}

/// What it wants done.
#[derive(Clone)]
enum Wish {
    /// What must be there before messages can be sent.
    Prepare(Command),
    /// A message, by its place in the history's writes.
    Send { command: Command, origin: Origin, write: usize },
    /// A page.
    Look { topic: Topic, after: Option<u64>, sent_at_us: u64, server: Name },
}

pub struct Client {
    number: u32,
    dice: SmallRng,
    session: u64,
    n: u64,
    preparations: Vec<Command>,
    state: State,
    wish: Option<Wish>,
    servers: usize,
    last_request: u64,
    post: Post,
    pub pace_ms: (u64, u64),
}

impl Client {
    pub fn new(seed: u64, number: u32, servers: usize, post: Post) -> Client {
        let session = 1000 + u64::from(number);
        // Taken from the end.
        let mut preparations =
            vec![Command::Session { session }, Command::Login { user: user(number) }];
        preparations.extend(CHANNELS.map(|channel| Command::Channel { channel: channel.into() }));
        let mut dice = dice(seed, ("client", number));
        let slowest_ms = *[20, 50, 150, 400].get(dice.random_range(0..4usize)).unwrap_or(&20);
        Client {
            number,
            dice,
            session,
            n: 0,
            preparations,
            state: State::Thinking { until_ms: 0 },
            wish: None,
            servers,
            last_request: 0,
            post,
            pace_ms: (0, slowest_ms),
        }
    }

    /// Whether nothing of it is under way.
    pub fn rests(&self) -> bool {
        self.wish.is_none()
    }

    /// Goes on; begins nothing new when `ending`.
    pub fn tick(&mut self, now_ms: u64, at_us: u64, ending: bool, history: &mut History) {
        match self.state {
            State::Waiting { deadline_ms, .. } if now_ms >= deadline_ms => {
                self.nothing_known(now_ms);
            }
            State::Thinking { until_ms } if now_ms >= until_ms => {
                if self.wish.is_none() && (!ending || !self.preparations.is_empty()) {
                    self.wish = Some(self.next_wish(at_us, history));
                    self.ask(now_ms, at_us, true, history);
                } else if self.wish.is_some() {
                    self.ask(now_ms, at_us, false, history);
                }
            }
            _ => {}
        }
    }

    fn next_wish(&mut self, at_us: u64, history: &mut History) -> Wish {
        if let Some(command) = self.preparations.last() {
            return Wish::Prepare(command.clone());
        }
        let channel = CHANNELS[self.dice.random_range(0..CHANNELS.len())];
        let other = user(self.dice.random_range(0..CLIENTS));
        let kind = self.dice.random_range(0..10);
        if kind >= 7 {
            let topic = if kind == 9 { Topic::inbox(&other) } else { Topic::channel(channel) };
            let after = self.dice.random_bool(0.3).then(|| self.dice.random_range(0..50));
            return Wish::Look { topic, after, sent_at_us: at_us, server: "".into() };
        }
        self.n += 1;
        let me = user(self.number);
        let text = format!("{} of {}", self.n, self.number);
        let digest = draw(0, &text);
        let origin = Origin { session: self.session, n: self.n, digest };
        let (topic, command) = if kind == 6 {
            let command =
                Command::Message { src: me.clone(), dst: other.clone(), message: text.clone() };
            (Topic::inbox(&other), command)
        } else {
            let (user, channel) = (me.clone(), channel.to_owned());
            let topic = Topic::channel(&channel);
            (topic, Command::Publish { user, channel, message: text.clone() })
        };
        let id = RequestId { session: origin.session, n: origin.n };
        let words = (topic, me.as_str().into(), text.as_str().into());
        let write = history.send(self.number, Some(id), words, at_us);
        Wish::Send { command, origin, write }
    }

    /// Asks some server.
    fn ask(&mut self, now_ms: u64, at_us: u64, first: bool, history: &mut History) {
        let server = self.dice.random_range(0..self.servers);
        let Some(wish) = &mut self.wish else { return };
        let request = match wish {
            Wish::Prepare(command) => Request::Write { command: command.clone(), origin: None },
            Wish::Send { command, origin, write } => {
                if !first {
                    history.send_again(*write, at_us);
                }
                Request::Write { command: command.clone(), origin: Some(*origin) }
            }
            Wish::Look { topic, after, sent_at_us, server: asked } => {
                *sent_at_us = at_us;
                *asked = format!("s{}", server + 1).as_str().into();
                Request::Page { topic: topic.clone(), after: *after }
            }
        };
        self.last_request += 1;
        let id = self.last_request;
        let patience_ms = self.dice.random_range(300..5000);
        self.state = State::Waiting { request: id, deadline_ms: now_ms + patience_ms };
        let message = Message::Request { id, request };
        self.post.send(Place::Client(self.number), Place::Server(server), 0, message);
    }

    /// No answer, or one that says that nobody knows: the attempt stays unknown.
    fn nothing_known(&mut self, now_ms: u64) {
        let gives_up = match &self.wish {
            Some(Wish::Send { .. }) => self.dice.random_bool(0.05),
            Some(Wish::Look { .. }) => true,
            _ => false,
        };
        if gives_up {
            self.wish = None;
        }
        self.think(now_ms, (1, 50));
    }

    fn think(&mut self, now_ms: u64, (low, high): (u64, u64)) {
        let until_ms = now_ms + self.dice.random_range(low..=high);
        self.state = State::Thinking { until_ms };
    }

    /// An answer arrives.
    pub fn take(&mut self, id: u64, reply: Reply, now: (u64, u64), history: &mut History) {
        let (now_ms, at_us) = now;
        match self.state {
            State::Waiting { request, .. } if request == id => {}
            // Of an attempt that was given up.
            _ => return,
        }
        let Some(wish) = self.wish.clone() else { return };
        match (wish, reply) {
            (_, Reply::Perhaps) => return self.nothing_known(now_ms),
            (Wish::Send { write, .. }, Reply::Elsewhere) => {
                history.ended(write, Outcome::Refused { at_us, code: "unavailable".into() });
                return self.think(now_ms, (5, 60));
            }
            (Wish::Prepare(_), Reply::Elsewhere) => return self.think(now_ms, (5, 60)),
            (Wish::Prepare(_), _) => {
                self.preparations.pop();
            }
            (Wish::Send { write, .. }, Reply::Stored { id, seq, stored, members }) => {
                let ack = Ack { at_us, seq, message_id: Some(id), stored, members };
                history.ended(write, Outcome::Acked(ack));
            }
            (Wish::Send { write, .. }, Reply::Refused(code)) => {
                history.ended(write, Outcome::Refused { at_us, code: code.as_str().into() });
            }
            (Wish::Look { topic, after, sent_at_us, server }, Reply::Page { rows, newest }) => {
                let row = |r: crate::service::StoredRow| Row {
                    seq: r.seq,
                    from: r.from.as_str().into(),
                    text: r.text.as_str().into(),
                };
                history.reads.push(Read {
                    client: self.number,
                    server: Some(server),
                    topic,
                    with: None,
                    after,
                    before: None,
                    sent_at_us,
                    got_at_us: at_us,
                    rows: rows.into_iter().map(row).collect(),
                    newest,
                });
            }
            _ => {}
        }
        self.wish = None;
        self.think(now_ms, self.pace_ms);
    }
}
