//! The drill as a process: what it says, what it leaves, and how it ends.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// How long a drill may take to end after it was told to.
const END: Duration = Duration::from_secs(60);

fn drill(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_recado"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("RECADO_") {
            command.env_remove(name);
        }
    }
    command.arg("drill").args(args).stdin(Stdio::null());
    command
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_drill_breaks_a_cluster_and_finds_every_promise_kept() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().display().to_string();
    let faults = "kill-primary,stop-broker,unplug-server,reply-lost";
    let args = ["--seed", "1", "--duration", "18s", "--interval", "4s", "--rate", "100"];
    let two = ["--brokers", "2", "--proxies", "2"];
    let output =
        drill(&args).args(two).args(["--faults", faults, "--data-dir", &data]).output().unwrap();
    let (said, errors) = (stdout(&output), stderr(&output));
    assert!(output.status.success(), "{said}\n{errors}");
    let last = said.lines().last().unwrap();
    assert!(last.starts_with("verdict: all promises held"), "{said}");
    for promise in ["P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8"] {
        assert!(said.lines().any(|line| line.starts_with(&format!("{promise}  held "))), "{said}");
    }
    for fault in faults.split(',') {
        assert!(said.contains(&format!("{fault} is over")), "{fault}: {said}");
    }
    assert!(fs::read_dir(dir.path()).unwrap().next().is_none(), "its folder is still there");
}

/// Whether disks that forget can't be mounted here, which is said.
fn skipped(errors: &str) -> bool {
    let skipped = errors.contains("no disks that forget can be mounted here");
    if skipped {
        println!("skipped: {errors}");
    }
    skipped
}

/// What is mounted in a folder.
fn mounts(dir: &Path) -> Vec<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let dir = dir.canonicalize().unwrap().display().to_string();
    mounts.lines().filter(|line| line.contains(&dir)).map(str::to_owned).collect()
}

#[test]
fn a_drill_whose_disks_ignore_syncs_finds_promises_broken() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().display().to_string();
    let args = ["--disk", "forgetful,ignore-syncs", "--faults", "kill-all", "--seed", "3"];
    let times = ["--duration", "12s", "--interval", "6s", "--data-dir", &data];
    let output = drill(&args).args(times).output().unwrap();
    let (said, errors) = (stdout(&output), stderr(&output));
    if skipped(&errors) {
        return;
    }
    assert_eq!(output.status.code(), Some(1), "{said}\n{errors}");
    let last = said.lines().last().unwrap();
    assert!(last.starts_with("verdict: BROKEN: ") && last.contains("P1"), "{said}");
    // What was on the disks is there to be looked at.
    assert_eq!(mounts(dir.path()), [""; 0]);
    let kept = fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
    assert!(kept.join("data/server-1/identity").exists(), "{errors}");
}

#[test]
fn a_drill_that_is_killed_leaves_nothing_mounted() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().display().to_string();
    let mut running =
        drill(&["--disk", "forgetful", "--faults", "kill-backup", "--data-dir", &data])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
    let mut lines = BufReader::new(running.stdout.take().unwrap()).lines().map(Result::unwrap);
    if !lines.any(|line| line.contains("kill-backup is over")) {
        let output = running.wait_with_output().unwrap();
        assert!(skipped(&stderr(&output)), "it ended by itself: {output:?}");
        return;
    }
    assert_eq!(mounts(dir.path()).len(), 4);
    running.kill().unwrap();
    running.wait().unwrap();
    let deadline = Instant::now() + END;
    while !mounts(dir.path()).is_empty() {
        assert!(Instant::now() < deadline, "still mounted: {:?}", mounts(dir.path()));
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn ctrl_c_ends_a_drill_with_all_its_processes() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().display().to_string();
    let mut running = drill(&["--faults", "kill-backup", "--data-dir", &data])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(running.stdout.take().unwrap()).lines().map(Result::unwrap);
    let first_fault = lines.find(|line| line.contains("kill-backup is over"));
    assert!(first_fault.is_some(), "it ended by itself: {:?}", running.wait());
    let children = children(dir.path());
    assert_eq!(children.len(), 6, "{children:?}");
    signal(&running, Signal::INT);
    let rest: Vec<_> = lines.collect();
    assert_eq!(wait(&mut running), Some(130));
    let last = rest.last().unwrap();
    assert!(last.starts_with("verdict: ") && last.ends_with("stopped before its end"), "{last}");
    assert!(children.iter().all(|pid| !is_alive(*pid)), "{children:?}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "its folder is not kept");
}

#[test]
fn the_faults_are_listed() {
    let output = drill(&["--list-faults"]).output().unwrap();
    assert!(output.status.success());
    let said = stdout(&output);
    assert!(said.contains("kill-primary ") && said.contains("hostile-bytes "), "{said}");
}

#[test]
fn wrong_usage_is_said_in_one_line() {
    for (args, expected) in [
        (["--faults", "earthquake"], "--list-faults"),
        (["--duration", "soon"], "90s or 5m"),
        (["--duration", "0"], "at least 1 s"),
        (["--servers", "0"], "at least 1 is needed"),
        (["--disk", "floppy"], "forgetful"),
    ] {
        let output = drill(&args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(stderr(&output).contains(expected), "{args:?}: {}", stderr(&output));
    }
}

/// The processes that say in their run files that they run.
fn children(data_dir: &Path) -> Vec<i32> {
    let folder: PathBuf = fs::read_dir(data_dir).unwrap().next().unwrap().unwrap().path();
    let files = fs::read_dir(folder.join("data/run")).unwrap();
    let pids = files.map(|file| {
        let json: serde_json::Value =
            serde_json::from_slice(&fs::read(file.unwrap().path()).unwrap()).unwrap();
        i32::try_from(json["pid"].as_i64().unwrap()).unwrap()
    });
    pids.collect()
}

fn is_alive(pid: i32) -> bool {
    test_kill_process(Pid::from_raw(pid).unwrap()).is_ok()
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(), signal).unwrap();
}

fn wait(child: &mut Child) -> Option<i32> {
    let deadline = Instant::now() + END;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    _ = child.kill();
    _ = child.wait();
    panic!("the drill does not end");
}
