//! One connection at a time from a DEALER, each on a socket of its own.
//!
//! A ZeroMQ socket that reconnects by itself delivers after the reconnect what was sent while
//! the connection was away: late, and to a peer that may have started anew. So a socket here
//! lives exactly as long as its connection, and what is queued in it dies with it.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use omq_tokio::{Message, Socket, SocketType, TrySendError};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::options::Io;
use crate::redial::Redial;
use crate::{AnyOf, CallError, OpenError, options};

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
    /// The number of times that a connection came or went; odd while one stands.
    state: watch::Sender<u64>,
    /// Where that connection leads.
    endpoint: Mutex<String>,
    /// The number of a connection that somebody gave up.
    given_up: watch::Sender<u64>,
}

/// How many states a link may go through; the numbers of all links' connections are different, so
/// that a link in the place of another one is not taken for it.
const STATES: u64 = 1 << 32;
/// The first state of the next link.
static FIRST_STATE: AtomicU64 = AtomicU64::new(0);

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
    pub(crate) fn start<S: Sink>(to: AnyOf, io: Io, sink: Arc<S>) -> Result<Link, OpenError> {
        to.check()?;
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            waiting: Notify::new(),
            state: watch::Sender::new(FIRST_STATE.fetch_add(STATES, Ordering::Relaxed)),
            endpoint: Mutex::default(),
            given_up: watch::Sender::new(0),
        });
        let task = tokio::spawn(run(shared.clone(), to, io, sink));
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

    /// The end point of the connection that stands or stood last; empty before the first one.
    pub(crate) fn endpoint(&self) -> String {
        self.shared.endpoint.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Which connection stands; none while there is none.
    pub(crate) fn connection(&self) -> Option<u64> {
        Some(*self.shared.state.borrow()).filter(|number| number % 2 == 1)
    }

    /// Gives a connection up that stands and is of no use; the next end point is tried. Nothing
    /// happens when another one stands by now.
    pub(crate) fn give_up(&self, connection: u64) {
        self.shared.given_up.send_if_modified(|number| {
            let newer = *number < connection;
            *number = connection.max(*number);
            newer
        });
    }

    /// Waits until the connection stands, or the time is over.
    pub(crate) async fn wait_connected(&self, patience: Duration) -> bool {
        let mut state = self.watch();
        let up = state.wait_for(|number| number % 2 == 1);
        matches!(timeout(patience, up).await, Ok(Ok(_)))
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
    fn connect(&self, socket: &Socket, endpoint: String) {
        *self.endpoint.lock().unwrap_or_else(PoisonError::into_inner) = endpoint;
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

/// Dials, serves the connection until it breaks or is given up, and dials again.
async fn run<S: Sink>(shared: Arc<Shared>, to: AnyOf, io: Io, sink: Arc<S>) {
    let several = to.has_others();
    let mut redial = Redial::new(to);
    loop {
        let endpoint = redial.endpoint();
        let dialled = timeout(redial.patience(), dial(&endpoint, io, several)).await;
        let Ok(Some(socket)) = dialled else {
            redial.failed().await;
            continue;
        };
        redial.reached();
        shared.connect(&socket, endpoint);
        tokio::select! {
            biased;
            () = given_up(&shared) => {}
            () = serve(&shared, &socket, &*sink) => {}
        }
        shared.disconnect();
        sink.down();
        redial.lost().await;
    }
}

/// Waits until somebody gives up the connection that stands.
async fn given_up(shared: &Shared) {
    let connection = *shared.state.borrow();
    let mut given_up = shared.given_up.subscribe();
    if given_up.wait_for(|number| *number >= connection).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// One attempt to connect; none when it failed.
async fn dial(endpoint: &str, io: Io, several: bool) -> Option<Socket> {
    let socket = options::open(io, SocketType::Dealer, options::dealer(several)).ok()?;
    let mut seen = socket.connections_generation();
    if let Err(error) = socket.connect(endpoint).await {
        tracing::debug!(endpoint, %error, "can't connect");
        return None;
    }
    loop {
        if socket.ready_peer_count() > 0 {
            return Some(socket);
        }
        // An attempt that failed leaves the socket without a route to send by.
        if !socket.send_ready() {
            return None;
        }
        match timeout(DIAL_POLL, socket.connections_changed(seen)).await {
            Ok(Ok(generation)) => seen = generation,
            Ok(Err(_)) => return None,
            Err(_) => {}
        }
    }
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
