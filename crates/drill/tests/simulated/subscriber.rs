//! A subscriber: takes events as they come, sees what is missing, and fetches it.

use rand::RngExt;
use rand::rngs::SmallRng;
use recado_drill::history::{Delivery, Gap, History, Row, Source, Subscription, Topic};

use crate::client::{CHANNELS, user};
use crate::seed::dice;
use crate::service::{Reply, Request, StoredRow};
use crate::wire::{Message, Place, Post};

/// One for each channel, and one for the inbox of the first user.
pub const SUBSCRIBERS: u32 = 3;
/// How often a quiet topic is looked at.
const LOOK_MS: u64 = 1500;
const PATIENCE_MS: u64 = 800;

pub struct Subscriber {
    number: u32,
    topic: Topic,
    dice: SmallRng,
    /// It has everything before.
    next: u64,
    gap: Option<usize>,
    asked: Option<(u64, u64)>,
    look_at_ms: u64,
    last_request: u64,
    servers: usize,
    post: Post,
}

impl Subscriber {
    pub fn new(seed: u64, number: u32, servers: usize, post: Post) -> Subscriber {
        let topic = match CHANNELS.get(number as usize) {
            Some(channel) => Topic::channel(channel),
            None => Topic::inbox(&user(0)),
        };
        Subscriber {
            number,
            topic,
            dice: dice(seed, ("subscriber", number)),
            next: 1,
            gap: None,
            asked: None,
            look_at_ms: LOOK_MS,
            last_request: 0,
            servers,
            post,
        }
    }

    pub fn topic(&self) -> &Topic {
        &self.topic
    }

    /// How far it has everything.
    pub fn has(&self) -> u64 {
        self.next - 1
    }

    pub fn subscription(&self, settled: bool) -> Subscription {
        Subscription {
            subscriber: self.number,
            topic: self.topic.clone(),
            from_us: 0,
            to_us: None,
            settled,
        }
    }

    pub fn tick(&mut self, now_ms: u64) {
        let asking = self.asked.is_some_and(|(_, deadline_ms)| now_ms < deadline_ms);
        if asking || now_ms < self.look_at_ms {
            return;
        }
        self.look_at_ms = now_ms + if self.gap.is_some() { 100 } else { LOOK_MS };
        self.last_request += 1;
        self.asked = Some((self.last_request, now_ms + PATIENCE_MS));
        let server = self.dice.random_range(0..self.servers);
        let request = Request::Page { topic: self.topic.clone(), after: Some(self.next - 1) };
        let message = Message::Request { id: self.last_request, request };
        self.post.send(Place::Subscriber(self.number), Place::Server(server), 0, message);
    }

    /// An event arrives.
    pub fn event(&mut self, row: StoredRow, now: (u64, u64), history: &mut History) {
        let (now_ms, at_us) = now;
        if row.topic != self.topic {
            return;
        }
        let seq = row.seq;
        self.deliver(row, Source::Live, at_us, history);
        if seq > self.next && self.gap.is_none() {
            self.gap = Some(history.gaps.len());
            history.gaps.push(Gap {
                subscriber: self.number,
                topic: self.topic.clone(),
                messages: seq - self.next,
                seen_at_us: at_us,
                filled_at_us: None,
            });
            self.look_at_ms = now_ms;
        } else if seq == self.next {
            self.next += 1;
        }
    }

    /// A page arrives.
    pub fn take(&mut self, id: u64, reply: Reply, at_us: u64, history: &mut History) {
        if self.asked.is_none_or(|(asked, _)| asked != id) {
            return;
        }
        self.asked = None;
        let Reply::Page { rows, newest } = reply else { return };
        for row in rows {
            if row.seq == self.next {
                self.next += 1;
                self.deliver(row, Source::Filled, at_us, history);
            }
        }
        if self.next > newest
            && let Some(gap) = self.gap.take()
        {
            history.gaps[gap].filled_at_us = Some(at_us);
        }
    }

    fn deliver(&mut self, row: StoredRow, source: Source, at_us: u64, history: &mut History) {
        history.deliveries.push(Delivery {
            subscriber: self.number,
            topic: row.topic.clone(),
            frame: (source == Source::Live).then(|| row.topic.name().clone()),
            row: Row {
                seq: row.seq,
                from: row.from.as_str().into(),
                text: row.text.as_str().into(),
            },
            at_us,
            source,
        });
    }
}
