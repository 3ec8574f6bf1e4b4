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

pub use folder::Folder;
pub use http::METRICS_TYPE;
pub use process::Process;
pub use recado_metrics::Registry;
pub use role::register;
pub use vitals::{BEAT_INTERVAL_MS, HUNG_AFTER_MS, Vitals};
pub use watcher::{WatchError, start};
