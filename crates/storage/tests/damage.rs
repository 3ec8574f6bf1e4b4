//! Flipped bits: each is met, at the opening or when what it changed is read, or it means nothing.
//! No wrong row is ever read.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::memory::Memory;
use common::{Feed, channel, login, private, publish};
use recado_chat::{Command, Origin};
use recado_storage::{Marks, OpenError, Scrub, ScrubStep, Store, StoreError, Sums};

/// The heads, and every so many bits of them.
const HEADS_BYTES: usize = 4096;
const HEADS_STRIDE_BITS: usize = 61;
/// Of the blocks, one bit in so many bytes.
const STRIDE_BYTES: usize = 997;

/// What can be read of a store.
#[derive(Debug, PartialEq)]
struct Seen {
    hash: [u8; 32],
    marks: Marks,
    sums: (u64, Sums),
}

fn see(store: &Store) -> Result<Seen, StoreError> {
    let hash = store.reader()?.state_hash()?;
    Ok(Seen { hash, marks: store.marks()?, sums: store.sums()? })
}

/// A store with something in most tables, closed, and as a kill leaves it.
fn filled() -> (Seen, [(&'static str, Memory); 2]) {
    let memory = Memory::default();
    let mut feed = Feed::default();
    let store = Store::open_on(Box::new(memory.clone()), "".as_ref()).unwrap();
    feed.apply(&store, [login("ana"), channel("geral"), Command::Session { session: 9 }]);
    for round in 0..3 {
        let text = |i| format!("{round} {i} {}", "x".repeat(100));
        feed.apply(&store, (0..100).map(|i| private("ana", "ana", &text(i))));
        feed.apply_with(
            &store,
            (0..100).map(|i| {
                let n = round * 100 + i + 1;
                (publish("ana", "geral", &text(i)), Some(Origin { session: 9, n, digest: n }))
            }),
        );
        store.flush().unwrap();
    }
    let seen = see(&store).unwrap();
    let killed = memory.copy();
    drop(store);
    (seen, [("closed", memory), ("killed", killed)])
}

#[test]
fn a_flipped_bit_anywhere_is_met_or_means_nothing() {
    let (before, left) = filled();
    for (how, memory) in left {
        let whole = memory.bytes.lock().unwrap().clone();
        let positions = (0..HEADS_BYTES * 8)
            .step_by(HEADS_STRIDE_BITS)
            .chain((HEADS_BYTES..whole.len()).step_by(STRIDE_BYTES).map(|at| at * 8 + at % 8));
        let (mut opening, mut reading, mut nothing) = (0, 0, 0);
        for bit in positions {
            let flipped = memory.copy();
            flipped.bytes.lock().unwrap()[bit / 8] ^= 1 << (bit % 8);
            match Store::open_on(Box::new(flipped), "".as_ref()) {
                Ok(store) => match see(&store) {
                    Ok(seen) => {
                        assert_eq!(seen, before, "{how}: bit {bit} changed rows");
                        nothing += 1;
                    }
                    Err(StoreError::Damaged(_)) => {
                        assert!(store.damage().is_some());
                        reading += 1;
                    }
                    Err(other) => panic!("{how}: bit {bit}: {other}"),
                },
                Err(OpenError::Damaged { .. }) => opening += 1,
                Err(other) => panic!("{how}: bit {bit}: {other}"),
            }
        }
        println!(
            "{how}: {opening} flips were met at the opening, {reading} when read, {nothing} meant \
             nothing, of {} bytes",
            whole.len()
        );
        assert!(reading > 0 && nothing > 0);
    }
}

/// Walks over all rows, as a running server does.
fn scrub(store: &Store) -> Result<(), StoreError> {
    let mut scrub = Scrub::begin(store)?;
    while scrub.step(100)? != ScrubStep::Whole {}
    Ok(())
}

/// Blocks of another time, each with its checksum: what a disk leaves that reported writes done and
/// lost them. When they are read nothing can be promised, but that it ends in no panic; the scrub
/// finds all that changed rows.
#[test]
fn blocks_that_went_back_in_time_are_found_and_end_in_no_panic() {
    let memory = Memory::default();
    let mut feed = Feed::default();
    let store = Store::open_on(Box::new(memory.clone()), "".as_ref()).unwrap();
    feed.apply(&store, [login("ana"), channel("geral")]);
    let mut times = Vec::new();
    for round in 0..6 {
        let text = format!("{round} {}", "x".repeat(200));
        feed.apply(&store, (0..200).map(|_| publish("ana", "geral", &text)));
        store.flush().unwrap();
        times.push(memory.copy().bytes.lock().unwrap().clone());
    }
    let whole = see(&store).unwrap();
    let newest = times.pop().unwrap();
    let (mut met, mut found, mut same) = (0, 0, 0);
    for old in times {
        for at in (HEADS_BYTES..old.len().min(newest.len())).step_by(4104) {
            let end = at + 4104;
            if end > old.len() || old[at..end] == newest[at..end] {
                continue;
            }
            let mixed = Memory::default();
            *mixed.bytes.lock().unwrap() = newest.clone();
            mixed.bytes.lock().unwrap()[at..end].copy_from_slice(&old[at..end]);
            let Ok(store) = Store::open_on(Box::new(mixed), "".as_ref()) else {
                met += 1;
                continue;
            };
            match (see(&store), scrub(&store)) {
                (Ok(seen), Ok(())) => {
                    assert_eq!(seen, whole, "block at {at} changed rows, and nobody saw it");
                    same += 1;
                }
                (Ok(_), Err(_)) => found += 1,
                (Err(_), scrubbed) => {
                    assert!(scrubbed.is_err());
                    met += 1;
                }
            }
        }
    }
    println!("{met} were met, {found} found by the scrub, {same} meant nothing");
    assert!(met > 0 && found > 0);
}
