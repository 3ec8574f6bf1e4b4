//! Events out (PUB), to a proxy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use omq_tokio::{Message, MonitorEvent, MonitorRecvError, Socket, SocketType};
use tokio::task::JoinHandle;

use crate::options::{self, Io};
use crate::redial::Redial;
use crate::{AnyOf, CallError, OpenError};

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
    pub async fn connect(to: impl Into<AnyOf>) -> Result<Publisher, OpenError> {
        let to = to.into();
        to.check()?;
        let socket = options::open(Io::Caller, SocketType::Pub, options::publisher())?;
        let ready = Arc::new(AtomicBool::new(false));
        let watcher = tokio::spawn(stay_connected(socket.clone(), Redial::new(to), ready.clone()));
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

/// Has the library connect, which tries for ever once the name could be resolved, and keeps
/// `ready` true while a connection stands by which a subscription came.
async fn stay_connected(socket: Socket, mut redial: Redial, ready: Arc<AtomicBool>) {
    let Ok((mut monitor, _)) = socket.monitor_with_subscriptions().await else { return };
    while socket.connect(redial.endpoint().as_str()).await.is_err() {
        redial.failed().await;
    }
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
            Ok(MonitorEvent::HandshakeSucceeded { .. }) => {
                connected = true;
                redial.reached();
            }
            Ok(MonitorEvent::ConnectDelayed { .. }) => redial.still_away().await,
            Ok(MonitorEvent::SubscribeReceived { .. }) => ready.store(connected, Relaxed),
            Ok(MonitorEvent::Disconnected { .. }) => {
                connected = false;
                redial.gone();
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
