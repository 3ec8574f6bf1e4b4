//! A cluster in one process: real replicas on real disks, with a network of function calls whose
//! directed links can be cut.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use recado_chat::{Command, Origin, Outcome, Stamp};
use recado_replication::{
    Committed, Lane, Metrics, NodeId, Peer, PeerError, PeerTransport, PendingAnswer, ProposeError,
    Replica, ReplicaConfig, Sizes, StampSource, Timing, View,
};
use tokio::sync::watch;

/// How long a condition may take before the test gives up.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The cluster's id.
pub const CLUSTER: u64 = 4711;

/// The name of the reference's replica.
const WITNESS: &str = "reference";

/// Longer messages break a real connection; none arrives here.
const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;

/// Who is reachable, and which directed links are cut.
#[derive(Default)]
pub struct Network {
    replicas: Mutex<BTreeMap<NodeId, Replica>>,
    cut: Mutex<BTreeSet<(NodeId, NodeId)>>,
    starved: Mutex<BTreeSet<(NodeId, NodeId)>>,
    /// Whether pieces of snapshots wait until they may go on.
    snapshots_wait: watch::Sender<bool>,
    /// Changes messages on their way, by lane.
    pub tamper: Mutex<Option<Tamper>>,
}

/// Gives what arrives instead of a message.
pub type Tamper = Box<dyn FnMut(Lane, Bytes) -> Bytes + Send>;

impl Network {
    fn carries(&self, from: NodeId, to: NodeId) -> bool {
        !self.cut.lock().unwrap().contains(&(from, to))
    }

    /// Cuts all links of a node, in both directions.
    pub fn isolate(&self, node: NodeId, others: &[NodeId]) {
        let mut cut = self.cut.lock().unwrap();
        for other in others.iter().filter(|other| **other != node) {
            cut.insert((node, *other));
            cut.insert((*other, node));
        }
    }

    /// Lets no log entries through from one node to another, but everything else.
    pub fn starve(&self, from: NodeId, to: NodeId) {
        self.starved.lock().unwrap().insert((from, to));
    }

    /// Lets pieces of snapshots wait, or go on.
    pub fn hold_snapshots(&self, hold: bool) {
        self.snapshots_wait.send_replace(hold);
    }

    /// Mends all links.
    pub fn heal(&self) {
        self.starved.lock().unwrap().clear();
        self.cut.lock().unwrap().clear();
    }
}

struct Transport {
    network: Arc<Network>,
    me: OnceLock<NodeId>,
}

impl PeerTransport for Transport {
    fn set_address(&self, _node: NodeId, _address: &str) {}

    fn connection(&self, node: NodeId, _lane: Lane) -> Option<u64> {
        let me = *self.me.get().unwrap_or(&0);
        if !self.network.carries(me, node) {
            return None;
        }
        // Whoever answers there, each start has a connection of its own.
        let replicas = self.network.replicas.lock().unwrap();
        replicas.get(&node).map(|replica| *replica.boot().borrow())
    }

    fn send(
        &self,
        node: NodeId,
        lane: Lane,
        kind: u8,
        body: Bytes,
    ) -> Result<PendingAnswer, PeerError> {
        if self.connection(node, lane).is_none() {
            return Err(PeerError::NotConnected);
        }
        if body.len() > MAX_MESSAGE_BYTES {
            return Err(PeerError::Disconnected);
        }
        let body = match &mut *self.network.tamper.lock().unwrap() {
            Some(tamper) => tamper(lane, body),
            None => body,
        };
        let me = *self.me.get().unwrap_or(&0);
        if lane == Lane::Log && self.network.starved.lock().unwrap().contains(&(me, node)) {
            return Ok(Box::pin(std::future::pending()));
        }
        let target = self.network.replicas.lock().unwrap().get(&node).cloned();
        let network = self.network.clone();
        let mut waits = self.network.snapshots_wait.subscribe();
        let answer = tokio::spawn(async move {
            if lane == Lane::Snapshot {
                waits.wait_for(|waits| !waits).await.ok()?;
            }
            let answer = target?.handle_peer(kind, body).await?;
            network.carries(node, me).then_some(answer)
        });
        Ok(Box::pin(async move { answer.await.ok().flatten().ok_or(PeerError::Disconnected) }))
    }
}

/// Real time and a counter.
struct Clock(AtomicU64);

impl StampSource for Clock {
    fn stamp(&self) -> Stamp {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let clock = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        Stamp { time_ms: now.as_millis() as u64, clock }
    }
}

/// One server: its folder outlives its replica.
pub struct Server {
    pub name: String,
    pub dir: PathBuf,
    pub node: NodeId,
    /// What its last start counted.
    pub metrics: Metrics,
    running: Option<Running>,
    rank: u64,
}

