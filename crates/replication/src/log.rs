//! The replicated log on disk: openraft's storage interface over raft-log.

mod opening;

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader};
use raft_log::api::raft_log_writer::RaftLogWriter;
#[cfg(feature = "planted")]
use recado_chat::planted::{self, Bug};
use tokio::sync::{oneshot, watch};

use crate::disk::{Asked, Disk};
use crate::keep::Extent;
use crate::log_codec::{DiskPayload, DiskVote};
use crate::types::{Entry, EntryPayload, LogId, Payload, TypeConfig, Vote};
pub use opening::{check_format, hold};

/// Entries for a backup go out in messages of about this size; a longer frame would close the
/// connection. One entry always fits.
const MESSAGE_BYTES: usize = 1024 * 1024;

/// A log, as the replica needs it beside what the engine does with it.
pub trait NodeLog: RaftLogStorage<TypeConfig> + Clone {
    /// The last entry that this start appended and that is on disk, and its changes.
    fn flushed(&self) -> watch::Receiver<Option<LogId>>;

    /// Whether nothing was ever written to it, not even a vote.
    fn is_empty(&self) -> bool;

    /// The last position that was removed from the log, 0 if nothing was.
    fn purged(&self) -> u64;

    /// How much it holds.
    fn extent(&self) -> Extent;

    /// The last position that must go so that no more than this stays; none when no more is there.
    fn surplus(&self, most: Extent) -> Option<u64>;

    /// Has it tell there what it asks of its disk.
    fn watch_disk(&mut self, disk: Disk);

    /// What went wrong while it was used, in a sentence: the first thing that did.
    fn trouble(&self) -> watch::Sender<Option<String>> {
        watch::Sender::new(None)
    }
}

/// raft-log's type table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogTypes;

/// Who wants to know that a write is on disk.
pub enum Flushed {
    /// The engine, about appended entries; and whoever watches how far the disk is.
    Engine {
        /// The engine's.
        callback: IOFlushed<TypeConfig>,
        /// The last of the entries.
        upto: LogId,
        /// Where the watchers look.
        mark: watch::Sender<Option<LogId>>,
        /// Where a failure is told.
        trouble: Trouble,
        /// What was asked of the disk.
        asked: Asked,
    },
    /// Nobody but whoever looks for trouble.
    Nobody(Trouble),
    /// A waiting call.
    Caller(oneshot::Sender<io::Result<()>>),
}

impl raft_log::Callback for Flushed {
    fn send(self, result: io::Result<()>) {
        match self {
            Flushed::Engine { callback, upto, mark, trouble, asked } => {
                asked.done();
                match &result {
                    Ok(()) => _ = mark.send_replace(Some(upto)),
                    Err(error) => trouble.tell("can't be written", error),
                }
                callback.io_completed(result);
            }
            Flushed::Nobody(trouble) => {
                if let Err(error) = result {
                    trouble.tell("can't be written", &error);
                }
            }
            Flushed::Caller(sender) => {
                // A caller that is gone no longer cares.
                let _ = sender.send(result);
            }
        }
    }
}

impl raft_log::Types for LogTypes {
    type LogId = (u64, u64);
    type LogPayload = DiskPayload;
    type Vote = DiskVote;
    type Callback = Flushed;
    type UserData = String;

    fn log_index(id: &(u64, u64)) -> u64 {
        id.1
    }

    fn payload_size(payload: &DiskPayload) -> u64 {
        match payload {
            DiskPayload::Known(payload) => payload_bytes(payload),
            DiskPayload::Unknown { bytes, .. } => bytes.len() as u64,
        }
    }
}

/// What an entry takes, about.
pub fn payload_bytes(payload: &EntryPayload) -> u64 {
    /// What an entry costs in the cache beside its bytes, about.
    const OVERHEAD_BYTES: u64 = 64;
    OVERHEAD_BYTES
        + match payload {
            openraft::EntryPayload::Normal(Payload(bytes)) => bytes.len() as u64,
            _ => 0,
        }
}

