//! The cluster of real processes, as `up` would start it, but with relays in between.

pub mod ports;
mod process;
mod watch;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::disk::{Disks, Lost};
use crate::net::{Net, Node, Ports};
pub use process::{Inject, Process, START_MARK, describe};
pub use watch::{View, Watch};

/// How long a process may take to end after SIGTERM.
const STOP_GRACE: Duration = Duration::from_secs(8);

/// After a death that the drill did not bring about, so long until the next start; `up` waits as
/// long after a quick one.
const RESTART_MS: u64 = 500;

/// How much of the log replicas keep: as little as they may, so that a drill of some minutes needs
/// snapshots too.
const KEEP_LOG: &str = "16M";

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
    disks: Option<Disks>,
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
            disks: None,
        })
    }

    /// Puts the folders of all replicas on disks that forget at a kill what was not synced.
    ///
    /// # Errors
    /// Why that can't be done on this machine.
    pub async fn lay_disks(&mut self, seed: u64) -> io::Result<()> {
        let folders = self.replicas().map(|node| self.folder(node)).collect::<Vec<_>>();
        folders.iter().try_for_each(fs::create_dir_all)?;
        let log = self.own_file("disks.log");
        self.disks = Some(Disks::start(&self.program, &log, folders, seed).await?);
        Ok(())
    }

    /// A replica's disk and its number, where there are disks.
    pub fn disk(&mut self, node: Node) -> Option<(&mut Disks, usize)> {
        let number = self.replicas().position(|replica| replica == node)?;
        Some((self.disks.as_mut()?, number))
    }

    /// The disks, where there are some.
    pub fn disks(&mut self) -> Option<&mut Disks> {
        self.disks.as_mut()
    }

    /// What the disks have forgotten at kills; none on real disks.
    pub fn forgotten(&self) -> Option<Lost> {
        self.disks.as_ref().map(Disks::lost)
    }

    /// Copies what is on the disks to the real one, in the same place, and takes the disks away.
    /// No process may run any more.
    ///
    /// # Errors
    /// When it can't be copied.
    pub fn save_disks(&mut self) -> io::Result<()> {
        if self.disks.is_none() {
            return Ok(());
        }
        let folders: Vec<PathBuf> = self.replicas().map(|node| self.folder(node)).collect();
        let saved = |folder: &PathBuf| folder.with_extension("saved");
        for folder in &folders {
            copy_all(folder, &saved(folder))?;
        }
        self.disks = None;
        for folder in &folders {
            fs::remove_dir(folder)?;
            fs::rename(saved(folder), folder)?;
        }
        Ok(())
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

    /// Those that keep a replica.
    fn replicas(&self) -> impl Iterator<Item = Node> + use<> {
        self.ports.size.servers().chain([Node::Reference])
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

    /// kill -9 for some, at the same moment. Their disks forget what was not synced, where they can.
    /// They stay down until they are started, or until the given time is over.
    ///
    /// # Errors
    /// When the disks do not answer.
    pub async fn kill(&mut self, nodes: &[Node], restart: Option<Duration>) -> io::Result<()> {
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
        // Off before they are waited for: what the dying still write is lost too, and whoever
        // waits for a disk that hangs can't die before it is answered.
        let replicas = self.replicas();
        let disks: Vec<usize> = replicas
            .enumerate()
            .filter(|(_, node)| nodes.contains(node))
            .map(|(number, _)| number)
            .collect();
        if let Some(all) = &mut self.disks {
            all.switch_off(&disks).await?;
        }
        for process in &mut dying {
            process.wait(STOP_GRACE).await;
        }
        if let Some(all) = &mut self.disks {
            all.switch_on(&disks).await?;
        }
        Ok(())
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
            Node::Reference => args.push(flag("keep-log", KEEP_LOG.to_owned())),
            Node::Broker(index) | Node::Proxy(index) => {
                args.push(flag("number", (index + 1).to_string()));
            }
            Node::Server(_) => {
                let list =
                    |ports: Vec<u16>| ports.into_iter().map(at).collect::<Vec<_>>().join(",");
                // The broker's port for servers is the one behind the address.
                let back = |broker| net.port(node, broker).saturating_sub(1);
                args.push(flag("name", node.to_string()));
                args.push(flag("keep-log", KEEP_LOG.to_owned()));
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
        for process in self.slots.iter_mut().filter_map(|slot| slot.process.as_mut()) {
            process.signal(Signal::KILL);
        }
        // Whoever waits for a disk dies when that is gone.
        self.disks = None;
        self.slots.clear();
        for folder in &self.mounts {
            unmount(folder);
        }
    }
}

fn unmount(folder: &Path) {
    _ = std::process::Command::new("umount").arg("-l").arg(folder).status();
}

/// Copies all that is in a folder into another one, which is made if need be.
///
/// # Errors
/// When something can't be read or written.
pub fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.metadata()?.is_dir() {
            copy_all(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Removes all that is in a folder, and has that on disk.
///
/// # Errors
/// When something can't be removed.
pub fn empty(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.metadata()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    fs::File::open(folder)?.sync_all()
}

/// The last line of a file, without its time.
fn last_line(file: &Path) -> String {
    let bytes = fs::read(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    text.lines().rev().find(|line| !line.starts_with(START_MARK)).unwrap_or_default().to_owned()
}
