//! The task that owns a subscription: proxy, topics, and what waits to be delivered.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use recado_protocol::codec::decode_event;
use recado_protocol::{Code, Event, HistoryReply, Record};
use recado_transport::Subscriber;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{debug, warn};

use super::inlet::Inlet;
use super::topic::{Kind, Topic};
use super::{ClientEvent, Command, JoinResult, MAX_WAITING_EVENTS, StartAt};
use crate::error::ClientError;
use crate::session::Client;

/// How often silent topics and the connection are looked at.
const TICK: Duration = Duration::from_millis(200);

/// How many pages of history are asked for at a time.
const MAX_FETCHES: usize = 8;

/// After a fetch that failed, the next one of that topic.
const FETCH_AGAIN: Duration = Duration::from_secs(1);

/// How long the first connection to the proxy may take before it counts as lost.
const FIRST_CONNECTION: Duration = Duration::from_secs(2);

/// Starts the worker; it ends when its commands or its receiver are gone.
pub(super) fn spawn(
    client: Client,
    subscriber: Subscriber,
    commands: mpsc::Receiver<Command>,
    out: mpsc::Sender<ClientEvent>,
) {
    let subscriber = Arc::new(subscriber);
    let inlet = Inlet::start(subscriber.clone());
    let worker = Worker {
        client,
        subscriber,
        topics: HashMap::new(),
        joinings: 0,
        to_fetch: VecDeque::new(),
        fetches: JoinSet::new(),
        outbox: VecDeque::new(),
        proxy: Proxy::Unseen { since: Instant::now() },
        connections: 0,
    };
    tokio::spawn(worker.run(commands, inlet, out));
}

/// What is known of the connection to the proxy.
#[derive(Clone, Copy)]
enum Proxy {
    Unseen { since: Instant },
    Up,
    Lost,
}

struct Fetched {
    name: String,
    joining: u64,
    after: Option<u64>,
    page: Result<HistoryReply, ClientError>,
}

struct Worker {
    client: Client,
    subscriber: Arc<Subscriber>,
    topics: HashMap<String, Topic>,
    joinings: u64,
    to_fetch: VecDeque<String>,
    fetches: JoinSet<Fetched>,
    outbox: VecDeque<ClientEvent>,
    proxy: Proxy,
    /// Changes whenever the connection to the proxy comes or goes.
    connections: u64,
}

