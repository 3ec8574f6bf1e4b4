//! A snapshot's way to another node: the sender writes its view of the rows to a file and sends
//! it in chunks, each answered before the next; the receiver collects them, and once the file is
//! complete and verified it hands it to the engine, which has it installed in one transaction.
//! While that goes on the sender asks how far it is.
//!
//! The files on both sides have no name: the folder forgets them as soon as they are open. So
//! whatever ends a transfer, a kill too, the system frees the room when the last one who works on
//! the file lets go of it.

mod pace;
mod receive;
mod send;
mod transfers;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

use recado_storage::{SnapshotInfo, free_bytes};
use serde::{Deserialize, Serialize};

use crate::types::{SnapshotMeta, SnapshotResponse, Vote};

pub use pace::Share;
pub use receive::{Inbox, receive_chunk};
pub use send::send_snapshot;
pub use transfers::Transfers;

/// One chunk; well below the longest frame.
const CHUNK_BYTES: usize = 1024 * 1024;
/// What a snapshot on its way leaves free on the disk.
const SPARED_BYTES: u64 = 8 * 1024 * 1024;
/// A file is called so for the moment between its making and its forgetting.
const PREFIX: &str = "snapshot-";
/// What names a kill in that moment can leave, and what earlier versions left.
const TRANSFER_SUFFIXES: [&str; 5] = [".open", ".out.tmp", ".out", ".in", ".whole"];

/// A piece of a snapshot file.
#[derive(Serialize, Deserialize)]
pub struct Chunk {
    /// Tells transfers apart.
    pub transfer: u64,
    /// Where in the file it belongs, bytes.
    pub offset: u64,
    /// The bytes; none in the question at the beginning whether the receiver is there, and in those
    /// at the end how far the installation is.
    #[serde(with = "serde_bytes_vec")]
    pub bytes: Vec<u8>,
    /// With the last piece, and every question: who leads, and what the file is.
    pub end: Option<(Vote, SnapshotMeta)>,
}

/// `Vec<u8>` as MessagePack bin instead of an array of numbers.
mod serde_bytes_vec {
    use bytes::Bytes;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        Bytes::deserialize(deserializer).map(Vec::from)
    }
}

/// The answer to a piece.
#[derive(Serialize, Deserialize)]
pub enum ChunkAnswer {
    /// Go on.
    Next,
    /// Everything is here, and is being verified and installed: ask again.
    Installing,
    /// The snapshot is installed.
    Installed(SnapshotResponse),
    /// Begin again.
    Failed(String),
}

/// A complete and verified snapshot that came from another node.
pub struct Received {
    /// The file.
    pub file: File,
    /// What it says of itself.
    pub info: SnapshotInfo,
}

/// An empty file in this folder that is gone with its last handle.
fn nameless(dir: &Path, transfer: u64) -> io::Result<File> {
    let path = dir.join(format!("{PREFIX}{transfer:016x}.open"));
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

/// A transfer can wait; the log, which needs the same disk, can't.
fn need_room(dir: &Path, bytes: u64) -> io::Result<()> {
    let free = free_bytes(dir)?;
    if free >= bytes.saturating_add(SPARED_BYTES) {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::StorageFull,
        format!(
            "there is no room for a snapshot in {}: it needs {bytes} bytes, and {free} are free, of \
             which {SPARED_BYTES} are for the log",
            dir.display()
        ),
    ))
}

/// Removes what killed processes left in a data folder that no replica works on.
///
/// # Errors
/// The folder can't be read, or a file can't be removed.
pub fn remove_leftovers(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let ends = |suffix: &&str| name.ends_with(*suffix);
        if name.starts_with(PREFIX) && TRANSFER_SUFFIXES.iter().any(ends) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Who reads and writes files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Files {
    /// Threads, so that nobody waits for a disk who need not.
    Threads,
    /// Whoever asks, in a simulation.
    Inline,
}

async fn blocking<T: Send + 'static>(
    files: Files,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, String> {
    let done = match files {
        Files::Threads => {
            tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())?
        }
        Files::Inline => work(),
    };
    done.map_err(|error| error.to_string())
}
