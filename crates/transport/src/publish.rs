//! Events out (PUB), to a proxy.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use omq_tokio::{Message, MonitorEvent, MonitorRecvError, Socket, SocketType, TrySendError};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::options::{self, Io};
use crate::redial::Redial;
use crate::{AnyOf, CallError, OpenError};

/// How long a publisher waits for the proxy's subscription after the connection stands. A proxy
/// without subscribers never sends one; then nobody misses anything.
const SUBSCRIPTION_GRACE: Duration = Duration::from_millis(500);
/// How long it waits for more of them after one that does not ask for everything.
const SUBSCRIPTIONS_GRACE: Duration = Duration::from_millis(20);

/// A PUB socket that is connected to the proxy. Clones share it.
#[derive(Clone)]
pub struct Publisher(Arc<Shared>);

struct Shared {
    socket: Socket,
    /// The generation of the socket's connections at which one was ready.
    ready: watch::Receiver<Option<u64>>,
    watcher: JoinHandle<()>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

impl Publisher {
    /// Starts connecting to a proxy, and reconnects for ever. With several proxies each has a
    /// publisher of its own, since all of them are published to.
    /// It tells the proxy this name, by which the proxy shows who is connected.
    pub async fn connect(to: impl Into<AnyOf>, name: &str) -> Result<Publisher, OpenError> {
        let to = to.into();
        to.check()?;
        if to.has_others() {
            let why = "a publisher has one proxy".into();
            return Err(OpenError::Unusable { endpoint: to.to_string(), why });
        }
        let socket = options::open(Io::Caller, SocketType::Pub, options::publisher(name))?;
        let (sender, ready) = watch::channel(None);
        let readiness = Readiness::new(socket.clone(), Redial::new(to), sender);
        let watcher = tokio::spawn(readiness.watch());
        Ok(Publisher(Arc::new(Shared { socket, ready, watcher })))
    }

    /// Whether the proxy is connected and has told what it wants. What is published before is
    /// lost.
    pub fn connected(&self) -> bool {
        self.connection().is_some()
    }

    /// The number of the connection, if it stands and the proxy has told what it wants. As long as
    /// the number is the same, everything went into one connection, in order.
    pub fn connection(&self) -> Option<u64> {
        let ready = *self.0.ready.borrow();
        ready.filter(|ready| *ready == self.0.socket.connections_generation())
    }

    /// Changes whenever [`Publisher::connection`] may have changed.
    pub fn changes(&self) -> watch::Receiver<Option<u64>> {
        self.0.ready.clone()
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

    /// Publishes if the queue to the proxy has room; false if it has none. Fails as
    /// [`Publisher::publish`] does.
    pub fn try_publish(&self, topic: Bytes, body: Bytes) -> Result<bool, CallError> {
        if !self.connected() {
            return Err(CallError::NotConnected);
        }
        match self.0.socket.try_send(Message::multipart([topic, body])) {
            Ok(()) => Ok(true),
            Err(TrySendError::Full(_)) => Ok(false),
            Err(TrySendError::Closed | TrySendError::Error(_)) => Err(CallError::Disconnected),
        }
    }

    /// Waits until the queue to the proxy may have room.
    pub async fn room(&self) {
        self.0.socket.wait_send_ready().await;
    }
}

/// Follows whether a connection stands by which the proxy has told what it wants.
struct Readiness {
    socket: Socket,
    redial: Redial,
    ready: watch::Sender<Option<u64>>,
    connected: bool,
    subscribed: bool,
}

impl Readiness {
    fn new(socket: Socket, redial: Redial, ready: watch::Sender<Option<u64>>) -> Readiness {
        Readiness { socket, redial, ready, connected: false, subscribed: false }
    }

    async fn watch(mut self) {
        let Ok((mut monitor, _)) = self.socket.monitor_with_subscriptions().await else { return };
        // Once the name could be resolved the library connects, and reconnects for ever.
        while self.socket.connect(self.redial.endpoint().as_str()).await.is_err() {
            self.redial.failed().await;
        }
        loop {
            let current = Some(self.socket.connections_generation());
            let waiting = self.connected && *self.ready.borrow() != current;
            // A proxy that passes subscriptions on tells them one by one.
            let grace = if self.subscribed { SUBSCRIPTIONS_GRACE } else { SUBSCRIPTION_GRACE };
            tokio::select! {
                event = monitor.recv() => match event {
                    Ok(MonitorEvent::ConnectDelayed { .. }) => self.redial.still_away(),
                    Ok(event) => self.saw(event),
                    Err(MonitorRecvError::Lagged(_)) => {
                        let Ok((renewed, peers)) = self.socket.monitor_with_subscriptions().await
                        else {
                            return;
                        };
                        monitor = renewed;
                        self.connected = !peers.is_empty();
                        self.subscribed = peers.iter().any(|peer| !peer.prefixes.is_empty());
                        self.ready.send_replace(None);
                    }
                    Err(_) => return,
                },
                () = tokio::time::sleep(grace), if waiting => self.is_ready(),
            }
        }
    }

    fn saw(&mut self, event: MonitorEvent) {
        match event {
            MonitorEvent::HandshakeSucceeded { .. } => {
                self.connected = true;
                self.subscribed = false;
                self.redial.reached();
            }
            MonitorEvent::SubscribeReceived { prefix, .. } if self.connected => {
                self.subscribed = true;
                if prefix.is_empty() && self.ready.borrow().is_none() {
                    self.is_ready();
                }
            }
            MonitorEvent::Disconnected { .. } => {
                self.connected = false;
                self.subscribed = false;
                self.redial.gone();
                self.ready.send_replace(None);
            }
            _ => {}
        }
    }

    fn is_ready(&self) {
        self.ready.send_replace(Some(self.socket.connections_generation()));
    }
}
