//! Snapshot files: a whole view of the rows, to bring another server level.
//!
//! ```text
//! magic (8) · chunk 0: header · chunks 1 … 14: rows, table by table in order · chunk 255: footer
//! chunk  = table (1) · length (4) · crc32 of table, length and payload (4) · payload
//! row    = key length (4) · value length (4) · key · value
//! header = format (8) · position (8) · sums (32) · applied length (4) · applied · membership
//! footer = rows (8) · chunks (8) · crc32 of everything before the footer (4)
//! ```
//!
//! Numbers are little-endian. A chunk's own checksum finds damage before its rows are read; the
//! footer finds chunks that are missing or stand elsewhere, and a file that was cut off. The sums are
//! those that the sender kept up with each change: that the rows have them shows that they are what
//! was applied, and not only what was read.

mod read;
mod write;

use crate::store::Marks;
use crate::sums::Sums;

pub(crate) use read::{load, open};
pub use read::{verify_snapshot, verify_snapshot_file};
pub(crate) use write::{write, write_to};

pub(crate) const MAGIC: &[u8; 8] = b"RECADOSN";

/// The newest format that this program reads, and the one that it writes.
const FORMAT: u64 = 2;

/// The header's chunk.
const HEADER: u8 = 0;
/// The footer's chunk.
const FOOTER: u8 = 255;

/// A chunk ends when it has grown beyond this.
const CHUNK_BYTES: usize = 256 * 1024;

/// No chunk is longer: what a damaged length may make us allocate. A chunk is at most
/// [`CHUNK_BYTES`] and one row, and a row is no longer than a log entry.
const MAX_CHUNK_BYTES: usize = 64 * 1024 * 1024;

/// Table, length and checksum in front of every chunk.
pub(crate) const CHUNK_HEAD_BYTES: usize = 9;

/// What a snapshot says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// Replication's marks.
    pub marks: Marks,
    /// The log position of the last applied entry.
    pub position: u64,
    /// The sums of all rows.
    pub sums: Sums,
    /// How many rows it has.
    pub rows: u64,
    /// How long the file is.
    pub bytes: u64,
}

/// A chunk's checksum; table and length count too, so that no payload is read as another one.
pub(crate) fn chunk_checksum(table: u8, length: u32, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[table]);
    hasher.update(&length.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}
