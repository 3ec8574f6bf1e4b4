//! One child process: started, listened to, started again, stopped.

use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tracing::Level;

use crate::failure::FINAL_EXIT;
use crate::shutdown::Shutdown;
use crate::up::output::Line;
use crate::up::plan::Role;

/// A process that lives this long started well; its death says nothing about the next start.
const QUICK_DEATH_MS: u64 = 3000;

/// The first pause after a quick death; doubles with each further one.
const FIRST_PAUSE_MS: u64 = 500;

/// The longest pause.
const MAX_PAUSE_MS: u64 = 10_000;

/// How long a process may take to end after SIGTERM.
const STOP_GRACE_MS: u64 = 5000;

/// How long the last lines of a dead process are waited for; somebody else may hold its pipes.
const LAST_LINES_MS: u64 = 500;

/// Keeps a role running until the shutdown, or, without `restart`, until it dies.
pub async fn supervise(role: Role, line: Line, shutdown: Shutdown, restart: bool) {
    let mut pause = Pause::default();
    while !shutdown.wanted() {
        let started = Instant::now();
        let mut restart = restart;
        match start(&role) {
            Ok(mut child) => {
                let Some(ended) = attend(&mut child, &line, &shutdown).await else { return };
                let well = ended.success();
                let level = if well { Level::INFO } else { Level::WARN };
                line.say(level, &format!("ended: {}", describe(ended)));
                restart &= ended.code() != Some(FINAL_EXIT.into());
            }
            Err(why) => line.say(Level::ERROR, &format!("can't be started: {why}")),
        }
        if !restart {
            line.say(Level::WARN, "stays down");
            return;
        }
        let pause = pause.after(started.elapsed());
        if pause.is_zero() {
            line.say(Level::INFO, "starts again");
        } else {
            line.say(Level::INFO, &format!("starts again in {} ms", pause.as_millis()));
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.clone().wait() => {}
        }
    }
}

/// How long to wait before the next start.
#[derive(Default)]
struct Pause {
    quick_deaths: u32,
}

impl Pause {
    fn after(&mut self, lived: Duration) -> Duration {
        if lived >= Duration::from_millis(QUICK_DEATH_MS) {
            self.quick_deaths = 0;
            return Duration::ZERO;
        }
        let doubled = FIRST_PAUSE_MS.saturating_mul(1 << self.quick_deaths.min(16));
        self.quick_deaths += 1;
        Duration::from_millis(doubled.min(MAX_PAUSE_MS))
    }
}

fn start(role: &Role) -> std::io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    // What holds for the child stands in its arguments; a variable must not change it again.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("RECADO_") {
            command.env_remove(name);
        }
    }
    // systemd is told by the process that it started, and by no other.
    for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] {
        command.env_remove(name);
    }
    command
        .args(&role.args)
        // The child ends when this pipe closes, however this process dies.
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Ctrl-C in the terminal is for this process, which then stops its children in order.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// Passes the child's lines on until it ends by itself; none when the shutdown ended it.
async fn attend(child: &mut Child, line: &Line, shutdown: &Shutdown) -> Option<ExitStatus> {
    let parent_pipe = child.stdin.take();
    let out = child.stdout.take().map(|pipe| pass_on(pipe, line.clone()));
    let err = child.stderr.take().map(|pipe| pass_on(pipe, line.clone()));
    let reading = async {
        tokio::join!(maybe(out), maybe(err));
    };
    tokio::pin!(reading);
    let mut drained = false;
    let ended = loop {
        tokio::select! {
            ended = child.wait() => break ended.ok(),
            () = &mut reading, if !drained => drained = true,
            () = shutdown.clone().wait() => {
                signal(child, rustix::process::Signal::TERM);
                let ending = async {
                    if !drained {
                        (&mut reading).await;
                    }
                    child.wait().await
                };
                let grace = Duration::from_millis(STOP_GRACE_MS);
                if tokio::time::timeout(grace, ending).await.is_err() {
                    line.say(Level::WARN, "does not end; it is killed");
                    _ = child.kill().await;
                }
                return None;
            }
        }
    };
    drop(parent_pipe);
    if !drained {
        _ = tokio::time::timeout(Duration::from_millis(LAST_LINES_MS), reading).await;
    }
    Some(ended.unwrap_or_default())
}

async fn maybe(work: Option<impl Future<Output = ()>>) {
    if let Some(work) = work {
        work.await;
    }
}

async fn pass_on(pipe: impl AsyncRead + Unpin, line: Line) {
    let mut lines = BufReader::new(pipe).split(b'\n');
    while let Ok(Some(text)) = lines.next_segment().await {
        line.pass(String::from_utf8_lossy(&text).trim_end());
    }
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    // Without an id the child was waited for already, and its number may be somebody else's.
    let pid = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
        _ = rustix::process::kill_process(pid, signal);
    }
}

fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "for no reason that is known".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_quick_deaths_delay_the_next_start() {
        let mut pause = Pause::default();
        let quick = Duration::from_millis(QUICK_DEATH_MS - 1);
        let ms = |pause: Duration| pause.as_millis();
        let pauses: Vec<_> = (0..7).map(|_| ms(pause.after(quick))).collect();
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
        assert_eq!(ms(pause.after(Duration::from_secs(4))), 0);
        assert_eq!(ms(pause.after(quick)), 500);
    }
}
