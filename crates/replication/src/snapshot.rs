//! A snapshot's way to another node: the sender writes its view of the rows to a file and sends
//! it in chunks, each answered before the next; the receiver collects them under another name
//! and hands the complete file to the engine, which has it verified and installed in one
//! transaction.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use recado_storage::{STORE_FILE, SnapshotInfo, free_bytes, verify_snapshot};
use serde::{Deserialize, Serialize};

use crate::NodeId;
use crate::bounds::message;
use crate::inbound::known;
use crate::machine;
use crate::network::{call, kind};
use crate::peer::Lane;
use crate::shared::Shared;
use crate::types::{Snapshot, SnapshotData, SnapshotMeta, SnapshotResponse, Vote};

/// One chunk; well below the longest frame.
const CHUNK_BYTES: usize = 1024 * 1024;
/// Files on their way out, before and after they are complete; on their way in; and complete.
const TRANSFER_SUFFIXES: [&str; 4] = [".out.tmp", ".out", IN_SUFFIX, ".whole"];
const IN_SUFFIX: &str = ".in";
/// What a snapshot on its way leaves free on the disk.
const SPARED_BYTES: u64 = 8 * 1024 * 1024;
/// How long a chunk may take; the last one is answered after the installation.
const CHUNK_TIMEOUT: Duration = Duration::from_secs(60);

/// A piece of a snapshot file.
#[derive(Serialize, Deserialize)]
pub struct Chunk {
    /// Tells transfers apart.
    pub transfer: u64,
    /// Where in the file it belongs, bytes.
    pub offset: u64,
    /// The bytes.
    #[serde(with = "serde_bytes_vec")]
    pub bytes: Vec<u8>,
    /// With the last piece: who leads, and what the file is.
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
    /// The snapshot is installed.
    Installed(SnapshotResponse),
    /// Begin again.
    Failed(String),
}

/// Sends the snapshot and waits until it is installed.
pub async fn send_snapshot(
    shared: &Arc<Shared>,
    target: NodeId,
    vote: Vote,
    snapshot: Snapshot,
) -> Result<SnapshotResponse, String> {
    let SnapshotData::View(view) = snapshot.snapshot else {
        return Err("a received snapshot can't be sent on".to_owned());
    };
    let transfer = shared.entropy.number();
    let path = shared.config.dir.join(format!("snapshot-{transfer:016x}.out"));
    let cleanup = RemoveOnDrop(path.clone());
    let dir = shared.config.dir.clone();
    blocking(shared.files, move || {
        // At the most about as long as the store.
        let store = fs::metadata(dir.join(STORE_FILE)).map_or(0, |file| file.len());
        need_room(&dir, store)
    })
    .await?;
    let written = blocking(shared.files, move || {
        view.write_snapshot(&path).map_err(io::Error::other)?;
        File::open(&path)
    });
    let file = written.await.inspect_err(|why| {
        // It is synced, and an fsync that failed says that the disk does.
        shared.fail(format!("a snapshot can't be written: {why}"));
    })?;
    tracing::info!(target, "sending a snapshot");
    let result = send_file(shared, target, vote, snapshot.meta, transfer, file).await;
    drop(cleanup);
    result
}

async fn send_file(
    shared: &Arc<Shared>,
    target: NodeId,
    vote: Vote,
    meta: SnapshotMeta,
    transfer: u64,
    mut file: File,
) -> Result<SnapshotResponse, String> {
    let length = file.metadata().map_err(|e| e.to_string())?.len();
    let mut offset = 0u64;
    loop {
        let (back, bytes) = blocking(shared.files, move || {
            let mut bytes = Vec::with_capacity(CHUNK_BYTES);
            (&mut file).take(CHUNK_BYTES as u64).read_to_end(&mut bytes)?;
            Ok((file, bytes))
        })
        .await?;
        file = back;
        let length_sent = bytes.len() as u64;
        let next = offset + length_sent;
        let end = (next >= length).then_some((vote, meta.clone()));
        let chunk = Chunk { transfer, offset, bytes, end };
        let answer: ChunkAnswer =
            call(shared, target, Lane::Snapshot, kind::SNAPSHOT, &chunk, CHUNK_TIMEOUT).await?;
        shared.config.metrics.snapshot_sent_bytes.inc_by(length_sent);
        match answer {
            ChunkAnswer::Next if next < length => offset = next,
            ChunkAnswer::Installed(response) => {
                message::answered(&response.vote, vote.leader_id.term)?;
                shared.config.metrics.snapshots_sent.inc();
                return Ok(response);
            }
            ChunkAnswer::Next => return Err("the receiver expects more than there is".to_owned()),
            ChunkAnswer::Failed(why) => return Err(why),
        }
    }
}

