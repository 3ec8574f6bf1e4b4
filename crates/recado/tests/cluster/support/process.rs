//! One process of the binary.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::eventually;

/// How long a process may take to end after SIGTERM.
const STOP_S: u64 = 20;

/// A folder that is not there.
const NO_FOLDER: &str = "/no/such/folder";

/// A process that is stopped, and killed if need be, when this goes.
pub struct Process {
    child: Child,
}

/// What a finished command left.
#[derive(Debug)]
pub struct Output {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// The binary with a clean environment.
pub fn command(args: &[String]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_recado"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("RECADO_") {
            command.env_remove(name);
        }
    }
    command.args(args).env("NO_COLOR", "1").env("LC_ALL", "C");
    // Nobody's own configuration.
    command.env("XDG_CONFIG_HOME", NO_FOLDER);
    command
}

/// The command as an argument of this tool.
pub fn under(tool: &[String], command: Command) -> Command {
    let Some((program, first)) = tool.split_first() else { return command };
    let mut tool = Command::new(program);
    tool.args(first).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => tool.env(name, value),
            None => tool.env_remove(name),
        };
    }
    tool
}

impl Process {
    /// Starts it with its output in a file.
    pub fn start(args: &[String], log: &Path) -> Process {
        Process::start_under(&[], args, log)
    }

    /// The same under a tool that runs it, given with the tool's own arguments.
    pub fn start_under(tool: &[String], args: &[String], log: &Path) -> Process {
        let log = File::options().create(true).append(true).open(log).unwrap();
        let child = under(tool, command(args))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap();
        Process { child }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// kill -9.
    pub fn kill(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }

    /// The exit code, once it ended by itself.
    pub fn ended(&mut self) -> Option<i32> {
        self.child.try_wait().unwrap()?.code()
    }

    /// SIGTERM, and the exit code.
    pub fn stop(&mut self) -> Option<i32> {
        if let Ok(Some(status)) = self.child.try_wait() {
            return status.code();
        }
        signal(self.child.id(), Signal::TERM);
        let deadline = Instant::now() + Duration::from_secs(STOP_S);
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.kill();
        None
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Runs a command to its end, with these bytes as standard input.
pub fn run(args: &[String], input: &str, within_s: u64) -> Output {
    let mut child = command(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || _ = stdin.write_all(input.as_bytes()));
    let stdout = read_all(child.stdout.take().unwrap());
    let stderr = read_all(child.stderr.take().unwrap());
    let deadline = Instant::now() + Duration::from_secs(within_s);
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() >= deadline {
            _ = child.kill();
            _ = child.wait();
            panic!("{args:?} did not end within {within_s} s");
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    writer.join().unwrap();
    Output { code: status.code(), stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

fn read_all(mut pipe: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Sends a signal to a process that a test's own cluster started.
pub fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        _ = kill_process(pid, signal);
    }
}

/// The process id in a run file.
pub fn pid_in(run_file: &Path) -> Option<u32> {
    let text = std::fs::read_to_string(run_file).ok()?;
    let value: serde_json::Value = serde_json::from_str(&text).ok()?;
    u32::try_from(value["pid"].as_u64()?).ok()
}

/// The memory that a process holds, KiB.
pub fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Whether a process runs; one that is dead and not yet waited for does not.
pub fn is_running(pid: u32) -> bool {
    let Some(raw) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return false };
    if test_kill_process(raw).is_err() {
        return false;
    }
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z')
}

/// Waits until none of them runs.
pub fn wait_gone(pids: &[u32], within_s: u64) {
    eventually("all processes are gone", within_s, || {
        pids.iter().all(|pid| !is_running(*pid)).then_some(())
    });
}
