//! Rows of free ports.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::{Mutex, PoisonError};

/// Below the range from which the system hands out ports to connections.
const FIRST: u16 = 12_000;
const LAST: u16 = 19_900;

/// How many ports a test's cluster may use.
pub const ROW: u16 = 20;

static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// The first of a row of ports that are free now and that no other test here was given. Another
/// test process starts its search elsewhere.
pub fn free_base() -> u16 {
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    let rows = (LAST - FIRST) / ROW;
    let start = (std::process::id() % u32::from(rows)) as u16;
    for turn in 0..rows {
        let base = FIRST + (start + turn) % rows * ROW;
        if given.contains(&base) {
            continue;
        }
        let row: Result<Vec<_>, _> =
            (base..base + ROW).map(|port| TcpListener::bind(("127.0.0.1", port))).collect();
        if row.is_ok() {
            given.insert(base);
            return base;
        }
    }
    panic!("no row of {ROW} free ports was found");
}
