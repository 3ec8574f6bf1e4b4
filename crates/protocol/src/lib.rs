//! The wire: messages, their MessagePack form, limits and error codes.
//!
//! Nothing here touches a socket, a clock or a file; everything is a function from bytes to
//! values and back. PROTOCOL.md at the root of the repository is this crate's public twin.

pub mod backend;
pub mod code;
pub mod codec;
pub mod event;
pub mod limits;
pub mod marker;
pub mod message;
pub mod reference;
pub mod reply;
pub mod server;
pub mod services;

pub use code::{Code, NOT_TAKEN, Refusal};
pub use event::Event;
pub use message::{HistoryQuery, ImportRow, Incoming, Request, RequestId};
pub use reply::{Ack, HistoryReply, Record, Reply, Status};
