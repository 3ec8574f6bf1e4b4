//! A cluster with a folder and ports of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::process::{self, Output, Process};
use super::slots::Slots;
use super::{eventually, ports};

/// How long a start or a return may take on a busy machine.
const READY_S: u64 = 40;

/// Processes that share a port base and a data folder.
pub struct Cluster {
    // Fields go in this order: processes end before their folder and the slot are given up.
    processes: BTreeMap<String, Process>,
    pub base: u16,
    /// How many brokers, and how many proxies.
    doors: u16,
    dir: TempDir,
    _slots: Slots,
}

impl Cluster {
    /// Ports and a folder, with nothing running.
    pub fn empty() -> Cluster {
        Cluster::with_slots(Slots::take(1))
    }

    /// Two of them, side by side.
    pub fn two() -> [Cluster; 2] {
        let both = Slots::take(2);
        // The first holds the right for both; it must be dropped last.
        [Cluster::with_slots(both), Cluster::with_slots(Slots::take(0))]
    }

    fn with_slots(slots: Slots) -> Cluster {
        Cluster {
            processes: BTreeMap::new(),
            base: ports::free_base(),
            doors: 1,
            dir: tempfile::Builder::new().prefix("recado-test-").tempdir().unwrap(),
            _slots: slots,
        }
    }

    /// A whole cluster under `up`, ready.
    pub fn up(servers: usize) -> Cluster {
        let mut cluster = Cluster::empty();
        cluster.start_up(servers, &[]);
        cluster.wait_active(servers);
        cluster
    }

    /// A whole cluster of single processes, ready; each can be killed and stays dead.
    pub fn roles(servers: usize) -> Cluster {
        let mut cluster = Cluster::empty();
        cluster.start_roles(servers);
        cluster.wait_active(servers);
        cluster
    }

    /// The same with so many brokers and as many proxies.
    pub fn with_doors(servers: usize, doors: u16) -> Cluster {
        let mut cluster = Cluster::empty();
        cluster.doors = doors;
        cluster.start_roles(servers);
        for number in 2..=doors {
            cluster.start_door("broker", number);
            cluster.start_door("proxy", number);
        }
        cluster.wait_active(servers);
        cluster
    }

    /// Starts a further broker or proxy, known as `broker-2` and so on.
    pub fn start_door(&mut self, role: &str, number: u16) {
        let name = if number == 1 { role.to_owned() } else { format!("{role}-{number}") };
        self.start(&name, &[role, "--number", &number.to_string()]);
    }

    /// Where clients find the brokers, or the proxies.
    pub fn doors(&self, role: &str) -> Vec<String> {
        let offset = if role == "broker" { 0 } else { 3 };
        let block = |number: u16| if number == 1 { 0 } else { 10 + 10 * number };
        (1..=self.doors).map(|number| self.endpoint(block(number) + offset)).collect()
    }

    /// The same as options have them.
    fn door_flags(&self) -> [String; 2] {
        let list = |role: &str| {
            let less = if role == "broker" { 0 } else { 1 };
            let first = |at: &String| {
                let port: u16 = at.rsplit(':').next().unwrap().parse().unwrap();
                format!("127.0.0.1:{}", port - less)
            };
            self.doors(role).iter().map(first).collect::<Vec<_>>().join(",")
        };
        ["broker", "proxy"].map(|role| format!("--{role}={}", list(role)))
    }

    /// Starts `up`.
    pub fn start_up(&mut self, servers: usize, more: &[&str]) {
        let servers = servers.to_string();
        let mut words = vec!["up", "--bots", "0", "--servers", &servers];
        words.extend(more);
        self.start("up", &words);
    }

    /// Starts every role as a process of its own.
    pub fn start_roles(&mut self, servers: usize) {
        for role in ["reference", "broker", "proxy"] {
            self.start(role, &[role]);
        }
        for number in 1..=servers {
            self.start_server(number, &[]);
        }
    }

    /// Starts a server, from 1.
    pub fn start_server(&mut self, number: usize, more: &[&str]) {
        let doors = self.door_flags();
        let mut words = vec![doors[0].as_str(), &doors[1]];
        words.extend(more);
        self.start_server_with(number, &words);
    }

    /// Starts a server that is told where the others are by nothing but these flags.
    pub fn start_server_with(&mut self, number: usize, more: &[&str]) {
        let name = format!("server-{number}");
        let port = (usize::from(self.base) + 4 + number).to_string();
        let mut words = vec!["server", "--name", &name, "--port", &port];
        words.extend(more);
        self.start(&name.clone(), &words);
    }

    /// Starts a server under a tool that runs it.
    pub fn start_server_under(&mut self, tool: &[&str], number: usize) {
        let name = format!("server-{number}");
        let port = (usize::from(self.base) + 4 + number).to_string();
        self.start_under(tool, &name, &["server", "--name", &name, "--port", &port]);
    }

    /// Starts a process under a tool that runs it.
    pub fn start_under(&mut self, tool: &[&str], name: &str, words: &[&str]) {
        let tool: Vec<String> = tool.iter().map(|word| (*word).to_owned()).collect();
        let process = Process::start_under(&tool, &self.args(words), &self.log_path());
        self.processes.insert(name.to_owned(), process);
    }

