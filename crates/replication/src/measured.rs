//! The log by itself, for the micro-benchmark.

use std::io;
use std::path::Path;

use bytes::Bytes;
use openraft::storage::{IOFlushed, RaftLogStorage};

use crate::log::{Log, NodeLog};
use crate::replica::StartError;
use crate::types::{Entry, EntryPayload, LogId, Payload};

/// The log that a replica keeps, without the replica.
pub struct LogOnDisk {
    log: Log,
    next: u64,
}

impl LogOnDisk {
    /// Opens an empty log in this folder, which exists.
    ///
    /// # Errors
    /// The log can't be opened.
    pub async fn open(dir: &Path) -> Result<LogOnDisk, StartError> {
        Ok(LogOnDisk { log: Log::open(dir).await?, next: 1 })
    }

    /// Appends one entry for each of these and waits until all are on disk.
    ///
    /// # Errors
    /// The log can't be written.
    pub async fn append(&mut self, payloads: &[Bytes]) -> io::Result<()> {
        let mut flushed = self.log.flushed();
        let first = self.next;
        self.next += payloads.len() as u64;
        let entries = payloads.iter().zip(first..).map(|(payload, index)| Entry {
            log_id: LogId { leader_id: 1.into(), index },
            payload: EntryPayload::Normal(Payload(payload.clone())),
        });
        self.log.append(entries, IOFlushed::noop()).await?;
        let there = |at: &Option<LogId>| at.is_some_and(|at| at.index + 1 >= self.next);
        flushed.wait_for(there).await.map_err(io::Error::other)?;
        Ok(())
    }
}
