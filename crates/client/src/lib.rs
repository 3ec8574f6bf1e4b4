//! The client's side of the house, without a terminal and without printing.
//!
//! A [`Client`] asks the cluster through the broker and repeats what got no answer, under the
//! same request id, so that nothing happens twice. A [`Subscription`] receives events through
//! the proxy and repairs what the proxy lost from the history, so that each message of a topic is
//! delivered once and in order. [`bot`], [`bench`] and [`transfer`] are built from these two.

mod api;
mod backoff;
pub mod bench;
pub mod bot;
mod clock;
mod error;
mod expired;
mod session;
mod subscription;
pub mod timeline;
pub mod transfer;
mod window;

pub use bot::{BotConfig, run_bot};
pub use clock::{LogicalClock, now_ms};
pub use error::ClientError;
pub use recado_transport::AnyOf;
pub use session::{Client, ClientConfig};
pub use subscription::{ClientEvent, StartAt, Subscription};
pub use timeline::Timeline;
