//! Histories of a chat that keeps its promises: each thing takes effect at one moment between its
//! beginning and its end.

use crate::history::{
    Ack, Active, Delivery, End, Fault, FinalRow, Folder, Gap, History, Led, Name, Outcome, Ranked,
    Read, RequestId, Row, Source, State, Subscription, Topic,
};

/// So far apart are the moments at which things take effect, µs.
pub const STEP_US: u64 = 100;

/// A chat that records itself.
pub struct Model {
    pub history: History,
    pub topics: Vec<Topic>,
    now_us: u64,
    messages: u64,
}

/// How an attempt fares.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    Acked,
    /// The answer is lost, but it is stored.
    Lost,
    /// It never arrives.
    Never,
    /// It is refused.
    Refused,
    /// Its first answer is lost, its repeat is answered.
    Repeated,
}

fn name(text: &str) -> Name {
    text.into()
}

impl Model {
    /// Two channels and two inboxes, with a subscriber each, and an empty end.
    pub fn new() -> Model {
        let topics = vec![
            Topic::channel("geral"),
            Topic::channel("jogos"),
            Topic::inbox("ana"),
            Topic::inbox("bia"),
        ];
        let mut history = History::default();
        let mut end = End::default();
        for (number, topic) in topics.iter().enumerate() {
            end.topics.insert(topic.clone(), Vec::new());
            history.subscriptions.push(Subscription {
                subscriber: number as u32,
                topic: topic.clone(),
                from_us: 0,
                to_us: None,
                settled: true,
            });
        }
        for (number, server) in ["s1", "s2", "s3"].into_iter().enumerate() {
            let (server, number) = (name(server), number as u64);
            history.ranks.push(Ranked {
                rank: number + 1,
                name: server.clone(),
                boot: number + 10,
                at_us: 0,
            });
            history.folders.push(Folder { server: server.clone(), node: number + 100, at_us: 0 });
            history.active.push(Active { server: server.clone(), from_us: 0, to_us: u64::MAX });
            end.states.push(State { server, position: 50, hash: [7; 32], active: true });
        }
        history.led.push(Led { server: name("s1"), node: 100, term: 1, at_us: 10 });
        history.led.push(Led { server: name("s2"), node: 101, term: 2, at_us: 900 });
        history.faults.push(Fault {
            kind: name("kill primary"),
            target: name("s1"),
            from_us: 500,
            to_us: None,
        });
        history.end = Some(end);
        Model { history, topics, now_us: 1000, messages: 0 }
    }

    /// A message to the topic of this number; its edges are up to `wide_us` away from its moment.
    pub fn write(&mut self, topic: usize, fate: Fate, wide_us: u64) {
        self.now_us += STEP_US;
        self.messages += 1;
        let topic = self.topics[topic].clone();
        let text: Name = format!("m{}", self.messages).into();
        let from = name(if self.messages.is_multiple_of(2) { "ana" } else { "caio" });
        let id = RequestId { session: 1, n: self.messages };
        let message = (topic.clone(), from.clone(), text.clone());
        let client = (self.messages % 3) as u32;
        let (from_us, to_us) = (self.now_us - wide_us, self.now_us + wide_us);
        let write = self.history.send(client, Some(id), message, from_us);
        match fate {
            Fate::Never => return,
            Fate::Refused => {
                let code = name("unavailable");
                return self.history.ended(write, Outcome::Refused { at_us: to_us, code });
            }
            Fate::Acked | Fate::Lost | Fate::Repeated => {}
        }
        let row = Row { seq: self.newest(&topic) + 1, from, text };
        if matches!(fate, Fate::Repeated) {
            self.history.send_again(write, self.now_us);
        }
        let message_id = [self.messages.to_le_bytes(); 2].concat().try_into().unwrap();
        if !matches!(fate, Fate::Lost) {
            let ack = Ack {
                at_us: to_us,
                seq: row.seq,
                message_id: Some(message_id),
                stored: 3,
                members: 3,
            };
            self.history.ended(write, Outcome::Acked(ack));
        }
        self.publish(&topic, &row);
        let end = self.history.end.as_mut().unwrap();
        let rows = end.topics.get_mut(&topic).unwrap();
        rows.push(FinalRow { row, message_id, timestamp_ms: self.now_us / 1000 });
        end.at_us = self.now_us + 10_000;
    }

    /// Every third message misses its subscriber, which finds it in the history; every fourth
    /// comes twice.
    fn publish(&mut self, topic: &Topic, row: &Row) {
        let missed = self.messages.is_multiple_of(3);
        let subscriber = self.topics.iter().position(|t| t == topic).unwrap() as u32;
        let delivery = Delivery {
            subscriber,
            topic: topic.clone(),
            frame: (!missed).then(|| topic.name().clone()),
            row: row.clone(),
            at_us: self.now_us + 20,
            source: if missed { Source::Filled } else { Source::Live },
        };
        if missed {
            self.history.gaps.push(Gap {
                subscriber,
                topic: topic.clone(),
                messages: 1,
                seen_at_us: self.now_us + 10,
                filled_at_us: Some(self.now_us + 20),
            });
        }
        if self.messages.is_multiple_of(4) {
            self.history.deliveries.push(delivery.clone());
        }
        self.history.deliveries.push(delivery);
    }

    /// A page of the topic of this number.
    pub fn read(&mut self, topic: usize, after: Option<u64>, limit: usize, wide_us: u64) {
        self.now_us += STEP_US;
        let topic = self.topics[topic].clone();
        let stored = &self.history.end.as_ref().unwrap().topics[&topic];
        let first = match after {
            Some(after) => (after as usize).min(stored.len()),
            None => stored.len().saturating_sub(limit),
        };
        let rows = stored[first..].iter().take(limit).map(|row| row.row.clone()).collect();
        self.history.reads.push(Read {
            client: 9,
            server: Some(name("s3")),
            newest: stored.len() as u64,
            topic,
            with: None,
            after,
            before: None,
            sent_at_us: self.now_us - wide_us,
            got_at_us: self.now_us + wide_us,
            rows,
        });
    }

    /// What the two users wrote to each other.
    pub fn talk(&mut self, user: &str, with: &str) {
        self.now_us += STEP_US;
        let mut rows = Vec::new();
        for (to, from) in [(user, with), (with, user)] {
            let inbox = self.history.end.as_ref().unwrap().topics.get(&Topic::inbox(to));
            let theirs = inbox.into_iter().flatten().filter(|row| &*row.row.from == from);
            rows.extend(theirs.map(|row| row.row.clone()));
        }
        self.history.reads.push(Read {
            client: 8,
            server: None,
            topic: Topic::inbox(user),
            with: Some(name(with)),
            after: None,
            before: None,
            sent_at_us: self.now_us,
            got_at_us: self.now_us,
            rows,
            newest: 1000,
        });
    }

    fn newest(&self, topic: &Topic) -> u64 {
        self.history.end.as_ref().unwrap().topics[topic].len() as u64
    }
}

/// A small history in which every promise is looked at, and held.
pub fn good() -> History {
    let mut model = Model::new();
    for fate in [Fate::Acked, Fate::Lost, Fate::Acked, Fate::Never, Fate::Repeated] {
        for topic in 0..model.topics.len() {
            model.write(topic, fate, 30);
            model.read(topic, None, 10, 30);
        }
    }
    model.write(0, Fate::Refused, 30);
    model.read(0, Some(1), 2, 30);
    model.talk("ana", "bia");
    model.history
}
