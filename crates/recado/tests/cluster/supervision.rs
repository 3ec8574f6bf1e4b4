//! `up`: starts again what dies, stops what it started, and leaves no orphan.

use rustix::process::Signal;

use crate::support::process::{is_running, pid_in, signal, wait_gone};
use crate::support::{Cluster, eventually};

/// The process ids in the run files.
fn children(cluster: &Cluster) -> Vec<u32> {
    let mut pids = Vec::new();
    for entry in std::fs::read_dir(cluster.data_dir().join("run")).unwrap().flatten() {
        let named = |name: &str| entry.path().file_name() == Some(name.as_ref());
        if entry.path().extension() == Some("json".as_ref()) && !named("up.json") {
            pids.extend(pid_in(&entry.path()));
        }
    }
    pids
}

#[test]
fn what_dies_is_started_again() {
    let cluster = Cluster::up(3);
    for role in ["broker", "proxy", "reference", "server-2"] {
        let file = cluster.data_dir().join("run").join(format!("{role}.json"));
        let before = pid_in(&file).unwrap();
        cluster.kill_pid(before);
        cluster.eventually(&format!("{role} runs again"), || {
            pid_in(&file).filter(|pid| *pid != before && is_running(*pid))
        });
    }
    cluster.wait_active(3);
}

#[test]
fn without_restart_the_dead_stay_dead() {
    let mut cluster = Cluster::empty();
    cluster.start_up(2, &["--no-restart"]);
    cluster.wait_active(2);
    let file = cluster.data_dir().join("run").join("proxy.json");
    let pid = pid_in(&file).unwrap();
    cluster.kill_pid(pid);
    cluster.eventually("the death is told", || cluster.log().contains("stays down").then_some(()));
    assert_eq!(pid_in(&file), Some(pid), "nobody wrote it anew");
}

#[test]
fn both_signals_stop_everything_cleanly() {
    for how in [Signal::INT, Signal::TERM] {
        let mut cluster = Cluster::up(3);
        let pids = children(&cluster);
        assert!(pids.len() >= 6, "{pids:?}");
        signal(cluster.process("up").pid(), how);
        wait_gone(&pids, 20);
        assert_eq!(cluster.process("up").stop(), Some(0), "{}", cluster.log_tail());
        let left = std::fs::read_dir(cluster.data_dir().join("run")).unwrap().count();
        assert_eq!(left, 0, "run files go with their processes");
        assert!(!cluster.log().contains("is killed"), "{}", cluster.log_tail());
    }
}

#[test]
fn a_kill_of_up_itself_leaves_no_orphan() {
    let mut cluster = Cluster::up(3);
    let pids = children(&cluster);
    assert!(pids.len() >= 6, "{pids:?}");
    cluster.kill("up");
    wait_gone(&pids, 20);
    // And its ports and folder are free for the next.
    cluster.start_up(3, &[]);
    cluster.wait_active(3);
}

#[test]
fn end_points_and_names_are_shown() {
    let cluster = Cluster::up(2);
    let log = cluster.log();
    for offset in 0..7 {
        assert!(log.contains(&cluster.endpoint(offset)), "port base + {offset} in\n{log}");
    }
    for name in ["server-1", "server-2", "broker", "proxy", "reference"] {
        let shown = log.lines().any(|l| l.starts_with(name) && l.contains(" | "));
        assert!(shown, "no line of {name} in\n{log}");
    }
    assert!(!log.contains('\u{1b}'), "colours where none are wanted");
}

#[test]
fn quitting_the_demo_takes_everything_down() {
    let cluster = Cluster::empty();
    let said = cluster.run_with(
        &["demo", "--bots", "1", "--user", "ana"],
        "create general\npub general hello\nhistory general\nquit\n",
    );
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.stdout.contains("demo.log"), "where the logs are is said: {said:?}");
    assert!(said.stdout.contains("hello"), "{said:?}");
    let run = std::fs::read_dir(cluster.data_dir().join("run")).unwrap();
    assert_eq!(run.count(), 0, "run files go with their processes");
    let log = std::fs::read_to_string(cluster.data_dir().join("logs/demo.log")).unwrap();
    assert!(log.contains("everything is stopped"), "{log}");
}

#[test]
fn a_role_ends_on_both_signals() {
    let mut cluster = Cluster::roles(1);
    for (name, how) in [
        ("server-1", Signal::INT),
        ("proxy", Signal::TERM),
        ("broker", Signal::INT),
        ("reference", Signal::TERM),
    ] {
        let pid = cluster.process(name).pid();
        signal(pid, how);
        eventually(&format!("{name} ends"), 20, || (!is_running(pid)).then_some(()));
        assert_eq!(cluster.process(name).stop(), Some(0), "{name}\n{}", cluster.log_tail());
    }
}
