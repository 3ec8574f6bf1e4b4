//! Sockets joined frame by frame: the plain broker and the proxy.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;

use bytes::Bytes;
use omq_tokio::{MonitorEvent, MonitorRecvError, Proxy, Socket, SocketType, TrySendError};

use crate::OpenError;
use crate::options::{self, Io};

/// How many topics one subscriber may ask for.
pub const MAX_SUBSCRIPTIONS: usize = 4096;
/// How long a topic that is asked for may be; names have 64 characters.
pub const MAX_TOPIC_BYTES: usize = 1024;
/// How many events are taken at once.
const EVENT_BATCH: usize = 256;

/// The literal ROUTER–DEALER pump between clients and servers, until `shutdown` ends.
pub struct PlainPump {
    front: Socket,
    back: Socket,
    endpoints: [String; 2],
}

impl PlainPump {
    /// Binds a ROUTER for clients at `front` and a DEALER for servers at `back`.
    pub async fn bind(front: &str, back: &str) -> Result<PlainPump, OpenError> {
        let router = options::open(Io::Threads, SocketType::Router, options::pump())?;
        let dealer = options::open(Io::Threads, SocketType::Dealer, options::pump())?;
        let endpoints = [options::bind(&router, front).await?, options::bind(&dealer, back).await?];
        Ok(PlainPump { front: router, back: dealer, endpoints })
    }

    /// Where clients and servers connect, with the real ports.
    pub fn endpoints(&self) -> [&str; 2] {
        [&self.endpoints[0], &self.endpoints[1]]
    }

    /// Who is connected, to be asked while it runs.
    pub fn connections(&self) -> Connections {
        Connections { sources: self.back.clone(), sinks: self.front.clone() }
    }

    /// Passes messages both ways until `shutdown` ends.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let pump = Proxy::new(self.front.clone(), self.back.clone()).run();
        tokio::select! {
            ended = pump => tracing::warn!(?ended, "the pump stopped by itself"),
            () = shutdown => {}
        }
        release(self.front, &self.endpoints[0]).await;
        release(self.back, &self.endpoints[1]).await;
    }
}

/// Who is connected to two joined sockets.
pub struct Connections {
    sources: Socket,
    sinks: Socket,
}

impl Connections {
    /// How many servers are connected: publishers, or those who answer.
    pub fn servers(&self) -> usize {
        self.sources.ready_peer_count()
    }

    /// How many clients are connected: subscribers, or those who ask.
    pub fn clients(&self) -> usize {
        self.sinks.ready_peer_count()
    }
}

/// The proxy: events from publishers (XSUB) to subscribers (XPUB).
///
/// It asks publishers for everything and filters towards subscribers itself: so whatever
/// subscribers ask for costs the servers nothing, and a publisher knows by the one subscription
/// that its events are heard.
pub struct EventProxy {
    publishers: Socket,
    subscribers: Socket,
    endpoints: [String; 2],
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
        Ok(EventProxy { publishers: xsub, subscribers: xpub, endpoints })
    }

    /// Where publishers and subscribers connect, with the real ports.
    pub fn endpoints(&self) -> [&str; 2] {
        [&self.endpoints[0], &self.endpoints[1]]
    }

    /// Who is connected, to be asked while it runs.
    pub fn connections(&self) -> Connections {
        Connections { sources: self.publishers.clone(), sinks: self.subscribers.clone() }
    }
}

impl EventProxy {
    /// Passes events on until `shutdown` ends.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        let pass = pass_events(&self.publishers, &self.subscribers);
        tokio::select! {
            () = pass => tracing::warn!("the proxy's sockets closed by themselves"),
            () = drain(&self.subscribers) => {}
            () = limit_subscriptions(&self.subscribers) => {}
            () = &mut shutdown => {}
        }
        release(self.publishers, &self.endpoints[0]).await;
        release(self.subscribers, &self.endpoints[1]).await;
    }
}

/// Passes `[topic, body]` on. When the thread that writes to subscribers can't keep up we wait
/// for it, and the publishers for us; a subscriber that does not read loses its own events only.
async fn pass_events(publishers: &Socket, subscribers: &Socket) {
    let mut batch = Vec::with_capacity(EVENT_BATCH);
    while publishers.recv_many_into(EVENT_BATCH, &mut batch).await.is_ok() {
        for mut event in batch.drain(..) {
            let topic_bytes = event.part_slice(0).map_or(0, <[u8]>::len);
            if event.len() != 2 || topic_bytes > MAX_TOPIC_BYTES {
                continue;
            }
            loop {
                match subscribers.try_send(event) {
                    Ok(()) => break,
                    Err(TrySendError::Full(returned)) => event = returned,
                    Err(TrySendError::Closed) => return,
                    Err(TrySendError::Error(error)) => {
                        tracing::debug!(%error, "an event is dropped");
                        break;
                    }
                }
                subscribers.wait_send_ready().await;
            }
        }
        // Under load there is always a next batch, and the others on this thread get no turn.
        tokio::task::yield_now().await;
    }
}

/// Takes the notices of subscriptions, which nobody needs, off the socket.
async fn drain(subscribers: &Socket) {
    let mut notices = Vec::new();
    while subscribers.recv_many_into(EVENT_BATCH, &mut notices).await.is_ok() {
        notices.clear();
    }
}

/// Disconnects whoever asks for more topics than anybody needs.
async fn limit_subscriptions(subscribers: &Socket) {
    while let Ok((mut monitor, peers)) = subscribers.monitor_with_subscriptions().await {
        let mut counts: HashMap<u64, usize> =
            peers.into_iter().map(|peer| (peer.peer.connection_id, peer.prefixes.len())).collect();
        let over = counts.iter().filter(|(_, count)| **count > MAX_SUBSCRIPTIONS);
        for connection in over.map(|(&connection, _)| connection).collect::<Vec<_>>() {
            refuse(subscribers, connection).await;
        }
        loop {
            match monitor.recv().await {
                Ok(MonitorEvent::SubscribeReceived { connection_id, .. }) => {
                    let count = counts.entry(connection_id).or_default();
                    *count += 1;
                    if *count > MAX_SUBSCRIPTIONS {
                        counts.remove(&connection_id);
                        refuse(subscribers, connection_id).await;
                    }
                }
                Ok(MonitorEvent::UnsubscribeReceived { connection_id, .. }) => {
                    if let Some(count) = counts.get_mut(&connection_id) {
                        *count = count.saturating_sub(1);
                    }
                }
                Ok(MonitorEvent::Disconnected { peer, .. }) => {
                    counts.remove(&peer.connection_id);
                }
                Ok(_) => {}
                // Count anew from what the socket knows.
                Err(MonitorRecvError::Lagged(_)) => break,
                Err(_) => return,
            }
        }
    }
}

/// Closes the connection of a subscriber that asks for too much.
async fn refuse(subscribers: &Socket, connection: u64) {
    tracing::warn!(connection, "a subscriber with too many topics is disconnected");
    // Fails only when it is gone already.
    let _ = subscribers.disconnect_peer(connection).await;
}

/// Closes a bound socket; its port is free afterwards.
async fn release(socket: Socket, endpoint: &str) {
    if let Ok(endpoint) = options::check(endpoint) {
        // Fails only when it is closed already.
        let _ = socket.unbind(endpoint).await;
    }
    let _ = socket.close().await;
}
