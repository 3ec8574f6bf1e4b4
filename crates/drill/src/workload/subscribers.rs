//! Clients that listen: for good, slowly, for a while, and one that hears every frame.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::RngExt;
use recado_client::{ClientError, ClientEvent, StartAt};
use recado_protocol::codec::decode_event;
use recado_protocol::{Event, Record};
use recado_transport::Subscriber;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Desk;
use super::readers::row;
use crate::history::{Delivery, Gap, Source, Subscription, Topic};

/// Between two subscribers that join in mid-stream.
const LATE_EVERY: Duration = Duration::from_secs(7);
/// How long such a one listens.
const LATE_STAYS: Duration = Duration::from_secs(12);
/// How many of them a fault brings at the most.
const MAX_LATE: usize = 64;
/// How often a slow subscriber looks whether it may read again.
const SLOW_LOOK: Duration = Duration::from_millis(50);
/// How many of the newest messages a late subscriber wants.
const NEWEST: usize = 50;

/// How far the subscribers that listen for good have come.
#[derive(Clone, Default)]
pub struct Positions(Arc<Mutex<BTreeMap<(u32, Topic), u64>>>);

impl Positions {
    fn note(&self, subscriber: u32, topic: &Topic, seq: u64) {
        let mut positions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let position = positions.entry((subscriber, topic.clone())).or_default();
        *position = seq.max(*position);
    }

    /// Who is not yet there, in words.
    pub fn lacking(&self, newest: &BTreeMap<Topic, u64>) -> Vec<String> {
        let positions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let behind = positions.iter().filter_map(|((subscriber, topic), has)| {
            let newest = newest.get(topic).copied().unwrap_or(0);
            (*has < newest)
                .then(|| format!("subscriber {subscriber} of {topic} has {has} of {newest}"))
        });
        behind.collect()
    }
}

/// One subscription by the library's client.
struct Listener {
    desk: Desk,
    subscriber: u32,
    topic: Topic,
    /// Stops reading when a fault wishes it.
    slow: bool,
    /// Where it notes how far it is, if it listens for good.
    positions: Option<Positions>,
}

/// Starts all of them.
pub(super) async fn start(
    desk: &Desk,
    positions: &Positions,
    tasks: &mut JoinSet<()>,
) -> Result<(), ClientError> {
    for topic in desk.topics.iter() {
        for slow in [false, true] {
            let listener = Listener {
                subscriber: desk.recorder.number(),
                desk: desk.clone(),
                topic: topic.clone(),
                slow,
                positions: Some(positions.clone()),
            };
            if !slow {
                desk.recorder.history().movers.insert(listener.subscriber);
            }
            let (events, kept) = listener.join(StartAt::After(0), true).await?;
            tasks.spawn(async move {
                listener.listen(events).await;
                drop(kept);
            });
        }
    }
    tasks.spawn(join_late(desk.clone()));
    for proxy in &desk.doors.proxies {
        let ear = Subscriber::connect(proxy).await?;
        ear.subscribe(b"").await;
        tasks.spawn(hear_everything(desk.clone(), ear));
    }
    Ok(())
}

impl Listener {
    async fn join(
        &self,
        start: StartAt,
        settled: bool,
    ) -> Result<(mpsc::Receiver<ClientEvent>, recado_client::Subscription), ClientError> {
        let client = self.desk.client().await?;
        let (subscription, events) = client.subscribe().await?;
        match &self.topic {
            Topic::Channel(name) => subscription.join(name, start).await?,
            Topic::Inbox(name) => subscription.open_inbox(name, start).await?,
        }
        if let Some(positions) = &self.positions {
            positions.note(self.subscriber, &self.topic, 0);
        }
        let began = Subscription {
            subscriber: self.subscriber,
            topic: self.topic.clone(),
            from_us: self.desk.recorder.now_us(),
            to_us: None,
            settled,
        };
        self.desk.recorder.history().subscriptions.push(began);
        Ok((events, subscription))
    }

    async fn listen(&self, mut events: mpsc::Receiver<ClientEvent>) {
        while let Some(event) = events.recv().await {
            while self.slow && self.desk.wishes.slow.load(Relaxed) {
                tokio::time::sleep(SLOW_LOOK).await;
            }
            match event {
                ClientEvent::Message(record) => self.take(&record),
                ClientEvent::GapFilled { count, .. } => self.take_gap(count),
                ClientEvent::Election { .. } | ClientEvent::ProxyLost | ClientEvent::ProxyBack => {}
            }
        }
    }

