//! What the replica's tasks share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use recado_chat::{Member, Outcome, Stamp};
use recado_storage::Store;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::addresses::{Book, Word};
use crate::bounds;
use crate::detector::{HeardPrimary, Paces, Sign};
use crate::disk::{Disk, HANGS};
use crate::election::Candidate;
use crate::entropy::Entropy;
use crate::gate::{Gate, Released};
use crate::identity::Identity;
use crate::peer::{Lane, PeerTransport};
use crate::propose::Proposals;
use crate::replica::{Committed, Peer, ProposeError, ReplicaConfig, StampSource};
use crate::snapshot::{Files, Inbox, Transfers};
use crate::types::{Engine, LogId};
use crate::view::View;
use crate::writer::Job;
use crate::{NodeId, announce};

/// Who gave the lead up neither gives it up again nor is given it for so long.
const GAVE_UP_COOL_DOWN: Duration = Duration::from_secs(30);

/// A reply that waits behind the gate.
pub struct Waiting {
    pub outcome: Outcome,
    pub position: u64,
    pub stamp: Stamp,
    pub reply: oneshot::Sender<Result<Committed, ProposeError>>,
}

/// Shared by all tasks of one replica. Locks are held for a few lines and never across an await.
pub struct Shared {
    pub config: ReplicaConfig,
    pub node: NodeId,
    pub transport: Arc<dyn PeerTransport>,
    pub stamps: Arc<dyn StampSource>,
    pub entropy: Arc<dyn Entropy>,
    pub files: Files,
    pub engine: OnceLock<Engine>,
    pub proposals: OnceLock<Proposals>,
    pub identity: Mutex<Identity>,
    pub gate: Mutex<Gate<Waiting>>,
    /// When the primary was last heard of, or somebody was voted for.
    pub quiet: Mutex<Instant>,
    /// The primary, as a backup hears it.
    pub heard_primary: Mutex<HeardPrimary>,
    /// What the log asks of this node's disk.
    pub disk: Disk,
    /// How the disks of all do, as the primary.
    pub paces: Mutex<Paces>,
    /// The last term that this node gave up because of its own disk, and when.
    pub gave_up: watch::Sender<Option<(u64, Instant)>>,
    /// Why acknowledgements don't wait for these, in a clause each, as the primary.
    pub why: Mutex<BTreeMap<NodeId, String>>,
    /// The servers that the reference lists.
    pub peers: Mutex<BTreeMap<NodeId, Peer>>,
    /// Where the other nodes are.
    pub addresses: Mutex<Book>,
    /// The nodes that were removed for good, as far as is applied here.
    removed_nodes: Mutex<BTreeSet<NodeId>>,
    /// The rank that the reference gave for the current boot; none before it did.
    pub rank: watch::Sender<Option<u64>>,
    /// The number of this start; a new one after this server was dropped, for a new rank.
    pub boot: watch::Sender<u64>,
    /// The last entry that readers of the store see.
    pub applied: watch::Sender<Option<LogId>>,
    /// Its position, 0 if there is none.
    pub position: watch::Sender<u64>,
    /// The last position that a reader waits for.
    asked: AtomicU64,
    /// The store, for what it can tell at once.
    pub store: OnceLock<Store>,
    /// The way to the store's writer; weak, because it ends with the state machine.
    pub jobs: OnceLock<mpsc::WeakUnboundedSender<Job>>,
    pub members: watch::Sender<Arc<Vec<Member>>>,
    pub view: watch::Sender<Arc<View>>,
    pub failed: watch::Sender<Option<String>>,
    /// Whether the cluster removed this node.
    pub removed: AtomicBool,
    /// Whether it is of an earlier generation of the cluster.
    pub earlier: AtomicBool,
    /// When each voter answered last that was asked for its vote.
    pub voted: Mutex<BTreeMap<NodeId, Instant>>,
    /// When it was said last that a message is out of bounds.
    pub complained: Mutex<Option<Instant>>,
    pub published: AtomicU64,
    /// The snapshots that are on their way from here.
    pub transfers: Transfers,
    /// The snapshot that is on its way to here.
    pub inbox: Inbox,
    /// When all rows had been read in the background last, ms since the Unix epoch; 0 before. And
    /// how many are still to be read, 0 between two times.
    pub scrub_ended_ms: AtomicU64,
    pub scrub_left_rows: AtomicU64,
}

