//! Export to and import from the four JSON files, through the cluster.
//!
//! Both go through the broker like any client, so they need no server to be stopped and see what
//! is committed, nothing else.

mod export;
mod files;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod import;
mod lenient;
mod matching;

use std::io;
use std::path::PathBuf;

pub use export::{ExportReport, Source, export};
pub use import::{Conflict, Counts, ImportReport, import};

use crate::error::ClientError;

/// Why an export or import ended early.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The cluster did not answer, or refused.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The copy that is exported can't be read.
    #[error("{0}")]
    Source(String),
    /// The folder to import from is not there.
    #[error("there is no folder {}; give the one that holds users.json, channels.json, messages.json and publications.json", .0.display())]
    NoFolder(PathBuf),
    /// The folder has none of the four files.
    #[error("{} holds none of users.json, channels.json, messages.json and publications.json", .0.display())]
    NoFiles(PathBuf),
    /// A file can't be read or written.
    #[error("can't {what} {}: {why}", path.display())]
    File {
        /// `read`, `write` …
        what: &'static str,
        /// Which one.
        path: PathBuf,
        /// What the system says.
        why: io::Error,
    },
    /// A file is not what it should be. Nothing was imported.
    #[error("{} is damaged: {why}; nothing was imported", path.display())]
    Damaged {
        /// Which one.
        path: PathBuf,
        /// Where, and what.
        why: String,
    },
}

impl TransferError {
    fn file(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |why| TransferError::File { what, path, why }
    }
}
