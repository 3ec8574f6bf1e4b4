//! Two servers of one name: the second one is told, and the first one goes on undisturbed.

use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Cluster, Output, signal};

/// Starts another server of this name in a folder of its own.
fn start_second(cluster: &mut Cluster, folder: &Path, name: &str) {
    let port = (cluster.base + 17).to_string();
    cluster.start_in(folder, "second", &["server", "--name", name, "--port", &port]);
}

/// Waits until the second one ended, and looks at what it said.
#[track_caller]
fn check_refused(cluster: &mut Cluster, from: usize, name: &str) {
    assert_eq!(cluster.ended("second"), 1, "{}", cluster.log_tail());
    let log = cluster.log()[from..].to_owned();
    let said: Vec<_> = log.lines().filter(|line| line.starts_with("recado: ")).collect();
    assert_eq!(said.len(), 1, "{log}");
    for word in [name, "runs at tcp://", "--name"] {
        assert!(said[0].contains(word), "{word} is missing in {}", said[0]);
    }
}

/// What must stay as it is: who is who, where, with which rank.
fn places(cluster: &Cluster) -> Vec<[Value; 5]> {
    let keys = ["name", "rank", "role", "address", "pid"];
    cluster.members().iter().map(|member| keys.map(|key| member[key].clone())).collect()
}

#[test]
fn the_second_of_one_name_is_refused_while_the_first_answers() {
    let mut cluster = Cluster::roles(3);
    let before = places(&cluster);
    let other = cluster.dir().join("other");
    for name in ["server-1", "server-2", "server-3"] {
        let from = cluster.log().len();
        start_second(&mut cluster, &other, name);
        check_refused(&mut cluster, from, name);
    }
    // A copy of the folder is the same node, which is worse.
    let copied = cluster.dir().join("copied");
    copy(&cluster.data_dir().join("server-2"), &copied.join("server-2"));
    let from = cluster.log().len();
    start_second(&mut cluster, &copied, "server-2");
    check_refused(&mut cluster, from, "server-2");
    assert_eq!(places(&cluster), before);
    // While the reference is away, the rest tells; whether the first one leads or not.
    for name in ["server-1", "server-3"] {
        copy(&cluster.data_dir().join(name), &copied.join(name));
    }
    cluster.kill("reference");
    for name in ["server-1", "server-2", "server-3"] {
        let from = cluster.log().len();
        start_second(&mut cluster, &copied, name);
        check_refused(&mut cluster, from, name);
    }
    let roles = |places: Vec<[Value; 5]>| places.into_iter().map(|row| row[2].clone());
    assert!(roles(places(&cluster)).eq(roles(before)), "{}", cluster.log_tail());
}

#[test]
fn a_server_that_comes_back_is_not_refused() {
    let mut cluster = Cluster::roles(3);
    let (primary, _) = cluster.primary();
    let name = ["server-3", "server-2"].into_iter().find(|name| *name != primary).unwrap();
    // Killed a moment ago, and on another port.
    cluster.kill(name);
    let port = (cluster.base + 16).to_string();
    cluster.start(name, &["server", "--name", name, "--port", &port]);
    cluster.wait_back(name);
    // The same with an empty folder.
    cluster.kill(name);
    std::fs::remove_dir_all(cluster.data_dir().join(name)).unwrap();
    cluster.start(name, &["server", "--name", name, "--port", &port]);
    cluster.wait_back(name);
    // One that does not answer, since it is stopped, gives its name up; it learns that later.
    signal(cluster.process(name).pid(), Signal::STOP);
    let folder = cluster.dir().join("other");
    start_second(&mut cluster, &folder, name);
    wait_at(&cluster, name, &(cluster.base + 17).to_string());
    signal(cluster.process(name).pid(), Signal::CONT);
    assert_eq!(cluster.ended(name), 3, "{}", cluster.log_tail());
    cluster.wait_active(3);
}

/// Waits until a server is active on this port.
fn wait_at(cluster: &Cluster, name: &str, port: &str) {
    cluster.eventually("it is back", || {
        let members = cluster.members();
        let mine = members.iter().find(|member| member["name"] == name)?;
        let there = mine["address"].as_str()?.ends_with(port);
        (there && mine["role"] == "backup").then_some(())
    });
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The one line that was said.
fn said(output: &Output, code: i32) -> &str {
    assert_eq!(output.code, Some(code), "{output:?}");
    let lines: Vec<_> = output.stderr.lines().filter(|l| l.starts_with("recado: ")).collect();
    assert_eq!(lines.len(), 1, "{output:?}");
    lines[0]
}

#[test]
fn names_that_mean_something_else_are_refused() {
    let cluster = Cluster::empty();
    let long = "x".repeat(65);
    let names = ["broker", "proxy-2", "Reference", "up", "run", "logs", "damaged-1", "servers"];
    let wrong = ["", ".", "..", ".hidden", "a/b", "../x", "a b", "a\tb", "é", &long];
    for name in names.into_iter().chain(wrong) {
        let output = cluster.run(&["server", "--name", name]);
        assert!(said(&output, 2).contains("--name"), "{name:?}: {output:?}");
    }
    let left = std::fs::read_dir(cluster.dir()).unwrap().count();
    assert_eq!(left, 0, "nothing was made");
}

#[test]
fn without_a_name_it_is_the_hosts() {
    let mut cluster = Cluster::empty();
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    cluster.start_roles(0);
    cluster.start("unnamed", &["server"]);
    cluster.wait_active(1);
    assert_eq!(cluster.members()[0]["name"], host.as_str());
}

#[test]
fn without_a_name_nobody_begins_anew_beside_other_data() {
    let mut cluster = Cluster::roles(1);
    cluster.stop_all();
    let output = cluster.run(&["server"]);
    let line = said(&output, 2);
    assert!(line.contains("server-1") && line.contains("--name"), "{line}");
}
