//! The chat as a pure state machine.
//!
//! A command and the rows it reads give changes, an outcome for whoever asked, and an event for
//! subscribers. No clock, randomness, socket, file, runtime or hash-map order comes in here:
//! every server that applies the same log computes the same thing.

pub mod clock;
pub mod command;
pub mod machine;
pub mod members;
pub mod names;
#[cfg(feature = "planted")]
pub mod planted;
pub mod registry;
pub mod rows;

pub use command::{Command, EntryError, ImportedRow, LogEntry, Origin, Stamp};
pub use machine::{Applied, Outcome, Refusal, apply};
pub use members::{Member, MemberCommand};
pub use rows::Rows;