/// A lock's content, also when a panic poisoned it: every critical section leaves it whole.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// What a replica that is about to start shares.
    pub fn new(
        config: ReplicaConfig,
        identity: Identity,
        transport: Arc<dyn PeerTransport>,
        stamps: Arc<dyn StampSource>,
        entropy: Arc<dyn Entropy>,
        files: Files,
    ) -> Shared {
        let lease = Duration::from_millis(config.timing.election_ms);
        let node = identity.node;
        let view = View {
            node,
            term: 0,
            primary: None,
            is_primary: false,
            applied: 0,
            members: Vec::new(),
            witness: None,
            min_copies: 1,
            joint: false,
            lacks: None,
        };
        Shared {
            node,
            transport,
            stamps,
            entropy,
            files,
            engine: OnceLock::new(),
            proposals: OnceLock::new(),
            identity: Mutex::new(identity),
            gate: Mutex::new(Gate::new(node, lease)),
            quiet: Mutex::new(Instant::now()),
            heard_primary: Mutex::default(),
            disk: Disk::measured(config.metrics.log_sync_seconds.clone()),
            paces: Mutex::default(),
            gave_up: watch::Sender::new(None),
            why: Mutex::default(),
            peers: Mutex::default(),
            addresses: Mutex::default(),
            removed_nodes: Mutex::default(),
            rank: watch::Sender::new(None),
            boot: watch::Sender::new(config.boot),
            applied: watch::Sender::new(None),
            position: watch::Sender::new(0),
            asked: AtomicU64::new(0),
            store: OnceLock::new(),
            jobs: OnceLock::new(),
            members: watch::Sender::new(Arc::default()),
            view: watch::Sender::new(Arc::new(view)),
            failed: watch::Sender::new(None),
            removed: AtomicBool::new(false),
            earlier: AtomicBool::new(false),
            voted: Mutex::default(),
            complained: Mutex::default(),
            published: AtomicU64::new(0),
            transfers: Transfers::default(),
            inbox: Inbox::default(),
            scrub_ended_ms: AtomicU64::new(0),
            scrub_left_rows: AtomicU64::new(0),
            config,
        }
    }

    /// The engine, once it runs.
    pub fn engine(&self) -> Option<&Engine> {
        self.engine.get()
    }

    /// The cluster whose data this node holds.
    pub fn cluster(&self) -> Option<u64> {
        lock(&self.identity).cluster
    }

    /// Readers of the store now see everything up to this entry.
    pub fn shown(&self, upto: LogId) {
        self.applied.send_replace(Some(upto));
        self.position.send_replace(upto.index);
    }

    /// Asks the store's writer to show everything up to this position as soon as it is applied.
    pub fn ask_for(&self, position: u64) {
        // Whoever asked for as much has woken the writer already.
        if self.asked.fetch_max(position, Ordering::Relaxed) < position {
            self.wake_writer();
        }
    }

    /// Has the store's writer look again whether somebody wants to see what it applied.
    pub fn wake_writer(&self) {
        if let Some(jobs) = self.jobs.get().and_then(mpsc::WeakUnboundedSender::upgrade) {
            // Fails only when the replica is going down.
            let _ = jobs.send(Job::Show);
        }
    }

    /// Whether a reader waits for more than the store shows.
    pub fn is_asked_for_more(&self) -> bool {
        self.asked.load(Ordering::Relaxed) > *self.position.borrow()
    }

    /// Whether this node leads, as far as its supervisor knows.
    pub fn leads(&self) -> bool {
        lock(&self.gate).term().is_some()
    }

    /// The member table as applied here.
    pub fn members(&self) -> Arc<Vec<Member>> {
        self.members.borrow().clone()
    }

    /// Whether a node was removed for good, as far as is applied here.
    pub fn is_removed(&self, node: NodeId) -> bool {
        lock(&self.removed_nodes).contains(&node)
    }

    /// Somebody says where a node is.
    pub fn hear_address(&self, node: NodeId, address: &str, word: Word) {
        // Some words come from who was only asked, and may be anything.
        if node == self.node || bounds::label("an address", address).is_err() {
            return;
        }
        // Under the lock, so that the transport is told in the same order.
        let mut book = lock(&self.addresses);
        if book.hear(node, address, word, Instant::now()) {
            self.transport.set_address(node, address);
        }
    }

    /// The member table changed, and who was removed from it. The gate knows before anybody else
    /// does.
    pub fn set_members(&self, members: Vec<Member>, removed: BTreeSet<NodeId>, min_copies: u32) {
        let nodes_of = |which: fn(&&Member) -> bool| {
            members.iter().filter(which).map(|m| m.announced.node).collect()
        };
        let mut gate = lock(&self.gate);
        gate.set_members(nodes_of(|m| m.active), nodes_of(|m| m.announced.witness));
        gate.set_min_copies(min_copies);
        drop(gate);
        for Member { announced, .. } in &members {
            self.hear_address(announced.node, &announced.address, Word::Of(announced.rank));
        }
        lock(&self.addresses).forget(|node| removed.contains(&node));
        *lock(&self.removed_nodes) = removed;
        self.members.send_replace(Arc::new(members));
    }

    /// How many servers the cluster has, the dead ones included; at least this one, whose own
    /// announcement may not be applied yet.
    pub fn server_count(&self) -> u32 {
        let members = self.members.borrow();
        members.iter().filter(|m| !m.announced.witness).count().max(1) as u32
    }

    /// This node's own row.
    pub fn my_row(&self) -> Option<Member> {
        self.members.borrow().iter().find(|m| m.announced.node == self.node).cloned()
    }

    /// A server's rank: what the reference gave, else what is in the member table.
    pub fn rank_of(&self, member: &Member) -> u64 {
        if member.announced.node == self.node {
            return self.rank.borrow().unwrap_or(member.announced.rank);
        }
        let listed = lock(&self.peers).get(&member.announced.node).map(|peer| peer.rank);
        listed.unwrap_or(member.announced.rank)
    }

    /// A member as elections see it.
    pub fn candidate(&self, member: &Member) -> Candidate {
        Candidate {
            node: member.announced.node,
            rank: self.rank_of(member),
            active: member.active,
            witness: member.announced.witness,
        }
    }

    /// A vote was given: its candidate gets time to win.
    pub fn hush(&self) {
        *lock(&self.quiet) = Instant::now();
    }

    /// This node was heard as the primary.
    pub fn hears_primary(&self, node: NodeId) {
        self.hush();
        let connection = self.transport.connection(node, Lane::Control);
        lock(&self.heard_primary).heard(node, connection, Instant::now());
    }

    /// Whether this node gave the lead up a moment ago because its disk held the others up.
    pub fn gave_up_lately(&self, now: Instant) -> bool {
        let gave_up = *self.gave_up.borrow();
        gave_up.is_some_and(|(_, at)| now.saturating_duration_since(at) < GAVE_UP_COOL_DOWN)
    }

    /// Whether this node's own disk hangs.
    pub fn disk_hangs(&self, now: Instant) -> bool {
        self.disk.hangs_for(now) >= HANGS
    }

    /// How this node's own disk does.
    pub fn sign(&self, now: Instant) -> Sign {
        Sign {
            syncs: self.disk.syncs(),
            hangs_for: self.disk.hangs_for(now),
            applied: *self.position.borrow(),
            gave_up: self.gave_up_lately(now),
        }
    }

    /// A peer answered; sends off the replies that waited for it.
    pub fn answered(&self, term: u64, node: NodeId, matched: Option<u64>, sent: Instant) {
        lock(&self.gate).answered(term, node, matched, sent, Instant::now());
        self.release();
    }

    /// Sends off the replies that may leave.
    pub fn release(&self) {
        let (released, left) = {
            let mut gate = lock(&self.gate);
            (gate.release(Instant::now()), gate.give_up())
        };
        Shared::abandon(left);
        if released.is_empty() {
            return;
        }
        let members = self.server_count();
        for Released { reply: waiting, stored } in released {
            let committed = Committed {
                outcome: waiting.outcome,
                position: waiting.position,
                stamp: waiting.stamp,
                stored: stored.min(members),
                members,
            };
            // Whoever asked may be gone.
            let _ = waiting.reply.send(Ok(committed));
        }
    }

    /// Tells everybody who waits that the outcome is unknown.
    pub fn abandon(waiting: Vec<Waiting>) {
        for waiting in waiting {
            let _ = waiting.reply.send(Err(ProposeError::Uncertain));
        }
    }

    /// The position up to which events are surely published.
    pub fn published(&self) -> u64 {
        self.published.load(Ordering::Relaxed)
    }

    /// Stops the replica because the cluster removed its node.
    pub fn fail_as_removed(&self) {
        self.removed.store(true, Ordering::Relaxed);
        self.fail(announce::was_removed(&self.config.dir));
    }

    /// Stops the replica because its folder is of an earlier generation of the cluster.
    pub fn fail_as_earlier(&self) {
        self.earlier.store(true, Ordering::Relaxed);
        self.removed.store(true, Ordering::Relaxed);
        self.fail(announce::of_an_earlier_generation(&self.config.dir));
    }

    /// Stops the replica with a reason; the first one counts.
    pub fn fail(&self, reason: impl Into<String>) {
        let reason = reason.into();
        self.failed.send_if_modified(|failed| {
            let first = failed.is_none();
            if first {
                tracing::error!("{reason}");
                *failed = Some(reason);
            }
            first
        });
    }
}
