//! A process that has too few file descriptors for its connections.

use std::net::TcpStream;

use crate::support::Cluster;
use crate::support::process::pid_in;

/// A tool that sets limits, part of util-linux, which every Linux has.
const LIMITED: &[&str] = &["prlimit"];

#[test]
fn the_soft_limit_is_raised_and_its_end_is_told_once() {
    let mut cluster = Cluster::empty();
    cluster.start_under(&[LIMITED, &["--nofile=32:128"]].concat(), "broker", &["broker"]);
    let connect = || TcpStream::connect(("127.0.0.1", cluster.base));
    cluster.eventually("the broker listens", || connect().ok().map(drop));
    let descriptors = || {
        let pid = pid_in(&cluster.data_dir().join("run/broker.json"))?;
        Some(std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count())
    };
    let mut connections: Vec<TcpStream> = (0..64).map(|_| connect().unwrap()).collect();
    cluster.eventually("more than the soft limit are taken", || {
        descriptors().filter(|count| *count > 64)
    });
    assert!(!cluster.log().contains("file descriptors"), "{}", cluster.log_tail());
    // What is too much waits in the system's queue.
    connections.extend((0..64).map(|_| connect().unwrap()));
    let told = || cluster.log().matches("all 128 file descriptors").count();
    cluster.eventually("it is told", || (told() > 0).then_some(()));
    connections.truncate(8);
    cluster.eventually("there is room again", || descriptors().filter(|count| *count < 64));
    assert_eq!(told(), 1, "{}", cluster.log_tail());
    cluster.stop_all();
}
