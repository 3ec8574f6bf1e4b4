//! One process of the cluster: started, signalled, waited for.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How often a process that shall end is looked at.
const LOOK_MS: u64 = 10;

/// In front of each start in a process's log; the start's number follows.
pub const START_MARK: &str = "--- start ";

/// What to run a process under: system calls that fail, wait or kill.
#[derive(Clone, Debug)]
pub struct Inject {
    /// As strace's `inject=` wants it, like `fdatasync:signal=KILL:when=7`.
    pub expression: String,
    /// Where strace says what it did.
    pub report: PathBuf,
}

impl Inject {
    /// How often it was done so far.
    pub fn count(&self) -> usize {
        let report = std::fs::read(&self.report).unwrap_or_default();
        let report = String::from_utf8_lossy(&report);
        report.matches("(INJECTED)").count() + report.matches("(DELAYED)").count()
    }
}

/// A running process; killed when this is dropped.
pub struct Process {
    child: Child,
    /// The running program's own id.
    pid: u32,
}

impl Process {
    /// Starts the program with its output at the end of a log file.
    ///
    /// # Errors
    /// When the program can't be started or the log can't be written.
    pub fn start(
        program: &Path,
        args: &[String],
        inject: Option<&Inject>,
        (log, number): (&Path, u32),
    ) -> io::Result<Process> {
        let mut log = File::options().create(true).append(true).open(log)?;
        writeln!(log, "{START_MARK}{number}")?;
        let mut command = match inject {
            None => Command::new(program),
            Some(inject) => under_strace(program, inject),
        };
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            // A planted bug is for the processes that the drill tries.
            let planted = cfg!(feature = "planted") && name == "RECADO_PLANTED_BUG";
            if name.starts_with("RECADO_") && !planted {
                command.env_remove(&*name);
            }
        }
        let child = command
            .args(args)
            .env("NO_COLOR", "1")
            // The process ends when this pipe closes, however the drill dies.
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()?;
        let pid = child.id();
        Ok(Process { child, pid })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends a signal. A process that is gone gets none.
    pub fn signal(&mut self, signal: Signal) {
        // Waited for already: the number may be somebody else's.
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
            _ = kill_process(pid, signal);
        }
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits for the end; false when it did not come in time.
    pub async fn wait(&mut self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while self.ended().is_none() {
            if Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
        }
        true
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_none() {
            _ = self.child.kill();
            _ = self.child.wait();
        }
    }
}

/// With `-D` the program stays our own child, and strace a grandchild beside it.
fn under_strace(program: &Path, inject: &Inject) -> Command {
    let mut command = Command::new("strace");
    let calls = inject.expression.split(':').next().unwrap_or_default();
    command.args(["-D", "-f", "-qq", "-o"]).arg(&inject.report);
    // With this, only those calls are stopped at and the rest runs at full speed; but then strace
    // injects no signals.
    if !inject.expression.contains("signal=") {
        command.arg("--seccomp-bpf");
    }
    command.arg("-e").arg(format!("trace={calls}"));
    command.arg("-e").arg(format!("inject={}", inject.expression));
    command.arg(program);
    command
}

/// How a process ended, in words.
pub fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "for no reason that is known".into(),
    }
}
