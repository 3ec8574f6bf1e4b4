//! The chat's rows on disk (redb), the snapshot files that bring another server level, and
//! pages of rows for history and export.
//!
//! What is read is verified: the file has checksums of ours ([`blocks`]), rows have sums that are kept
//! up with each change ([`sums`]), and [`Scrub`] reads what nobody asks for.
//!
//! One writer applies batches of log entries; readers are snapshots that never wait for it. A
//! batch is one transaction without an fsync: the log is durable and replays whatever the store
//! forgets, so [`Store::flush`] is needed only before the log may forget.

mod blocks;
mod damage;
mod digest;
mod disk;
mod error;
mod export;
mod file;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod history;
mod medium;
mod overlay;
mod reader;
mod rows;
mod scrub;
mod snapshot;
mod store;
mod sums;
mod tables;
mod values;
mod verify;

pub use damage::is_guarded;
pub use disk::{forget_cached, free_bytes, reread};
pub use error::{OpenError, StoreError};
pub use export::{ExportPage, ExportTable};
pub use history::{HistoryOf, HistoryPage, PageLimit, Publishable};
pub use medium::Medium;
pub use overlay::Overlay;
pub use reader::{Reader, StoredLogin, StoredMessage, StoredUser};
pub use scrub::{Scrub, ScrubStep};
pub use snapshot::{SnapshotInfo, verify_snapshot, verify_snapshot_file};
pub use store::{
    Batches, CHECKPOINT_POSITIONS, Checkpoint, DAMAGE_NOTE, Finished, Logged, Marks, STORE_FILE,
    Store, Transaction,
};
pub use sums::Sums;
pub use verify::Verified;
