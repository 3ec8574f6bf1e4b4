//! A replica: one server's part in the cluster.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use recado_chat::{Command, Origin, Outcome, Stamp};
use recado_storage::{Reader, Store};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::addresses::Word;
use crate::confirm::Others;
use crate::detector::Bounds;
use crate::entropy::{Entropy, SystemEntropy};
use crate::folder::{self, Folder};
use crate::identity::Identity;
use crate::log::NodeLog;
use crate::machine::Machine;
use crate::metrics::Metrics;
use crate::network::Links;
use crate::peer::PeerTransport;
use crate::propose::Proposals;
use crate::reads::Reads;
use crate::shared::{Shared, lock};
use crate::snapshot::{Files, remove_leftovers};
use crate::types::Engine;
use crate::view::View;
use crate::writer::{Jobs, StoreThread, Writer};
use crate::{NodeId, announce, compare, inbound, keep, meet, rescue, scrub, supervisor};

/// How long things take, ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Between two heartbeats of the primary.
    pub heartbeat_ms: u64,
    /// How long the primary's silence is no reason for an election; also its lease.
    pub election_ms: u64,
    /// Between the election attempts of two servers that are neighbours in rank.
    pub slot_ms: u64,
    /// A server that is silent for so long may be gone, if it was heard regularly and this one runs
    /// in time.
    pub silence_ms: u64,
    /// A server that is silent for so long is gone, however irregularly it was heard.
    pub long_silence_ms: u64,
    /// A live backup that does not get on for so long with what the others have is dropped.
    pub lag_ms: u64,
    /// A returning backup keeps pace for so long before it is active again; doubles when it flaps.
    pub steady_ms: u64,
    /// From the start until all rows are read in the background, to find what is damaged.
    pub scrub_after_ms: u64,
    /// From the end of that until the next time.
    pub scrub_every_ms: u64,
    /// Between two comparisons of the rows' sums with those of the other servers.
    pub compare_ms: u64,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            heartbeat_ms: 75,
            election_ms: 300,
            slot_ms: 60,
            silence_ms: 500,
            long_silence_ms: 1200,
            lag_ms: 1000,
            steady_ms: 500,
            scrub_after_ms: 10_000,
            scrub_every_ms: 24 * 60 * 60 * 1000,
            compare_ms: 10_000,
        }
    }
}

impl Timing {
    /// Between which limits silence is judged.
    pub(crate) fn silence(&self) -> Bounds {
        Bounds {
            least: Duration::from_millis(self.silence_ms),
            most: Duration::from_millis(self.long_silence_ms),
        }
    }
}

/// How much of the log is kept for servers that were away. Whichever bound is reached first counts;
/// for who is catching up four times as much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// So many bytes on disk.
    pub keep_bytes: u64,
    /// So many entries: of each the log remembers in memory where it lies.
    pub keep_entries: u64,
    /// So many entries beyond are removed together.
    pub purge_entries: u64,
}

/// Without a setting: three quarters of a minute of 10,000 messages of 600 bytes a second.
const DEFAULT_KEEP_BYTES: u64 = 512 * 1024 * 1024;
/// For so many bytes on disk one entry may be remembered, though entries are shorter.
const BYTES_AN_ENTRY: u64 = 1024;
/// This part of the entries is removed together.
const PURGE_PART: u64 = 16;

impl Sizes {
    /// Keeps so many bytes of log on disk, or as many entries as fit their share of memory.
    pub fn keeping(keep_bytes: u64) -> Sizes {
        let keep_entries = keep_bytes / BYTES_AN_ENTRY;
        Sizes { keep_bytes, keep_entries, purge_entries: keep_entries / PURGE_PART }
    }
}

impl Default for Sizes {
    fn default() -> Sizes {
        Sizes::keeping(DEFAULT_KEEP_BYTES)
    }
}

