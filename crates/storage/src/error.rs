//! What can go wrong with a store.

use std::path::{Path, PathBuf};

/// A failure of the store. A node that meets one stops: it can't know what it holds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Something does not fit its checksum, or is gone. It is noted: the next opening is refused.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Written by a newer version.
    #[error("{path} was written by a newer version of recado (format {found}, this one knows {known}); run that version, or start with an empty data folder", path = path.display())]
    Newer {
        /// The store's file.
        path: PathBuf,
        /// The format that it has.
        found: u64,
        /// The newest format that this program can read.
        known: u64,
    },
    /// Written by a version that is too old.
    #[error("{path} was written by an older version of recado, whose data this one can't read; export it with that version, start with an empty data folder, and import it", path = path.display())]
    Older {
        /// The store's file.
        path: PathBuf,
    },
    /// Another process has it open.
    #[error("{path} is in use by another process; stop that one, or give this server another --data-dir or --name", path = path.display())]
    InUse {
        /// The store's file.
        path: PathBuf,
    },
    /// Damaged, or something else entirely. The rows are in the log and the snapshots too, so a
    /// server that still has those can build them again.
    #[error("{path} is damaged or not a store of recado ({why}); move it away and start again to build it anew", path = path.display())]
    Damaged {
        /// The store's file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Anything else.
    #[error("can't open {path}: {why}", path = path.display())]
    Failed {
        /// The store's file.
        path: PathBuf,
        /// What is wrong, and what to do.
        why: String,
    },
}

macro_rules! from_redb {
    ($($kind:ident)+) => {$(
        impl From<redb::$kind> for StoreError {
            fn from(error: redb::$kind) -> StoreError {
                StoreError::Failed(format!("the store failed: {error}"))
            }
        }
    )+};
}

from_redb!(StorageError TableError TransactionError CommitError SetDurabilityError);

impl StoreError {
    /// A row that is as it was written, and that this program can't read.
    pub(crate) fn unreadable(what: &str) -> StoreError {
        StoreError::Failed(format!(
            "the store holds a {what} that this version of recado can't read; run the version that \
             wrote it"
        ))
    }

    /// A file that can't be written or read.
    pub(crate) fn file(what: &str, path: &Path, error: &std::io::Error) -> StoreError {
        StoreError::Failed(format!("can't {what} {}: {error}", path.display()))
    }
}

impl OpenError {
    /// The right kind for what the file system, or redb, met.
    pub(crate) fn from_io(path: &Path, error: &std::io::Error) -> OpenError {
        use std::io::ErrorKind::{InvalidData, UnexpectedEof, WouldBlock};
        let path = path.to_owned();
        match error.kind() {
            WouldBlock => OpenError::InUse { path },
            InvalidData | UnexpectedEof => OpenError::Damaged { path, why: error.to_string() },
            _ => OpenError::Failed { path, why: io_advice(error) },
        }
    }

    /// The right kind for what redb met.
    pub(crate) fn from_redb(path: &Path, error: redb::DatabaseError) -> OpenError {
        match error {
            redb::DatabaseError::Storage(redb::StorageError::Io(error)) => {
                OpenError::from_io(path, &error)
            }
            // What redb finds wrong with bytes that fit their checksums does not belong together.
            redb::DatabaseError::Storage(redb::StorageError::Corrupted(why)) => {
                OpenError::Damaged { path: path.to_owned(), why }
            }
            other => OpenError::Failed { path: path.to_owned(), why: other.to_string() },
        }
    }
}

fn io_advice(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            format!("{error}; let this user write there, or choose another --data-dir")
        }
        ErrorKind::NotFound => format!("{error}; create the folder first"),
        ErrorKind::StorageFull => format!("{error}; free some space"),
        _ => error.to_string(),
    }
}
