//! The one writer of the store: batches, flushes and installations, one after the other.
//!
//! A transaction costs as much as some dozens of entries, so it takes batch after batch and is
//! committed when somebody wants to see what is in it, or soon anyway. Nobody waits for that:
//! what came of an entry is known as soon as it is applied, and the log replays it after a kill.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use recado_chat::Applied;
use recado_storage::{Logged, Marks, Store, StoreError};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use crate::shared::Shared;
use crate::snapshot::{Received, Share};
use crate::types::LogId;

/// So many applied entries may be off disk: the log would replay them, well within a second.
/// More would make the flush itself, and the writes that wait for it, noticeably longer.
const UNFLUSHED_ENTRIES: u64 = 20_000;
/// After so long without work what is applied goes to disk, so that a restart replays nothing.
const IDLE_FLUSH: Duration = Duration::from_secs(2);
/// So many entries make a transaction at the most: it lives in memory.
const TRANSACTION_ENTRIES: usize = 4096;
/// How long a transaction stays open at the most.
const SHOWN_AFTER: Duration = Duration::from_millis(50);
/// How often there is a commit at the most, when somebody wants to see what was applied.
const SHOWN_EVERY: Duration = Duration::from_millis(4);

/// Parts of rest for one of work while a snapshot is installed: nobody waits for this server, but
/// the others may share its machine.
const REST_INSTALLING: u32 = 1;

/// Work for the writer.
pub enum Job {
    /// Apply a batch.
    Apply(Batch),
    /// Somebody asks to see what was applied, see [`Shared::asked`].
    Show,
    /// Bring everything to disk.
    Flush {
        /// Who waits.
        done: oneshot::Sender<Result<(), StoreError>>,
    },
    /// Replace everything by a snapshot.
    Install {
        /// Its file.
        received: Arc<Received>,
        /// Who waits.
        done: oneshot::Sender<Result<Marks, StoreError>>,
    },
}

/// Entries to apply. If they change the member table, readers see them when `done` is called, and
/// whoever called tells everybody that they do ([`Shared::shown`]); otherwise the writer does both
/// in its own time.
pub struct Batch {
    /// The entries.
    pub entries: Vec<Logged>,
    /// The last of them.
    pub upto: LogId,
    /// The marks that go with them.
    pub marks: Marks,
    /// Who waits.
    pub done: oneshot::Sender<Result<Vec<Applied>, StoreError>>,
}

/// The way to the writer, which ends, with everything on disk, when the last one is dropped.
pub type Jobs = mpsc::UnboundedSender<Job>;

/// The writer's thread.
pub type StoreThread = JoinHandle<()>;

/// How long a piece of work takes on a simulated computer.
pub type Pace = Arc<dyn Fn() -> Duration + Send + Sync>;

/// Writes the store.
pub struct Writer {
    store: Store,
    shared: Arc<Shared>,
    unflushed: u64,
    /// When the last transaction was committed.
    shown: Option<Instant>,
    pace: Option<Pace>,
}

impl Writer {
    /// The one writer of this store.
    pub fn new(store: Store, shared: Arc<Shared>) -> Writer {
        Writer { store, shared, unflushed: 0, shown: None, pace: None }
    }

