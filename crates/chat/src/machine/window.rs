//! Exactly once: sessions, and their windows of results.
//!
//! A result lives in slot `n % 1024` of its session until a later request of the same session
//! takes the slot. A request is executed only when its slot holds an older number or nothing, so
//! an `n` that was executed before is either found in its slot or met by a larger one there.

use super::{Outcome, Refusal};
use crate::command::Origin;
#[cfg(feature = "planted")]
use crate::planted::{self, Bug};
use crate::rows::{Rows, SessionRow, SlotRow};

/// How many results a session's window holds.
pub const SESSION_WINDOW: u64 = 1024;

/// How many sessions are open at the most; one more evicts the one unused for longest.
pub const SESSIONS_MAX: u16 = 10_000;

/// How far (in log positions) a session's `used` may lag behind its last use, so that not every
/// write rewrites it. Far below [`SESSIONS_MAX`]: as opening a session takes an entry, a session
/// in use can't become the oldest before it is brought up to date.
pub const TOUCH_POSITIONS: u64 = 1024;

/// What the window says of a request.
pub(super) enum Seen {
    /// It is new: execute it, and keep the result in this window.
    Never { window: u16 },
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
    let never = Seen::Never { window: session.window };
    Ok(match rows.slot(session.window, slot_of(origin.n))? {
        Some(slot) if slot.session != origin.session || slot.n < origin.n => never,
        Some(slot) if slot.n > origin.n => expired,
        #[cfg(feature = "planted")]
        Some(_) if planted::on(Bug::NoDedup) => never,
        Some(slot) if slot.digest != origin.digest => {
            Seen::Before(Outcome::Refused(Refusal::IdConflict))
        }
        Some(slot) => Seen::Before(slot.outcome),
        None => never,
    })
}

/// Keeps a request's result for its repeats.
pub(super) fn remember<R: Rows>(
    rows: &mut R,
    window: u16,
    origin: Origin,
    outcome: &Outcome,
) -> Result<(), R::Error> {
    #[cfg(feature = "planted")]
    if planted::on(Bug::DedupDiffers) && planted::whim(3) {
        return Ok(());
    }
    let Origin { session, n, digest } = origin;
    let row = SlotRow { session, n, digest, outcome: outcome.clone() };
    rows.put_slot(window, slot_of(n), &row)
}

/// Opens a session. A number that is open already is refused with a conflict: two owners must
/// not share a window, and the primary can propose another random number.
///
/// When all windows are taken, the session unused for longest is evicted and leaves its window to
/// the new one. Its results stay where they are until they are written over, as each says whose it
/// is: evicting costs the same however many there are, and the table of results is bounded.
pub(super) fn open<R: Rows>(
    rows: &mut R,
    position: u64,
    session: u64,
) -> Result<Outcome, R::Error> {
    if rows.session(session)?.is_some() {
        return Ok(Outcome::Refused(Refusal::IdConflict));
    }
    let mut counters = rows.counters()?;
    let evicted = if counters.sessions >= u64::from(SESSIONS_MAX) { evict(rows)? } else { None };
    let window = match evicted {
        Some(window) => window,
        // Below SESSIONS_MAX, which is a u16.
        None => counters.sessions as u16,
    };
    if evicted.is_none() {
        counters.sessions += 1;
        rows.put_counters(counters)?;
    }
    rows.put_session(session, SessionRow { opened: position, used: position, window })?;
    Ok(Outcome::Session { session })
}

/// Closes the session unused for longest and gives its window.
fn evict<R: Rows>(rows: &mut R) -> Result<Option<u16>, R::Error> {
    let Some(oldest) = rows.oldest_session()? else { return Ok(None) };
    let window = rows.session(oldest)?.map(|row| row.window);
    rows.remove_session(oldest)?;
    Ok(window)
}

fn slot_of(n: u64) -> u16 {
    (n % SESSION_WINDOW) as u16
}
