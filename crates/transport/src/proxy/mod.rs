//! The proxy: events from publishers (XSUB) to subscribers (XPUB).

mod recall;
mod roster;
mod watcher;

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use omq_tokio::{Message, Socket, SocketType, TrySendError};
use recado_protocol::codec::{self, Stamp};
use recado_protocol::marker::{OWN_TOPICS, PROXY_BACK_TOPIC, PROXY_FACTS_TOPIC, ProxyFacts};
use tokio::time::{Instant, sleep, sleep_until};

use crate::OpenError;
use crate::metrics::ProxyMetrics;
use crate::options::{self, Io};
use crate::pump::{Connections, release};
use roster::Roster;
use watcher::Shared;

/// How many topics one subscriber may ask for.
pub const MAX_SUBSCRIPTIONS: usize = 4096;
/// How long a topic that is asked for may be; names have 64 characters.
pub const MAX_TOPIC_BYTES: usize = 1024;
/// How many events are taken at once.
const EVENT_BATCH: usize = 256;
/// How often the proxy tells of itself while somebody listens.
const FACTS_INTERVAL: Duration = Duration::from_secs(5);
/// How long it waits for more listeners before it tells them.
const FACTS_DELAY: Duration = Duration::from_millis(50);

/// The proxy: events from publishers (XSUB) to subscribers (XPUB).
///
/// It asks publishers for everything and filters towards subscribers itself: so whatever
/// subscribers ask for costs the servers nothing, and a publisher knows by the one subscription
/// that its events are heard.
pub struct EventProxy {
    publishers: Socket,
    subscribers: Socket,
    endpoints: [String; 2],
    started: Instant,
    http: Option<String>,
    shared: Shared,
    roster: Roster,
    metrics: ProxyMetrics,
}

impl EventProxy {
    /// Binds an XSUB at `publishers` and an XPUB at `subscribers`.
    pub async fn bind(publishers: &str, subscribers: &str) -> Result<EventProxy, OpenError> {
        let xsub = options::open(Io::Threads, SocketType::XSub, options::xsub())?;
        let xpub = options::open(Io::Threads, SocketType::XPub, options::xpub())?;
        xsub.subscribe(Bytes::new())
            .await
            .map_err(|error| options::unusable(publishers, &error))?;
        let endpoints =
            [options::bind(&xsub, publishers).await?, options::bind(&xpub, subscribers).await?];
        Ok(EventProxy {
            publishers: xsub,
            subscribers: xpub,
            endpoints,
            started: Instant::now(),
            http: None,
            shared: Shared::default(),
            roster: Roster::default(),
            metrics: ProxyMetrics::default(),
        })
    }

    /// With these metrics in place of some that nobody sees.
    pub fn measured(self, metrics: ProxyMetrics) -> EventProxy {
        EventProxy { metrics, ..self }
    }

    /// Tells servers that the proxy serves HTTP there (`host:port`), if it does.
    pub fn with_http(self, http: Option<String>) -> EventProxy {
        EventProxy { http, ..self }
    }

    /// Where publishers and subscribers connect, with the real ports.
    pub fn endpoints(&self) -> [&str; 2] {
        [&self.endpoints[0], &self.endpoints[1]]
    }

    /// Who is connected, to be asked while it runs.
    pub fn connections(&self) -> Connections {
        Connections::of(&self.publishers, &self.subscribers)
    }

