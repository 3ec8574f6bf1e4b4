//! The promises, one file each: from a [history](crate::history) to a verdict.
//!
//! Every check is a pure function. What was not answered counts as *unknown*, never as failed; a
//! promise of which nothing was seen is *not checked*, never held.

mod evidence;
mod p1;
mod p2;
mod p3;
mod p4;
mod p5;
mod p6;
mod p7;
mod p8;
mod story;
#[cfg(test)]
mod tests;
mod verdict;

use crate::history::History;
use evidence::Evidence;
pub use verdict::{Excerpt, Line, Promise, Verdict};

/// The verdicts on all promises, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings(pub Vec<(Promise, Verdict)>);

/// Checks every promise against what was done and seen.
pub fn check(history: &History) -> Findings {
    let evidence = Evidence::gather(history);
    Findings(Promise::ALL.iter().map(|promise| (*promise, one(*promise, &evidence))).collect())
}

fn one(promise: Promise, evidence: &Evidence<'_>) -> Verdict {
    match promise {
        Promise::P1 => p1::check(evidence),
        Promise::P2 => p2::check(evidence),
        Promise::P3 => p3::check(evidence),
        Promise::P4 => p4::check(evidence),
        Promise::P5 => p5::check(evidence),
        Promise::P6 => p6::check(evidence),
        Promise::P7 => p7::check(evidence),
        Promise::P8 => p8::check(evidence),
    }
}

impl Findings {
    /// The verdict on one promise.
    pub fn of(&self, promise: Promise) -> &Verdict {
        const NONE: &Verdict = &Verdict::NotChecked("it was left out");
        self.0.iter().find(|(p, _)| *p == promise).map_or(NONE, |(_, verdict)| verdict)
    }

    /// The promises that were broken.
    pub fn broken(&self) -> Vec<Promise> {
        self.those(|verdict| matches!(verdict, Verdict::Broken { .. }))
    }

    /// The promises of which nothing was seen.
    pub fn not_checked(&self) -> Vec<Promise> {
        self.those(|verdict| matches!(verdict, Verdict::NotChecked(_)))
    }

    fn those(&self, which: impl Fn(&Verdict) -> bool) -> Vec<Promise> {
        self.0.iter().filter(|(_, verdict)| which(verdict)).map(|(promise, _)| *promise).collect()
    }
}
