//! Answers on their way out of a ROUTER: a peer that reads slowly, or not at all, holds up
//! nobody else and can't pile up memory.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use omq_tokio::{Message, Socket, TrySendError};

/// How many bytes of large answers one peer may leave unread, if nothing else is set. One message
/// more is allowed, so that a single large answer always gets through.
pub const MAX_UNREAD_BYTES: usize = 8 * 1024 * 1024;
/// How many bytes all peers together may leave unread, if nothing else is set.
pub const MAX_UNREAD_BYTES_IN_ALL: usize = 32 * 1024 * 1024;
/// How many answers wait for one slow peer behind the socket's own queue.
pub const MAX_UNREAD_MESSAGES: usize = 16 * 1024;
/// Answers below this length are bounded by count alone; the socket copies them anyway.
const LARGE_BYTES: usize = 4 * 1024;

/// How much may be unread.
#[derive(Clone, Copy, Debug)]
pub struct UnreadLimits {
    /// By one peer; it is disconnected behind that.
    pub peer_bytes: usize,
    /// By all; behind that the peer with the most is disconnected.
    pub all_bytes: usize,
}

impl Default for UnreadLimits {
    fn default() -> UnreadLimits {
        UnreadLimits { peer_bytes: MAX_UNREAD_BYTES, all_bytes: MAX_UNREAD_BYTES_IN_ALL }
    }
}

pub(crate) struct Outbox {
    socket: Socket,
    limits: UnreadLimits,
    unread_in_all: Arc<AtomicUsize>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Answers to peers whose queue in the socket is full; a task drains each entry.
    slow: HashMap<Bytes, VecDeque<Message>>,
    /// The bytes of large frames that are not written yet, per peer.
    unread: HashMap<Bytes, Arc<AtomicUsize>>,
    /// Peers whose connections are being closed.
    closing: HashSet<Bytes>,
}

impl Outbox {
    pub(crate) fn new(socket: Socket, limits: UnreadLimits) -> Arc<Outbox> {
        Arc::new(Outbox { socket, limits, unread_in_all: Arc::default(), state: Mutex::default() })
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
        let counters = [unread, self.unread_in_all.clone()];
        for counter in &counters {
            counter.fetch_add(frame.len(), Relaxed);
        }
        Bytes::from_owner(Counted { frame, counters })
    }

    /// Who has to go before a message of `bytes` (counted already) goes to `identity`.
    fn overloaded(&self, state: &State, identity: &Bytes, bytes: usize) -> Option<Bytes> {
        let unread = |peer: &Arc<AtomicUsize>| peer.load(Relaxed);
        // What a closing peer holds is freed in a moment: nobody else has to go for it.
        if self.unread_in_all.load(Relaxed) > self.limits.all_bytes && state.closing.is_empty() {
            let most = state.unread.iter().max_by_key(|(_, peer)| unread(peer));
            return most.map(|(identity, _)| identity.clone());
        }
        let own = state.unread.get(identity).map_or(0, unread);
        (own.saturating_sub(bytes) > self.limits.peer_bytes).then(|| identity.clone())
    }

    /// Queues a message for a peer, behind what waits for it already.
    pub(crate) fn send(self: &Arc<Self>, identity: &Bytes, message: Message) {
        let mut state = self.state();
        if state.closing.contains(identity) {
            return;
        }
        if let Some(overloaded) = self.overloaded(&state, identity, message.byte_len()) {
            self.disconnect(&mut state, overloaded.clone());
            if overloaded == *identity {
                return;
            }
        }
        if let Some(queue) = state.slow.get_mut(identity) {
            if queue.len() < MAX_UNREAD_MESSAGES {
                queue.push_back(message);
            } else {
                self.disconnect(&mut state, identity.clone());
            }
            return;
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
    fn disconnect(self: &Arc<Self>, state: &mut State, identity: Bytes) {
        state.slow.remove(&identity);
        state.unread.remove(&identity);
        tracing::debug!("a peer that does not read its answers is disconnected");
        state.closing.insert(identity.clone());
        let outbox = self.clone();
        tokio::spawn(async move {
            let connections = outbox.socket.connections().await.unwrap_or_default();
            for connection in connections.iter().filter(|c| c.identity == identity) {
                // Fails only when it is gone already.
                let _ = outbox.socket.disconnect_peer(connection.connection_id).await;
            }
            outbox.state().closing.remove(&identity);
        });
    }
}

/// A frame that is counted as unread for as long as it lives.
struct Counted {
    frame: Bytes,
    counters: [Arc<AtomicUsize>; 2],
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.frame
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        for counter in &self.counters {
            counter.fetch_sub(self.frame.len(), Relaxed);
        }
    }
}
