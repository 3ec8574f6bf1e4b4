//! Exactly once: sessions, and their windows of results.
//!
//! A result lives in slot `n % 1024` of its session until a later request of the same session
//! takes the slot. A request is executed only when its slot holds an older number or nothing, so
//! an `n` that was executed before is either found in its slot or met by a larger one there.

use super::{Outcome, Refusal};
use crate::command::Origin;
use crate::rows::{Rows, SessionRow, SlotRow};

/// How many results a session's window holds.
pub const SESSION_WINDOW: u64 = 1024;

/// How many sessions are open at the most; one more evicts the one unused for longest.
pub const SESSIONS_MAX: u64 = 10_000;

/// How far (in log positions) a session's `used` may lag behind its last use, so that not every
/// write rewrites it. Far below [`SESSIONS_MAX`]: as opening a session takes an entry, a session
/// in use can't become the oldest before it is brought up to date.
pub const TOUCH_POSITIONS: u64 = 1024;

/// What the window says of a request.
pub(super) enum Seen {
    /// It is new: execute it.
    Never,
    /// This is its result; don't execute it.
    Before(Outcome),
}

/// Looks a request up, and notes that its session is in use.
pub(super) fn look<R: Rows>(rows: &mut R, position: u64, origin: Origin) -> Result<Seen, R::Error> {
    let expired = Seen::Before(Outcome::Refused(Refusal::IdExpired));
    let Some(session) = rows.session(origin.session)? else { return Ok(expired) };
    if origin.n == 0 {
        return Ok(expired);
    }
    if position.saturating_sub(session.used) >= TOUCH_POSITIONS {
        rows.put_session(origin.session, SessionRow { used: position, ..session })?;
    }
    let Some(slot) = rows.slot(origin.session, slot_of(origin.n))? else { return Ok(Seen::Never) };
    Ok(if slot.n < origin.n {
        Seen::Never
    } else if slot.n > origin.n {
        expired
    } else if slot.digest != origin.digest {
        Seen::Before(Outcome::Refused(Refusal::IdConflict))
    } else {
        Seen::Before(slot.outcome)
    })
}

/// Keeps a request's result for its repeats.
pub(super) fn remember<R: Rows>(
    rows: &mut R,
    origin: Origin,
    outcome: &Outcome,
) -> Result<(), R::Error> {
    let row = SlotRow { n: origin.n, digest: origin.digest, outcome: outcome.clone() };
    rows.put_slot(origin.session, slot_of(origin.n), &row)
}

/// Opens a session. A number that is open already is refused with a conflict: two owners must
/// not share a window, and the primary can propose another random number.
///
/// Evicting removes at most a window's results, each of which an entry of its own had stored:
/// bounded work per entry, constant on average.
pub(super) fn open<R: Rows>(
    rows: &mut R,
    position: u64,
    session: u64,
) -> Result<Outcome, R::Error> {
    if rows.session(session)?.is_some() {
        return Ok(Outcome::Refused(Refusal::IdConflict));
    }
    let mut counters = rows.counters()?;
    if counters.sessions >= SESSIONS_MAX {
        if let Some(oldest) = rows.oldest_session()? {
            rows.remove_session(oldest)?;
        }
    } else {
        counters.sessions += 1;
        rows.put_counters(counters)?;
    }
    rows.put_session(session, SessionRow { opened: position, used: position })?;
    Ok(Outcome::Session { session })
}

fn slot_of(n: u64) -> u16 {
    (n % SESSION_WINDOW) as u16
}