    fn take(&self, record: &Record) {
        self.desk.recorder.delivered();
        if let Some(positions) = &self.positions {
            positions.note(self.subscriber, &self.topic, record.seq);
        }
        // The library does not tell under which frame a message came.
        note(&self.desk, self.subscriber, None, record);
    }

    fn take_gap(&self, count: usize) {
        let messages = u64::try_from(count).unwrap_or(u64::MAX);
        self.desk.recorder.filled(messages);
        let now = self.desk.recorder.now_us();
        let gap = Gap {
            subscriber: self.subscriber,
            topic: self.topic.clone(),
            messages,
            seen_at_us: now,
            filled_at_us: Some(now),
        };
        self.desk.recorder.history().gaps.push(gap);
    }
}

/// A delivery as it is kept.
fn note(desk: &Desk, subscriber: u32, frame: Option<&str>, record: &Record) {
    let to = record.to.as_str();
    let delivery = Delivery {
        subscriber,
        topic: if record.private { Topic::inbox(to) } else { Topic::channel(to) },
        frame: frame.map(Into::into),
        row: row(record),
        at_us: desk.recorder.now_us(),
        source: Source::Live,
    };
    desk.recorder.history().deliveries.push(delivery);
}

/// Lets subscribers join in mid-stream and leave again, one now and then, and more when a fault
/// wishes so.
async fn join_late(desk: Desk) {
    let mut rng = desk.rng(2000);
    let mut tasks = JoinSet::new();
    let mut next = tokio::time::Instant::now() + LATE_EVERY;
    loop {
        tokio::time::sleep(SLOW_LOOK).await;
        while tasks.try_join_next().is_some() {}
        let wished = desk.wishes.late.swap(0, Relaxed);
        let due = u64::from(tokio::time::Instant::now() >= next);
        if due > 0 {
            next += LATE_EVERY;
        }
        for _ in 0..wished + due {
            if tasks.len() >= MAX_LATE {
                break;
            }
            let topic = desk.pick(&mut rng).clone();
            let start = match rng.random_range(0..2) {
                0 => StartAt::Now,
                _ => StartAt::Newest(NEWEST),
            };
            tasks.spawn(stay_a_while(desk.clone(), topic, start));
        }
    }
}

async fn stay_a_while(desk: Desk, topic: Topic, start: StartAt) {
    let subscriber = desk.recorder.number();
    let listener = Listener { desk, subscriber, topic, slow: false, positions: None };
    // When nobody answers in time it never listened, and nothing is expected of it.
    let Ok((events, _kept)) = listener.join(start, false).await else { return };
    _ = tokio::time::timeout(LATE_STAYS, listener.listen(events)).await;
    let now = listener.desk.recorder.now_us();
    let mut history = listener.desk.recorder.history();
    let own = history.subscriptions.iter_mut().find(|s| s.subscriber == subscriber);
    if let Some(own) = own {
        own.to_us = Some(now);
    }
}

/// Takes every frame that one proxy sends, as it is: repeats, private messages, all topics.
async fn hear_everything(desk: Desk, ear: Subscriber) {
    let numbers: BTreeMap<Topic, u32> = {
        let mut history = desk.recorder.history();
        let number = |topic: &Topic| {
            let subscriber = desk.recorder.number();
            let began = Subscription {
                subscriber,
                topic: topic.clone(),
                from_us: desk.recorder.now_us(),
                to_us: None,
                // It fetches nothing, so it may lack what the proxy lost.
                settled: false,
            };
            history.subscriptions.push(began);
            (topic.clone(), subscriber)
        };
        desk.topics.iter().map(number).collect()
    };
    while let Some((frame, body)) = ear.receive().await {
        // Whatever the frame says: what came under a wrong one is looked for here.
        let names = desk.topics.iter().map(|topic| topic.name().as_bytes());
        let event = names.into_iter().find_map(|name| decode_event(name, &body).ok());
        let Some(Event::Publication(record) | Event::Private(record)) = event else { continue };
        let topic =
            if record.private { Topic::inbox(&record.to) } else { Topic::channel(&record.to) };
        desk.recorder.delivered();
        let subscriber = numbers.get(&topic).copied().unwrap_or(0);
        note(&desk, subscriber, Some(&String::from_utf8_lossy(&frame)), &record);
    }
}