/// Who this replica is.
#[derive(Clone, Debug)]
pub struct ReplicaConfig {
    /// Its data folder, which exists and is writable.
    pub dir: PathBuf,
    /// The server's name.
    pub name: String,
    /// Where other servers reach it (`tcp://host:port`).
    pub address: String,
    /// A random number of this start.
    pub boot: u64,
    /// The process id.
    pub pid: u32,
    /// Time-outs.
    pub timing: Timing,
    /// Log sizes.
    pub sizes: Sizes,
    /// Whether this is the reference's replica: it keeps everything, serves nobody and takes no
    /// client's writes. It votes only to make an even number of servers odd.
    pub witness: bool,
    /// How many servers must be active for writes to be taken. As the primary it brings the
    /// cluster's setting there; none leaves that as it is.
    pub min_copies: Option<u32>,
    /// What it counts and measures.
    pub metrics: Metrics,
}

/// Where a proposed entry's time comes from: the server's clocks.
pub trait StampSource: Send + Sync + 'static {
    /// The corrected time, and the logical clock after adding one.
    fn stamp(&self) -> Stamp;
}

/// Another server, as the reference lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its node id.
    pub node: NodeId,
    /// Where it is reached.
    pub address: String,
    /// Its rank now.
    pub rank: u64,
}

/// A committed and everywhere stored entry.
#[derive(Clone, Debug)]
pub struct Committed {
    /// What came of it.
    pub outcome: Outcome,
    /// Its log position.
    pub position: u64,
    /// The time it got.
    pub stamp: Stamp,
    /// On how many servers' disks it is.
    pub stored: u32,
    /// How many servers the cluster has.
    pub members: u32,
}

/// Why a proposal gave no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// This node is not the primary (or not yet, or no more); certainly not done.
    #[error("not the primary")]
    NotPrimary {
        /// Who is, if known.
        primary: Option<NodeId>,
    },
    /// Certainly not done: the queue is full or the node is stopping.
    #[error("busy")]
    Busy,
    /// Certainly not done, and never will be: what the log can't hold, in a clause.
    #[error("out of bounds: {0}")]
    OutOfBounds(String),
    /// Certainly not done: fewer servers are active than writes need.
    #[error("{active} servers are active, and writes need {needed}")]
    TooFew {
        /// How many are active.
        active: u32,
        /// How many must be.
        needed: u32,
    },
    /// The primary lost its place while the entry was on its way; it may be done.
    #[error("outcome unknown")]
    Uncertain,
}

/// Why a read could not be made linearizable now; trying again later, or elsewhere, is safe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no primary confirms the read now")]
pub struct ReadError;

/// Why a replica could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store could not be opened.
    #[error(transparent)]
    Store(#[from] recado_storage::OpenError),
    /// Something that was on disk can't be read any more, or is gone: what, in a clause.
    #[error("{0}")]
    Damaged(String),
    /// Anything else, in one sentence for people.
    #[error("{0}")]
    Failed(String),
}

/// What a replica is made of, open and ready.
pub(crate) struct Parts<L> {
    pub identity: Identity,
    pub log: L,
    pub store: Store,
    pub entropy: Arc<dyn Entropy>,
    pub files: Files,
}

/// A handle on the running replica; clones share it.
#[derive(Clone)]
pub struct Replica {
    shared: Arc<Shared>,
    store: Store,
    proposals: Proposals,
    reads: Reads,
    pub(crate) engine: Engine,
    tasks: Arc<Mutex<Vec<JoinHandle<()>>>>,
    store_thread: Arc<Mutex<Option<StoreThread>>>,
}

/// How long a shutdown waits for what is under way.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a read waits until this node has applied what it must see.
const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(1);

impl Replica {
    /// Opens the data folder and starts taking part. Must run within a tokio runtime.
    ///
    /// Damaged data is moved aside, into a folder beside it, and the replica starts as a new node
    /// without any, once whoever leads has confirmed that the cluster has what it held. `listed`
    /// are the servers that the reference knows: some of those who are asked then.
    ///
    /// # Errors
    /// The folder can't be used: it is locked, not writable, of a newer format, or damaged and
    /// nobody confirmed that the others have it all.
    pub async fn start(
        config: ReplicaConfig,
        transport: Arc<dyn PeerTransport>,
        stamps: Arc<dyn StampSource>,
        listed: watch::Receiver<Vec<Peer>>,
    ) -> Result<Replica, StartError> {
        let entropy = Arc::new(SystemEntropy);
        let others = Others { transport: transport.clone(), listed };
        let folder = folder::open(&config.dir, &config.name, entropy.as_ref(), &others).await?;
        let Folder { identity, log, store } = folder;
        let parts = Parts { identity, log, store, entropy, files: Files::Threads };
        let start_writer = |writer: Writer| {
            let (jobs, thread) = writer.on_thread()?;
            Ok((jobs, Some(thread)))
        };
        Replica::start_on(config, transport, stamps, parts, start_writer).await
    }