    /// Starts a process that is known by this name from then on.
    pub fn start(&mut self, name: &str, words: &[&str]) {
        let process = Process::start(&self.args(words), &self.log_path());
        self.processes.insert(name.to_owned(), process);
    }

    /// The same with a data folder of its own.
    pub fn start_in(&mut self, folder: &Path, name: &str, words: &[&str]) {
        let process = Process::start(&self.args_in(folder, words), &self.log_path());
        self.processes.insert(name.to_owned(), process);
    }

    /// The arguments with this cluster's ports and folder.
    pub fn args(&self, words: &[&str]) -> Vec<String> {
        self.args_in(&self.data_dir(), words)
    }

    fn args_in(&self, folder: &Path, words: &[&str]) -> Vec<String> {
        let mut args: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        args.extend(["--port-base".into(), self.base.to_string()]);
        args.extend(["--data-dir".into(), folder.display().to_string()]);
        args
    }

    /// Runs a command of the binary on this cluster to its end.
    pub fn run(&self, words: &[&str]) -> Output {
        self.run_with(words, "")
    }

    /// The same with standard input.
    pub fn run_with(&self, words: &[&str], input: &str) -> Output {
        process::run(&self.args(words), input, 120)
    }

    pub fn process(&mut self, name: &str) -> &mut Process {
        self.processes.get_mut(name).unwrap_or_else(|| panic!("{name} was not started"))
    }

    /// Waits until a process ended by itself, and gives its exit code.
    pub fn ended(&mut self, name: &str) -> i32 {
        for _ in 0..2000 {
            if let Some(code) = self.process(name).ended() {
                return code;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        panic!("{name} does not end\n{}", self.log_tail());
    }

    /// kill -9 of a process that this test started directly.
    pub fn kill(&mut self, name: &str) {
        self.process(name).kill();
    }

    /// kill -9 of a server, whoever started it.
    pub fn kill_pid(&self, pid: u32) {
        process::signal(pid, Signal::KILL);
    }

    /// SIGTERM for all, and none is left.
    pub fn stop_all(&mut self) {
        for process in self.processes.values() {
            process::signal(process.pid(), Signal::TERM);
        }
        for (name, mut process) in std::mem::take(&mut self.processes) {
            assert_eq!(process.stop(), Some(0), "{name} did not end cleanly:\n{}", self.log_tail());
        }
    }

    /// kill -9 for all at once.
    pub fn kill_all(&mut self) {
        for process in self.processes.values() {
            process::signal(process.pid(), Signal::KILL);
        }
        self.processes.clear();
    }

    pub fn endpoint(&self, offset: u16) -> String {
        format!("tcp://127.0.0.1:{}", self.base + offset)
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.log_path()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    /// What `status --json` says; none while nobody answers.
    pub fn status(&self) -> Option<Value> {
        let output = self.run(&["status", "--json"]);
        (output.code == Some(0)).then(|| serde_json::from_str(&output.stdout).unwrap())
    }

    pub fn members(&self) -> Vec<Value> {
        let status = self.status().unwrap_or_default();
        status["members"].as_array().cloned().unwrap_or_default()
    }

    /// The primary's name and process id.
    pub fn primary(&self) -> (String, u32) {
        self.eventually("there is a primary", || {
            let members = self.members();
            let primary = members.iter().find(|member| member["role"] == "primary")?;
            let pid = u32::try_from(primary["pid"].as_u64()?).ok()?;
            Some((primary["name"].as_str()?.to_owned(), pid))
        })
    }

    /// Waits until so many servers are active, one of them the primary.
    pub fn wait_active(&self, servers: usize) {
        self.eventually(&format!("{servers} active servers"), || {
            let members = self.members();
            let count = |role: &str| members.iter().filter(|m| m["role"] == role).count();
            (count("primary") == 1 && count("backup") == servers - 1).then_some(())
        });
    }

    /// Waits until this very process is a backup: what `status` still shows of an earlier one of the
    /// same name does not count.
    pub fn wait_back(&mut self, name: &str) {
        let pid = self.process(name).pid();
        self.eventually(&format!("{name} is back"), || {
            let members = self.members();
            let there = |m: &Value| m["name"] == name && m["pid"] == pid && m["role"] == "backup";
            members.iter().any(there).then_some(())
        });
    }

    /// Waits for something, and shows the logs if it does not come.
    pub fn eventually<T>(&self, what: &str, look: impl FnMut() -> Option<T>) -> T {
        let attempt = std::panic::AssertUnwindSafe(|| eventually(what, READY_S, look));
        std::panic::catch_unwind(attempt).unwrap_or_else(|_| {
            panic!("not within {READY_S} s: {what}\n{}", self.log_tail());
        })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the last lines of the cluster\n{}", self.log_tail());
        }
        // Whoever speaks ends before those it speaks to, so that the end is quick.
        let order = |name: &str| !name.starts_with("server") && name != "up";
        let mut processes: Vec<_> = std::mem::take(&mut self.processes).into_iter().collect();
        processes.sort_by_key(|(name, _)| order(name));
        for (_, process) in &processes {
            process::signal(process.pid(), Signal::TERM);
        }
        drop(processes);
    }
}