/// A replica, and the task that plays the reference for it.
struct Running {
    replica: Replica,
    registration: tokio::task::JoinHandle<()>,
}

/// The cluster, and what the reference would do for it.
pub struct Cluster {
    pub network: Arc<Network>,
    pub servers: Vec<Server>,
    pub sizes: Sizes,
    /// What servers that start from now on are told.
    pub min_copies: Option<u32>,
    pub timing: Timing,
    folder: tempfile::TempDir,
    ranks: u64,
    witness: Option<usize>,
}

impl Cluster {
    pub async fn start(servers: usize) -> Cluster {
        Cluster::start_with(servers, Sizes::default()).await
    }

    pub async fn start_with(servers: usize, sizes: Sizes) -> Cluster {
        Cluster::start_told(servers, sizes, None).await
    }

    /// Servers that are told how many of them must be active for writes to be taken.
    pub async fn start_needing(servers: usize, min_copies: u32) -> Cluster {
        Cluster::start_told(servers, Sizes::default(), Some(min_copies)).await
    }

    async fn start_told(servers: usize, sizes: Sizes, min_copies: Option<u32>) -> Cluster {
        let mut cluster = Cluster {
            network: Arc::default(),
            servers: Vec::new(),
            sizes,
            min_copies,
            timing: Timing::default(),
            folder: tempfile::tempdir().unwrap(),
            ranks: 0,
            witness: None,
        };
        for _ in 0..servers {
            cluster.add().await;
        }
        cluster.wait_active(servers).await;
        cluster
    }

    /// Adds a server with an empty folder; the first one forms the cluster.
    pub async fn add(&mut self) {
        let witness = self.witness == Some(self.servers.len());
        let name = format!("server-{}", self.servers.len() + 1);
        let name = if witness { WITNESS.to_owned() } else { name };
        let dir = self.folder.path().join(&name);
        std::fs::create_dir(&dir).unwrap();
        let server = self.boot(name, dir).await;
        if self.servers.is_empty() {
            server.replica().form(CLUSTER).await.unwrap();
        }
        self.servers.push(server);
        self.list();
    }

    /// Adds the reference's replica, which comes last in `servers`.
    pub async fn add_witness(&mut self) -> usize {
        self.witness = Some(self.servers.len());
        self.add().await;
        self.servers.len() - 1
    }

