//! A bound ROUTER: many peers, each answered by its envelope.

use std::sync::Arc;

use bytes::Bytes;
use omq_tokio::{Message, MonitorEvent, MonitorRecvError, MonitorStream, Socket, SocketType};
use tokio::sync::Mutex;

use crate::OpenError;
use crate::envelope::{Envelope, Incoming, split};
use crate::options::{self, Io};
use crate::outbox::{Outbox, UnreadLimits};

/// A bound ROUTER. Clones share it.
#[derive(Clone)]
pub struct Responder(Arc<Shared>);

struct Shared {
    socket: Socket,
    endpoint: String,
    outbox: Arc<Outbox>,
    monitor: Mutex<MonitorStream>,
}

impl Responder {
    /// Binds. `tcp://127.0.0.1:0` takes any free port.
    pub async fn bind(endpoint: &str) -> Result<Responder, OpenError> {
        Responder::bind_with(endpoint, Io::Threads, UnreadLimits::default()).await
    }

    /// Binds, and chooses where reading and writing happen and how much peers may leave unread.
    pub async fn bind_with(
        endpoint: &str,
        io: Io,
        limits: UnreadLimits,
    ) -> Result<Responder, OpenError> {
        let socket = options::open(io, SocketType::Router, options::router())?;
        let monitor = Mutex::new(socket.monitor());
        let endpoint = options::bind(&socket, endpoint).await?;
        let outbox = Outbox::new(socket.clone(), limits);
        Ok(Responder(Arc::new(Shared { socket, endpoint, outbox, monitor })))
    }

    /// Where it is bound, with the real port.
    pub fn endpoint(&self) -> &str {
        &self.0.endpoint
    }

    /// Takes what has come, at least one, at most `max`; what is not an envelope with a body is
    /// dropped. None when the socket is closed.
    ///
    /// Call it again soon: what waits in the socket is bounded by count, not by bytes.
    pub async fn receive(&self, max: usize) -> Option<Vec<Incoming>> {
        let mut batch = Vec::new();
        loop {
            self.0.socket.recv_many_into(max.max(1), &mut batch).await.ok()?;
            let requests: Vec<Incoming> = batch.drain(..).filter_map(|m| split(&m)).collect();
            if !requests.is_empty() {
                return Some(requests);
            }
        }
    }

    /// Answers; an answer to somebody who is gone is dropped. Never waits: answers to a slow
    /// reader queue up behind its own, and a peer that leaves too much unread is disconnected.
    pub async fn reply(&self, envelope: &Envelope, body: Vec<Bytes>) {
        self.send(envelope, body);
    }

    /// As [`Responder::reply`], for callers that are not asynchronous.
    pub fn send(&self, envelope: &Envelope, body: Vec<Bytes>) {
        let Some((identity, rest)) = envelope.frames.split_first() else { return };
        let body = body.into_iter().map(|frame| self.0.outbox.account(identity, frame));
        let message = Message::multipart(rest.iter().cloned().chain(body));
        self.0.outbox.send(identity, message);
    }

    /// Sends frames to a connection unasked; they are dropped if it is gone.
    pub fn send_to(&self, identity: &Bytes, frames: Vec<Bytes>) {
        let frames = frames.into_iter().map(|frame| self.0.outbox.account(identity, frame));
        self.0.outbox.send(identity, Message::multipart(frames));
    }

    /// Identities of connections that are gone, as they go. Under thousands of connections a
    /// second some may be missed: silence is what finally tells.
    pub async fn gone(&self) -> Option<Bytes> {
        let mut monitor = self.0.monitor.lock().await;
        loop {
            match monitor.recv().await {
                Ok(MonitorEvent::Disconnected { peer, .. }) => {
                    let generated = || omq_tokio::message::generated_identity(peer.connection_id);
                    return Some(peer.peer_identity.clone().unwrap_or_else(generated));
                }
                Ok(_) => {}
                Err(MonitorRecvError::Lagged(missed)) => {
                    tracing::debug!(missed, "connections came and went unseen");
                }
                Err(_) => return None,
            }
        }
    }

    /// How many connections stand.
    pub fn connections(&self) -> usize {
        self.0.socket.ready_peer_count()
    }

    /// Closes the socket; its port is free when this returns.
    pub async fn close(&self) {
        if let Ok(endpoint) = options::check(&self.0.endpoint) {
            // Fails only when it is closed already.
            let _ = self.0.socket.unbind(endpoint).await;
        }
        let _ = self.0.socket.clone().close().await;
    }
}
