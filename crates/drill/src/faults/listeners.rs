//! Subscribers that are slow, and such that come late.

use std::io;
use std::sync::atomic::Ordering::Relaxed;

use super::{Outcome, Planned};
use crate::arena::Arena;

/// How many join at once.
const LATE: u64 = 24;

pub async fn slow(arena: &mut Arena, planned: &Planned) -> io::Result<Outcome> {
    arena.begins();
    arena.wishes.slow.store(true, Relaxed);
    arena.wait(planned.hold).await?;
    arena.wishes.slow.store(false, Relaxed);
    Ok(Outcome::Done("half of them".into()))
}

pub async fn late(arena: &mut Arena, planned: &Planned) -> io::Result<Outcome> {
    arena.begins();
    arena.wishes.late.fetch_add(LATE, Relaxed);
    arena.wait(planned.hold).await?;
    Ok(Outcome::Done(format!("{LATE} of them")))
}