/// Takes a piece; the last one installs the snapshot.
pub async fn receive_chunk(shared: &Arc<Shared>, chunk: Chunk) -> ChunkAnswer {
    match take_chunk(shared, chunk).await {
        Ok(answer) => answer,
        Err(why) => ChunkAnswer::Failed(why),
    }
}

async fn take_chunk(shared: &Arc<Shared>, chunk: Chunk) -> Result<ChunkAnswer, String> {
    let path = shared.config.dir.join(format!("snapshot-{:016x}.in", chunk.transfer));
    let engine = shared.engine().ok_or("this node is only just starting")?;
    if let Some((vote, meta)) = &chunk.end {
        message::snapshot(vote, meta, known(shared, engine))?;
    }
    let end = chunk.end.clone();
    let written = path.clone();
    let dir = shared.config.dir.clone();
    blocking(shared.files, move || write_chunk(&dir, &written, &chunk)).await?;
    let Some((vote, meta)) = end else { return Ok(ChunkAnswer::Next) };
    // Under another name, or the next transfer's first piece would remove it while it is read.
    let whole = path.with_extension("whole");
    let renamed = whole.clone();
    let cleanup = RemoveOnDrop(whole.clone());
    let expected = meta.clone();
    // What was damaged on its way is sent again; the engine would take it for a broken store.
    blocking(shared.files, move || {
        fs::rename(&path, &renamed)?;
        let info = verify_snapshot(&renamed).map_err(io::Error::other)?;
        is_what_it_says(&info, &expected)
    })
    .await?;
    let snapshot = Snapshot { meta, snapshot: SnapshotData::File(Arc::from(whole.as_path())) };
    let response =
        engine.install_full_snapshot(vote, snapshot).await.map_err(|error| error.to_string())?;
    drop(cleanup);
    shared.config.metrics.snapshots_installed.inc();
    Ok(ChunkAnswer::Installed(response))
}

/// The engine goes by what it is told, the store by what the file holds.
fn is_what_it_says(info: &SnapshotInfo, meta: &SnapshotMeta) -> io::Result<()> {
    let held = machine::decode_marks(&info.marks)?;
    let position = meta.last_log_id.map_or(0, |id| id.index);
    if (&held.0, &held.1, info.position) == (&meta.last_log_id, &meta.last_membership, position) {
        return Ok(());
    }
    Err(io::Error::other("the snapshot is not the one that was announced"))
}

/// Writes a piece where it belongs. The first one begins a file and removes older transfers.
fn write_chunk(dir: &Path, path: &Path, chunk: &Chunk) -> io::Result<()> {
    if chunk.bytes.len() > CHUNK_BYTES {
        return Err(io::Error::other("a piece of the snapshot is too long"));
    }
    if chunk.offset == 0 {
        remove(dir, &[IN_SUFFIX])?;
    }
    need_room(dir, chunk.bytes.len() as u64)?;
    let mut file =
        OpenOptions::new().create(chunk.offset == 0).write(true).truncate(false).open(path)?;
    if file.metadata()?.len() != chunk.offset {
        return Err(io::Error::other("a piece of the snapshot is missing"));
    }
    file.seek(SeekFrom::Start(chunk.offset))?;
    // Not synced: the store is, once it has the rows, and the file is gone then.
    file.write_all(&chunk.bytes)
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

/// Removes what interrupted transfers left in a data folder that no replica works on.
///
/// # Errors
/// The folder can't be read, or a file can't be removed.
pub fn remove_leftovers(dir: &Path) -> io::Result<()> {
    remove(dir, &TRANSFER_SUFFIXES)
}

fn remove(dir: &Path, suffixes: &[&str]) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with("snapshot-") && suffixes.iter().any(|suffix| name.ends_with(suffix)) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

struct RemoveOnDrop(PathBuf);

impl Drop for RemoveOnDrop {
    fn drop(&mut self) {
        // The file may never have come to be; the next start removes what stays.
        let _ = fs::remove_file(&self.0);
    }
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
