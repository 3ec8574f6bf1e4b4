//! The sender's side of a transfer.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use recado_storage::{Reader, STORE_FILE};
use tokio::time::{Instant, sleep};

use super::transfers::Ongoing;
use super::{CHUNK_BYTES, Chunk, ChunkAnswer, Share, blocking, nameless, need_room, pace};
use crate::NodeId;
use crate::bounds::message;
use crate::network::{call, kind};
use crate::peer::Lane;
use crate::shared::Shared;
use crate::types::{Snapshot, SnapshotData, SnapshotMeta, SnapshotResponse, Vote};

/// Parts of rest for one of work, while the file is written and while it is sent.
const REST_WRITING: u32 = 2;
const REST_SENDING: u32 = 1;
/// How long one answer may take, and how long there may be none before the transfer is given up.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(6);
/// Before a chunk that may be lost is sent again.
const RETRY_AFTER: Duration = Duration::from_millis(250);
/// How often it is looked whether the receiver is still connected.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Between two questions how far the installation is: often enough for its answers to say that the
/// receiver lives.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// How long an installation may take.
const INSTALL_TIMEOUT: Duration = Duration::from_secs(1800);

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
    let position = snapshot.meta.last_log_id.map_or(0, |id| id.index);
    let ongoing = shared.transfers.begin(target, shared.entropy.number(), position);
    let begun = Instant::now();
    let way = Way { shared, target, ongoing, vote, meta: snapshot.meta };
    let response = tokio::select! {
        // One order always, for the sake of replayed simulations.
        biased;
        response = way.go(view) => response?,
        () = gone(shared, target) => return Err("its connection is closed".to_owned()),
    };
    shared.config.metrics.snapshots_sent.inc();
    // It goes on from here: nothing behind this position may be gone before it was sent.
    shared.answered(vote.leader_id.term, target, Some(position), begun);
    let seconds = begun.elapsed().as_secs();
    tracing::info!(target, position, seconds, "a snapshot that was sent is installed");
    Ok(response)
}

/// Ends when the receiver's connection stays closed.
async fn gone(shared: &Shared, target: NodeId) {
    let is_gone = || shared.transport.connection(target, Lane::Snapshot).is_none();
    let mut was_gone = false;
    loop {
        let is_gone = is_gone();
        if is_gone && was_gone {
            return;
        }
        was_gone = is_gone;
        sleep(LOOK_EVERY).await;
    }
}

/// Ends the writer's thread when whoever waits for it is gone.
struct Abandoned(Arc<AtomicBool>);

impl Drop for Abandoned {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn write(shared: &Arc<Shared>, transfer: u64, view: Arc<Reader>) -> Result<File, String> {
    let dir = shared.config.dir.clone();
    // Nothing to tell of: a disk that is too full now may not be when this is tried again.
    let room = move || {
        // At the most about as long as the store.
        let store = fs::metadata(dir.join(STORE_FILE)).map_or(0, |file| file.len());
        need_room(&dir, store)?;
        nameless(&dir, transfer)
    };
    let file = blocking(shared.files, room).await?;
    let abandoned = Abandoned(Arc::default());
    let is_abandoned = abandoned.0.clone();
    let (files, room_in) = (shared.files, shared.config.dir.clone());
    let written = blocking(files, move || {
        let mut share = Share::new(files, REST_WRITING);
        let written = view.write_snapshot_to(&file, |_| {
            share.rest();
            need_room(&room_in, 0)?;
            if is_abandoned.load(Ordering::Relaxed) {
                return Err(io::Error::other("nobody waits for it any more"));
            }
            Ok(())
        });
        // The view keeps pages of the store from being used again.
        drop(view);
        written.map(|()| file).map_err(io::Error::other)
    });
    written.await.inspect_err(|why| {
        // Rows that can't be read, or a disk that can't be written. One that is full now may not be
        // when this is tried again.
        if need_room(&shared.config.dir, 0).is_ok() {
            shared.fail(format!("a snapshot can't be written: {why}"));
        }
    })
}

/// One file on its way to one node.
struct Way<'a> {
    shared: &'a Arc<Shared>,
    target: NodeId,
    ongoing: Ongoing,
    vote: Vote,
    meta: SnapshotMeta,
}

impl Way<'_> {
    async fn go(&self, view: Arc<Reader>) -> Result<SnapshotResponse, String> {
        // Asked first, with a piece of no length: a file that nobody takes is not worth writing.
        self.ask(0, Vec::new(), false).await?;
        let file = write(self.shared, self.ongoing.transfer, view).await?;
        let length = file.metadata().map_err(|error| error.to_string())?.len();
        tracing::info!(target = self.target, bytes = length, "sending a snapshot");
        self.send(file, length).await
    }

    async fn send(&self, file: File, length: u64) -> Result<SnapshotResponse, String> {
        let mut file = Some(file);
        let mut offset = 0u64;
        let mut installing_since = None;
        loop {
            if self.ongoing.is_overtaken() {
                return Err("the log behind it has outgrown what is kept".to_owned());
            }
            let bytes = match file.take() {
                Some(open) => {
                    let (open, bytes) = read(self.shared, open, offset).await?;
                    file = Some(open);
                    bytes
                }
                None => Vec::new(),
            };
            let sent = bytes.len() as u64;
            let next = offset + sent;
            let begun = Instant::now();
            let answer = self.ask(offset, bytes, next >= length).await?;
            self.shared.config.metrics.snapshot_sent_bytes.inc_by(sent);
            match answer {
                ChunkAnswer::Next if next < length => {
                    offset = next;
                    sleep(pace::rest(begun.elapsed(), REST_SENDING)).await;
                }
                ChunkAnswer::Next => {
                    return Err("the receiver expects more than there is".to_owned());
                }
                ChunkAnswer::Installing => {
                    // All of it is there: the room is free again.
                    file = None;
                    offset = length;
                    let since = *installing_since.get_or_insert_with(Instant::now);
                    if since.elapsed() > INSTALL_TIMEOUT {
                        return Err("the receiver does not come to an end".to_owned());
                    }
                    sleep(ASK_EVERY).await;
                }
                ChunkAnswer::Installed(response) => {
                    message::answered(&response.vote, self.vote.leader_id.term)?;
                    return Ok(response);
                }
                ChunkAnswer::Failed(why) => return Err(why),
            }
        }
    }

    /// Sends a chunk, again if there is no answer; the receiver takes it once.
    async fn ask(&self, offset: u64, bytes: Vec<u8>, last: bool) -> Result<ChunkAnswer, String> {
        let end = last.then(|| (self.vote, self.meta.clone()));
        let chunk = Chunk { transfer: self.ongoing.transfer, offset, bytes, end };
        let silent_since = Instant::now();
        loop {
            let (shared, target) = (self.shared, self.target);
            let asked =
                call(shared, target, Lane::Snapshot, kind::SNAPSHOT, &chunk, ANSWER_TIMEOUT);
            match asked.await {
                Ok(answer) => {
                    self.ongoing.heard();
                    return Ok(answer);
                }
                Err(why) if silent_since.elapsed() >= ANSWER_TIMEOUT => return Err(why),
                Err(_) => sleep(RETRY_AFTER).await,
            }
        }
    }
}

async fn read(shared: &Shared, mut file: File, offset: u64) -> Result<(File, Vec<u8>), String> {
    blocking(shared.files, move || {
        let mut bytes = Vec::with_capacity(CHUNK_BYTES);
        file.seek(SeekFrom::Start(offset))?;
        (&mut file).take(CHUNK_BYTES as u64).read_to_end(&mut bytes)?;
        Ok((file, bytes))
    })
    .await
}
