//! The two roles around the replicated state: a server, which answers clients' requests through
//! the brokers and takes part in replication, and the reference, which gives ranks and watches
//! who is alive.
//!
//! A server's parts are tasks that share nothing but channels and a few counters:
//!
//! | part | does |
//! |---|---|
//! | `broker_link` | says that the server is ready, takes requests, brings answers back |
//! | `service` | decodes, checks, reads or proposes, answers |
//! | `peer_port` | takes what other servers send: replication, forwarded requests, clocks |
//! | `links` | connects to the other servers |
//! | `namesake` | at the start: looks for another server of the same name |
//! | `registration` | heartbeats to the reference, rank and peers from it |
//! | `publisher` | on the primary: events from the store to the proxy |
//! | `berkeley` | on the primary: clock rounds |
//! | `rescue` | with no server running: one folder as a source of an export |
//! | `watched` | shows that the server's thread turns, and what is missing |

mod berkeley;
mod broker_link;
mod clocks;
mod cluster;
mod config;
mod error;
mod facts;
mod frames;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod journal;
mod links;
mod lock;
mod metrics;
mod namesake;
mod peer_port;
#[cfg(feature = "planted")]
mod planted;
mod publisher;
mod reference;
mod registration;
pub mod rescue;
mod run;
mod service;
pub mod space;
mod status;
mod watched;

pub use config::{Proxy, ReferenceConfig, ServerConfig};
pub use error::{FolderError, ReferenceError, ServerError};
pub use metrics::{Metrics, ReferenceMetrics};
#[cfg(feature = "planted")]
pub use recado_chat::planted as bugs;
// The rules of publishing, which a simulation runs too.
pub use publisher::{CATCH_UP_MS, Minute, Passage, Watermark};
pub use reference::run_reference;
pub use run::run_server;
// For whoever ends the process on a panic.
pub use recado_storage::is_guarded;
// Part of the configuration, so that callers need not name the crate below.
pub use recado_replication::{IDENTITY_FILE, Sizes, Timing};
