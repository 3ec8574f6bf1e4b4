//! The broker between clients and servers, and the proxy between servers and subscribers.
//!
//! # Towards clients
//!
//! A ROUTER. A request comes as `[identity, routing …, "", body]` and is answered by the same
//! envelope: REQ has no routing frames, our own DEALERs have one. The broker reads of a body no
//! more than the service that it names.
//!
//! # Towards servers
//!
//! A ROUTER as well; servers connect with a DEALER. The header is one MessagePack message, see
//! [`recado_protocol::backend`]; the body is the client's, untouched.
//!
//! | from | frames on the wire |
//! |---|---|
//! | server | `["", header]`: `Ready`, `Again`, `Bye` |
//! | server | `["", header, body]`: `Done`, with the reply's body |
//! | broker | `["", header, body]`: a request, or with an empty body how the broker is |
//!
//! A server says `Ready` when its connection stands and every
//! [`READY_INTERVAL_MS`](recado_protocol::backend::READY_INTERVAL_MS). It gets at most as many
//! requests at a time as its credit says, and answers each by its number `n` with `Done` or
//! `Again`, in any order. A number belongs to the connection by which it came: what is unanswered
//! when the connection breaks goes to another server, under the same id.
//!
//! # What the broker promises
//!
//! Every request is answered exactly once, at the latest [`Limits::request_ms`] after it came in,
//! for as long as the broker lives: by the first server that answers, else by the broker itself,
//! `unavailable` if no attempt can have taken effect and `unknown` if one may have.

mod broker;
mod clock;
mod dispatcher;
mod limits;
mod metrics;
mod proxy;

pub use broker::{Broker, BrokerConfig, run_broker};
pub use dispatcher::{Action, Connected, Dispatcher, Lack, Myself};
pub use limits::Limits;
pub use metrics::Metrics;
pub use proxy::{ProxyConfig, run_proxy};
pub use recado_transport::ProxyMetrics;

/// Why a broker or a proxy could not run.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// A port could not be opened.
    #[error(transparent)]
    Open(#[from] recado_transport::OpenError),
}
