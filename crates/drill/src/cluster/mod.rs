//! The cluster of real processes, as `up` would start it, but with relays in between.

pub mod ports;
mod process;
mod watch;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::net::{Net, Node, Ports};
pub use process::{Inject, Process, START_MARK, describe};
pub use watch::{View, Watch};

/// How long a process may take to end after SIGTERM.
const STOP_GRACE: Duration = Duration::from_secs(8);

/// After a death that the drill did not bring about, so long until the next start; `up` waits as
/// long after a quick one.
const RESTART_MS: u64 = 500;

/// In a log where its server's folder was emptied.
pub const EMPTY_MARK: &str = "--- empty";

/// One process's place.
struct Slot {
    node: Node,
    process: Option<Process>,
    /// Stopped by SIGSTOP.
    paused: bool,
    /// When it is started again; none while it stays down.
    restart_at: Option<Instant>,
    starts: u32,
    /// Arguments beside the usual ones.
    more: Vec<String>,
    inject: Option<Inject>,
}

/// A death that nobody ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// Who died.
    pub node: Node,
    /// How.
    pub how: String,
    /// The last line that it said.
    pub last_line: String,
}

/// All processes. They end with this.
pub struct Cluster {
    program: PathBuf,
    dir: PathBuf,
    log: String,
    ports: Ports,
    slots: Vec<Slot>,
    mounts: Vec<PathBuf>,
}

impl Cluster {
    /// A cluster of which nothing runs yet.
    ///
    /// # Errors
    /// When the folder can't be made.
    pub fn new(program: &Path, dir: &Path, log: &str, ports: Ports) -> io::Result<Cluster> {
        fs::create_dir_all(dir.join("logs"))?;
        let size = ports.size;
        let nodes = [Node::Reference].into_iter().chain(size.brokers());
        let nodes = nodes.chain(size.proxies()).chain(size.servers());
        let slots = nodes.map(|node| Slot {
            node,
            process: None,
            paused: false,
            restart_at: None,
            starts: 0,
            more: Vec::new(),
            inject: None,
        });
        Ok(Cluster {
            program: program.to_owned(),
            dir: dir.to_owned(),
            log: log.to_owned(),
            slots: slots.collect(),
            ports,
            mounts: Vec::new(),
        })
    }

    /// Where the processes listen.
    pub fn ports(&self) -> &Ports {
        &self.ports
    }

    /// How many servers there are.
    pub fn servers(&self) -> usize {
        self.ports.size.servers
    }

    /// All processes' places.
    pub fn nodes(&self) -> impl Iterator<Item = Node> + use<> {
        self.slots.iter().map(|slot| slot.node).collect::<Vec<_>>().into_iter()
    }

    /// A process's data folder.
    pub fn folder(&self, node: Node) -> PathBuf {
        self.dir.join("data").join(node.to_string())
    }

    /// A process's log.
    pub fn log_file(&self, node: Node) -> PathBuf {
        self.dir.join("logs").join(format!("{node}.log"))
    }

    /// A file of the drill's own, beside the logs.
    pub fn own_file(&self, name: &str) -> PathBuf {
        self.dir.join("logs").join(name)
    }

