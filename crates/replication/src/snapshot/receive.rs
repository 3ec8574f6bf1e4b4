//! The receiver's side of a transfer.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::sync::{Arc, Weak};
use std::time::Duration;

use recado_storage::{SnapshotInfo, verify_snapshot_file};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

use super::{CHUNK_BYTES, Chunk, ChunkAnswer, Received, blocking, nameless, need_room};
use crate::bounds::message;
use crate::inbound::known;
use crate::machine;
use crate::shared::Shared;
use crate::types::{Engine, Snapshot, SnapshotData, SnapshotMeta, SnapshotResponse, Vote};

/// What was begun is given up when its sender is silent for so long, longer than that one waits
/// for an answer.
const SENDER_SILENCE: Duration = Duration::from_secs(8);

/// The one snapshot that this node receives at a time. The lock is held while a piece is written:
/// a piece that is sent twice must not be written twice.
#[derive(Default)]
pub struct Inbox(Mutex<Option<Incoming>>);

/// A snapshot that comes in.
struct Incoming {
    transfer: u64,
    heard: Instant,
    stage: Stage,
}

enum Stage {
    Collecting { file: File, length: u64 },
    Installing,
    Done(Result<SnapshotResponse, String>),
}

/// Takes a piece; the last one has the snapshot installed.
pub async fn receive_chunk(shared: &Arc<Shared>, chunk: Chunk) -> ChunkAnswer {
    match take_chunk(shared, chunk).await {
        Ok(answer) => answer,
        Err(why) => ChunkAnswer::Failed(why),
    }
}

async fn take_chunk(shared: &Arc<Shared>, mut chunk: Chunk) -> Result<ChunkAnswer, String> {
    let engine = shared.engine().ok_or("this node is only just starting")?;
    if let Some((vote, meta)) = &chunk.end {
        message::snapshot(vote, meta, known(shared, engine))?;
    }
    if chunk.bytes.len() > CHUNK_BYTES {
        return Err("a piece of the snapshot is too long".to_owned());
    }
    let mut inbox = shared.inbox.0.lock().await;
    let same = inbox.as_ref().is_some_and(|incoming| incoming.transfer == chunk.transfer);
    if !same {
        if chunk.offset > 0 {
            return Err("the beginning of the snapshot is missing".to_owned());
        }
        *inbox = Some(begin(shared, chunk.transfer).await?);
        tokio::spawn(give_up_in_silence(Arc::downgrade(shared), chunk.transfer));
    }
    let Some(incoming) = inbox.as_mut() else { return Err("nothing was begun".to_owned()) };
    incoming.heard = Instant::now();
    let (file, length) = match &mut incoming.stage {
        Stage::Installing => return Ok(ChunkAnswer::Installing),
        Stage::Done(Ok(response)) => return Ok(ChunkAnswer::Installed(response.clone())),
        Stage::Done(Err(why)) => return Ok(ChunkAnswer::Failed(why.clone())),
        Stage::Collecting { file, length } => (file, length),
    };
    let end = chunk.end.take();
    let next = chunk.offset.saturating_add(chunk.bytes.len() as u64);
    // The answer to a piece that was taken may be lost; then it comes again.
    if next != *length || chunk.bytes.is_empty() {
        if chunk.offset != *length {
            return Err("a piece of the snapshot is missing".to_owned());
        }
        write(shared, file, chunk).await?;
        *length = next;
    }
    let Some((vote, meta)) = end else { return Ok(ChunkAnswer::Next) };
    let stage = std::mem::replace(&mut incoming.stage, Stage::Installing);
    let Stage::Collecting { file, .. } = stage else { return Ok(ChunkAnswer::Installing) };
    let installing = install(shared.clone(), engine.clone(), file, vote, meta);
    let (shared, transfer) = (shared.clone(), incoming.transfer);
    // Answered at once: who is asked nothing for so long as this takes would count as dead.
    tokio::spawn(async move {
        let done = installing.await;
        if done.is_ok() {
            shared.config.metrics.snapshots_installed.inc();
        }
        let mut inbox = shared.inbox.0.lock().await;
        // Its sender may have begun another one.
        if let Some(incoming) = inbox.as_mut().filter(|one| one.transfer == transfer) {
            incoming.stage = Stage::Done(done);
        }
    });
    Ok(ChunkAnswer::Installing)
}

async fn begin(shared: &Arc<Shared>, transfer: u64) -> Result<Incoming, String> {
    let dir = shared.config.dir.clone();
    let file = blocking(shared.files, move || nameless(&dir, transfer)).await?;
    let stage = Stage::Collecting { file, length: 0 };
    Ok(Incoming { transfer, heard: Instant::now(), stage })
}

async fn write(shared: &Arc<Shared>, file: &File, chunk: Chunk) -> Result<(), String> {
    let mut file = file.try_clone().map_err(|error| error.to_string())?;
    let dir = shared.config.dir.clone();
    blocking(shared.files, move || {
        need_room(&dir, chunk.bytes.len() as u64)?;
        file.seek(SeekFrom::Start(chunk.offset))?;
        // Not synced: the store is, once it has the rows, and the file is gone then.
        file.write_all(&chunk.bytes)
    })
    .await
}

async fn install(
    shared: Arc<Shared>,
    engine: Engine,
    file: File,
    vote: Vote,
    meta: SnapshotMeta,
) -> Result<SnapshotResponse, String> {
    let expected = meta.clone();
    // What was damaged on its way is sent again; the engine would take it for a broken store.
    let verified = blocking(shared.files, move || {
        let info = verify_snapshot_file(&file).map_err(io::Error::other)?;
        is_what_it_says(&info, &expected)?;
        Ok(Received { file, info })
    });
    let received = Arc::new(verified.await?);
    let snapshot = Snapshot { meta, snapshot: SnapshotData::Received(received) };
    engine.install_full_snapshot(vote, snapshot).await.map_err(|error| error.to_string())
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

/// Lets go of a transfer whose sender is gone, and of the result of one that is over.
async fn give_up_in_silence(shared: Weak<Shared>, transfer: u64) {
    let mut due = Instant::now() + SENDER_SILENCE;
    loop {
        sleep_until(due).await;
        let Some(shared) = shared.upgrade() else { return };
        let mut inbox = shared.inbox.0.lock().await;
        let Some(incoming) = inbox.as_ref().filter(|one| one.transfer == transfer) else { return };
        due = incoming.heard + SENDER_SILENCE;
        if matches!(incoming.stage, Stage::Installing) {
            due = due.max(Instant::now() + SENDER_SILENCE);
        } else if due <= Instant::now() {
            // Before the first piece the sender is still writing its file.
            if matches!(incoming.stage, Stage::Collecting { length: 1.., .. }) {
                tracing::info!("a snapshot is given up: its sender is silent");
            }
            *inbox = None;
            return;
        }
    }
}