    /// Passes events on until `shutdown` ends.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        tokio::select! {
            () = self.pass_events() => tracing::warn!("the proxy's sockets closed by themselves"),
            () = drain(&self.subscribers) => {}
            () = watcher::watch(&self.subscribers, &self.shared, &self.metrics) => {}
            () = roster::follow(&self.publishers, &self.roster, &self.shared.news) => {}
            () = self.tell_facts() => {}
            () = &mut shutdown => {}
        }
        release(self.publishers, &self.endpoints[0]).await;
        release(self.subscribers, &self.endpoints[1]).await;
    }

    /// Passes `[topic, body]` on, and again what some came too late for.
    async fn pass_events(&self) {
        let mut batch = Vec::with_capacity(EVENT_BATCH);
        loop {
            let due = self.shared.recall().due_ms();
            let due = due.map(|due_ms| self.started + Duration::from_millis(due_ms));
            tokio::select! {
                received = self.publishers.recv_many_into(EVENT_BATCH, &mut batch) => {
                    if received.is_err() {
                        return;
                    }
                }
                () = sleep_until(due.unwrap_or(self.started)), if due.is_some() => {}
            }
            for event in batch.drain(..) {
                if !self.pass(event).await {
                    return;
                }
            }
            let again = self.shared.recall().again(self.now_ms());
            if !again.is_empty() {
                tracing::info!(events = again.len(), "events pass again for late subscribers");
            }
            for (topic, body) in again {
                if !put(&self.subscribers, Message::multipart([topic, body]), &self.metrics).await {
                    return;
                }
            }
            // Under load there is always a next batch, and the others on this thread get no turn.
            tokio::task::yield_now().await;
        }
    }

    /// Passes an event on; false when the socket is closed.
    async fn pass(&self, event: Message) -> bool {
        let (2, Some(topic), Some(body)) = (event.len(), event.part_slice(0), event.part_slice(1))
        else {
            self.metrics.malformed_events.inc();
            return true;
        };
        if topic == PROXY_BACK_TOPIC {
            let hold_ms = self.shared.recall().begin(self.now_ms());
            sleep(Duration::from_millis(hold_ms)).await;
            return true;
        }
        if topic.len() > MAX_TOPIC_BYTES {
            self.metrics.malformed_events.inc();
            return true;
        }
        if topic.first() != Some(&OWN_TOPICS) {
            self.shared.recall().passed(topic, body);
            self.metrics.events.inc();
            self.metrics.event_bytes.inc_by((topic.len() + body.len()) as u64);
        }
        put(&self.subscribers, event, &self.metrics).await
    }

    /// Tells of the proxy whenever somebody begins to listen or a publisher comes or goes, and now
    /// and then while anybody listens.
    async fn tell_facts(&self) {
        loop {
            let listened = self.shared.listeners.load(Relaxed) > 0;
            tokio::select! {
                () = self.shared.news.notified() => {}
                () = sleep(FACTS_INTERVAL), if listened => {}
            }
            sleep(FACTS_DELAY).await;
            if self.shared.listeners.load(Relaxed) == 0 {
                continue;
            }
            let facts = ProxyFacts {
                pid: std::process::id(),
                http: self.http.clone(),
                uptime_ms: self.now_ms(),
                publishers: self.publishers.ready_peer_count() as u64,
                subscribers: self.subscribers.ready_peer_count() as u64,
                servers: self.roster.servers(),
            };
            let topic = Bytes::from_static(PROXY_FACTS_TOPIC);
            let body = codec::encode_proxy_facts(&facts, stamp());
            if !put(&self.subscribers, Message::multipart([topic, body]), &self.metrics).await {
                return;
            }
        }
    }

    /// Time since the start, ms.
    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Sends to subscribers; false when the socket is closed. When the thread that writes to them
/// can't keep up we wait for it, and the publishers for us; a subscriber that does not read loses
/// its own events only.
async fn put(subscribers: &Socket, mut event: Message, metrics: &ProxyMetrics) -> bool {
    loop {
        match subscribers.try_send(event) {
            Ok(()) => return true,
            Err(TrySendError::Full(returned)) => event = returned,
            Err(TrySendError::Closed) => return false,
            Err(TrySendError::Error(error)) => {
                tracing::debug!(%error, "an event is dropped");
                return true;
            }
        }
        metrics.waits.inc();
        subscribers.wait_send_ready().await;
    }
}

/// A proxy counts nothing: its clock stays at 0. A clock before 1970 is stamped as 1970.
fn stamp() -> Stamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Stamp { timestamp: u64::try_from(since.as_millis()).unwrap_or(u64::MAX), clock: 0 }
}

/// Takes the notices of subscriptions, which nobody needs, off the socket.
async fn drain(subscribers: &Socket) {
    let mut notices = Vec::new();
    while subscribers.recv_many_into(EVENT_BATCH, &mut notices).await.is_ok() {
        notices.clear();
    }
}
