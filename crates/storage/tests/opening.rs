//! What an opening reads must not grow with the history.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::memory::Memory;
use common::{Feed, channel, login, publish};
use recado_storage::Store;

const MESSAGES: u64 = 50_000;
const BATCH: u64 = 1000;
/// Far less than these messages take.
const MOST_READ_BYTES: u64 = 512 * 1024;

#[test]
fn an_opening_reads_little_whatever_the_history_and_after_a_kill_too() {
    let dir = tempfile::tempdir().unwrap();
    let memory = Memory::default();
    let mut feed = Feed::default();
    let store = Store::open_on(Box::new(memory.clone()), dir.path()).unwrap();
    feed.apply(&store, [login("ana"), channel("geral")]);
    for round in 0..MESSAGES / BATCH {
        let text = format!("{round} {}", "x".repeat(150));
        feed.apply(&store, (0..BATCH).map(|_| publish("ana", "geral", &text)));
    }
    store.flush().unwrap();
    // Some that no flush followed.
    feed.apply(&store, (0..BATCH).map(|i| publish("ana", "geral", &i.to_string())));
    let killed = memory.copy();
    drop(store);
    for (how, medium) in [("closed", memory), ("killed", killed)] {
        let whole = medium.bytes.lock().unwrap().len() as u64;
        assert!(whole > 10 * MOST_READ_BYTES, "{whole} bytes say nothing");
        medium.take_read_bytes();
        let store = Store::open_on(Box::new(medium.clone()), dir.path()).unwrap();
        store.marks().unwrap();
        let read = medium.take_read_bytes();
        println!("{how}: {read} of {whole} bytes were read");
        assert!(read < MOST_READ_BYTES, "{how}: {read} of {whole} bytes were read");
    }
}
