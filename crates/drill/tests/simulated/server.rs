//! A server: a folder and a disk that stay, and a process that comes and goes. Each process has a
//! runtime of its own with a clock of its own: it can be killed with all its tasks at once, or
//! stopped for a while without noticing.

use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::RngExt;
use rand::rngs::SmallRng;
use recado_chat::Stamp;
use recado_chat::registry::{Listed, Registration};
use recado_replication::simulated::Computer;
use recado_replication::{Metrics, Peer, Replica, ReplicaConfig, Sizes, StampSource, Timing, View};
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

use crate::disk::Disk;
use crate::publisher::Publisher;
use crate::seed::{SeededEntropy, dice, draw};
use crate::service::Process;
use crate::wire::{ANSWERS, Message, Place, Post, Transport, address};

/// Between two heartbeats to the reference.
const BEAT_MS: u64 = 250;
/// The wall clock at the start of every run, ms since the Unix epoch.
const EPOCH_MS: u64 = 1_700_000_000_000;

/// A server's clocks: the wall clock may jump, the logical one counts.
struct Clock {
    zero: Instant,
    born_ms: u64,
    jump_ms: AtomicI64,
    count: AtomicU64,
}

impl StampSource for Clock {
    fn stamp(&self) -> Stamp {
        let passed = (Instant::now() - self.zero).as_millis() as u64;
        let right_ms = EPOCH_MS + self.born_ms + passed;
        Stamp {
            time_ms: right_ms.saturating_add_signed(self.jump_ms.load(Ordering::Relaxed)),
            clock: self.count.fetch_add(1, Ordering::Relaxed) + 1,
        }
    }
}

/// A running process.
struct Running {
    runtime: Runtime,
    process: Arc<Process>,
    zero: Instant,
    born_ms: u64,
    clock: Arc<Clock>,
    next_beat_ms: u64,
    known_node: bool,
    publisher: Publisher,
}

/// One server.
pub struct Server {
    pub index: usize,
    pub name: String,
    seed: u64,
    dir: PathBuf,
    disk: Disk,
    dice: SmallRng,
    starts: u64,
    running: Option<Running>,
    /// Stopped until then; what arrives meanwhile waits.
    pub stopped_until_ms: Option<u64>,
    inbox: Vec<(Place, Message)>,
    post: Post,
    sizes: Sizes,
    /// Whether it is the reference's replica.
    pub witness: bool,
}

impl Server {
    pub fn new(seed: u64, index: usize, dir: PathBuf, post: Post, sizes: Sizes) -> Server {
        std::fs::create_dir_all(&dir).unwrap();
        Server {
            index,
            name: format!("s{}", index + 1),
            seed,
            dir,
            disk: Disk::new(dice(seed, ("disk", index))),
            dice: dice(seed, ("server", index)),
            starts: 0,
            running: None,
            stopped_until_ms: None,
            inbox: Vec::new(),
            post,
            sizes,
            witness: false,
        }
    }

    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    pub fn runs(&self) -> bool {
        self.running.is_some()
    }

    /// Whether it ever was there.
    pub fn was_started(&self) -> bool {
        self.starts > 0
    }

    pub fn replica(&self) -> Option<Replica> {
        self.running.as_ref()?.process.replica()
    }

    pub fn view(&self) -> Option<Arc<View>> {
        self.replica().map(|replica| replica.view().borrow().clone())
    }

    /// Why the process must end, if it must.
    pub fn failed(&self) -> Option<String> {
        self.running.as_ref()?.process.failed.lock().unwrap().clone()
    }

    /// The node id, once, when a process has just learned it.
    pub fn new_node(&mut self) -> Option<u64> {
        let running = self.running.as_mut().filter(|running| !running.known_node)?;
        let node = running.process.replica()?.node();
        running.known_node = true;
        Some(node)
    }

    pub fn jump_clock(&self, by_ms: i64) {
        if let Some(running) = &self.running {
            running.clock.jump_ms.store(by_ms, Ordering::Relaxed);
        }
    }

    /// Starts a process.
    pub fn start(&mut self, now_ms: u64) {
        self.starts += 1;
        let boot = 1 + draw(self.seed, ("boot", self.index, self.starts)) % (1 << 52);
        let runtime =
            Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let transport = Arc::new(Transport {
            me: self.index,
            post: self.post.clone(),
            addresses: Mutex::default(),
        });
        let process = Arc::new(Process {
            transport: transport.clone(),
            replica: Mutex::default(),
            failed: Mutex::default(),
            markers: Mutex::default(),
        });
        let config = ReplicaConfig {
            dir: self.dir.clone(),
            name: self.name.clone(),
            address: address(self.index),
            boot,
            pid: self.starts as u32,
            timing: Timing::default(),
            sizes: self.sizes,
            min_copies: None,
            witness: self.witness,
            metrics: Metrics::default(),
        };
        let entropy =
            SeededEntropy(Mutex::new(dice(self.seed, ("entropy", self.index, self.starts))));
        let disk = self.disk.clone();
        let (zero, clock) = {
            let _inside = runtime.enter();
            let zero = Instant::now();
            let (jump_ms, count) = (AtomicI64::new(0), AtomicU64::new(0));
            let clock = Arc::new(Clock { zero, born_ms: now_ms, jump_ms, count });
            let (journal, medium) = disk.open();
            let work = disk.clone();
            let computer = Computer {
                entropy: Arc::new(entropy),
                journal,
                medium,
                pace: Arc::new(move || work.work()),
            };
            tokio::spawn(live(process.clone(), config, clock.clone(), computer));
            (zero, clock)
        };
        self.running = Some(Running {
            runtime,
            process,
            zero,
            born_ms: now_ms,
            clock,
            next_beat_ms: now_ms + 1,
            known_node: false,
            publisher: Publisher::default(),
        });
    }

