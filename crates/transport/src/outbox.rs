//! Answers on their way out of a ROUTER: a peer that reads slowly, or not at all, holds up
//! nobody else and can't pile up memory.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use omq_tokio::{Message, Socket, TrySendError};

/// How many bytes of large answers may be unread by one peer. One frame of full length more is
/// allowed, so that a single large answer always gets through.
pub const MAX_UNREAD_BYTES: usize = 4 * 1024 * 1024;
/// How many answers wait for one slow peer behind the socket's own queue.
pub const MAX_UNREAD_MESSAGES: usize = 16 * 1024;
/// Answers below this length are bounded by count alone; the socket copies them anyway.
const LARGE_BYTES: usize = 4 * 1024;

pub(crate) struct Outbox {
    socket: Socket,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Answers to peers whose queue in the socket is full; a task drains each entry.
    slow: HashMap<Bytes, VecDeque<Message>>,
    /// The bytes of large frames that are not written yet, per peer.
    unread: HashMap<Bytes, Arc<AtomicUsize>>,
}

impl Outbox {
    pub(crate) fn new(socket: Socket) -> Arc<Outbox> {
        Arc::new(Outbox { socket, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a large frame against its peer until the socket has written or dropped it.
    pub(crate) fn account(&self, identity: &Bytes, frame: Bytes) -> Bytes {
        if frame.len() < LARGE_BYTES {
            return frame;
        }
        let mut state = self.state();
        // Peers without unread bytes are forgotten; what is left is small.
        if !state.unread.contains_key(identity) {
            state.unread.retain(|_, unread| unread.load(Relaxed) > 0);
        }
        let unread = state.unread.entry(identity.clone()).or_default().clone();
        drop(state);
        unread.fetch_add(frame.len(), Relaxed);
        Bytes::from_owner(Counted { frame, unread })
    }

    /// Whether a peer left more unread than it may.
    fn overloaded(&self, state: &State, identity: &Bytes, message: &Message) -> bool {
        let Some(unread) = state.unread.get(identity) else { return false };
        // The message itself is counted already.
        unread.load(Relaxed).saturating_sub(message.byte_len()) > MAX_UNREAD_BYTES
    }

    /// Queues a message for a peer, behind what waits for it already.
    pub(crate) fn send(self: &Arc<Self>, identity: &Bytes, message: Message) {
        let mut state = self.state();
        if self.overloaded(&state, identity, &message) {
            state.slow.remove(identity);
            drop(state);
            return self.disconnect(identity.clone());
        }
        if let Some(queue) = state.slow.get_mut(identity) {
            if queue.len() < MAX_UNREAD_MESSAGES {
                queue.push_back(message);
                return;
            }
            state.slow.remove(identity);
            drop(state);
            return self.disconnect(identity.clone());
        }
        match self.socket.try_send_to(identity, message) {
            Ok(()) => {}
            Err(TrySendError::Full(message)) => {
                state.slow.insert(identity.clone(), VecDeque::from([message]));
                drop(state);
                tokio::spawn(self.clone().drain(identity.clone()));
            }
            Err(error) => tracing::debug!(%error, "an answer to somebody who is gone is dropped"),
        }
    }

    /// Sends what waits for a slow peer, as fast as it reads.
    async fn drain(self: Arc<Self>, identity: Bytes) {
        loop {
            let next = {
                let mut state = self.state();
                let Some(queue) = state.slow.get_mut(&identity) else { return };
                let Some(next) = queue.pop_front() else {
                    state.slow.remove(&identity);
                    return;
                };
                next
            };
            if let Err(error) = self.socket.send_to(&identity, next).await {
                tracing::debug!(%error, "answers to somebody who is gone are dropped");
                self.state().slow.remove(&identity);
                return;
            }
        }
    }

    /// Closes the connection of a peer that does not read its answers.
    fn disconnect(&self, identity: Bytes) {
        tracing::debug!("a peer that does not read its answers is disconnected");
        let socket = self.socket.clone();
        tokio::spawn(async move {
            let Ok(connections) = socket.connections().await else { return };
            for connection in connections.iter().filter(|c| c.identity == identity) {
                // Fails only when it is gone already.
                let _ = socket.disconnect_peer(connection.connection_id).await;
            }
        });
    }
}

/// A frame that is counted as unread for as long as it lives.
struct Counted {
    frame: Bytes,
    unread: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.frame
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.unread.fetch_sub(self.frame.len(), Relaxed);
    }
}
