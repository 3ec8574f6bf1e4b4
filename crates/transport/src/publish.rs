//! Events out (PUB) and in (SUB), through the proxy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use omq_tokio::{Message, MonitorEvent, MonitorRecvError, Socket, SocketType};
use tokio::task::JoinHandle;

use crate::options::{self, Io};
use crate::{CallError, OpenError};

/// How long a publisher waits for the proxy's subscription after the connection stands. A proxy
/// without subscribers never sends one; then nobody misses anything.
const SUBSCRIPTION_GRACE: Duration = Duration::from_millis(500);

/// A PUB socket that is connected to the proxy. Clones share it.
#[derive(Clone)]
pub struct Publisher(Arc<Shared>);

struct Shared {
    socket: Socket,
    ready: Arc<AtomicBool>,
    watcher: JoinHandle<()>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

impl Publisher {
    /// Starts connecting, and reconnects for ever.
    pub async fn connect(endpoint: &str) -> Result<Publisher, OpenError> {
        let parsed = options::check(endpoint)?;
        let socket = options::open(Io::Caller, SocketType::Pub, options::publisher())?;
        let ready = Arc::new(AtomicBool::new(false));
        let watcher = tokio::spawn(watch_readiness(socket.clone(), ready.clone()));
        socket.connect(parsed).await.map_err(|error| options::unusable(endpoint, &error))?;
        Ok(Publisher(Arc::new(Shared { socket, ready, watcher })))
    }

    /// Whether the proxy is connected and has told what it wants. What is published before is
    /// lost.
    pub fn connected(&self) -> bool {
        self.0.ready.load(Relaxed)
    }

    /// Publishes; waits when the queue to the proxy is full. Fails with
    /// [`CallError::NotConnected`] when no proxy is there to take it.
    pub async fn publish(&self, topic: Bytes, body: Bytes) -> Result<(), CallError> {
        if !self.connected() {
            return Err(CallError::NotConnected);
        }
        let message = Message::multipart([topic, body]);
        self.0.socket.send(message).await.map_err(|_| CallError::Disconnected)
    }
}

/// Keeps `ready` true while a connection stands by which a subscription came.
async fn watch_readiness(socket: Socket, ready: Arc<AtomicBool>) {
    let Ok((mut monitor, _)) = socket.monitor_with_subscriptions().await else { return };
    let mut connected = false;
    loop {
        let waiting = connected && !ready.load(Relaxed);
        let event = tokio::select! {
            event = monitor.recv() => event,
            () = tokio::time::sleep(SUBSCRIPTION_GRACE), if waiting => {
                ready.store(true, Relaxed);
                continue;
            }
        };
        match event {
            Ok(MonitorEvent::HandshakeSucceeded { .. }) => connected = true,
            Ok(MonitorEvent::SubscribeReceived { .. }) => ready.store(connected, Relaxed),
            Ok(MonitorEvent::Disconnected { .. }) => {
                connected = false;
                ready.store(false, Relaxed);
            }
            Ok(_) => {}
            Err(MonitorRecvError::Lagged(_)) => {
                let Ok((renewed, peers)) = socket.monitor_with_subscriptions().await else {
                    return;
                };
                monitor = renewed;
                connected = !peers.is_empty();
                ready.store(peers.iter().any(|peer| !peer.prefixes.is_empty()), Relaxed);
            }
            Err(_) => return,
        }
    }
}

/// A SUB socket that is connected to the proxy.
pub struct Subscriber {
    socket: Socket,
}

impl Subscriber {
    /// Starts connecting, and reconnects for ever; subscriptions are renewed by themselves.
    pub async fn connect(endpoint: &str) -> Result<Subscriber, OpenError> {
        let parsed = options::check(endpoint)?;
        let socket = options::open(Io::Caller, SocketType::Sub, options::subscriber())?;
        socket.connect(parsed).await.map_err(|error| options::unusable(endpoint, &error))?;
        Ok(Subscriber { socket })
    }

    /// Subscribes to a topic (by prefix, as ZeroMQ does; whole-topic comparison is the caller's).
    pub async fn subscribe(&self, topic: &[u8]) {
        // Fails only when the socket is closed, which the next receive tells.
        let _ = self.socket.subscribe(Bytes::copy_from_slice(topic)).await;
    }

    /// Takes a subscription back.
    pub async fn unsubscribe(&self, topic: &[u8]) {
        let _ = self.socket.unsubscribe(Bytes::copy_from_slice(topic)).await;
    }

    /// Whether the proxy is connected.
    pub fn connected(&self) -> bool {
        self.socket.ready_peer_count() > 0
    }

    /// A number that changes whenever the connection comes or goes: who remembers it knows
    /// whether events may have been missed in between.
    pub fn generation(&self) -> u64 {
        self.socket.connections_generation()
    }

    /// Waits until [`Subscriber::generation`] is no longer `seen`; none when the socket is closed.
    pub async fn generation_changed(&self, seen: u64) -> Option<u64> {
        self.socket.connections_changed(seen).await.ok()
    }

    /// Waits until the proxy is connected, or the time is over.
    pub async fn wait_connected(&self, timeout: Duration) -> bool {
        self.socket.wait_connected(1, timeout).await.is_ok()
    }

    /// The next message's topic and body; none when the socket is closed. Messages of another
    /// shape are dropped. Dropping the future loses nothing.
    pub async fn receive(&self) -> Option<(Bytes, Bytes)> {
        loop {
            let message = self.socket.recv().await.ok()?;
            if let (2, Some(topic), Some(body)) =
                (message.len(), message.part_bytes(0), message.part_bytes(1))
            {
                return Some((topic, body));
            }
        }
    }
}
