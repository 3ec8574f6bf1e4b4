//! Real replicas on real disks, with a network in memory: what is acknowledged stays, in one
//! order, whoever dies or is cut off.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod absurd;
mod copies;
mod core;
mod damage;
mod memory;
mod rejoin;
mod remove;
mod scrub;
mod unreadable;
mod wire;
mod witness;

use recado_replication::Committed;

/// The number that a stored message got.
fn seq(committed: &Committed) -> u64 {
    match committed.outcome {
        recado_chat::Outcome::Stored { seq, .. } => seq,
        ref other => panic!("not stored: {other:?}"),
    }
}