impl Worker {
    async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        mut inlet: Inlet,
        out: mpsc::Sender<ClientEvent>,
    ) {
        self.subscriber.subscribe(Event::SERVERS_TOPIC.as_bytes()).await;
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // A slow reader holds up the history, never the commands; the proxy it loses.
            let room = self.outbox.len() < MAX_WAITING_EVENTS;
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.obey(command).await,
                    None => break,
                },
                permit = out.reserve(), if !self.outbox.is_empty() => match permit {
                    Ok(permit) => {
                        if let Some(event) = self.outbox.pop_front() {
                            permit.send(event);
                        }
                    }
                    Err(_) => break,
                },
                () = out.closed() => break,
                Some((topic, body)) = inlet.next(), if room => self.take_event(&topic, &body),
                Some(fetched) = self.fetches.join_next(), if room => match fetched {
                    Ok(fetched) => self.take_page(fetched).await,
                    Err(error) => warn!(%error, "a fetch ended early"),
                },
                _ = tick.tick() => self.look_around(&inlet),
            }
            self.start_fetches();
        }
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Join { name, kind, start, done } => self.join(name, kind, start, done).await,
            Command::Leave { name, done } => {
                let left = self.topics.remove(&name).is_some();
                if left {
                    self.unsubscribe(&name).await;
                }
                // Whoever asked may have gone.
                let _ = done.send(left);
            }
        }
    }

    async fn join(
        &mut self,
        name: String,
        kind: Kind,
        start: StartAt,
        done: oneshot::Sender<JoinResult>,
    ) {
        if let Some(topic) = self.topics.get_mut(&name)
            && topic.kind == kind
        {
            if topic.starting() {
                topic.waiting.push(done);
            } else {
                let _ = done.send(Ok(()));
            }
            return;
        }
        // Subscribed first: what is stored between this and the history's answer comes by the
        // proxy, what was stored before is in the answer.
        self.subscriber.subscribe(name.as_bytes()).await;
        self.joinings += 1;
        let mut topic = Topic::new(name.clone(), kind, self.joinings, start);
        topic.waiting.push(done);
        topic.fetching = true;
        self.to_fetch.push_back(name.clone());
        self.topics.insert(name, topic);
    }

    async fn unsubscribe(&self, name: &str) {
        if name != Event::SERVERS_TOPIC {
            self.subscriber.unsubscribe(name.as_bytes()).await;
        }
    }

    fn take_event(&mut self, topic_frame: &[u8], body: &[u8]) {
        let Ok(name) = std::str::from_utf8(topic_frame) else { return };
        // Subscriptions match by prefix: `gen` also brings `general`.
        let joined = self.topics.contains_key(name);
        if !joined && name != Event::SERVERS_TOPIC {
            return;
        }
        let event = match decode_event(topic_frame, body) {
            Ok(event) => event,
            Err(error) => {
                debug!(%error, topic = name, "an event can't be read");
                return;
            }
        };
        if let Event::Election { coordinator, clock, .. } = event {
            if name == Event::SERVERS_TOPIC {
                self.client.clock().observe(clock);
                self.outbox.push_back(ClientEvent::Election { coordinator });
            }
            return;
        }
        let Some(topic) = self.topics.get_mut(name) else { return };
        let Some(record) = topic.accepts(event) else { return };
        self.client.clock().observe(record.clock);
        let ready = topic.offer(record);
        topic.heard(Instant::now());
        if topic.behind() && !topic.fetching {
            topic.fetching = true;
            self.to_fetch.push_back(name.to_owned());
        }
        self.deliver(ready);
    }

    async fn take_page(&mut self, fetched: Fetched) {
        let Fetched { name, joining, after, page } = fetched;
        let Some(topic) = self.topics.get_mut(&name).filter(|topic| topic.joining == joining)
        else {
            return;
        };
        topic.fetching = false;
        topic.heard(Instant::now());
        let page = match page {
            Ok(page) => page,
            Err(error) => return self.fetch_failed(&name, error).await,
        };
        if let Some(newest) = page.messages.last() {
            self.client.clock().observe(newest.clock);
        }
        let merged = topic.merge(after, page);
        for done in topic.waiting.drain(..) {
            let _ = done.send(Ok(()));
        }
        if topic.behind() {
            if merged.records.is_empty() {
                // Nothing new though something is missing: not again at once.
                topic.check_at = Instant::now() + FETCH_AGAIN;
            } else {
                topic.fetching = true;
                self.to_fetch.push_back(name.clone());
            }
        }
        self.deliver(merged.records);
        if merged.filled > 0 {
            let count = merged.filled;
            self.outbox.push_back(ClientEvent::GapFilled { topic: name, count });
        }
    }

    async fn fetch_failed(&mut self, name: &str, error: ClientError) {
        let Some(topic) = self.topics.get_mut(name) else { return };
        // Standard servers know no history, and say so each in its own words; ours name the
        // channel or user that is missing.
        let no_history =
            matches!(error.code(), Some(Code::UnknownService | Code::Malformed | Code::Refused));
        if no_history {
            let early = topic.go_bare();
            for done in topic.waiting.drain(..) {
                let _ = done.send(Ok(()));
            }
            return self.deliver(early);
        }
        if !topic.starting() {
            debug!(%error, topic = name, "the history can't be read now");
            topic.check_at = Instant::now() + FETCH_AGAIN;
            return;
        }
        let waiting = std::mem::take(&mut topic.waiting);
        self.topics.remove(name);
        self.unsubscribe(name).await;
        let mut error = Some(error);
        for done in waiting {
            let answer =
                error.take().unwrap_or(ClientError::Unavailable { waited_ms: 0, why: None });
            let _ = done.send(Err(answer));
        }
    }

    /// Notices what sends no event: a proxy that went or came, and topics that are silent.
    fn look_around(&mut self, inlet: &Inlet) {
        let now = Instant::now();
        let connected = self.subscriber.connected();
        match self.proxy {
            Proxy::Unseen { .. } if connected => self.proxy = Proxy::Up,
            Proxy::Unseen { since } if now - since > FIRST_CONNECTION => self.proxy_lost(),
            Proxy::Up if !connected => self.proxy_lost(),
            Proxy::Lost if connected => {
                self.proxy = Proxy::Up;
                self.outbox.push_back(ClientEvent::ProxyBack);
            }
            Proxy::Unseen { .. } | Proxy::Up | Proxy::Lost => {}
        }
        // Also a connection that was gone only between two looks may have missed something.
        let connections = self.subscriber.generation();
        if connections != self.connections || inlet.left_out() {
            self.connections = connections;
            self.topics.values_mut().for_each(|topic| topic.resettle(now));
        }
        for (name, topic) in &mut self.topics {
            if topic.check_at <= now && !topic.fetching && !topic.bare() {
                topic.fetching = true;
                self.to_fetch.push_back(name.clone());
            }
        }
    }

    fn proxy_lost(&mut self) {
        self.proxy = Proxy::Lost;
        self.outbox.push_back(ClientEvent::ProxyLost);
    }

    fn start_fetches(&mut self) {
        while self.fetches.len() < MAX_FETCHES {
            let Some(name) = self.to_fetch.pop_front() else { return };
            let Some(topic) = self.topics.get(&name) else { continue };
            let (joining, query) = (topic.joining, topic.query());
            let after = query.after;
            let client = self.client.clone();
            self.fetches.spawn(async move {
                let page = client.history(query).await;
                Fetched { name, joining, after, page }
            });
        }
    }

    fn deliver(&mut self, records: Vec<Record>) {
        self.outbox.extend(records.into_iter().map(ClientEvent::Message));
    }
}
