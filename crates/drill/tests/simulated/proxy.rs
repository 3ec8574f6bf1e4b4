//! A proxy: passes on what it gets, and dies now and then with all that is on its way.

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

pub struct Proxy {
    number: u32,
    dice: SmallRng,
    dies_at_ms: u64,
    /// What passed it, in all its lives.
    passed: BTreeMap<Topic, BTreeSet<u64>>,
    post: Post,
}

impl Proxy {
    pub fn new(seed: u64, number: u32, post: Post) -> Proxy {
        let mut dice = dice(seed, ("proxy", number));
        let dies_at_ms = dice.random_range(LIFE_MS);
        Proxy { number, dice, dies_at_ms, passed: BTreeMap::new(), post }
    }

    fn place(&self) -> Place {
        Place::Proxy(self.number)
    }

    /// Whether it dies now; it is back at once.
    pub fn dies(&mut self, now_ms: u64) -> bool {
        let dies = self.dies_at_ms <= now_ms;
        if dies {
            self.dies_at_ms = now_ms + self.dice.random_range(LIFE_MS);
        }
        dies
    }

    /// Something arrives from a server.
    pub fn take(&mut self, from: Place, message: Message) {
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

    /// Whether every message of a topic, up to this one, has passed.
    pub fn passed_all(&self, topic: &Topic, newest: u64) -> bool {
        self.passed.get(topic).map_or(0, |passed| passed.len() as u64) == newest
    }
}
