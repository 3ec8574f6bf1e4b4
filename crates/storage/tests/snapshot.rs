//! Snapshots: a round trip is the same state, and a damaged file changes nothing.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::path::Path;

use common::{Feed, channel, login, private, publish};
use proptest::prelude::*;
use recado_chat::members::Announcement;
use recado_chat::{Command, MemberCommand, Origin};
use recado_storage::{Marks, Store, verify_snapshot};

/// A store with something in every table.
fn filled(store: &Store, messages: u64) -> Feed {
    let mut feed = Feed::default();
    feed.apply(store, [channel("a"), login("u"), login("v"), Command::Session { session: 9 }]);
    feed.apply(
        store,
        [1, 2].map(|node| {
            Command::Member(MemberCommand::Announce(Announcement {
                node,
                name: format!("s{node}"),
                address: "tcp://h:1".into(),
                rank: node,
                boot: 5,
                pid: 6,
                witness: false,
            }))
        }),
    );
    feed.apply(store, [Command::Member(MemberCommand::Remove { node: 1 })]);
    feed.apply(store, (0..messages).map(|i| private("u", "v", &i.to_string())));
    feed.apply_with(
        store,
        (1..=messages).map(|n| {
            (publish("u", "a", &"text ".repeat(20)), Some(Origin { session: 9, n, digest: n }))
        }),
    );
    feed
}

struct State {
    hash: [u8; 32],
    marks: Marks,
    position: u64,
}

fn state(store: &Store) -> State {
    let reader = store.reader().unwrap();
    State {
        hash: reader.state_hash().unwrap(),
        marks: reader.marks().unwrap(),
        position: reader.position().unwrap(),
    }
}

fn assert_same(one: &State, other: &State) {
    assert_eq!(one.hash, other.hash);
    assert_eq!(one.marks, other.marks);
    assert_eq!(one.position, other.position);
}

fn snapshot(store: &Store, dir: &Path) -> std::path::PathBuf {
    let path = dir.join("snapshot");
    store.reader().unwrap().write_snapshot(&path).unwrap();
    path
}

#[test]
fn a_round_trip_is_the_same_state_and_goes_on() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (store, copy) = (Store::open(dir.path()).unwrap(), Store::open(other.path()).unwrap());
    // More than one chunk.
    let mut feed = filled(&store, 5_000);
    Feed::default().apply(&copy, [login("somebody else"), channel("gone")]);
    let path = snapshot(&store, dir.path());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "nothing is left beside it");
    let info = verify_snapshot(&path).unwrap();
    assert_eq!((info.position, &info.marks), (feed.position, &feed.marks()));
    assert_eq!(info.bytes, std::fs::metadata(&path).unwrap().len());

    assert_eq!(copy.install(&path).unwrap(), feed.marks());
    assert_same(&state(&store), &state(&copy));
    // Both go on alike; the second one is checked against the same model.
    let mut same = feed.clone();
    feed.apply(&store, [publish("u", "a", "later"), login("w")]);
    same.apply(&copy, [publish("u", "a", "later"), login("w")]);
    assert_same(&state(&store), &state(&copy));
}

#[test]
fn an_install_is_durable() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let after = tempfile::tempdir().unwrap();
    let (store, copy) = (Store::open(dir.path()).unwrap(), Store::open(other.path()).unwrap());
    filled(&store, 50);
    copy.install(&snapshot(&store, dir.path())).unwrap();
    common::folder_copy(other.path(), after.path());
    assert_same(&state(&store), &state(&Store::open(after.path()).unwrap()));
}

#[test]
fn a_snapshot_is_its_readers_view() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut feed = filled(&store, 5);
    let (reader, before) = (store.reader().unwrap(), state(&store));
    feed.apply(&store, [login("later")]);
    let path = dir.path().join("snapshot");
    reader.write_snapshot(&path).unwrap();
    store.install(&path).unwrap();
    assert_same(&state(&store), &before);
}

#[test]
fn an_empty_store_has_a_snapshot_too() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (store, copy) = (Store::open(dir.path()).unwrap(), Store::open(other.path()).unwrap());
    filled(&copy, 5);
    copy.install(&snapshot(&store, dir.path())).unwrap();
    assert_same(&state(&store), &state(&copy));
}

#[test]
fn damage_is_always_found_and_changes_nothing() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (store, copy) = (Store::open(dir.path()).unwrap(), Store::open(other.path()).unwrap());
    filled(&store, 40);
    Feed::default().apply(&copy, [login("stays"), channel("here")]);
    let before = state(&copy);
    let whole = std::fs::read(snapshot(&store, dir.path())).unwrap();
    let path = dir.path().join("damaged");

    let case = (0..whole.len(), 0u8..8, 0u8..4);
    let mut runner = proptest::test_runner::TestRunner::default();
    let checked = runner.run(&case, |(at, bit, how)| {
        let mut bytes = whole.clone();
        match how {
            0 => bytes.truncate(at),
            1 => bytes.push(bit),
            2 => drop(bytes.drain(at..whole.len().min(at + 1 + usize::from(bit)))),
            _ => bytes[at] ^= 1 << bit,
        }
        std::fs::write(&path, &bytes).unwrap();
        prop_assert!(verify_snapshot(&path).is_err());
        prop_assert!(copy.install(&path).is_err());
        assert_same(&state(&copy), &before);
        Ok(())
    });
    checked.unwrap();
    assert!(copy.install(&dir.path().join("missing")).is_err());
    // The whole one is still fine.
    std::fs::write(&path, &whole).unwrap();
    copy.install(&path).unwrap();
    assert_same(&state(&store), &state(&copy));
}

#[test]
fn chunks_in_another_order_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    filled(&store, 10);
    let whole = std::fs::read(snapshot(&store, dir.path())).unwrap();
    // Chunk bounds, by the lengths in front of them.
    let (mut bounds, mut at) = (Vec::new(), 8);
    while at < whole.len() {
        let length = u32::from_le_bytes(whole[at + 1..at + 5].try_into().unwrap()) as usize;
        bounds.push(at..at + 9 + length);
        at += 9 + length;
    }
    let path = dir.path().join("reordered");
    for swap in 1..bounds.len() - 1 {
        let mut order: Vec<usize> = (0..bounds.len()).collect();
        order.swap(swap, swap - 1);
        let mut bytes = whole[..8].to_vec();
        order.iter().for_each(|&chunk| bytes.extend(&whole[bounds[chunk].clone()]));
        std::fs::write(&path, bytes).unwrap();
        assert!(verify_snapshot(&path).is_err());
    }
}