    /// Starts on parts that are open.
    pub(crate) async fn start_on(
        config: ReplicaConfig,
        transport: Arc<dyn PeerTransport>,
        stamps: Arc<dyn StampSource>,
        parts: Parts<impl NodeLog>,
        start_writer: impl FnOnce(Writer) -> io::Result<(Jobs, Option<StoreThread>)>,
    ) -> Result<Replica, StartError> {
        let Parts { identity, mut log, store, entropy, files } = parts;
        let kept = log.clone();
        let failed = |what: &str, error: &dyn std::fmt::Display| {
            StartError::Failed(format!("can't use {}: {what}: {error}", config.dir.display()))
        };
        rescue::remove_leftovers(&config.dir)
            .map_err(|error| failed("an old log stays", &error))?;
        remove_leftovers(&config.dir).map_err(|error| failed("old snapshot files stay", &error))?;
        let flushed = log.flushed();
        let mut shared = Shared::new(config.clone(), identity, transport, stamps, entropy, files);
        log.watch_disk(shared.disk.clone());
        shared.failed = log.trouble();
        let shared = Arc::new(shared);
        let _ = shared.store.set(store.clone());
        let told = Arc::downgrade(&shared);
        store.on_damage(move |what| {
            if let Some(shared) = told.upgrade() {
                shared.config.metrics.store_damaged.set(1);
                shared.fail(damaged_in_use(&shared.config, what));
            }
        });
        let writer = Writer::new(store.clone(), shared.clone());
        let (jobs, store_thread) =
            start_writer(writer).map_err(|error| failed("no thread for the store", &error))?;
        // All cells are set once, here, before any task looks.
        let _ = shared.jobs.set(jobs.downgrade());
        let machine = Machine::new(store.clone(), jobs, shared.clone())
            .map_err(|error| failed("the store can't be read", &error))?;
        let engine = Engine::new(
            identity.node,
            Arc::new(engine_config(&config.timing)?),
            Links(shared.clone()),
            log,
            machine,
        )
        .await
        .map_err(|error| match shared.failed.borrow().clone() {
            // Said in words that tell what to do.
            Some(why) => StartError::Failed(why),
            None => failed("the consensus engine does not start", &error),
        })?;
        let (proposals, proposing) = Proposals::start(shared.clone(), flushed);
        let (reads, reading) = Reads::start(shared.clone());
        let _ = shared.proposals.set(proposals.clone());
        let _ = shared.engine.set(engine.clone());
        let mut tasks = vec![
            proposing,
            reading,
            tokio::spawn(supervisor::run(shared.clone(), engine.clone())),
            tokio::spawn(announce::run(shared.clone())),
            tokio::spawn(meet::run(shared.clone())),
            tokio::spawn(keep::run(shared.clone(), engine.clone(), kept)),
            tokio::spawn(compare::run(shared.clone(), store.clone())),
        ];
        if files == Files::Threads {
            tasks.push(tokio::spawn(scrub::run(shared.clone(), store.clone())));
        }
        Ok(Replica {
            shared,
            store,
            proposals,
            reads,
            engine,
            tasks: Arc::new(Mutex::new(tasks)),
            store_thread: Arc::new(Mutex::new(store_thread)),
        })
    }

    /// This data folder's node id.
    pub fn node(&self) -> NodeId {
        self.shared.node
    }

    /// The cluster whose data this node holds; none as long as it has neither formed nor joined
    /// one.
    pub fn cluster(&self) -> Option<u64> {
        self.shared.cluster()
    }

