//! What a drill tells in the end: a verdict on every promise, what was counted, the longest waits,
//! and one last line. Pure text, and the same as JSON, from a [history](crate::history).

mod counts;
mod gaps;
mod json;
mod movers;
#[cfg(test)]
mod tests;
mod text;

use crate::check::{Findings, check};
use crate::history::History;
pub use counts::Counts;
pub use gaps::{Gaps, Spread, Wait};
pub use movers::Movers;

/// Everything that is told.
#[derive(Clone, Debug)]
pub struct Report {
    /// The verdicts.
    pub findings: Findings,
    /// What was counted.
    pub counts: Counts,
    /// The times without an acknowledgement.
    pub gaps: Gaps,
    /// The waits of those that move to another broker or proxy.
    pub movers: Movers,
}

impl Report {
    /// Checks and counts.
    pub fn of(history: &History) -> Report {
        Report {
            findings: check(history),
            counts: Counts::of(history),
            gaps: Gaps::of(history),
            movers: Movers::of(history),
        }
    }

    /// Whether no promise was broken. One that was not checked is none that was held: see
    /// [`Findings::not_checked`].
    pub fn is_unbroken(&self) -> bool {
        self.findings.broken().is_empty()
    }
}
