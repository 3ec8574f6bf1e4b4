//! Events in (SUB), from any one of the proxies.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use omq_tokio::{MonitorEvent, MonitorRecvError, Socket, SocketType};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::options::{self, Io};
use crate::redial::Redial;
use crate::{AnyOf, OpenError};

/// A SUB that is connected to one of the proxies at a time. When that one dies or falls silent it
/// moves to the next, with all its subscriptions; what was published in between is missed.
pub struct Subscriber {
    shared: Arc<Shared>,
    /// Whose turn it is to read, and from what.
    reader: Mutex<Reader>,
    keeper: JoinHandle<()>,
}

struct Shared {
    /// Never held while waiting for a connection.
    wanted: Mutex<Wanted>,
    /// The socket whose connection stands, or stood last: what it received is still read.
    current: watch::Sender<Option<Socket>>,
    /// The number of times that a connection came or went; odd while one stands.
    state: watch::Sender<u64>,
    /// Where that connection leads.
    endpoint: watch::Sender<String>,
}

#[derive(Default)]
struct Wanted {
    topics: BTreeSet<Bytes>,
    /// The newest socket, which may not be connected yet.
    socket: Option<Socket>,
}

struct Reader {
    sockets: watch::Receiver<Option<Socket>>,
    socket: Option<Socket>,
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl Subscriber {
    /// Starts connecting, and reconnects for ever; subscriptions are renewed by themselves.
    pub async fn connect(to: impl Into<AnyOf>) -> Result<Subscriber, OpenError> {
        let to = to.into();
        to.check()?;
        let current = watch::Sender::new(None);
        let reader = Mutex::new(Reader { sockets: current.subscribe(), socket: None });
        let shared = Arc::new(Shared {
            wanted: Mutex::default(),
            current,
            state: watch::Sender::new(0),
            endpoint: watch::Sender::default(),
        });
        let keeper = tokio::spawn(keep(shared.clone(), to));
        Ok(Subscriber { shared, reader, keeper })
    }

    /// Subscribes to a topic (by prefix, as ZeroMQ does; whole-topic comparison is the caller's).
    /// Twice is as good as once.
    pub async fn subscribe(&self, topic: &[u8]) {
        let topic = Bytes::copy_from_slice(topic);
        let mut wanted = self.shared.wanted.lock().await;
        if wanted.topics.insert(topic.clone())
            && let Some(socket) = &wanted.socket
        {
            // Fails only when the socket is closed; the next one gets all topics.
            let _ = socket.subscribe(topic).await;
        }
    }

    /// Takes a subscription back.
    pub async fn unsubscribe(&self, topic: &[u8]) {
        let mut wanted = self.shared.wanted.lock().await;
        if wanted.topics.remove(topic)
            && let Some(socket) = &wanted.socket
        {
            let _ = socket.unsubscribe(Bytes::copy_from_slice(topic)).await;
        }
    }

    /// Whether a proxy is connected.
    pub fn connected(&self) -> bool {
        self.generation() % 2 == 1
    }

    /// The end point of the connection that stands or stood last; empty before the first one.
    pub fn endpoint(&self) -> String {
        self.shared.endpoint.borrow().clone()
    }

    /// A number that changes whenever the connection comes or goes: who remembers it knows
    /// whether events may have been missed in between.
    pub fn generation(&self) -> u64 {
        *self.shared.state.borrow()
    }

    /// Waits until [`Subscriber::generation`] is no longer `seen`.
    pub async fn generation_changed(&self, seen: u64) -> Option<u64> {
        let mut state = self.shared.state.subscribe();
        state.wait_for(|now| *now != seen).await.ok().map(|now| *now)
    }

    /// Waits until a proxy is connected, or the time is over.
    pub async fn wait_connected(&self, patience: Duration) -> bool {
        let mut state = self.shared.state.subscribe();
        let up = state.wait_for(|number| number % 2 == 1);
        matches!(timeout(patience, up).await, Ok(Ok(_)))
    }

    /// The next message's topic and body; none when nothing will ever come any more. Messages of
    /// another shape are dropped. Dropping the future loses nothing.
    pub async fn receive(&self) -> Option<(Bytes, Bytes)> {
        let mut reader = self.reader.lock().await;
        let Reader { sockets, socket } = &mut *reader;
        loop {
            if sockets.has_changed().ok()? {
                socket.clone_from(&sockets.borrow_and_update());
            }
            let received = match socket {
                // What this one still has comes before what its successor brings.
                Some(socket) => tokio::select! {
                    biased;
                    message = socket.recv() => Some(message),
                    changed = sockets.changed() => { changed.ok()?; None }
                },
                None => {
                    sockets.changed().await.ok()?;
                    None
                }
            };
            match received {
                Some(Ok(message)) => {
                    if let (2, Some(topic), Some(body)) =
                        (message.len(), message.part_bytes(0), message.part_bytes(1))
                    {
                        return Some((topic, body));
                    }
                }
                Some(Err(_)) => *socket = None,
                // Seen by the wait already.
                None => socket.clone_from(&sockets.borrow()),
            }
        }
    }
}

/// Keeps one connection standing, for ever.
async fn keep(shared: Arc<Shared>, to: AnyOf) {
    let several = to.has_others();
    let mut redial = Redial::new(to);
    loop {
        let endpoint = redial.endpoint();
        let dialled = timeout(redial.patience(), dial(&shared, &endpoint, several)).await;
        let Ok(Some(socket)) = dialled else {
            redial.failed().await;
            continue;
        };
        redial.reached();
        shared.endpoint.send_replace(endpoint);
        shared.current.send_replace(Some(socket.clone()));
        shared.state.send_modify(|number| *number += 1);
        until_gone(&socket).await;
        shared.state.send_modify(|number| *number += 1);
        redial.lost().await;
    }
}

/// One attempt to connect, with all subscriptions; none when it failed.
async fn dial(shared: &Shared, endpoint: &str, several: bool) -> Option<Socket> {
    let socket = options::open(Io::Caller, SocketType::Sub, options::subscriber(several)).ok()?;
    let mut monitor = socket.monitor();
    let mut wanted = shared.wanted.lock().await;
    for topic in &wanted.topics {
        socket.subscribe(topic.clone()).await.ok()?;
    }
    wanted.socket = Some(socket.clone());
    drop(wanted);
    if let Err(error) = socket.connect(endpoint).await {
        tracing::debug!(endpoint, %error, "can't connect");
        return None;
    }
    loop {
        match monitor.recv().await {
            Ok(MonitorEvent::HandshakeSucceeded { .. }) => return Some(socket),
            // The library would try again by itself, after a pause that nobody waits for.
            Ok(
                MonitorEvent::ConnectDelayed { .. }
                | MonitorEvent::ConnectStopped { .. }
                | MonitorEvent::HandshakeFailed { .. }
                | MonitorEvent::Disconnected { .. },
            )
            | Err(MonitorRecvError::Closed) => return None,
            Ok(_) => {}
            Err(_) if socket.ready_peer_count() > 0 => return Some(socket),
            Err(_) => {}
        }
    }
}

/// Waits until the connection is gone.
async fn until_gone(socket: &Socket) {
    loop {
        let seen = socket.connections_generation();
        if socket.ready_peer_count() == 0 || socket.connections_changed(seen).await.is_err() {
            return;
        }
    }
}