    /// Tries to start a stopped server; gives the reason why it does not.
    pub async fn try_restart(&mut self, index: usize) -> Result<(), String> {
        let Server { name, dir, .. } = &self.servers[index];
        let start = Instant::now();
        loop {
            let clock = Arc::new(Clock(AtomicU64::new(0)));
            let (config, listed) = (self.config(name, dir), self.listed());
            match Replica::start(config, self.transport(), clock, listed).await {
                Ok(replica) => {
                    replica.shutdown().await;
                    return Ok(());
                }
                // The last one may still be closing its files.
                Err(error) if error.to_string().contains("in use") => {
                    assert!(start.elapsed() < PATIENCE, "{error}");
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    fn transport(&self) -> Arc<Transport> {
        Arc::new(Transport { network: self.network.clone(), me: OnceLock::new() })
    }

    fn config(&self, name: &str, dir: &Path) -> ReplicaConfig {
        ReplicaConfig {
            dir: dir.to_owned(),
            name: name.to_owned(),
            address: address_of(name),
            boot: self.ranks + 1000,
            pid: 1,
            min_copies: self.min_copies,
            witness: name == WITNESS,
            timing: self.timing,
            sizes: self.sizes,
            metrics: Metrics::default(),
        }
    }

    async fn boot(&mut self, name: String, dir: PathBuf) -> Server {
        let (transport, config) = (self.transport(), self.config(&name, &dir));
        let metrics = config.metrics.clone();
        let clock = Arc::new(Clock(AtomicU64::new(0)));
        let replica = start_when_free(config, transport.clone(), clock, self.listed()).await;
        let node = replica.node();
        transport.me.set(node).unwrap();
        self.network.replicas.lock().unwrap().insert(node, replica.clone());
        self.ranks += 1;
        let rank = self.ranks;
        if name != WITNESS {
            replica.set_rank(rank);
        }
        let registration = tokio::spawn(register_again(replica.clone(), 1_000 * rank));
        let running = Some(Running { replica, registration });
        Server { name, dir, node, metrics, running, rank }
    }

    fn peers(&self) -> Vec<Peer> {
        self.servers
            .iter()
            .filter(|s| s.runs() && s.name != WITNESS)
            .map(|s| Peer { node: s.node, address: s.address(), rank: s.rank })
            .collect()
    }

    /// The reference's list for a server that is starting.
    fn listed(&self) -> watch::Receiver<Vec<Peer>> {
        watch::channel(self.peers()).1
    }

    /// Tells everybody who is there.
    fn list(&self) {
        let peers = self.peers();
        for server in self.servers.iter().filter(|s| s.runs()) {
            server.replica().learn_peers(&peers);
        }
    }

    /// Takes a server off the network and stops it.
    pub async fn stop(&mut self, index: usize) {
        let server = &mut self.servers[index];
        self.network.replicas.lock().unwrap().remove(&server.node);
        let Running { replica, registration } = server.running.take().expect("it runs");
        registration.abort();
        replica.shutdown().await;
    }

    /// Starts a stopped server again, on its own folder, with a new rank.
    pub async fn restart(&mut self, index: usize) {
        let Server { name, dir, node, .. } = &self.servers[index];
        let (name, dir, node) = (name.clone(), dir.clone(), *node);
        self.servers[index] = self.boot(name, dir).await;
        assert_eq!(self.servers[index].node, node, "a folder keeps its node id");
        self.list();
    }

    /// Starts a stopped server again under another name.
    pub async fn restart_as(&mut self, index: usize, name: &str) {
        self.servers[index].name = name.to_owned();
        self.restart(index).await;
    }

    /// Starts a stopped server again, on a folder that makes it another node.
    pub async fn rebuild(&mut self, index: usize) {
        let Server { name, dir, node, .. } = &self.servers[index];
        let (name, dir, node) = (name.clone(), dir.clone(), *node);
        self.servers[index] = self.boot(name, dir).await;
        assert_ne!(self.servers[index].node, node, "what is rebuilt is another node");
        // It listens where the node before it did, and hears what is meant for that one.
        let replica = self.servers[index].replica().clone();
        self.network.replicas.lock().unwrap().insert(node, replica);
        self.list();
    }

    /// Gives every server another rank, as a reference would that knows them all.
    pub fn rank(&self, ranks: [u64; 3]) {
        let peers: Vec<Peer> = (self.servers.iter().zip(ranks))
            .map(|(s, rank)| Peer { node: s.node, address: s.address(), rank })
            .collect();
        for (server, rank) in self.servers.iter().zip(ranks) {
            server.replica().learn_peers(&peers);
            server.replica().set_rank(rank);
        }
    }

    /// Starts a stopped server again, with an empty folder.
    pub async fn wipe(&mut self, index: usize) {
        let Server { name, dir, .. } = &self.servers[index];
        let (name, dir) = (name.clone(), dir.clone());
        std::fs::remove_dir_all(&dir).unwrap();
        std::fs::create_dir(&dir).unwrap();
        self.servers[index] = self.boot(name, dir).await;
        self.list();
    }

    /// The indexes of the nodes that vote, as the primary sees it, and every active server too;
    /// none while that changes.
    pub fn voters(&self) -> Option<BTreeSet<usize>> {
        let primary = self.servers.iter().find(|s| s.leads())?;
        let view = primary.replica().view().borrow().clone();
        let voters = self.voters_in(&view)?;
        let active = |s: &&Server| {
            s.runs() && view.member(s.node).is_some_and(|member| member.member.active)
        };
        let same =
            |s: &Server| self.voters_in(&s.replica().view().borrow()) == Some(voters.clone());
        self.servers.iter().filter(active).all(same).then_some(voters)
    }

    fn voters_in(&self, view: &View) -> Option<BTreeSet<usize>> {
        let rows = view.members.iter().chain(&view.witness).filter(|m| m.voter);
        let index = |node| self.servers.iter().position(|s| s.node == node);
        let voters: Option<BTreeSet<usize>> =
            rows.map(|m| index(m.member.announced.node)).collect();
        voters.filter(|_| !view.joint)
    }

    /// Waits until just these vote.
    pub async fn wait_voters(&self, wanted: &[usize]) {
        let wanted: BTreeSet<usize> = wanted.iter().copied().collect();
        let what = format!("{wanted:?} to vote");
        self.wait(&what, || self.voters().filter(|voters| *voters == wanted).map(drop)).await
    }

    /// The folder of all servers, which goes with what is returned.
    pub fn into_folder(self) -> tempfile::TempDir {
        self.folder
    }

    /// The index of the server that leads.
    pub async fn primary(&self) -> usize {
        self.wait("a primary", || self.servers.iter().position(Server::leads)).await
    }

    /// Waits until the primary counts so many active servers.
    pub async fn wait_active(&self, count: usize) {
        self.wait("active servers", || {
            let primary = self.servers.iter().find(|s| s.leads())?;
            let view = primary.replica().view().borrow().clone();
            (view.members.iter().filter(|m| m.member.active).count() == count).then_some(())
        })
        .await
    }

    /// Waits until a condition holds; panics with its name when it takes too long.
    pub async fn wait<T>(&self, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(found) = condition() {
                return found;
            }
            assert!(start.elapsed() < PATIENCE, "waited too long for {what}: {}", self.describe());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// What every server sees, for a failed test.
    pub fn describe(&self) -> String {
        let view = |s: &Server| format!("\n{}: {:?}", s.name, s.replica().view().borrow());
        self.servers.iter().filter(|s| s.runs()).map(view).collect()
    }

    pub fn nodes(&self) -> Vec<NodeId> {
        self.servers.iter().map(|s| s.node).collect()
    }

    /// Publishes on the given server with an id, once.
    pub async fn publish(
        &self,
        index: usize,
        session: u64,
        n: u64,
    ) -> Result<Committed, ProposeError> {
        self.publish_text(index, session, n, format!("message {n}")).await
    }

    /// The same with a text of one's own.
    pub async fn publish_text(
        &self,
        index: usize,
        session: u64,
        n: u64,
        message: String,
    ) -> Result<Committed, ProposeError> {
        let command = Command::Publish { user: "ana".into(), channel: "general".into(), message };
        let origin = Origin { session, n, digest: n };
        self.servers[index].replica().propose(command, Some(origin)).await
    }

    /// Publishes on whoever leads, again with the same id until it is acknowledged.
    pub async fn publish_until_acked(&self, session: u64, n: u64) -> Committed {
        let start = Instant::now();
        loop {
            let primary = self.primary().await;
            if let Ok(committed) = self.publish(primary, session, n).await {
                return committed;
            }
            assert!(start.elapsed() < PATIENCE, "no acknowledgement: {}", self.describe());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Opens a channel and a session for [`Cluster::publish`], whoever leads meanwhile.
    pub async fn prepare(&self) -> u64 {
        let start = Instant::now();
        loop {
            let primary = self.servers[self.primary().await].replica();
            let channel = Command::Channel { channel: "general".into() };
            let session = Command::Session { session: 99 };
            if let (Ok(channel), Ok(_)) =
                (primary.propose(channel, None).await, primary.propose(session, None).await)
            {
                // A first try may have been carried out without being acknowledged.
                let there = Outcome::Refused(recado_chat::Refusal::ChannelExists);
                assert!([Outcome::Done, there].contains(&channel.outcome));
                return 99;
            }
            assert!(start.elapsed() < PATIENCE, "nobody takes writes: {}", self.describe());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until this server's log begins behind a position.
    pub async fn wait_purged(&self, index: usize, position: u64) {
        let gauge = &self.servers[index].metrics.purged_position;
        let position = position as i64;
        self.wait("a shorter log", || (gauge.get() >= position).then_some(())).await
    }

    /// Waits until all running servers have applied the same and hold the same rows.
    pub async fn wait_equal(&self) {
        self.wait("equal states", || {
            let running: Vec<&Server> = self.servers.iter().filter(|s| s.runs()).collect();
            let positions: BTreeSet<u64> =
                running.iter().map(|s| *s.replica().applied().borrow()).collect();
            let hashes: BTreeSet<_> = running
                .iter()
                .map(|s| s.replica().store().reader().unwrap().state_hash().unwrap())
                .collect();
            (positions.len() == 1 && hashes.len() == 1).then_some(())
        })
        .await
    }
}

/// Where the server of this name is.
fn address_of(name: &str) -> String {
    format!("memory://{name}")
}

impl Server {
    fn address(&self) -> String {
        address_of(&self.name)
    }

    /// The replica of a running server.
    pub fn replica(&self) -> &Replica {
        &self.running.as_ref().expect("it runs").replica
    }

    pub fn runs(&self) -> bool {
        self.running.is_some()
    }

    pub fn leads(&self) -> bool {
        self.runs() && self.replica().view().borrow().is_primary
    }
}

/// Starts a replica on a folder whose last one may still be closing its files.
async fn start_when_free(
    config: ReplicaConfig,
    transport: Arc<Transport>,
    clock: Arc<Clock>,
    listed: watch::Receiver<Vec<Peer>>,
) -> Replica {
    let start = Instant::now();
    loop {
        match Replica::start(config.clone(), transport.clone(), clock.clone(), listed.clone()).await
        {
            Ok(replica) => return replica,
            Err(error) => assert!(start.elapsed() < PATIENCE, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A server that was dropped asks the reference for a new rank; this is that reference.
async fn register_again(replica: Replica, mut rank: u64) {
    let mut boot = replica.boot();
    while boot.changed().await.is_ok() {
        rank += 1;
        replica.set_rank(rank);
    }
}
