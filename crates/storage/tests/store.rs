//! Applying, reopening, and what a crash leaves.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{Feed, Rewound, folder_copy, login, publish};
use recado_chat::{Command, Outcome};
use recado_storage::{HistoryOf, Logged, OpenError, PageLimit, STORE_FILE, Store};

const ALL: PageLimit = PageLimit { rows: usize::MAX, bytes: usize::MAX };

#[test]
fn rows_and_marks_survive_a_flush_and_a_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let mut feed = Feed::default();
    let store = Store::open(dir.path()).unwrap();
    feed.apply(&store, [login("ana"), Command::Channel { channel: "geral".into() }]);
    let stored = feed.apply(&store, [publish("ana", "geral", "oi")]);
    assert!(matches!(stored[0].outcome, Outcome::Stored { seq: 1, .. }));
    assert!(stored[0].publishes);
    store.flush().unwrap();
    let (hash, marks) = (store.reader().unwrap().state_hash().unwrap(), store.marks().unwrap());
    drop(store);

    let store = Store::open(dir.path()).unwrap();
    let reader = store.reader().unwrap();
    assert_eq!(reader.state_hash().unwrap(), hash);
    assert_eq!(store.marks().unwrap(), marks);
    assert_eq!(reader.users().unwrap(), ["ana"]);
    assert_eq!(reader.channels().unwrap(), ["geral"]);
    let page = reader.history(HistoryOf::Channel("geral"), None, None, ALL).unwrap();
    assert_eq!((page.newest, page.messages[0].text.as_str()), (1, "oi"));
}

#[test]
fn what_is_applied_shows_with_the_commit_and_leaves_no_gap() {
    let dir = tempfile::tempdir().unwrap();
    let feed = Feed::default();
    let store = Store::open(dir.path()).unwrap();
    let at = |position, name| Logged { position, entry: Some(feed.entry(login(name))) };
    let before = store.reader().unwrap().state_hash().unwrap();

    let transaction = store.begin().unwrap();
    let mut batches = transaction.batches().unwrap();
    batches.apply(&[at(1, "ana")], &feed.marks()).unwrap();
    drop(batches);
    drop(transaction);
    assert_eq!(store.reader().unwrap().state_hash().unwrap(), before, "dropped");

    let transaction = store.begin().unwrap();
    let mut batches = transaction.batches().unwrap();
    batches.apply(&[at(1, "ana")], &feed.marks()).unwrap();
    batches.apply(&[at(2, "bob")], &feed.marks()).unwrap();
    assert!(batches.apply(&[at(4, "eve")], &feed.marks()).is_err(), "3 is missing");
    assert!(batches.apply(&[at(2, "eve")], &feed.marks()).is_err(), "2 was there");
    assert_eq!(store.reader().unwrap().users().unwrap(), Vec::<String>::new(), "not committed");
    let finished = batches.finish().unwrap();
    transaction.commit(finished).unwrap();
    assert_eq!(store.reader().unwrap().users().unwrap(), ["ana", "bob"]);
    assert!(store.apply(&[at(4, "eve")], &feed.marks()).is_err(), "3 is missing");
}

/// What the log may forget is what was flushed: a crash may take the rest, but rows and marks
/// stay those of one moment.
#[test]
fn a_crash_leaves_the_last_flush_with_its_marks() {
    let (dir, after) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut feed = Feed::default();
    let store = Store::open(dir.path()).unwrap();
    feed.apply(&store, [login("ana"), Command::Channel { channel: "geral".into() }]);
    feed.apply(&store, (0..500).map(|i| publish("ana", "geral", &format!("a{i}"))));
    store.flush().unwrap();
    let (hash, marks) = (store.reader().unwrap().state_hash().unwrap(), store.marks().unwrap());
    for round in 0..20 {
        feed.apply(&store, (0..100).map(|i| publish("ana", "geral", &format!("b{round} {i}"))));
    }
    // The files as they are now, as a kill would leave them.
    folder_copy(dir.path(), after.path());
    assert_ne!(store.marks().unwrap(), marks);

    let crashed = Store::open(after.path()).unwrap();
    assert_eq!(crashed.marks().unwrap(), marks);
    assert_eq!(crashed.reader().unwrap().state_hash().unwrap(), hash);
    // And it goes on from there.
    let mut again = Rewound { position: 502 };
    again.apply(&crashed, [publish("ana", "geral", "c")]);
    let reader = crashed.reader().unwrap();
    assert_eq!(reader.history(HistoryOf::Channel("geral"), None, None, ALL).unwrap().newest, 501);
}

#[test]
fn a_batch_is_all_or_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut feed = Feed::default();
    feed.apply(&store, [login("ana")]);
    let hash = store.reader().unwrap().state_hash().unwrap();
    let marks = store.marks().unwrap();
    let entry = feed.entry(login("bia"));
    let batch = [
        Logged { position: 2, entry: Some(entry.clone()) },
        Logged { position: 2, entry: Some(entry) },
    ];
    assert!(store.apply(&batch, &marks).is_err());
    assert_eq!(store.reader().unwrap().state_hash().unwrap(), hash);
    assert_eq!(store.reader().unwrap().position().unwrap(), 1);
}

#[test]
fn readers_keep_their_view() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut feed = Feed::default();
    feed.apply(&store, [login("ana")]);
    let before = store.reader().unwrap();
    feed.apply(&store, [login("bia")]);
    assert_eq!(before.users().unwrap(), ["ana"]);
    assert_eq!(store.reader().unwrap().users().unwrap(), ["ana", "bia"]);
}

#[test]
fn entries_that_mean_nothing_move_the_marks_only() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let hash = store.reader().unwrap().state_hash().unwrap();
    let marks = recado_storage::Marks { applied: vec![1], membership: vec![2, 3] };
    let applied = store.apply(&[Logged { position: 1, entry: None }], &marks).unwrap();
    assert_eq!(applied[0].outcome, Outcome::Done);
    assert_eq!(store.marks().unwrap(), marks);
    assert_eq!(store.reader().unwrap().state_hash().unwrap(), hash);
    assert_eq!(store.reader().unwrap().position().unwrap(), 1);
}

#[test]
fn a_second_opening_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let _store = Store::open(dir.path()).unwrap();
    assert!(matches!(Store::open(dir.path()).err().unwrap(), OpenError::InUse { .. }));
}

#[test]
fn what_is_no_store_is_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let missing = Store::open(&dir.path().join("nowhere")).err().unwrap().to_string();
    assert!(missing.contains("create the folder"), "{missing}");
    std::fs::write(dir.path().join(STORE_FILE), b"something else entirely").unwrap();
    let other = Store::open(dir.path()).err().unwrap();
    assert!(matches!(other, OpenError::Damaged { .. }), "{other}");
}
