//! A proxy: passes on what it gets, and now and then hangs and dies, with all that it has not passed
//! on.

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt;
use rand::rngs::SmallRng;
use recado_drill::history::Topic;

use crate::seed::dice;
use crate::subscriber::SUBSCRIBERS;
use crate::wire::{Message, Place, Post};

/// How many there are. Subscribers use one each.
pub const PROXIES: u32 = 2;
/// Between two deaths of one proxy.
const LIFE_MS: std::ops::Range<u64> = 500..5000;
/// So long before it dies it stops passing anything on.
const HANG_MS: std::ops::Range<u64> = 0..400;

pub struct Proxy {
    number: u32,
    dice: SmallRng,
    hangs_at_ms: u64,
    dies_at_ms: u64,
    /// What passed it, in all its lives.
    passed: BTreeMap<Topic, BTreeSet<u64>>,
    post: Post,
}

impl Proxy {
    pub fn new(seed: u64, number: u32, post: Post) -> Proxy {
        let dice = dice(seed, ("proxy", number));
        let mut proxy =
            Proxy { number, dice, hangs_at_ms: 0, dies_at_ms: 0, passed: BTreeMap::new(), post };
        proxy.lives(0);
        proxy
    }

    fn lives(&mut self, from_ms: u64) {
        self.dies_at_ms = from_ms + self.dice.random_range(LIFE_MS);
        self.hangs_at_ms = self.dies_at_ms - self.dice.random_range(HANG_MS);
    }

    /// It dies no more.
    pub fn stays(&mut self) {
        (self.hangs_at_ms, self.dies_at_ms) = (u64::MAX, u64::MAX);
    }

    fn place(&self) -> Place {
        Place::Proxy(self.number)
    }

    /// Whether it dies now; it is back at once.
    pub fn dies(&mut self, now_ms: u64) -> bool {
        let dies = self.dies_at_ms <= now_ms;
        if dies {
            self.lives(now_ms);
        }
        dies
    }

    /// Something arrives from a server.
    pub fn take(&mut self, from: Place, message: Message, now_ms: u64) {
        if now_ms >= self.hangs_at_ms {
            return;
        }
        match message {
            Message::Event(row) => {
                self.passed.entry(row.topic.clone()).or_default().insert(row.seq);
                let own = (0..SUBSCRIBERS).filter(|s| s % PROXIES == self.number);
                for subscriber in own {
                    let to = Place::Subscriber(subscriber);
                    self.post.send(self.place(), to, 0, Message::Event(row.clone()));
                }
            }
            Message::Marker { .. } => self.post.send(self.place(), from, 0, message),
            _ => {}
        }
    }

    /// What has not passed of a topic whose newest message is this one.
    pub fn lacks(&self, topic: &Topic, newest: u64) -> Vec<u64> {
        let none = BTreeSet::new();
        let passed = self.passed.get(topic).unwrap_or(&none);
        (1..=newest).filter(|seq| !passed.contains(seq)).collect()
    }

    /// Whether every message of a topic, up to this one, has passed.
    pub fn passed_all(&self, topic: &Topic, newest: u64) -> bool {
        self.passed.get(topic).map_or(0, |passed| passed.len() as u64) == newest
    }
}
