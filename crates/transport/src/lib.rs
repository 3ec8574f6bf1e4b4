//! ZeroMQ sockets as the other crates need them; the only crate that names `omq_tokio`.
//!
//! Every request travels as an envelope (zero or more routing frames, then an empty frame) and
//! one or more body frames, as REQ, ROUTER and DEALER have it. Our own DEALERs put one frame of
//! eight bytes, a number, before the empty frame, so that many requests share a connection.

use std::time::Duration;

use bytes::Bytes;

/// Why a socket could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The port is taken.
    #[error("{endpoint} is in use; stop what listens there, or choose another --port-base")]
    InUse { endpoint: String },
    /// The end point can't be used.
    #[error("can't use {endpoint}: {why}")]
    Unusable { endpoint: String, why: String },
}

/// Why a call got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No connection: certainly not delivered.
    #[error("not connected")]
    NotConnected,
    /// The connection broke before the answer came: may be delivered.
    #[error("disconnected")]
    Disconnected,
    /// No answer in time: may be delivered.
    #[error("timed out")]
    TimedOut,
}

/// Calls one end point over one connection, many requests at a time. Clones share it.
#[derive(Clone)]
pub struct Caller {}

impl Caller {
    /// Starts connecting, and reconnects for ever.
    pub async fn connect(_endpoint: &str) -> Result<Caller, OpenError> {
        todo!()
    }
    /// Whether the connection stands now.
    pub fn connected(&self) -> bool {
        todo!()
    }
    /// Waits until the connection stands, or the time is over.
    pub async fn wait_connected(&self, _timeout: Duration) -> bool {
        todo!()
    }
    /// Queues a request, in order of the calls, without waiting; the answer comes by the returned
    /// future, which needs no polling for the request to leave.
    pub fn start(
        &self,
        _body: Vec<Bytes>,
    ) -> Result<
        impl Future<Output = Result<Vec<Bytes>, CallError>> + Send + 'static + use<>,
        CallError,
    > {
        if true { todo!() } else { Ok(async { Err(CallError::TimedOut) }) }
    }
    /// A request and its answer.
    pub async fn call(
        &self,
        _body: Vec<Bytes>,
        _timeout: Duration,
    ) -> Result<Vec<Bytes>, CallError> {
        todo!()
    }
    /// Closes the connection.
    pub async fn close(&self) {
        todo!()
    }
}

/// A request that came in on a [`Responder`].
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Whom to answer: the peer's identity and the other routing frames.
    pub envelope: Envelope,
    /// The body frames.
    pub body: Vec<Bytes>,
}

/// The way back: routing frames up to and including the empty one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Envelope {
    /// The frames; the first is the connection's identity.
    pub frames: Vec<Bytes>,
}

/// A bound ROUTER. Clones share it.
#[derive(Clone)]
pub struct Responder {}

impl Responder {
    /// Binds. `tcp://127.0.0.1:0` takes any free port.
    pub async fn bind(_endpoint: &str) -> Result<Responder, OpenError> {
        todo!()
    }
    /// Where it is bound, with the real port.
    pub fn endpoint(&self) -> &str {
        todo!()
    }
    /// Takes what has come, at least one, at most `max`; what is not an envelope with a body is
    /// dropped. None when the socket is closed.
    pub async fn receive(&self, _max: usize) -> Option<Vec<Incoming>> {
        todo!()
    }
    /// Answers; an answer to somebody who is gone is dropped.
    pub async fn reply(&self, _envelope: &Envelope, _body: Vec<Bytes>) {
        todo!()
    }
    /// Identities of connections that are gone, as they go.
    pub async fn gone(&self) -> Option<Bytes> {
        todo!()
    }
    /// Closes the socket.
    pub async fn close(&self) {
        todo!()
    }
}

/// A PUB socket that is connected to the proxy.
#[derive(Clone)]
pub struct Publisher {}

impl Publisher {
    /// Starts connecting, and reconnects for ever.
    pub async fn connect(_endpoint: &str) -> Result<Publisher, OpenError> {
        todo!()
    }
    /// Whether the proxy is connected and has told what it wants.
    pub fn connected(&self) -> bool {
        todo!()
    }
    /// Publishes; waits when the queue to the proxy is full.
    pub async fn publish(&self, _topic: Bytes, _body: Bytes) -> Result<(), CallError> {
        todo!()
    }
}

/// A SUB socket that is connected to the proxy.
pub struct Subscriber {}

impl Subscriber {
    /// Starts connecting, and reconnects for ever.
    pub async fn connect(_endpoint: &str) -> Result<Subscriber, OpenError> {
        todo!()
    }
    /// Subscribes to a topic (by prefix, as ZeroMQ does; whole-topic comparison is the caller's).
    pub async fn subscribe(&self, _topic: &[u8]) {
        todo!()
    }
    /// Takes a subscription back.
    pub async fn unsubscribe(&self, _topic: &[u8]) {
        todo!()
    }
    /// Whether the proxy is connected.
    pub fn connected(&self) -> bool {
        todo!()
    }
    /// The next message's topic and body; none when the socket is closed.
    pub async fn receive(&self) -> Option<(Bytes, Bytes)> {
        todo!()
    }
}
