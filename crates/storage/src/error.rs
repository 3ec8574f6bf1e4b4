//! What can go wrong with a store.

use std::path::{Path, PathBuf};

/// A failure of the store. A node that meets one stops: it can't know what it holds.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(pub String);

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
                StoreError(format!("the store failed: {error}"))
            }
        }
    )+};
}

from_redb!(StorageError TableError TransactionError CommitError SetDurabilityError);

impl StoreError {
    /// A row that this program can't read.
    pub(crate) fn unreadable(what: &str) -> StoreError {
        StoreError(format!("the store holds a {what} that can't be read: it is damaged or newer"))
    }

    /// A file that can't be written or read.
    pub(crate) fn file(what: &str, path: &Path, error: &std::io::Error) -> StoreError {
        StoreError(format!("can't {what} {}: {error}", path.display()))
    }
}

impl OpenError {
    /// The right kind for what redb met.
    pub(crate) fn from_redb(path: &Path, error: redb::DatabaseError) -> OpenError {
        let path = path.to_owned();
        match error {
            redb::DatabaseError::DatabaseAlreadyOpen => OpenError::InUse { path },
            redb::DatabaseError::Storage(redb::StorageError::Corrupted(why)) => {
                OpenError::Damaged { path, why }
            }
            // No version of this program wrote an older format: the byte that names it is damaged.
            older @ redb::DatabaseError::UpgradeRequired(_) => {
                OpenError::Damaged { path, why: older.to_string() }
            }
            redb::DatabaseError::Storage(redb::StorageError::Io(error)) => match error.kind() {
                // A file cut short, or without redb's first bytes.
                std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof => {
                    OpenError::Damaged { path, why: error.to_string() }
                }
                _ => OpenError::Failed { path, why: io_advice(&error) },
            },
            other => OpenError::Failed { path, why: other.to_string() },
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