fn to_disk(id: &LogId) -> (u64, u64) {
    (id.leader_id.term, id.index)
}

fn from_disk(id: &(u64, u64)) -> LogId {
    openraft::LogId { leader_id: id.0.into(), index: id.1 }
}

/// Tells, in a sentence, what went wrong with the log; the first one counts.
#[derive(Clone)]
pub struct Trouble {
    dir: PathBuf,
    told: watch::Sender<Option<String>>,
}

impl Trouble {
    fn tell(&self, what: &str, error: &io::Error) {
        let sentence = format!("the log in {} {what}: {error}", self.dir.display());
        self.told.send_if_modified(|told| told.is_none() && told.replace(sentence).is_none());
    }
}

/// The log of one node; clones share it.
#[derive(Clone)]
pub struct Log {
    inner: Arc<Mutex<raft_log::RaftLog<LogTypes>>>,
    flushed: watch::Sender<Option<LogId>>,
    trouble: Trouble,
    disk: Disk,
}

impl Log {
    /// Waits until everything written so far is on disk.
    async fn sync(&self) -> io::Result<()> {
        let (sender, flushed) = oneshot::channel();
        let asked = self.disk.ask(None);
        self.lock().flush(true, Some(Flushed::Caller(sender)))?;
        let flushed = flushed.await.map_err(|_| io::Error::other("the log's writer is gone"))?;
        asked.done();
        flushed
    }

    /// A record that can't be read any more ends this node: the next start looks at all of them.
    fn entry(&self, record: io::Result<((u64, u64), DiskPayload)>) -> io::Result<Entry> {
        let read = record.and_then(|(id, payload)| match payload {
            DiskPayload::Known(payload) => Ok(openraft::Entry { log_id: from_disk(&id), payload }),
            DiskPayload::Unknown { tag, .. } => Err(io::Error::other(format!(
                "its entry {} is of a kind ({tag}) that this version of recado does not know; run \
                 the version that wrote it",
                id.1
            ))),
        });
        read.inspect_err(|error| self.trouble.tell("can't be read", error))
    }

    /// A panic while the lock was held left the log as raft-log left it: each of its calls is
    /// complete in itself.
    fn lock(&self) -> MutexGuard<'_, raft_log::RaftLog<LogTypes>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NodeLog for Log {
    fn flushed(&self) -> watch::Receiver<Option<LogId>> {
        self.flushed.subscribe()
    }

    fn is_empty(&self) -> bool {
        let log = self.lock();
        let state = log.log_state();
        state.vote().is_none() && state.last().is_none() && state.purged().is_none()
    }

    fn purged(&self) -> u64 {
        self.lock().log_state().purged().map_or(0, |id| id.1)
    }

    fn extent(&self) -> Extent {
        let log = self.lock();
        let state = log.log_state();
        let first = state.purged().map_or(0, |id| id.1 + 1);
        let entries = state.last().map_or(0, |id| (id.1 + 1).saturating_sub(first));
        Extent { bytes: log.on_disk_size(), entries }
    }

    fn surplus(&self, most: Extent) -> Option<u64> {
        let Extent { mut bytes, entries } = self.extent();
        let log = self.lock();
        let last = log.log_state().last()?.1;
        let by_entries = (entries > most.entries).then(|| last.saturating_sub(most.entries));
        let mut by_bytes = None;
        if bytes > most.bytes {
            // Files go as a whole, the oldest first.
            for chunk in log.stat().closed_chunks {
                bytes = bytes.saturating_sub(chunk.size);
                by_bytes = chunk.log_state.last().map(|id| id.1).max(by_bytes);
                if bytes <= most.bytes {
                    break;
                }
            }
        }
        by_entries.max(by_bytes)
    }