    /// The number of this start. It changes when the cluster dropped this server while it was
    /// running: register it with the reference again, for a new rank.
    pub fn boot(&self) -> watch::Receiver<u64> {
        self.shared.boot.subscribe()
    }

    /// Forms a new cluster with this node alone, as the reference granted. Does nothing when the
    /// node belongs to one already.
    ///
    /// # Errors
    /// The identity can't be written, or the engine refuses.
    pub async fn form(&self, cluster: u64) -> Result<(), StartError> {
        if self.cluster().is_some() {
            return Ok(());
        }
        let error = |error: &dyn std::fmt::Display| {
            StartError::Failed(format!("the cluster can't be formed: {error}"))
        };
        if !self.engine.is_initialized().await.map_err(|e| error(&e))? {
            tracing::debug!(cluster, "forming a new cluster");
            let alone = BTreeMap::from([(self.shared.node, openraft::EmptyNode::new())]);
            self.engine.initialize(alone).await.map_err(|e| error(&e))?;
        }
        // Last: a server that says that it holds a cluster's data is never told to form one again.
        let mut identity = lock(&self.shared.identity);
        identity.cluster = Some(cluster);
        identity
            .save(&self.shared.config.dir)
            .inspect_err(|error| self.shared.fail(error.to_string()))
    }

    /// The rank that the reference gave to the current [`Replica::boot`]; the replica announces
    /// itself with it by itself.
    pub fn set_rank(&self, rank: u64) {
        self.shared.rank.send_if_modified(|known| known.replace(rank) != Some(rank));
    }

    /// The servers that the reference lists: whom to connect to and in which order to take over.
    pub fn learn_peers(&self, peers: &[Peer]) {
        for peer in peers {
            self.shared.hear_address(peer.node, &peer.address, Word::Of(peer.rank));
        }
        *lock(&self.shared.peers) = peers.iter().map(|peer| (peer.node, peer.clone())).collect();
    }

    /// Proposes a command and waits until it is applied here and on the disk of every active
    /// backup. On the primary only.
    ///
    /// # Errors
    /// See [`ProposeError`]: only `Uncertain` may have taken effect.
    pub async fn propose(
        &self,
        command: Command,
        origin: Option<Origin>,
    ) -> Result<Committed, ProposeError> {
        self.proposals.propose(command, origin).await
    }

    /// A view of the rows that shows everything that was acknowledged before the call, on any
    /// server (read index).
    ///
    /// # Errors
    /// No primary confirms the read now.
    pub async fn read(&self) -> Result<Reader, ReadError> {
        let index = self.reads.confirm().await.ok_or(ReadError)?;
        let mut position = self.shared.position.subscribe();
        if *position.borrow() < index {
            self.shared.ask_for(index);
        }
        tokio::time::timeout(CATCH_UP_TIMEOUT, position.wait_for(|at| *at >= index))
            .await
            .map_err(|_| ReadError)?
            .map_err(|_| ReadError)?;
        self.store.reader().map_err(|error| {
            self.shared.fail(format!("the store can't be read: {error}"));
            ReadError
        })
    }

    /// The store, for reads that need not be linearizable (publishing, status).
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The current view, and its changes.
    pub fn view(&self) -> watch::Receiver<Arc<View>> {
        self.shared.view.subscribe()
    }

    /// The last position that the store shows, and its changes.
    pub fn applied(&self) -> watch::Receiver<u64> {
        self.shared.position.subscribe()
    }

    /// Whether a sync of the log has waited for this server's disk for a second or longer.
    pub fn disk_hangs(&self) -> bool {
        self.shared.disk_hangs(Instant::now())
    }

    /// Tells up to which position events are surely published; rides with the next entry.
    pub fn set_published(&self, position: u64) {
        self.shared.published.fetch_max(position, Ordering::Relaxed);
    }

    /// The position up to which events are surely published, as far as this node knows.
    pub fn published(&self) -> u64 {
        self.shared.published()
    }

