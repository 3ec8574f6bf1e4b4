//! What a role shows to those who watch it: whether it lives, whether it is ready and what is
//! missing, and its metrics.
//!
//! A role writes into [`Vitals`] and into metrics of its own; a thread beside it ([`start`]) reads
//! both. It serves them by HTTP, where an address was given, and tells systemd, where that asked.
//! The thread owns nothing that the role waits for, so a hung role is seen to hang.
//!
//! | page | says |
//! |---|---|
//! | `/livez` | 200 while the role's own loop turns, else 503 |
//! | `/readyz` | 200, or 503 with what is missing, a sentence a line |
//! | `/metrics` | OpenMetrics |

mod connections;
mod folder;
mod http;
mod process;
mod role;
mod systemd;
mod vitals;
mod watcher;
mod words;

pub use folder::Folder;
pub use http::METRICS_TYPE;
pub use process::Process;
pub use role::register;
pub use vitals::{BEAT_INTERVAL_MS, HUNG_AFTER_MS, Vitals};
pub use watcher::{WatchError, start};
pub use words::{CounterByWord, OTHER};

/// Where metrics are registered before the role starts.
pub type Registry = prometheus_client::registry::Registry;

/// The prefix of our own metrics.
pub const PREFIX: &str = "recado";

/// Upper bounds of times from half a millisecond to ten seconds, s: for answers and for disks.
pub const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];
