//! How long one client waited that moves on when its broker or proxy is gone.
//!
//! While some clients use one broker and some the other, somebody is always answered: the gaps of
//! all clients together say nothing of those who had to move. So each of them is looked at for
//! itself, and after each fault the one that waited longest counts.

use std::collections::{BTreeMap, HashMap};

use super::gaps::{Gaps, Wait, between};
use crate::history::{History, Topic};

/// The waits of single clients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Movers {
    /// From one acknowledgement to the next of the same writer.
    pub writers: Gaps,
    /// From one message to the next of the same subscriber.
    pub subscribers: Gaps,
}

impl Movers {
    /// Measures the waits of a history's movers.
    pub fn of(history: &History) -> Movers {
        Movers {
            writers: Gaps::in_waits(history, &writers(history)),
            subscribers: Gaps::in_waits(history, &subscribers(history)),
        }
    }
}

/// Each writer's waits. The last one ends when its last message was sent, if that is later.
fn writers(history: &History) -> Vec<Vec<Wait>> {
    let mut clients: BTreeMap<u32, (Vec<u64>, u64)> = BTreeMap::new();
    for write in history.writes.iter().filter(|write| history.movers.contains(&write.client)) {
        let (acks, last_sent) = clients.entry(write.client).or_default();
        acks.extend(write.acks().map(|ack| ack.at_us));
        let sent = write.attempts.iter().map(|attempt| attempt.sent_at_us).max();
        *last_sent = sent.unwrap_or(0).max(*last_sent);
    }
    clients.into_values().map(|(acks, last_sent)| until(acks, last_sent)).collect()
}

/// Each subscriber's waits. The last one ends when the last message of its topic was acknowledged,
/// if that is later.
fn subscribers(history: &History) -> Vec<Vec<Wait>> {
    let mut newest: HashMap<&Topic, u64> = HashMap::new();
    for write in &history.writes {
        for ack in write.acks() {
            let at_us = newest.entry(&write.topic).or_default();
            *at_us = ack.at_us.max(*at_us);
        }
    }
    let movers = history.subscriptions.iter().filter(|s| history.movers.contains(&s.subscriber));
    let topics: BTreeMap<u32, &Topic> = movers.map(|s| (s.subscriber, &s.topic)).collect();
    let mut got: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
    for delivery in history.deliveries.iter().filter(|d| topics.contains_key(&d.subscriber)) {
        got.entry(delivery.subscriber).or_default().push(delivery.at_us);
    }
    got.into_iter()
        .map(|(subscriber, at)| {
            let last = topics.get(&subscriber).and_then(|topic| newest.get(topic));
            until(at, last.copied().unwrap_or(0))
        })
        .collect()
}

fn until(mut at: Vec<u64>, last_us: u64) -> Vec<Wait> {
    at.sort_unstable();
    if at.last().is_some_and(|last| *last < last_us) {
        at.push(last_us);
    }
    between(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Ack, Delivery, Fault, Name, Outcome, Row, Source, Subscription};

    const MS: u64 = 1000;

    fn geral() -> Topic {
        Topic::channel("geral")
    }

    /// A message every 10 ms; the client's are acknowledged at once, but not between those times.
    fn writes(history: &mut History, client: u32, silent_ms: (u64, u64)) {
        for at_ms in (0..5000).step_by(10) {
            let text: Name = format!("{client} {at_ms}").into();
            let write = history.send(client, None, (geral(), "ana".into(), text), at_ms * MS);
            if !(silent_ms.0..silent_ms.1).contains(&at_ms) {
                let ack =
                    Ack { at_us: at_ms * MS, seq: 1, message_id: None, stored: 1, members: 1 };
                history.ended(write, Outcome::Acked(ack));
            }
        }
    }

    fn subscriber(history: &mut History, subscriber: u32, got_ms: impl Iterator<Item = u64>) {
        history.subscriptions.push(Subscription {
            subscriber,
            topic: geral(),
            from_us: 0,
            to_us: None,
            settled: true,
        });
        history.deliveries.extend(got_ms.map(|at_ms| Delivery {
            subscriber,
            topic: geral(),
            frame: None,
            row: Row { seq: at_ms + 1, from: "ana".into(), text: "m".into() },
            at_us: at_ms * MS,
            source: Source::Live,
        }));
    }

    fn killed(history: &mut History, at_ms: u64) {
        let (kind, target) = ("kill-broker".into(), "broker".into());
        history.faults.push(Fault { kind, target, from_us: at_ms * MS, to_us: None });
    }

    #[test]
    fn the_one_who_had_to_move_counts_and_who_knows_one_broker_does_not() {
        let mut history = History::default();
        writes(&mut history, 1, (1000, 1600));
        writes(&mut history, 2, (3000, 3000));
        writes(&mut history, 3, (1000, 3000));
        history.movers = [1, 2].into();
        killed(&mut history, 1005);
        let writers = Movers::of(&history).writers;
        assert_eq!(writers.after[&Name::from("kill-broker")].max_us, 610 * MS);
        assert_eq!(writers.longest.map(Wait::us), Some(610 * MS));
        assert_eq!(Gaps::of(&history).longest.map(Wait::us), Some(10 * MS), "others were answered");
    }

    #[test]
    fn a_subscriber_that_hears_nothing_any_more_waits_until_the_end() {
        let mut history = History::default();
        writes(&mut history, 1, (0, 0));
        subscriber(&mut history, 7, (0..1000).step_by(10));
        subscriber(&mut history, 8, (0..5000).step_by(10));
        history.movers = [7, 8].into();
        killed(&mut history, 995);
        let subscribers = Movers::of(&history).subscribers;
        assert_eq!(subscribers.after[&Name::from("kill-broker")].max_us, 4000 * MS);
    }
}