    /// When all rows had been read in the background last and nothing was damaged, ms since the
    /// Unix epoch; and how many are still to be read, while some are.
    pub fn scrubbed(&self) -> (Option<u64>, Option<u64>) {
        let some = |number: &AtomicU64| Some(number.load(Ordering::Relaxed)).filter(|n| *n > 0);
        (some(&self.shared.scrub_ended_ms), some(&self.shared.scrub_left_rows))
    }

    /// Answers a peer's message of a kind below `FIRST_SERVER_KIND`; none when there is nothing
    /// to say. Messages may be handled in any order: consensus orders them itself.
    pub fn handle_peer(&self, kind: u8, body: Bytes) -> BoxFuture<'static, Option<Bytes>> {
        Box::pin(inbound::handle(self.shared.clone(), self.reads.clone(), kind, body))
    }

    /// Whether it had to stop because the cluster removed it: a start with this folder is in vain.
    pub fn was_removed(&self) -> bool {
        self.shared.removed.load(Ordering::Relaxed)
    }

    /// Whether that was because its folder is of an earlier generation of the cluster.
    pub fn is_of_an_earlier_generation(&self) -> bool {
        self.shared.earlier.load(Ordering::Relaxed)
    }

    /// Why the replica had to stop, if it had.
    pub fn failure(&self) -> Option<String> {
        self.shared.failed.borrow().clone()
    }

    /// Resolves, with one sentence, when the replica had to stop (a failed fsync, a damaged file).
    pub async fn failed(&self) -> String {
        let mut failed = self.shared.failed.subscribe();
        match failed.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => "the replica is gone".to_owned(),
        }
    }

    /// Stops taking part, with everything on disk.
    pub async fn shutdown(&self) {
        for task in lock(&self.tasks).drain(..) {
            task.abort();
        }
        if let Err(error) = self.engine.shutdown().await {
            tracing::warn!("the consensus engine did not stop cleanly: {error}");
        }
        // The engine's last task drops the state machine, and with it the store's thread ends.
        let thread = lock(&self.store_thread).take();
        if let Some(thread) = thread {
            let done = tokio::task::spawn_blocking(move || thread.join());
            if tokio::time::timeout(SHUTDOWN_TIMEOUT, done).await.is_err() {
                tracing::warn!("the store is still writing; the log has everything all the same");
            }
        }
    }
}

/// Why a replica stops that found its store damaged.
fn damaged_in_use(config: &ReplicaConfig, what: &str) -> String {
    format!(
        "the store in {} is damaged ({what}); nothing of that is served, and the next start asks \
         the other servers whether they have everything",
        config.dir.display()
    )
}

/// The engine's settings; ARCHITECTURE.md gives the reasons.
fn engine_config(timing: &Timing) -> Result<openraft::Config, StartError> {
    openraft::Config {
        cluster_name: "recado".to_owned(),
        heartbeat_interval: timing.heartbeat_ms,
        // The lease is the upper bound.
        election_timeout_min: timing.election_ms.saturating_sub(1),
        election_timeout_max: timing.election_ms,
        // The supervisor stands for election, in rank order, and sends heartbeats as part of its own
        // rounds: the engine's ticks would wake every idle process once more.
        enable_tick: false,
        enable_elect: false,
        enable_pre_vote: Some(true),
        // A restarted primary has a new rank and must not take its place back.
        enable_leader_restore: Some(false),
        install_snapshot_timeout: 60_000,
        max_payload_entries: 1024,
        replication_lag_threshold: u64::MAX,
        // What is kept of the log is decided elsewhere, and snapshots are made when it is to go.
        snapshot_policy: openraft::SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: u64::MAX,
        // A follower whose disk lost what it had reported done is brought level again. Without this
        // the primary would end over it, though nothing is lost as long as the others have it.
        allow_log_reversion: Some(true),
        backoff: "50ms 100ms 200ms ...500ms".to_owned(),
        quorum_loss_probe_interval: Some(2 * timing.election_ms),
        ..openraft::Config::default()
    }
    .validate()
    .map_err(|error| StartError::Failed(format!("the time-outs don't fit together: {error}")))
}

#[cfg(test)]
mod tests;
