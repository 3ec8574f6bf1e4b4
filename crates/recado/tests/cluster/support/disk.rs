//! A running server's disk that hangs or is slow: strace holds the threads that sync.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::eventually;

/// The threads of a server that wait for its disk, by the names that the kernel has: the log's and
/// the store's.
const WRITERS: [&str; 2] = ["chunked_wal_flu", "store"];

/// How long strace may take to hold all threads.
const ATTACH_S: u64 = 20;

/// As long as this lives, the server's disk is slower.
pub struct SlowDisk {
    strace: Child,
}

/// Whether there is a strace here; says so if not.
pub fn has_strace() -> bool {
    let said =
        Command::new("strace").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let there = said.is_ok_and(|status| status.success());
    if !there {
        println!("skipped: there is no strace here, which makes the disk fail");
    }
    there
}

impl SlowDisk {
    /// Each sync of this process takes so much longer.
    pub fn of(pid: u32, longer: Duration) -> SlowDisk {
        let threads = writers(pid);
        assert_eq!(threads.len(), WRITERS.len(), "these threads of {pid} sync: {threads:?}");
        let mut strace = Command::new("strace");
        strace.args(["-qq", "-o", "/dev/null", "-e", "trace=fdatasync,fsync", "-e"]);
        strace.arg(format!("inject=fdatasync,fsync:delay_enter={}", longer.as_micros()));
        for thread in &threads {
            strace.args(["-p", thread]);
        }
        let strace = strace.stdin(Stdio::null()).spawn().unwrap();
        eventually("the threads are held", ATTACH_S, || {
            threads.iter().all(|thread| is_traced(pid, thread)).then_some(())
        });
        SlowDisk { strace }
    }
}

impl Drop for SlowDisk {
    fn drop(&mut self) {
        // What it holds goes on when it is gone.
        _ = self.strace.kill();
        _ = self.strace.wait();
    }
}

fn writers(pid: u32) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let threads = tasks.map(|task| task.unwrap().file_name().into_string().unwrap());
    let writes = |thread: &String| {
        let name = std::fs::read_to_string(format!("/proc/{pid}/task/{thread}/comm"));
        name.is_ok_and(|name| WRITERS.contains(&name.trim_end()))
    };
    threads.filter(writes).collect()
}

fn is_traced(pid: u32, thread: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/task/{thread}/status"));
    let status = status.unwrap_or_default();
    let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
    tracer.is_some_and(|tracer| tracer.trim() != "0")
}
