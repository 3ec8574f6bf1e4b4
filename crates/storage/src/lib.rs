//! The chat's rows on disk (redb), the snapshot files that bring another server level, and
//! pages of rows for history and export.

use std::path::{Path, PathBuf};

use recado_chat::{Applied, LogEntry, Member};

/// A failure of the store. A node that meets one stops: it can't know what it holds.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(pub String);

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Written by a newer version.
    #[error("{path} was written by a newer version of recado (format {found}, this one knows {known}); run that version, or start with an empty data folder", path = path.display())]
    Newer { path: PathBuf, found: u64, known: u64 },
    /// Another process has it open.
    #[error("{path} is in use by another process; stop that one, or give this server another --data-dir or --name", path = path.display())]
    InUse { path: PathBuf },
    /// Anything else.
    #[error("can't open {path}: {why}", path = path.display())]
    Failed { path: PathBuf, why: String },
}

/// One entry to apply.
#[derive(Clone, Debug)]
pub struct Logged {
    /// Its position in the log.
    pub position: u64,
    /// The entry; none for entries that mean nothing to the chat.
    pub entry: Option<LogEntry>,
}

/// What replication keeps beside the rows, in the same transaction; opaque here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// The last applied log id.
    pub applied: Vec<u8>,
    /// The last applied consensus membership.
    pub membership: Vec<u8>,
}

/// The store of one server. Clones share it; there is one writer at a time.
#[derive(Clone)]
pub struct Store {}

/// A consistent view of the rows at one position.
pub struct Reader {}

impl Store {
    /// Opens or creates the store in this folder, which exists.
    pub fn open(_dir: &Path) -> Result<Store, OpenError> {
        todo!()
    }
    /// The marks of the last transaction.
    pub fn marks(&self) -> Result<Marks, StoreError> {
        todo!()
    }
    /// Applies a batch in one transaction, without waiting for the disk: the log is durable and
    /// replays.
    pub fn apply(&self, _batch: &[Logged], _marks: &Marks) -> Result<Vec<Applied>, StoreError> {
        todo!()
    }
    /// Waits until everything applied so far is on disk.
    pub fn flush(&self) -> Result<(), StoreError> {
        todo!()
    }
    /// A view of the rows as they are now.
    pub fn reader(&self) -> Result<Reader, StoreError> {
        todo!()
    }
    /// Replaces all rows and marks by a snapshot file's, in one durable transaction; a damaged
    /// file changes nothing.
    pub fn install(&self, _snapshot: &Path) -> Result<Marks, StoreError> {
        todo!()
    }
}

impl Reader {
    /// The marks of this view.
    pub fn marks(&self) -> Result<Marks, StoreError> {
        todo!()
    }
    /// All members, by node id.
    pub fn members(&self) -> Result<Vec<Member>, StoreError> {
        todo!()
    }
    /// Writes this view as a snapshot file (durably, checksummed, first under another name).
    pub fn write_snapshot(&self, _path: &Path) -> Result<(), StoreError> {
        todo!()
    }
}
