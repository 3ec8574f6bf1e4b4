//! A server's host that leaves the network: no connection is closed, packets just end.

use std::process::{Output, Stdio};

use serde_json::Value;

use crate::support::hosts::{ADDRESSES, Hosts};
use crate::support::{Cluster, process};

/// The machine that runs tests is shared and slow; the aim is 2 s, and the measured time is
/// printed.
const WAIT_LIMIT_MS: u64 = 10_000;

/// A command of the binary on the host that stays.
fn on_first(cluster: &Cluster, hosts: &Hosts, words: &[&str]) -> Output {
    let command = process::command(&cluster.args(words));
    process::under(&owned(&hosts.tool(0)), command).stdin(Stdio::null()).output().unwrap()
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn json(output: &Output) -> Option<Value> {
    serde_json::from_slice(&output.stdout).ok()
}

/// The primary's name and how far its log is, when so many servers are active.
fn primary(cluster: &Cluster, hosts: &Hosts, active: usize) -> Option<(String, u64)> {
    let status = json(&on_first(cluster, hosts, &["status", "--json", &broker(cluster)]))?;
    let members = status["members"].as_array()?.clone();
    let in_role = |role: &str| members.iter().filter(|m| m["role"] == role).collect::<Vec<_>>();
    if in_role("primary").len() + in_role("backup").len() != active {
        return None;
    }
    let primary = *in_role("primary").first()?;
    Some((primary["name"].as_str()?.to_owned(), primary["applied"].as_u64()?))
}

fn broker(cluster: &Cluster) -> String {
    format!("--broker={}:{}", ADDRESSES[0], cluster.base)
}

fn proxy(cluster: &Cluster) -> String {
    format!("--proxy={}:{}", ADDRESSES[0], cluster.base + 2)
}

fn start(cluster: &mut Cluster, hosts: &Hosts) {
    let listen = ADDRESSES.map(|address| format!("--listen={address}"));
    for role in ["reference", "broker", "proxy"] {
        cluster.start_under(&hosts.tool(0), role, &[role, &listen[0]]);
    }
    let (broker, proxy) = (broker(cluster), proxy(cluster));
    let reference = format!("--reference={}:{}", ADDRESSES[0], cluster.base + 4);
    // The one that can be unplugged comes first, and so becomes the primary.
    for (number, host) in [(1, 1), (2, 0), (3, 0)] {
        let name = format!("server-{number}");
        let port = format!("--port={}", cluster.base + 4 + number);
        let words = ["server", "--name", &name, &port, &listen[host], &broker, &proxy, &reference];
        cluster.start_under(&hosts.tool(host), &name, &words);
        let active = usize::from(number);
        cluster.eventually(&format!("{name} is active"), || primary(cluster, hosts, active));
    }
}

#[test]
fn the_primarys_host_is_unplugged_and_acknowledgements_go_on() {
    // First, so that the processes end before their hosts.
    let hosts = match Hosts::make() {
        Ok(hosts) => hosts,
        Err(why) => return println!("skipped: {why}"),
    };
    let mut cluster = Cluster::empty();
    start(&mut cluster, &hosts);
    let (name, before) = primary(&cluster, &hosts, 3).unwrap();
    assert_eq!(name, "server-1");

    let (broker, proxy) = (broker(&cluster), proxy(&cluster));
    let words = ["drill", "--attach", "--json", "--duration=14s", "--rate=100", &broker, &proxy];
    let drill = process::under(&owned(&hosts.tool(0)), process::command(&cluster.args(&words)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    cluster.eventually("the drill writes", || {
        primary(&cluster, &hosts, 3).filter(|(_, applied)| *applied > before + 300)
    });
    hosts.plug(false);
    cluster.eventually("another one leads", || {
        primary(&cluster, &hosts, 2).filter(|(name, _)| name != "server-1")
    });
    hosts.plug(true);
    let output = drill.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let report = json(&output).unwrap();
    let waited_ms = report["movers"]["writers"]["longest_us"].as_u64().unwrap() / 1000;
    println!("longest time without an acknowledgement, of one client: {waited_ms} ms");
    assert_eq!(report["end"], "held", "{errors}");
    assert!(waited_ms < WAIT_LIMIT_MS, "{waited_ms} ms");
}
