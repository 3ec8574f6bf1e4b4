//! ZeroMQ sockets as the other crates need them; the only crate that names `omq_tokio`.
//!
//! Every request travels as an envelope (zero or more routing frames, then an empty frame) and
//! one or more body frames, as REQ, ROUTER and DEALER have it. Our own DEALERs put one frame of
//! eight bytes, a number, before the empty frame, so that many requests share a connection.
//!
//! Whoever connects keeps at it for ever; what is sent while no connection stands fails at once,
//! and what was queued for a connection that breaks is never delivered by the next one.

mod any_of;
mod backend;
mod caller;
mod envelope;
mod link;
mod metrics;
mod options;
mod outbox;
mod proxy;
mod publish;
mod pump;
mod redial;
mod responder;
mod subscriber;

pub use any_of::AnyOf;
pub use backend::{BackendLink, FromBroker};
pub use caller::{Caller, MAX_CALLS_IN_FLIGHT};
pub use envelope::{Envelope, Incoming, MAX_BODY_FRAMES, MAX_ENVELOPE_FRAMES};
pub use metrics::ProxyMetrics;
pub use options::{
    DIAL_NEXT_MS, DIAL_TIMEOUT_MS, Io, RECONNECT_MAX_MS, RECONNECT_MIN_MS, run_beside_sockets,
};
pub use outbox::{MAX_UNREAD_BYTES, MAX_UNREAD_BYTES_IN_ALL, MAX_UNREAD_MESSAGES, UnreadLimits};
pub use proxy::{EventProxy, MAX_SUBSCRIPTIONS, MAX_TOPIC_BYTES};
pub use publish::Publisher;
pub use pump::{Connections, PlainPump};
pub use redial::unreached;
pub use responder::Responder;
pub use subscriber::Subscriber;

/// Why a socket could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The port is taken.
    #[error("{endpoint} is in use; stop what listens there, or choose another --port-base")]
    InUse {
        /// The end point that was asked for.
        endpoint: String,
    },
    /// The end point can't be used.
    #[error("can't use {endpoint}: {why}")]
    Unusable {
        /// The end point that was asked for.
        endpoint: String,
        /// What is wrong with it.
        why: String,
    },
}

/// Why a call got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No connection, or no room in its queue: certainly not delivered.
    #[error("not connected")]
    NotConnected,
    /// The connection broke before the answer came: may be delivered.
    #[error("disconnected")]
    Disconnected,
    /// No answer in time: may be delivered.
    #[error("timed out")]
    TimedOut,
}
