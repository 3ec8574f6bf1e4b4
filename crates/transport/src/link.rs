//! One connection at a time from a DEALER, each on a socket of its own.
//!
//! A ZeroMQ socket that reconnects by itself delivers after the reconnect what was sent while
//! the connection was away: late, and to a peer that may have started anew. So a socket here
//! lives exactly as long as its connection, and what is queued in it dies with it.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use omq_tokio::{Message, Socket, SocketType, TrySendError};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::options::{DIAL_TIMEOUT_MS, Io, RECONNECT_MAX_MS, RECONNECT_MIN_MS};
use crate::{CallError, OpenError, options};

/// How many messages wait in front of the socket's own queue.
const MAX_WAITING_MESSAGES: usize = 64 * 1024;
/// How many bytes wait there.
const MAX_WAITING_BYTES: usize = 64 * 1024 * 1024;
/// How many messages are taken at once.
const RECEIVE_BATCH: usize = 256;
/// How often a dial is looked at for failure, which the library does not report.
const DIAL_POLL: Duration = Duration::from_millis(10);

/// What happens with the messages of a [`Link`].
pub(crate) trait Sink: Send + Sync + 'static {
    /// A message came in.
    fn message(&self, message: Message) -> impl Future<Output = ()> + Send;
    /// The connection is gone; everything it brought was handed over before.
    fn down(&self);
}

/// A connection that is renewed for ever, until it is dropped.
pub(crate) struct Link {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    queue: Mutex<Queue>,
    /// Wakes the task when something waits in the queue.
    waiting: Notify,
    /// The number of connections so far; odd while one stands.
    state: watch::Sender<u64>,
}

#[derive(Default)]
struct Queue {
    live: Option<Socket>,
    waiting: VecDeque<Message>,
    waiting_bytes: usize,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Link {
    /// Starts connecting.
    pub(crate) fn start<S: Sink>(endpoint: &str, io: Io, sink: Arc<S>) -> Result<Link, OpenError> {
        options::check(endpoint)?;
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            waiting: Notify::new(),
            state: watch::Sender::new(0),
        });
        let task = tokio::spawn(run(shared.clone(), endpoint.to_owned(), io, sink));
        Ok(Link { shared, task })
    }

    /// Whether the connection stands.
    pub(crate) fn connected(&self) -> bool {
        *self.shared.state.borrow() % 2 == 1
    }

    /// Follows the state: odd numbers mean connected, each connection has its own.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.shared.state.subscribe()
    }

    /// Waits until the connection stands, or the time is over.
    pub(crate) async fn wait_connected(&self, timeout: Duration) -> bool {
        let mut state = self.watch();
        let up = state.wait_for(|number| number % 2 == 1);
        matches!(tokio::time::timeout(timeout, up).await, Ok(Ok(_)))
    }

    /// Queues a message for the connection that stands now, in order of the calls.
    pub(crate) fn send(&self, message: Message) -> Result<(), CallError> {
        let mut queue = self.shared.queue();
        let Some(live) = queue.live.as_ref() else { return Err(CallError::NotConnected) };
        let message = if queue.waiting.is_empty() {
            match live.try_send(message) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(message)) if live.ready_peer_count() > 0 => message,
                Err(_) => return Err(CallError::NotConnected),
            }
        } else {
            message
        };
        let bytes = message.byte_len();
        if queue.waiting.len() >= MAX_WAITING_MESSAGES
            || queue.waiting_bytes + bytes > MAX_WAITING_BYTES
        {
            return Err(CallError::NotConnected);
        }
        queue.waiting_bytes += bytes;
        queue.waiting.push_back(message);
        drop(queue);
        self.shared.waiting.notify_one();
        Ok(())
    }

    /// Closes the connection and starts no other.
    pub(crate) fn close(&self) {
        self.task.abort();
        self.shared.disconnect();
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn connect(&self, socket: &Socket) {
        self.queue().live = Some(socket.clone());
        self.state.send_modify(|number| *number += 1);
    }

    fn disconnect(&self) {
        let old = std::mem::take(&mut *self.queue());
        if old.live.is_some() {
            self.state.send_modify(|number| *number += 1);
        }
    }

    /// Moves what waits into the socket, as far as it has room.
    fn flush(&self, socket: &Socket) {
        let mut queue = self.queue();
        while let Some(message) = queue.waiting.pop_front() {
            let bytes = message.byte_len();
            match socket.try_send(message) {
                Ok(()) => queue.waiting_bytes -= bytes,
                Err(TrySendError::Full(message)) => {
                    queue.waiting.push_front(message);
                    return;
                }
                Err(_) => return,
            }
        }
    }
}

/// Dials, serves the connection until it breaks, waits, and dials again.
async fn run<S: Sink>(shared: Arc<Shared>, endpoint: String, io: Io, sink: Arc<S>) {
    let mut pause_ms = RECONNECT_MIN_MS;
    loop {
        if let Some(socket) = dial(&endpoint, io).await {
            pause_ms = RECONNECT_MIN_MS;
            shared.connect(&socket);
            serve(&shared, &socket, &*sink).await;
            shared.disconnect();
            sink.down();
        }
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        pause_ms = (pause_ms * 2).min(RECONNECT_MAX_MS);
    }
}

/// One attempt to connect.
async fn dial(endpoint: &str, io: Io) -> Option<Socket> {
    let socket = options::open(io, SocketType::Dealer, options::dealer()).ok()?;
    let mut seen = socket.connections_generation();
    if let Err(error) = socket.connect(endpoint).await {
        tracing::debug!(endpoint, %error, "can't connect");
        return None;
    }
    let deadline = Instant::now() + Duration::from_millis(DIAL_TIMEOUT_MS);
    while Instant::now() < deadline {
        if socket.ready_peer_count() > 0 {
            return Some(socket);
        }
        // An attempt that failed leaves the socket without a route to send by.
        if !socket.send_ready() {
            return None;
        }
        match tokio::time::timeout(DIAL_POLL, socket.connections_changed(seen)).await {
            Ok(Ok(generation)) => seen = generation,
            Ok(Err(_)) => return None,
            Err(_) => {}
        }
    }
    None
}

/// Hands over what comes in until the connection is gone.
async fn serve<S: Sink>(shared: &Shared, socket: &Socket, sink: &S) {
    let mut batch = Vec::with_capacity(RECEIVE_BATCH);
    loop {
        let seen = socket.connections_generation();
        let gone = socket.ready_peer_count() == 0;
        tokio::select! {
            biased;
            received = socket.recv_many_into(RECEIVE_BATCH, &mut batch) => {
                if received.is_err() {
                    return;
                }
                for message in batch.drain(..) {
                    sink.message(message).await;
                }
            }
            _ = std::future::ready(()), if gone => return,
            _ = socket.connections_changed(seen) => {}
            () = room(shared, socket) => shared.flush(socket),
        }
    }
}

/// Waits until something waits and the socket has room for it.
async fn room(shared: &Shared, socket: &Socket) {
    loop {
        let waiting = shared.waiting.notified();
        if !shared.queue().waiting.is_empty() {
            socket.wait_send_ready().await;
            return;
        }
        waiting.await;
    }
}