    /// Starts the writer on a thread of its own, so that no transaction or fsync makes heartbeats
    /// wait.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn on_thread(self) -> io::Result<(Jobs, StoreThread)> {
        let (queue, jobs) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let thread = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || runtime.block_on(self.run(jobs)))?;
        Ok((queue, thread))
    }

    /// Starts the writer as a task that needs simulated time for its work.
    pub fn on_task(mut self, pace: Pace) -> Jobs {
        self.pace = Some(pace);
        let (queue, jobs) = mpsc::unbounded_channel();
        tokio::spawn(self.run(jobs));
        queue
    }

    async fn run(mut self, mut jobs: mpsc::UnboundedReceiver<Job>) {
        if let Err(error) = self.work(&mut jobs).await {
            self.tell(&error);
        }
    }

    /// A store that failed once is not used again: the node stops. To be called before whoever
    /// waits hears of it, and stops for a reason that explains less.
    fn tell(&self, error: &StoreError) {
        self.shared.fail(format!("the store in {} failed: {error}", self.store.path().display()));
    }

    async fn work(&mut self, jobs: &mut mpsc::UnboundedReceiver<Job>) -> Result<(), StoreError> {
        let mut next = None;
        loop {
            let job = match next.take() {
                Some(job) => Some(job),
                None => self.idle(jobs).await?,
            };
            // Whoever waits may be gone; the work is done all the same.
            match job {
                Some(Job::Apply(batch)) => {
                    next = self.transact(batch, jobs).await?;
                    if self.unflushed >= UNFLUSHED_ENTRIES {
                        self.flush()?;
                    }
                }
                Some(Job::Show) => {}
                Some(Job::Flush { done }) => {
                    self.pause().await;
                    let flushed = self.flush().inspect_err(|error| self.tell(error));
                    let _ = done.send(flushed.clone());
                    flushed?;
                }
                Some(Job::Install { received, done }) => {
                    self.pause().await;
                    self.unflushed = 0;
                    let mut share = Share::new(self.shared.files, REST_INSTALLING);
                    let Received { file, info } = &*received;
                    let installed = self.store.install_verified(file, info, || share.rest());
                    let installed = installed.inspect_err(|error| self.tell(error));
                    let _ = done.send(installed.clone());
                    installed?;
                }
                None => return self.flush(),
            }
        }
    }

    /// The next job; what is applied goes to disk if it is long in coming.
    async fn idle(
        &mut self,
        jobs: &mut mpsc::UnboundedReceiver<Job>,
    ) -> Result<Option<Job>, StoreError> {
        if self.unflushed > 0 {
            if let Ok(job) = timeout(IDLE_FLUSH, jobs.recv()).await {
                return Ok(job);
            }
            self.flush()?;
        }
        Ok(jobs.recv().await)
    }

    /// Applies batches, as long as they come in time and nothing else does. Gives what came
    /// instead.
    async fn transact(
        &mut self,
        first: Batch,
        jobs: &mut mpsc::UnboundedReceiver<Job>,
    ) -> Result<Option<Job>, StoreError> {
        let transaction = self.store.begin()?;
        let mut batches = transaction.batches()?;
        let latest = Instant::now() + SHOWN_AFTER;
        let mut entries = 0;
        let mut batch = first;
        let (next, upto, held) = loop {
            self.pause().await;
            let Batch { entries: more, upto, marks, done } = batch;
            let applied = match batches.apply(&more, &marks) {
                Ok(applied) => applied,
                Err(error) => {
                    self.tell(&error);
                    let _ = done.send(Err(error.clone()));
                    return Err(error);
                }
            };
            entries += more.len();
            if applied.iter().any(|applied| applied.members_changed) {
                break (None, upto, Some((done, applied)));
            }
            let _ = done.send(Ok(applied));
            if entries >= TRANSACTION_ENTRIES {
                break (None, upto, None);
            }
            match self.until_due(latest, jobs).await {
                Some(Job::Apply(more)) => batch = more,
                other => break (other, upto, None),
            }
        };
        let committed = batches.finish().and_then(|finished| transaction.commit(finished));
        let committed = committed.inspect_err(|error| self.tell(error));
        self.shown = Some(Instant::now());
        self.unflushed += entries as u64;
        match held {
            Some((done, applied)) => {
                let _ = done.send(committed.clone().map(|()| applied));
            }
            None if committed.is_ok() => self.shared.shown(upto),
            None => {}
        }
        committed.map(|()| next)
    }

    /// The next job, if it comes before the transaction is to be committed.
    async fn until_due(
        &self,
        latest: Instant,
        jobs: &mut mpsc::UnboundedReceiver<Job>,
    ) -> Option<Job> {
        loop {
            let due = match self.shown {
                Some(shown) if self.is_wanted() => latest.min(shown + SHOWN_EVERY),
                None if self.is_wanted() => return None,
                _ => latest,
            };
            if due <= Instant::now() {
                return None;
            }
            match timeout_at(due, jobs.recv()).await {
                Ok(Some(Job::Show)) => {}
                Ok(job) => return job,
                Err(_) => return None,
            }
        }
    }

    /// Whether somebody wants to see what was applied: a primary publishes it.
    fn is_wanted(&self) -> bool {
        self.shared.leads() || self.shared.is_asked_for_more()
    }

    async fn pause(&self) {
        if let Some(pace) = &self.pace {
            tokio::time::sleep(pace()).await;
        }
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        self.unflushed = 0;
        let begun = Instant::now();
        let flushed = self.store.flush();
        self.shared.config.metrics.store_flush_seconds.observe(begun.elapsed().as_secs_f64());
        flushed
    }
}
