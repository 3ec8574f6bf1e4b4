//! Flipped bits: a store either opens with all it held (or with what it held at an earlier flush,
//! from where the log brings it on), or says that it is damaged. It never opens with other rows.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::fs;

use common::{Feed, channel, login, publish};
use recado_storage::{OpenError, STORE_FILE, Store};

/// redb's header, and every so many bits of it.
const HEADER_BYTES: usize = 320;
const HEADER_STRIDE_BITS: usize = 7;
/// The formats that its two commit slots name, which the stride may miss.
const SLOT_FORMATS: [usize; 2] = [64, 192];
/// Of the pages, one bit in so many bytes.
const STRIDE_BYTES: usize = 997;

#[test]
fn a_flipped_bit_anywhere_is_met_or_means_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut feed = Feed::default();
    let store = Store::open(dir.path()).unwrap();
    let empty = store.reader().unwrap().state_hash().unwrap();
    let mut known = BTreeSet::from([empty]);
    feed.apply(&store, [login("ana"), channel("geral")]);
    for round in 0..3 {
        feed.apply(&store, (0..100).map(|i| publish("ana", "geral", &format!("{round} {i}"))));
        store.flush().unwrap();
        known.insert(store.reader().unwrap().state_hash().unwrap());
    }
    drop(store);
    let whole = fs::read(dir.path().join(STORE_FILE)).unwrap();
    let positions = (0..HEADER_BYTES * 8)
        .step_by(HEADER_STRIDE_BITS)
        .chain(SLOT_FORMATS.into_iter().flat_map(|byte| byte * 8..byte * 8 + 8))
        .chain((HEADER_BYTES..whole.len()).step_by(STRIDE_BYTES).map(|byte| byte * 8 + byte % 8));
    let (mut met, mut opened) = (0, 0);
    for bit in positions {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join(STORE_FILE), &bytes).unwrap();
        match Store::open(place.path()) {
            Ok(store) => {
                let hash = store.reader().unwrap().state_hash().unwrap();
                assert!(known.contains(&hash), "bit {bit} changed rows");
                opened += 1;
            }
            Err(OpenError::Damaged { .. }) => met += 1,
            Err(other) => panic!("bit {bit}: {other}"),
        }
    }
    println!("{met} flips were met, {opened} meant nothing, of {} bytes", whole.len());
    assert!(met > 0 && opened > 0);
}
