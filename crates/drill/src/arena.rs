//! What faults act on: the cluster, its network and its clients, and what the drill notes of them.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::cluster::{Cluster, Watch};
use crate::faults::{Kind, Planned};
use crate::net::{Net, Node};
use crate::screen::Screen;
use crate::workload::{Recorder, Wishes};

/// How often processes are looked at.
const TICK: Duration = Duration::from_millis(20);
/// How often the progress is shown.
const PROGRESS: Duration = Duration::from_secs(1);
/// How long a fault waits for somebody to aim at.
const AIM: Duration = Duration::from_secs(5);
/// How long a process that is started again may take to run.
const UP: Duration = Duration::from_secs(10);

/// Something that should not have happened, beside the promises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// When, µs since the start.
    pub at_us: u64,
    /// What.
    pub text: String,
}

/// Everything that a fault may touch.
pub struct Arena {
    /// The processes.
    pub cluster: Cluster,
    /// The links between them.
    pub net: Net,
    /// What the cluster says of itself.
    pub watch: Watch,
    /// What the clients do and see.
    pub recorder: Recorder,
    /// What the clients are told.
    pub wishes: Arc<Wishes>,
    /// What went wrong beside the promises.
    pub failures: Vec<Failure>,
    /// Since when the fault that is on is on, µs.
    pub began_us: Option<u64>,
    /// What is going on, for the progress.
    pub now: String,
    screen: Arc<dyn Screen>,
    stop: watch::Receiver<bool>,
    may_die: BTreeSet<Node>,
    died: BTreeSet<Node>,
    turns: u32,
    shown: Instant,
}

impl Arena {
    /// An arena in which nothing is broken.
    pub fn new(
        cluster: Cluster,
        net: Net,
        watch: Watch,
        (recorder, wishes): (Recorder, Arc<Wishes>),
        screen: Arc<dyn Screen>,
        stop: watch::Receiver<bool>,
    ) -> Arena {
        Arena {
            cluster,
            net,
            watch,
            recorder,
            wishes,
            failures: Vec::new(),
            began_us: None,
            now: String::new(),
            screen,
            stop,
            may_die: BTreeSet::new(),
            died: BTreeSet::new(),
            turns: 0,
            shown: Instant::now(),
        }
    }

    /// A line for whoever looks on.
    pub fn say(&self, text: &str) {
        let s = self.recorder.now_us() as f64 / 1e6;
        self.screen.line(&format!("{s:7.1} s  {text}"));
    }

    /// The fault is on from now.
    pub fn begins(&mut self) {
        self.began_us = Some(self.recorder.now_us());
    }

    /// Notes something that should not have happened.
    pub fn fails(&mut self, text: &str) {
        self.say(&format!("FAILED: {text}"));
        self.failures.push(Failure { at_us: self.recorder.now_us(), text: text.to_owned() });
    }

    /// A number that was not given before.
    pub fn turn(&mut self) -> u32 {
        self.turns += 1;
        self.turns
    }

    /// Lets time pass.
    ///
    /// # Errors
    /// When a process can't be started, or the drill was told to stop.
    pub async fn wait(&mut self, time: Duration) -> io::Result<()> {
        self.until(time, |_| false).await.map(|_| ())
    }

    /// Lets time pass until something holds; false when it did not in that time.
    ///
    /// # Errors
    /// When a process can't be started, or the drill was told to stop.
    pub async fn until(
        &mut self,
        patience: Duration,
        mut holds: impl FnMut(&mut Arena) -> bool,
    ) -> io::Result<bool> {
        let deadline = Instant::now() + patience;
        loop {
            self.tend()?;
            if holds(self) {
                return Ok(true);
            }
            let now = Instant::now();
            if now >= deadline {
                return Ok(false);
            }
            tokio::time::sleep(TICK.min(deadline - now)).await;
        }
    }

