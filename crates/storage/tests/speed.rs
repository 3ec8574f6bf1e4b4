//! How fast batches are applied. Ignored: its numbers mean something in a release build only.
//! `cargo test --release -p recado-storage --test speed -- --ignored --nocapture`
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::time::Instant;

use common::{Feed, channel, folder_copy, login, private, publish};
use recado_chat::{Command, Origin};
use recado_storage::{Logged, Store};

const ENTRIES: u64 = 100_000;

#[test]
#[ignore = "a measurement"]
fn batches() {
    for (private_messages, sessions) in [(false, 1), (false, 64), (true, 64)] {
        for batch in [1, 10, 100, 1000] {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::open(dir.path()).unwrap();
            let entries = if batch == 1 { ENTRIES / 10 } else { ENTRIES };
            let spent = fill(&store, (private_messages, sessions), entries, batch);
            let us = spent as f64 / 1e3 / entries as f64;
            let flush = Instant::now();
            store.flush().unwrap();
            let bytes = std::fs::metadata(store.path()).unwrap().len() / entries;
            println!(
                "private {private_messages}, {sessions} sessions, batches of {batch}: \
                 {us:.1} µs CPU an entry, flush {} ms, {bytes} bytes an entry",
                flush.elapsed().as_millis()
            );
        }
    }
}

/// CPU time of this thread so far, ns: the machine may have other things to do.
fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
#[ignore = "a measurement"]
fn opening_after_a_kill_snapshot_and_install() {
    let (dir, after) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = Store::open(dir.path()).unwrap();
    fill(&store, (false, 64), 5 * ENTRIES, 100);
    store.flush().unwrap();
    folder_copy(dir.path(), after.path());
    let start = Instant::now();
    let crashed = Store::open(after.path()).unwrap();
    println!("open after a kill with {} rows: {} ms", 5 * ENTRIES, start.elapsed().as_millis());

    let path = dir.path().join("snapshot");
    let start = Instant::now();
    store.reader().unwrap().write_snapshot(&path).unwrap();
    println!("snapshot: {} ms", start.elapsed().as_millis());
    let start = Instant::now();
    crashed.install(&path).unwrap();
    println!("install: {} ms", start.elapsed().as_millis());
    let start = Instant::now();
    crashed.reader().unwrap().state_hash().unwrap();
    println!("hash: {} ms", start.elapsed().as_millis());
}

/// Messages of 200 bytes from 64 users on 8 channels, each in its session's window; gives the
/// CPU time that it took, ns.
fn fill(store: &Store, (private_messages, sessions): (bool, u64), entries: u64, batch: u64) -> u64 {
    let mut feed = Feed::default();
    feed.apply(store, (0..8).map(|i| channel(&format!("channel {i}"))));
    feed.apply(store, (0..64).map(|i| login(&format!("user{i}"))));
    feed.apply(store, (0..64).map(|session| Command::Session { session }));
    let text = "x".repeat(200);
    let mut n = 0;
    let mut batches = Vec::new();
    for _ in 0..entries / batch {
        let mut entries = Vec::new();
        for _ in 0..batch {
            let (session, from) = (n % sessions, format!("user{}", n % 64));
            let command = if private_messages {
                private(&from, &format!("user{}", n % 61), &text)
            } else {
                publish(&from, &format!("channel {}", n % 8), &text)
            };
            let origin = Some(Origin { session, n: 1 + n / sessions, digest: n });
            let entry = recado_chat::LogEntry { origin, ..feed.entry(command) };
            feed.position += 1;
            n += 1;
            entries.push(Logged { position: feed.position, entry: Some(entry) });
        }
        batches.push((entries, feed.marks()));
    }
    let start = cpu_ns();
    for (entries, marks) in &batches {
        store.apply(entries, marks).unwrap();
    }
    cpu_ns() - start
}
