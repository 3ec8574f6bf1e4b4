//! The walk over all rows: it ends well over a store that is written meanwhile, and finds what no
//! checksum of a block tells.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{Feed, channel, login, private, publish};
use proptest::prelude::*;
use recado_chat::{Command, Origin};
use recado_storage::{Scrub, ScrubStep, Store, StoreError};

/// Walks to the end; `between` is done after every step.
fn walk(store: &Store, most: usize, mut between: impl FnMut()) -> Result<ScrubStep, StoreError> {
    let mut scrub = Scrub::begin(store)?;
    loop {
        match scrub.step(most)? {
            ScrubStep::More { .. } => between(),
            end => {
                let (done, total) = scrub.progress();
                assert!(done >= total || end == ScrubStep::Replaced, "{done} of {total}");
                return Ok(end);
            }
        }
    }
}

fn filled() -> (tempfile::TempDir, Store, Feed) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut feed = Feed::default();
    let begin = [login("ana"), login("bia"), channel("geral"), Command::Session { session: 9 }];
    feed.apply(&store, begin);
    feed.apply(&store, (0..30).map(|i| private("ana", "bia", &i.to_string())));
    feed.apply_with(
        &store,
        (1..=30).map(|n| (publish("ana", "geral", "x"), Some(Origin { session: 9, n, digest: n }))),
    );
    (dir, store, feed)
}

#[test]
fn an_empty_store_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(walk(&store, 5, || {}), Ok(ScrubStep::Whole));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn a_store_that_is_written_meanwhile_is_whole(
        most in 1usize..40,
        writes in prop::collection::vec(0u8..4, 0..30),
    ) {
        let (_dir, store, mut feed) = filled();
        let mut writes = writes.into_iter();
        let walked = walk(&store, most, || {
            let command = match writes.next() {
                Some(0) => publish("bia", "geral", "later"),
                Some(1) => private("bia", "ana", "later"),
                Some(2) => login("eve"),
                Some(_) => channel("new"),
                None => return,
            };
            feed.apply(&store, [command]);
        });
        prop_assert_eq!(walked, Ok(ScrubStep::Whole));
        prop_assert_eq!(walk(&store, most, || {}), Ok(ScrubStep::Whole));
    }
}

#[test]
fn a_snapshot_that_replaces_everything_ends_the_walk() {
    let (dir, store, _feed) = filled();
    let snapshot = dir.path().join("snapshot");
    store.reader().unwrap().write_snapshot(&snapshot).unwrap();
    let mut installed = false;
    let walked = walk(&store, 5, || {
        if !std::mem::replace(&mut installed, true) {
            store.install(&snapshot).unwrap();
        }
    });
    assert_eq!(walked, Ok(ScrubStep::Replaced));
    assert_eq!(walk(&store, 5, || {}), Ok(ScrubStep::Whole));
}
