//! How a log is opened: whole, cut behind what was torn, or refused.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use raft_log::RaftWalTypes;
use raft_log::api::raft_log_writer::RaftLogWriter;
use raft_log::chunked_wal::{self, ChunkedWal};
use tokio::sync::watch;

use super::{Log, LogTypes, Trouble};
use crate::disk::Disk;
use crate::replica::StartError;
use crate::tail::{self, Finding};

/// Recently appended entries are read from memory by followers that keep pace; older ones from
/// the files. The whole chunk that is being written stays in memory beside this.
const CACHE_ENTRIES: usize = 4096;
const CACHE_BYTES: usize = 4 * 1024 * 1024;
/// A chunk file is removed as a whole once all of it is purged. The one that is written stays in
/// memory; a new one costs an fsync of the folder on the caller's thread. At this length both are
/// small.
const CHUNK_BYTES: usize = 4 * 1024 * 1024;
const CHUNK_RECORDS: usize = 128 * 1024;
const READ_BUFFER_BYTES: usize = 1024 * 1024;
/// Appends wait when the disk is so far behind. It never is: on the primary one batch at a time
/// is on its way to the disk, on a backup one append.
const QUEUE_BYTES: usize = 128 * 1024 * 1024;
/// The format of the log's files, which stands in each of them. It changes when an older program
/// would misread them. A log that names none is of the first one.
pub(super) const FORMAT: u32 = 1;

/// Whether this error says that the bytes are wrong, and not that they can't be had.
fn is_damage(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
    matches!(error.kind(), InvalidData | InvalidInput | Other | UnexpectedEof)
}

/// Holds the folder of a log, so that nobody else opens it meanwhile.
pub fn hold(dir: &Path) -> Result<chunked_wal::WalLock, StartError> {
    let config = chunked_wal::Config::new(dir.display());
    ChunkedWal::<RaftWalTypes<LogTypes>>::acquire_lock(&config).map_err(|error| {
        StartError::Failed(if error.kind() == io::ErrorKind::WouldBlock {
            format!(
                "{} is in use by another process; stop that one, or give this server another \
                 --data-dir or --name",
                dir.display()
            )
        } else {
            format!("can't use the log in {}: {error}", dir.display())
        })
    })
}

impl Log {
    /// Opens or creates the log in this folder, which exists. A torn last record is cut off. What
    /// does not fit its checksum, or is gone, is [`StartError::Damaged`]. What was written but not
    /// synced before a kill is synced: from now on it counts as being on disk.
    pub async fn open(dir: &Path) -> Result<Log, StartError> {
        let held = hold(dir)?;
        let failed = |error: io::Error| {
            StartError::Failed(format!("can't open the log in {}: {error}", dir.display()))
        };
        let named = tail::format(dir).map_err(failed)?;
        check_format(dir, named.as_deref())?;
        let begins_well = tail::begins_well(dir).map_err(failed)?;
        // Whoever opens or mends it holds it again.
        drop(held);
        let mut opened = None;
        if begins_well {
            match Log::open_whole(dir) {
                Ok(log) => opened = Some(log),
                Err(error) if is_damage(&error) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        let log = match opened {
            Some(log) => log,
            None => {
                mend(dir)?;
                Log::open_whole(dir).map_err(|error| not_understood_or(failed, dir, error))?
            }
        };
        let log = Log {
            inner: Arc::new(Mutex::new(log)),
            flushed: watch::Sender::new(None),
            trouble: Trouble { dir: dir.to_owned(), told: watch::Sender::new(None) },
            disk: Disk::default(),
        };
        log.begins_behind_what_was_removed(dir)?;
        if named.is_none() {
            log.lock().save_user_data(Some(FORMAT.to_string())).map_err(failed)?;
        }
        log.sync().await.map_err(|error| {
            StartError::Failed(format!("can't write the log in {}: {error}", dir.display()))
        })?;
        Ok(log)
    }

    /// Opens a log that is not torn.
    pub(crate) fn open_whole(dir: &Path) -> io::Result<raft_log::RaftLog<LogTypes>> {
        let mut config = raft_log::Config::new(dir.display());
        config.log_cache_max_items = Some(CACHE_ENTRIES);
        config.log_cache_capacity = Some(CACHE_BYTES);
        config.wal.chunk_max_size = Some(CHUNK_BYTES);
        config.wal.chunk_max_records = Some(CHUNK_RECORDS);
        config.wal.read_buffer_size = Some(READ_BUFFER_BYTES);
        config.wal.flush_queue_max_bytes = Some(QUEUE_BYTES);
        // The batch is made in front of the engine; waiting here would only add to it.
        config.wal.flush_batch_wait = Some(Duration::ZERO);
        // What is torn and what is damaged is decided here, not there.
        config.wal.truncate_incomplete_record = Some(false);
        raft_log::RaftLog::open(Arc::new(config))
    }

    /// Fails when the oldest entries that should be there are not: a file is missing in front.
    fn begins_behind_what_was_removed(&self, dir: &Path) -> Result<(), StartError> {
        let log = self.lock();
        let state = log.log_state();
        let Some(last) = state.last().map(|id| id.1) else { return Ok(()) };
        let first = state.purged().map_or(0, |id| id.1 + 1);
        if last < first {
            return Ok(());
        }
        let what = match log.read(first, first + 1).next() {
            Some(Ok(_)) => return Ok(()),
            Some(Err(error)) => format!("can't be read at its entry {first} ({error})"),
            None => format!("has lost its entries from {first} on"),
        };
        Err(StartError::Damaged(format!("the log in {} {what}", dir.display())))
    }
}

/// Cuts a torn tail; fails when it is none.
fn mend(dir: &Path) -> Result<(), StartError> {
    let _held = hold(dir)?;
    let failed = |error: io::Error| {
        StartError::Failed(format!("can't mend the log in {}: {error}", dir.display()))
    };
    match tail::inspect(dir).map_err(failed)? {
        Finding::Whole => Ok(()),
        Finding::Torn { path, whole_bytes } => {
            tracing::info!(
                "{} was torn when the server stopped; cut after {whole_bytes} bytes, behind which \
                 nothing was on disk",
                path.display()
            );
            tail::cut(&path, whole_bytes).map_err(failed)
        }
        Finding::Damaged(what) => Err(StartError::Damaged(what)),
    }
}

/// Every record has a good checksum by now. If they make no log all the same, their writer is to
/// blame, and not the disk.
fn not_understood_or(
    failed: impl Fn(io::Error) -> StartError,
    dir: &Path,
    error: io::Error,
) -> StartError {
    if !is_damage(&error) {
        return failed(error);
    }
    StartError::Failed(format!(
        "the log in {} is whole, but this version of recado can't make sense of it ({error}); run \
         the version that wrote it, nothing was changed",
        dir.display()
    ))
}

/// Refuses a log that this version may misread.
pub fn check_format(dir: &Path, named: Option<&str>) -> Result<(), StartError> {
    if named.is_none_or(|named| named.parse() == Ok(FORMAT)) {
        return Ok(());
    }
    Err(StartError::Failed(format!(
        "the log in {} was written by a newer version of recado (format {}, this one knows \
         {FORMAT}); run that version, or start with an empty data folder",
        dir.display(),
        named.unwrap_or_default()
    )))
}
