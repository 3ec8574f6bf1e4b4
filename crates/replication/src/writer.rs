//! The one writer of the store: batches, flushes and installations, one after the other.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use recado_chat::Applied;
use recado_storage::{Logged, Marks, Store, StoreError};
use tokio::sync::{mpsc as tasks, oneshot};

use crate::shared::Shared;

/// So many applied entries may be off disk: the log would replay them, well within a second.
/// More would make the flush itself, and the writes that wait for it, noticeably longer.
const UNFLUSHED_ENTRIES: u64 = 20_000;
/// After so long without work what is applied goes to disk, so that a restart replays nothing.
const IDLE_FLUSH: Duration = Duration::from_secs(2);

/// Work for the writer.
pub enum Job {
    /// Apply a batch.
    Apply {
        /// The entries.
        batch: Vec<Logged>,
        /// The marks that go with them.
        marks: Marks,
        /// Who waits.
        done: oneshot::Sender<Result<Vec<Applied>, StoreError>>,
    },
    /// Bring everything to disk.
    Flush {
        /// Who waits.
        done: oneshot::Sender<Result<(), StoreError>>,
    },
    /// Replace everything by a snapshot file.
    Install {
        /// The file.
        path: PathBuf,
        /// Who waits.
        done: oneshot::Sender<Result<Marks, StoreError>>,
    },
}

/// The writer's thread; it ends, with everything on disk, when the last [`Jobs`] is dropped.
pub type StoreThread = JoinHandle<()>;

/// How long a piece of work takes on a simulated computer.
pub type Pace = Arc<dyn Fn() -> Duration + Send + Sync>;

/// The way to the writer.
pub enum Jobs {
    /// It has a thread of its own, so that no transaction or fsync makes heartbeats wait.
    Thread(mpsc::Sender<Job>),
    /// It is a task, on a simulated computer.
    Task(tasks::UnboundedSender<Job>),
}

impl Jobs {
    /// Queues a piece of work; false when the writer is gone.
    pub fn send(&self, job: Job) -> bool {
        match self {
            Jobs::Thread(queue) => queue.send(job).is_ok(),
            Jobs::Task(queue) => queue.send(job).is_ok(),
        }
    }
}

/// Writes the store.
pub struct Writer {
    store: Store,
    shared: Arc<Shared>,
    unflushed: u64,
}

impl Writer {
    /// The one writer of this store.
    pub fn new(store: Store, shared: Arc<Shared>) -> Writer {
        Writer { store, shared, unflushed: 0 }
    }

    /// Starts the writer's thread.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn on_thread(mut self) -> io::Result<(Jobs, StoreThread)> {
        let (queue, jobs) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || self.run_on_thread(&jobs))?;
        Ok((Jobs::Thread(queue), thread))
    }

    fn run_on_thread(&mut self, jobs: &mpsc::Receiver<Job>) {
        loop {
            let job = if self.unflushed == 0 {
                jobs.recv().map_err(|_| mpsc::RecvTimeoutError::Disconnected)
            } else {
                jobs.recv_timeout(IDLE_FLUSH)
            };
            match job {
                Ok(job) => self.carry_out(job),
                Err(mpsc::RecvTimeoutError::Timeout) => self.flush(),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
        }
        self.flush();
    }

    /// Starts the writer as a task that needs simulated time for its work.
    pub fn on_task(mut self, pace: Pace) -> Jobs {
        let (queue, mut jobs) = tasks::unbounded_channel();
        tokio::spawn(async move {
            loop {
                let job = if self.unflushed == 0 {
                    Ok(jobs.recv().await)
                } else {
                    tokio::time::timeout(IDLE_FLUSH, jobs.recv()).await
                };
                match job {
                    Ok(Some(job)) => {
                        tokio::time::sleep(pace()).await;
                        self.carry_out(job);
                    }
                    Ok(None) => break,
                    Err(_) => self.flush(),
                }
            }
            self.flush();
        });
        Jobs::Task(queue)
    }

    /// Whoever waits may be gone; the work is done all the same.
    fn carry_out(&mut self, job: Job) {
        match job {
            Job::Apply { batch, marks, done } => {
                let result = self.checked(self.store.apply(&batch, &marks));
                self.unflushed += batch.len() as u64;
                let _ = done.send(result);
                if self.unflushed >= UNFLUSHED_ENTRIES {
                    self.flush();
                }
            }
            Job::Flush { done } => {
                self.unflushed = 0;
                let _ = done.send(self.checked(self.store.flush()));
            }
            Job::Install { path, done } => {
                self.unflushed = 0;
                let _ = done.send(self.checked(self.store.install(&path)));
            }
        }
    }

    fn flush(&mut self) {
        self.unflushed = 0;
        // Nobody waits for it, and whoever looks for failures hears of this one.
        let _ = self.checked(self.store.flush());
    }

    /// A store that failed once is not used again: the node stops.
    fn checked<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        result.inspect_err(|error| {
            self.shared
                .fail(format!("the store in {} failed: {error}", self.store.path().display()));
        })
    }
}
