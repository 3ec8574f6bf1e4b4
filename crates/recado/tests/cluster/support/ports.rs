//! Rows of free ports.

use std::collections::BTreeSet;
use std::net::TcpStream;
use std::sync::{Mutex, PoisonError};

/// Below the range from which the system hands out ports to connections.
const FIRST: u16 = 10_000;
const LAST: u16 = 29_900;

/// How many ports a test's cluster may use: all of its table, the roles' pages too.
pub const ROW: u16 = 100;

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
        if (base..base + ROW).all(is_free) {
            given.insert(base);
            return base;
        }
    }
    panic!("no row of {ROW} free ports was found");
}

/// Whether nobody listens there. Asked by connecting, not by listening: a child that another test
/// is starting just now would hold the listener for a moment longer, and the port with it.
fn is_free(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_err()
}