    /// Starts a process, unless it runs.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn start(&mut self, node: Node, net: &Net) -> io::Result<()> {
        let mut args = self.args(node, net);
        let log = self.log_file(node);
        let program = self.program.clone();
        let slot = self.slot(node);
        if slot.process.is_some() {
            return Ok(());
        }
        args.extend(slot.more.iter().cloned());
        slot.starts += 1;
        slot.restart_at = None;
        slot.paused = false;
        let started = Process::start(&program, &args, slot.inject.as_ref(), (&log, slot.starts))?;
        slot.process = Some(started);
        Ok(())
    }

    /// Starts whatever is due again, and tells who died without being told to.
    ///
    /// # Errors
    /// When a process can't be started.
    pub fn tend(&mut self, net: &Net) -> io::Result<Vec<Death>> {
        let mut deaths = Vec::new();
        for node in self.nodes() {
            let log = self.log_file(node);
            let found = self.slots.iter().position(|slot| slot.node == node);
            let Some(index) = found else { continue };
            if let Some(process) = &mut self.slots[index].process
                && let Some(status) = process.ended()
            {
                deaths.push(Death { node, how: describe(status), last_line: last_line(&log) });
                let slot = &mut self.slots[index];
                slot.process = None;
                slot.inject = None;
                slot.restart_at = Some(Instant::now() + Duration::from_millis(RESTART_MS));
            }
            if self.slots[index].restart_at.is_some_and(|at| at <= Instant::now()) {
                self.start(node, net)?;
            }
        }
        Ok(deaths)
    }

    /// kill -9 for some, at the same moment. They stay down until they are started, or until the
    /// given time is over.
    pub async fn kill(&mut self, nodes: &[Node], restart: Option<Duration>) {
        let mut dying = Vec::new();
        for node in nodes {
            let slot = self.slot(*node);
            slot.restart_at = restart.map(|after| Instant::now() + after);
            slot.inject = None;
            dying.extend(slot.process.take());
        }
        for process in &mut dying {
            process.signal(Signal::KILL);
        }
        for process in &mut dying {
            process.wait(STOP_GRACE).await;
        }
    }

    /// SIGTERM for some, at the same moment; false when one of them had to be killed.
    pub async fn stop(&mut self, nodes: &[Node]) -> bool {
        let mut ending = Vec::new();
        for node in nodes {
            let slot = self.slot(*node);
            slot.restart_at = None;
            ending.extend(slot.process.take());
        }
        for process in &mut ending {
            process.signal(Signal::CONT);
            process.signal(Signal::TERM);
        }
        let mut clean = true;
        for process in &mut ending {
            clean &= process.wait(STOP_GRACE).await;
        }
        clean
    }

    /// Stops the servers, then what is between them.
    pub async fn stop_all(&mut self) {
        let (servers, others): (Vec<_>, Vec<_>) =
            self.nodes().partition(|node| matches!(node, Node::Server(_)));
        self.stop(&servers).await;
        self.stop(&others).await;
    }

    /// SIGSTOP or SIGCONT.
    pub fn pause(&mut self, node: Node, paused: bool) {
        let slot = self.slot(node);
        slot.paused = paused;
        if let Some(process) = &mut slot.process {
            process.signal(if paused { Signal::STOP } else { Signal::CONT });
        }
    }

    /// Whether it runs and is not paused.
    pub fn is_up(&mut self, node: Node) -> bool {
        let slot = self.slot(node);
        !slot.paused && slot.process.as_mut().is_some_and(|process| process.ended().is_none())
    }

    /// Its process id.
    pub fn pid(&mut self, node: Node) -> Option<u32> {
        self.slot(node).process.as_ref().map(Process::pid)
    }

    /// Arguments that it gets beside the usual ones from its next start on.
    pub fn set_more(&mut self, node: Node, more: Vec<String>) {
        self.slot(node).more = more;
    }

    /// What its next start runs under; later starts don't.
    pub fn set_inject(&mut self, node: Node, inject: Option<Inject>) {
        self.slot(node).inject = inject;
    }

    /// Says in a server's log that its folder is empty now: what comes next is somebody new.
    ///
    /// # Errors
    /// When the log can't be written.
    pub fn note_empty(&self, node: Node) -> io::Result<()> {
        let mut log = fs::File::options().create(true).append(true).open(self.log_file(node))?;
        writeln!(log, "{EMPTY_MARK}")
    }

    /// Remembers what is mounted, to be undone at the end.
    pub fn note_mount(&mut self, folder: PathBuf) {
        self.mounts.push(folder);
    }

    /// Undoes a mount.
    pub fn unmount(&mut self, folder: &Path) {
        if let Some(index) = self.mounts.iter().position(|mount| mount == folder) {
            self.mounts.swap_remove(index);
            unmount(folder);
        }
    }

    /// Nothing is stopped or due any more: all that is down starts now.
    ///
    /// # Errors
    /// When a process can't be started.
    pub fn bring_back(&mut self, net: &Net) -> io::Result<()> {
        for node in self.nodes() {
            if self.slot(node).paused {
                self.pause(node, false);
            }
            self.start(node, net)?;
        }
        Ok(())
    }

    fn slot(&mut self, node: Node) -> &mut Slot {
        let index = self.slots.iter().position(|slot| slot.node == node);
        // Every node of the cluster has its slot from the start.
        &mut self.slots[index.unwrap_or(0)]
    }

    fn args(&self, node: Node, net: &Net) -> Vec<String> {
        let flag = |key: &str, value: String| format!("--{key}={value}");
        let at = |port: u16| format!("127.0.0.1:{port}");
        let size = self.ports.size;
        let role = match node {
            Node::Reference => "reference",
            Node::Broker(_) => "broker",
            Node::Proxy(_) => "proxy",
            Node::Server(_) => "server",
        };
        let mut args = vec![
            role.to_owned(),
            "--exit-with-parent".to_owned(),
            flag("data-dir", self.dir.join("data").display().to_string()),
            flag("port-base", self.ports.base.to_string()),
            flag("log", self.log.clone()),
        ];
        match node {
            Node::Reference => {}
            Node::Broker(index) | Node::Proxy(index) => {
                args.push(flag("number", (index + 1).to_string()));
            }
            Node::Server(_) => {
                let list =
                    |ports: Vec<u16>| ports.into_iter().map(at).collect::<Vec<_>>().join(",");
                // The broker's port for servers is the one behind the address.
                let back = |broker| net.port(node, broker).saturating_sub(1);
                args.push(flag("name", node.to_string()));
                args.push(flag("port", self.ports.first(node).to_string()));
                args.push(flag("broker", list(size.brokers().map(back).collect())));
                let proxies = size.proxies().map(|proxy| net.port(node, proxy));
                args.push(flag("proxy", list(proxies.collect())));
                args.push(flag("reference", at(net.port(node, Node::Reference))));
            }
        }
        let routes = size.servers().filter_map(|to| {
            let relay = net.link(node, to)?.port();
            Some(format!("{}={}", at(self.ports.first(to)), at(relay)))
        });
        let routes: Vec<_> = routes.collect();
        if !routes.is_empty() {
            args.push(flag("route", routes.join(",")));
        }
        args
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.slots.clear();
        for folder in &self.mounts {
            unmount(folder);
        }
    }
}

fn unmount(folder: &Path) {
    _ = std::process::Command::new("umount").arg("-l").arg(folder).status();
}

/// The last line of a file, without its time.
fn last_line(file: &Path) -> String {
    let bytes = fs::read(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    text.lines().rev().find(|line| !line.starts_with(START_MARK)).unwrap_or_default().to_owned()
}