    fn watch_disk(&mut self, disk: Disk) {
        self.disk = disk;
    }

    fn trouble(&self) -> watch::Sender<Option<String>> {
        self.trouble.told.clone()
    }
}

/// As many of these entries as go into one message, at least one.
pub fn within_a_message(
    entries: impl Iterator<Item = io::Result<Entry>>,
) -> io::Result<Vec<Entry>> {
    let mut taken = Vec::new();
    let mut bytes = 0;
    for entry in entries {
        let entry = entry?;
        bytes += payload_bytes(&entry.payload) as usize;
        if bytes > MESSAGE_BYTES && !taken.is_empty() {
            break;
        }
        taken.push(entry);
    }
    Ok(taken)
}

/// The half-open range of indexes that `range` names.
pub fn indexes(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let start = match range.start_bound() {
        Bound::Included(index) => *index,
        Bound::Excluded(index) => index + 1,
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(index) => index + 1,
        Bound::Excluded(index) => *index,
        Bound::Unbounded => u64::MAX,
    };
    (start, end)
}

impl RaftLogReader<TypeConfig> for Log {
    async fn try_get_log_entries<R>(&mut self, range: R) -> io::Result<Vec<Entry>>
    where
        R: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let (start, end) = indexes(&range);
        if start >= end {
            return Ok(Vec::new());
        }
        let log = self.lock();
        log.read(start, end).map(|record| self.entry(record)).collect()
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        let log = self.lock();
        within_a_message(log.read(start, end).map(|record| self.entry(record)))
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.lock().log_state().vote().map(|vote| vote.0))
    }
}

impl RaftLogStorage<TypeConfig> for Log {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let log = self.lock();
        let state = log.log_state();
        Ok(LogState {
            last_purged_log_id: state.purged().map(from_disk),
            last_log_id: state.last().map(from_disk),
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        // A vote that is granted before it is on disk can be granted twice.
        self.lock().save_vote(DiskVote(*vote))?;
        #[cfg(feature = "planted")]
        if planted::on(Bug::VoteBeforeFsync) {
            return Ok(());
        }
        let synced = self.sync().await;
        synced.inspect_err(|error| self.trouble.tell("can't be written", error))
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        let Some(committed) = committed.as_ref().map(to_disk) else { return Ok(()) };
        let mut log = self.lock();
        let known = Some(&committed) <= log.log_state().committed();
        if known || Some(&committed) > log.log_state().last() {
            return Ok(());
        }
        // Rides with the next flush: losing it only makes the next start apply a little less
        // before it hears of the primary.
        log.commit(committed)?;
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.lock().log_state().committed().map(from_disk))
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut log = self.lock();
        let mut last = None;
        log.append(entries.into_iter().map(|entry| {
            last = Some(entry.log_id);
            (to_disk(&entry.log_id), DiskPayload::Known(entry.payload))
        }))?;
        #[cfg(feature = "planted")]
        if planted::on(Bug::AckBeforeFsync) && last.is_some() {
            self.flushed.send_replace(last);
            callback.io_completed(Ok(()));
            return log.flush(true, None);
        }
        let flushed = match last {
            Some(upto) => Flushed::Engine {
                callback,
                upto,
                mark: self.flushed.clone(),
                trouble: self.trouble.clone(),
                asked: self.disk.ask(Some(upto.index)),
            },
            None => {
                callback.io_completed(Ok(()));
                return Ok(());
            }
        };
        log.flush(true, Some(flushed))
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        // raft-log removes the index that it is given and all above; the engine keeps `last`.
        let first_removed = last.map_or(0, |id| id.index + 1);
        self.lock().truncate(first_removed)?;
        Ok(())
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        let mut log = self.lock();
        log.purge(to_disk(&upto))?;
        // Only a synced flush removes chunk files.
        log.flush(true, Some(Flushed::Nobody(self.trouble.clone())))
    }
}

#[cfg(test)]
mod tests;
