//! The drill: runs a cluster, breaks things on purpose, and checks whether the promises P1–P8 held
//! for everything that was acknowledged and everything that was received.
//!
//! [`run`] does it with real processes: a cluster as `recado up` starts it, with a relay on every
//! link ([`net`]), data on disks that forget at a kill what was not synced ([`disk`]), clients
//! ([`workload`]) and a seeded [`schedule`] of [`faults`]. What was seen
//! becomes a [`history`], and [`check`] says what it means. [`attach`] does without cluster and
//! faults: it works on a cluster that somebody else runs and breaks.

mod arena;
mod attach;
mod availability;
pub mod check;
mod cluster;
mod disk;
mod faults;
mod gather;
pub mod history;
mod journal;
mod net;
pub mod report;
mod run;
mod schedule;
mod screen;
mod summary;
mod workload;

pub use attach::{AttachConfig, attach};
pub use disk::{HOST_COMMAND, host};
pub use faults::Kind;
pub use net::{Places, Size};
pub use run::{DiskChoice, DrillConfig, DrillEnd, DrillError, Finished, run};
pub use screen::Screen;
