//! What a replica stands on in a simulation instead of the computer: seeded randomness, a journal
//! and a medium that may forget what was not synced, and no threads. The clock is the runtime's,
//! so a paused one simulates time; network and stamps are injected in every case.
//!
//! The identity and snapshot files stay real: both are synced before anything relies on them, so
//! there is nothing that a crash could forget.

use std::io;
use std::sync::Arc;

use openraft::ServerState;
use openraft::async_runtime::WatchReceiver;
use recado_storage::{Medium, Store};

use crate::entropy::{Entropy, seed_engines};
use crate::folder::find_a_gap;
use crate::identity::Identity;
use crate::log_journal::JournalLog;
use crate::peer::PeerTransport;
use crate::replica::{Parts, Replica, ReplicaConfig, StampSource, StartError};
use crate::snapshot::Files;
use crate::writer::{Pace, Writer};

pub use crate::log_journal::Record;

/// Called when what was written before is durable, or can't be made so.
pub type Synced = Box<dyn FnOnce(io::Result<()>) + Send>;

/// Records, in order. What was not synced, a crash may forget, from the end backwards.
pub trait Journal: Send + Sync + 'static {
    /// All records that are there, durable from now on.
    fn replay(&self) -> Vec<Record>;

    /// Adds a record.
    ///
    /// # Errors
    /// The journal can't be written.
    fn write(&self, record: Record) -> io::Result<()>;

    /// Calls `done` once all records so far are durable; in the order of the calls.
    fn sync(&self, done: Synced);
}

/// A simulated computer.
pub struct Computer {
    /// The source of all randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Where the log is.
    pub journal: Arc<dyn Journal>,
    /// Where the store is.
    pub medium: Box<dyn Medium>,
    /// How long the next piece of work on the store takes.
    pub pace: Pace,
}

impl Replica {
    /// [`Replica::start`] on a simulated computer. Within one thread all of it is deterministic,
    /// if the runtime is a current-thread one with a paused clock.
    ///
    /// # Errors
    /// As those of [`Replica::start`].
    pub async fn start_simulated(
        config: ReplicaConfig,
        transport: Arc<dyn PeerTransport>,
        stamps: Arc<dyn StampSource>,
        computer: Computer,
    ) -> Result<Replica, StartError> {
        let Computer { entropy, journal, medium, pace } = computer;
        seed_engines(entropy.number());
        let identity = Identity::open(&config.dir, entropy.as_ref())?;
        let log = JournalLog::open(journal).await?;
        let store = Store::open_on(medium, &config.dir)?;
        find_a_gap(&config.dir, &identity, &log, &store)?;
        let parts = Parts { identity, log, store, entropy, files: Files::Inline };
        let start_writer = |writer: Writer| Ok((writer.on_task(pace), None));
        Replica::start_on(config, transport, stamps, parts, start_writer).await
    }

    /// The term that this node has won, if it has: it may not be ready to serve yet, or may have
    /// been deposed without knowing.
    pub fn won_term(&self) -> Option<u64> {
        let metrics = self.engine.server_metrics();
        let metrics = metrics.borrow_watched();
        (metrics.state == ServerState::Leader).then_some(metrics.vote.leader_id.term)
    }
}