    /// Lets time pass until every server is active; false when that did not come in that time.
    ///
    /// # Errors
    /// As [`Arena::until`].
    pub async fn until_all_active(&mut self, patience: Duration) -> io::Result<bool> {
        let servers = self.cluster.servers();
        // The answer that is on its way was asked for before.
        let from = self.watch.now().number + 2;
        self.until(patience, |arena| {
            let view = arena.watch.now();
            view.number >= from && view.active() == servers
        })
        .await
    }

    /// Lets time pass until these processes run.
    ///
    /// # Errors
    /// As [`Arena::until`].
    pub async fn until_up(&mut self, nodes: &[Node]) -> io::Result<()> {
        let up = |arena: &mut Arena| nodes.iter().all(|node| arena.cluster.is_up(*node));
        if !self.until(UP, up).await? {
            self.fails("a process that was started again did not stay");
        }
        Ok(())
    }

    /// Starts processes.
    ///
    /// # Errors
    /// When one can't be started.
    pub fn start(&mut self, nodes: &[Node]) -> io::Result<()> {
        nodes.iter().try_for_each(|node| self.cluster.start(*node, &self.net))
    }

    /// The primary, if there is one soon and its process runs.
    pub async fn primary(&mut self) -> Option<Node> {
        self.watch.until(AIM, |view| view.primary().is_some()).await;
        let node = Node::Server(self.watch.now().primary()?);
        self.cluster.is_up(node).then_some(node)
    }

    /// One of the active backups whose process runs, if there is one soon.
    pub async fn backup(&mut self, planned: &Planned) -> Option<Node> {
        self.watch.until(AIM, |view| view.active() > 1).await;
        let view = self.watch.now();
        let primary = view.primary()?;
        let backups = (0..self.cluster.servers())
            .filter(|server| *server != primary && view.is_active(*server));
        let backups: Vec<_> = backups.map(Node::Server).collect();
        let up: Vec<_> = backups.into_iter().filter(|node| self.cluster.is_up(*node)).collect();
        up.get(planned.choose(up.len())).copied()
    }

    /// The broker that most clients use.
    pub fn busiest_broker(&self) -> Node {
        let brokers = self.cluster.ports().size.brokers();
        self.net.busiest(brokers).unwrap_or(Node::Broker(0))
    }

    /// The proxy that most clients use.
    pub fn busiest_proxy(&self) -> Node {
        let proxies = self.cluster.ports().size.proxies();
        self.net.busiest(proxies).unwrap_or(Node::Proxy(0))
    }

    /// Whether this process's own death is part of a fault. Forgets earlier deaths.
    pub fn expect_death(&mut self, node: Node, expected: bool) {
        self.died.remove(&node);
        if expected {
            self.may_die.insert(node);
        } else {
            self.may_die.remove(&node);
        }
    }

    /// Whether it died by itself since that was expected.
    pub fn died(&self, node: Node) -> bool {
        self.died.contains(&node)
    }

    fn tend(&mut self) -> io::Result<()> {
        if *self.stop.borrow() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        for death in self.cluster.tend(&self.net)? {
            self.died.insert(death.node);
            if !self.may_die.contains(&death.node) {
                let why = death.last_line;
                self.fails(&format!("{} ended by itself, {}: {why}", death.node, death.how));
            }
        }
        if self.shown.elapsed() >= PROGRESS {
            self.shown = Instant::now();
            self.show();
        }
        Ok(())
    }

    fn show(&self) {
        let active = (self.watch.now().active(), self.cluster.servers());
        self.screen.progress(&progress(&self.recorder, active, &self.now));
    }
}

/// How far it is, in one line: what clients saw, how many of how many servers are active, and what
/// is going on.
pub fn progress(recorder: &Recorder, (active, servers): (usize, usize), now: &str) -> String {
    let counts = recorder.counts();
    let s = recorder.now_us() / 1_000_000;
    format!(
        "{s:4} s  acked {}  unknown {}  received {}  filled {}  active {active}/{servers}  {now}",
        counts.acks, counts.unknown, counts.deliveries, counts.filled
    )
}

/// When a fault was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Injected {
    /// What.
    pub kind: Kind,
    /// Since when it was on, µs since the start.
    pub began_us: u64,
    /// When all was mended, µs since the start.
    pub healed_us: u64,
}