    /// The process dies, with the whole machine if `power`.
    pub fn crash(&mut self, power: bool) {
        self.disk.crash(power);
        self.running = None;
        self.inbox.clear();
        self.stopped_until_ms = None;
    }

    /// The folder is emptied; the server must be down.
    pub fn wipe(&mut self) {
        assert!(self.running.is_none(), "a running server is not wiped");
        self.disk.wipe();
        std::fs::remove_dir_all(&self.dir).unwrap();
        std::fs::create_dir_all(&self.dir).unwrap();
    }

    /// Something arrives.
    pub fn deliver(&mut self, from: Place, message: Message) {
        if self.running.is_some() {
            self.inbox.push((from, message));
        }
    }

    /// Lets the process live until `now_ms`, unless it is stopped.
    pub fn tick(&mut self, now_ms: u64) {
        match self.stopped_until_ms {
            Some(until) if now_ms < until => return,
            _ => self.stopped_until_ms = None,
        }
        let Some(running) = self.running.as_mut() else { return };
        let _named = tracing::info_span!("server", name = %self.name, now_ms).entered();
        let until = running.zero + Duration::from_millis(now_ms - running.born_ms);
        let inbox = std::mem::take(&mut self.inbox);
        let me = Place::Server(self.index);
        if until > running.now() + Duration::from_millis(1) {
            // It was stopped: its clock jumps before anything in it happens, messages first or
            // timers first.
            let gap = until - running.now() - Duration::from_millis(1);
            if self.dice.random_bool(0.5) {
                running.take(me, inbox, &self.post);
                running.runtime.block_on(async { tokio::time::advance(gap).await });
            } else {
                running.runtime.block_on(async { tokio::time::advance(gap).await });
                running.take(me, inbox, &self.post);
            }
        } else {
            running.take(me, inbox, &self.post);
        }
        if !self.witness {
            running.beat(me, now_ms, &self.name, &self.post);
        }
        running.runtime.block_on(async { tokio::time::sleep_until(until).await });
        let process = running.process.clone();
        running.publisher.publish(process, me, now_ms, &self.post);
    }
}

/// The listed servers, as the replica wants them.
pub fn peers(list: Vec<Listed>) -> Vec<Peer> {
    let peer = |l: Listed| Some(Peer { node: l.node?, address: l.address?, rank: l.rank });
    list.into_iter().filter_map(peer).collect()
}

/// The process's main task.
async fn live(process: Arc<Process>, config: ReplicaConfig, clock: Arc<Clock>, computer: Computer) {
    let transport = process.transport.clone();
    match Replica::start_simulated(config, transport, clock, computer).await {
        Ok(replica) => {
            *process.replica.lock().unwrap() = Some(replica.clone());
            let reason = replica.failed().await;
            *process.failed.lock().unwrap() = Some(reason);
        }
        Err(error) => *process.failed.lock().unwrap() = Some(error.to_string()),
    }
}

impl Running {
    fn now(&self) -> Instant {
        let _inside = self.runtime.enter();
        Instant::now()
    }

    fn take(&self, me: Place, inbox: Vec<(Place, Message)>, post: &Post) {
        let _inside = self.runtime.enter();
        for (from, message) in inbox {
            let (process, post) = (self.process.clone(), post.clone());
            match message {
                Message::Ask { id, lane, kind, body } => {
                    tokio::spawn(async move {
                        if let Some(body) = process.answer(kind, body).await {
                            post.send(me, from, ANSWERS + lane, Message::Answer { id, body });
                        }
                    });
                }
                Message::Answer { id, body } => post.answered(id, body),
                Message::Request { id, request } => {
                    tokio::spawn(async move {
                        let reply = process.serve(request).await;
                        post.send(me, from, 0, Message::Reply { id, reply });
                    });
                }
                Message::Registered { boot, answer, list } => {
                    let Some(replica) = process.replica() else { continue };
                    if *replica.boot().borrow() != boot {
                        continue;
                    }
                    replica.set_rank(answer.rank);
                    replica.learn_peers(&peers(list));
                    if let Some(cluster) = answer.form {
                        tokio::spawn(async move {
                            if let Err(error) = replica.form(cluster).await {
                                *process.failed.lock().unwrap() = Some(error.to_string());
                            }
                        });
                    }
                }
                Message::Marker { boot, number } => {
                    if let Place::Proxy(proxy) = from {
                        process.markers.lock().unwrap().push((proxy, boot, number));
                    }
                }
                Message::Register(_) | Message::Reply { .. } | Message::Event(_) => {}
            }
        }
    }

    /// Registers with the reference, or says that it is alive.
    fn beat(&mut self, me: Place, now_ms: u64, name: &str, post: &Post) {
        if now_ms < self.next_beat_ms {
            return;
        }
        let Some(replica) = self.process.replica() else { return };
        self.next_beat_ms = now_ms + BEAT_MS;
        let registration = Registration {
            name: name.to_owned(),
            boot: Some(*replica.boot().borrow()),
            address: Some(address(self.process.transport.me)),
            node: Some(replica.node()),
            cluster: replica.cluster(),
        };
        post.send(me, Place::Reference, 0, Message::Register(registration));
    }
}
