//! The chat's rows on disk (redb), the snapshot files that bring another server level, and
//! pages of rows for history and export.
//!
//! One writer applies batches of log entries; readers are snapshots that never wait for it. A
//! batch is one transaction without an fsync: the log is durable and replays whatever the store
//! forgets, so [`Store::flush`] is needed only before the log may forget.

mod digest;
mod disk;
mod error;
mod export;
mod history;
mod medium;
mod overlay;
mod reader;
mod rows;
mod snapshot;
mod store;
mod tables;
mod values;
mod verify;

pub use disk::{free_bytes, reread};
pub use error::{OpenError, StoreError};
pub use export::{ExportPage, ExportTable};
pub use history::{HistoryOf, HistoryPage, PageLimit, Publishable};
pub use medium::Medium;
pub use overlay::Overlay;
pub use reader::{Reader, StoredLogin, StoredMessage, StoredUser};
pub use snapshot::{SnapshotInfo, verify_snapshot};
pub use store::{Batches, Finished, Logged, Marks, STORE_FILE, Store, Transaction};
pub use verify::Verified;
