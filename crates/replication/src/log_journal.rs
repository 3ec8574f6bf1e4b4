//! The replicated log over a journal: openraft's storage interface for simulations. The records
//! are the same as raft-log's, and so is what becomes durable when.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;
use std::sync::{Arc, Mutex};

use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader};
#[cfg(feature = "planted")]
use recado_chat::planted::{self, Bug};
use tokio::sync::{oneshot, watch};

use crate::disk::Disk;
use crate::keep::Extent;
use crate::log::{NodeLog, indexes, payload_bytes, within_a_message};
use crate::replica::StartError;
use crate::shared::lock;
use crate::simulated::Journal;
use crate::types::{Entry, LogId, TypeConfig, Vote};

/// One write to the log; what it is, only the log knows.
#[derive(Clone, Debug)]
pub struct Record(Write);

#[derive(Clone, Debug)]
enum Write {
    Vote(Vote),
    Append(Entry),
    Committed(LogId),
    /// Removes this index and all above.
    Truncate(u64),
    /// Removes this entry and all below.
    Purge(LogId),
}

/// What the records come to.
#[derive(Default)]
struct Content {
    vote: Option<Vote>,
    entries: BTreeMap<u64, Entry>,
    committed: Option<LogId>,
    purged: Option<LogId>,
    /// How long the entries are together.
    bytes: u64,
}

impl Content {
    fn take(&mut self, write: Write) {
        match write {
            Write::Vote(vote) => self.vote = Some(vote),
            Write::Append(entry) => {
                self.bytes += payload_bytes(&entry.payload);
                if let Some(old) = self.entries.insert(entry.log_id.index, entry) {
                    self.bytes -= payload_bytes(&old.payload);
                }
            }
            Write::Committed(upto) => self.committed = Some(upto),
            Write::Truncate(first) => {
                let gone = self.entries.split_off(&first);
                self.bytes -= length(&gone);
            }
            Write::Purge(upto) => {
                let rest = self.entries.split_off(&(upto.index + 1));
                let gone = std::mem::replace(&mut self.entries, rest);
                self.bytes -= length(&gone);
                self.purged = Some(upto);
            }
        }
    }

    fn last(&self) -> Option<LogId> {
        self.entries.last_key_value().map(|(_, entry)| entry.log_id).or(self.purged)
    }
}

fn length(entries: &BTreeMap<u64, Entry>) -> u64 {
    entries.values().map(|entry| payload_bytes(&entry.payload)).sum()
}

/// The log of one node; clones share it.
#[derive(Clone)]
pub struct JournalLog {
    journal: Arc<dyn Journal>,
    content: Arc<Mutex<Content>>,
    flushed: watch::Sender<Option<LogId>>,
    disk: Disk,
}

impl JournalLog {
    /// Reads what the journal holds.
    pub async fn open(journal: Arc<dyn Journal>) -> Result<JournalLog, StartError> {
        let mut content = Content::default();
        for Record(write) in journal.replay() {
            content.take(write);
        }
        let content = Arc::new(Mutex::new(content));
        let flushed = watch::Sender::new(None);
        Ok(JournalLog { journal, content, flushed, disk: Disk::default() })
    }

    fn write(&self, write: Write) -> io::Result<()> {
        self.journal.write(Record(write.clone()))?;
        lock(&self.content).take(write);
        Ok(())
    }

    async fn sync(&self) -> io::Result<()> {
        let (sender, synced) = oneshot::channel();
        let asked = self.disk.ask(None);
        self.journal.sync(Box::new(move |result| {
            asked.done();
            // A caller that is gone no longer cares.
            let _ = sender.send(result);
        }));
        synced.await.map_err(|_| io::Error::other("the journal is gone"))?
    }
}

impl NodeLog for JournalLog {
    fn flushed(&self) -> watch::Receiver<Option<LogId>> {
        self.flushed.subscribe()
    }

    fn is_empty(&self) -> bool {
        let content = lock(&self.content);
        content.vote.is_none() && content.last().is_none()
    }

    fn purged(&self) -> u64 {
        lock(&self.content).purged.map_or(0, |id| id.index)
    }

    fn watch_disk(&mut self, disk: Disk) {
        self.disk = disk;
    }

    fn extent(&self) -> Extent {
        let content = lock(&self.content);
        Extent { bytes: content.bytes, entries: content.entries.len() as u64 }
    }

    fn surplus(&self, most: Extent) -> Option<u64> {
        let content = lock(&self.content);
        let (mut bytes, mut entries) = (content.bytes, content.entries.len() as u64);
        let mut upto = None;
        for (index, entry) in &content.entries {
            if bytes <= most.bytes && entries <= most.entries {
                break;
            }
            upto = Some(*index);
            bytes -= payload_bytes(&entry.payload);
            entries -= 1;
        }
        upto
    }
}

impl RaftLogReader<TypeConfig> for JournalLog {
    async fn try_get_log_entries<R>(&mut self, range: R) -> io::Result<Vec<Entry>>
    where
        R: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let (start, end) = indexes(&range);
        if start >= end {
            return Ok(Vec::new());
        }
        Ok(lock(&self.content).entries.range(start..end).map(|(_, entry)| entry.clone()).collect())
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        let content = lock(&self.content);
        within_a_message(content.entries.range(start..end).map(|(_, entry)| Ok(entry.clone())))
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(lock(&self.content).vote)
    }
}

impl RaftLogStorage<TypeConfig> for JournalLog {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let content = lock(&self.content);
        Ok(LogState { last_purged_log_id: content.purged, last_log_id: content.last() })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        self.write(Write::Vote(*vote))?;
        #[cfg(feature = "planted")]
        if planted::on(Bug::VoteBeforeFsync) {
            return Ok(());
        }
        self.sync().await
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        let Some(committed) = committed else { return Ok(()) };
        {
            let content = lock(&self.content);
            if Some(committed) <= content.committed || Some(committed) > content.last() {
                return Ok(());
            }
        }
        self.write(Write::Committed(committed))
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(lock(&self.content).committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut last = None;
        for entry in entries {
            last = Some(entry.log_id);
            self.write(Write::Append(entry))?;
        }
        let Some(upto) = last else {
            callback.io_completed(Ok(()));
            return Ok(());
        };
        #[cfg(feature = "planted")]
        if planted::on(Bug::AckBeforeFsync) {
            self.flushed.send_replace(Some(upto));
            callback.io_completed(Ok(()));
            self.journal.sync(Box::new(|_| {}));
            return Ok(());
        }
        let (mark, asked) = (self.flushed.clone(), self.disk.ask(Some(upto.index)));
        self.journal.sync(Box::new(move |result| {
            asked.done();
            if result.is_ok() {
                mark.send_replace(Some(upto));
            }
            callback.io_completed(result);
        }));
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        self.write(Write::Truncate(last.map_or(0, |id| id.index + 1)))
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        self.write(Write::Purge(upto))?;
        self.journal.sync(Box::new(|_| {}));
        Ok(())
    }
}
