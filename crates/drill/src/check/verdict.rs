//! What a check says.

use std::fmt;

/// The promises, by the names they have in the documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each variant's words are in `rule`")]
pub enum Promise {
    P1,
    P2,
    P3,
    P4,
    P5,
    P6,
    P7,
    P8,
}

impl Promise {
    /// All of them, in their order.
    pub const ALL: &[Promise] = &[
        Promise::P1,
        Promise::P2,
        Promise::P3,
        Promise::P4,
        Promise::P5,
        Promise::P6,
        Promise::P7,
        Promise::P8,
    ];

    /// What is promised.
    pub fn rule(self) -> &'static str {
        match self {
            Promise::P1 => "every acknowledged write is in the final history",
            Promise::P2 => "each request id takes effect at most once",
            Promise::P3 => "numbers are 1, 2, 3 … in each topic and the same for every reader",
            Promise::P4 => "what was acknowledged before another was sent has the smaller number",
            Promise::P5 => "nobody sees what was not committed, and reads never go backwards",
            Promise::P6 => "at most one primary in a term, and no rank or node id given twice",
            Promise::P7 => "after healing all servers' states are identical",
            Promise::P8 => "a private message goes to its recipient's topic and nowhere else",
        }
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// How a promise fared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It held for all that was looked at.
    Held {
        /// How many were looked at.
        checked: u64,
        /// What they are, in the plural.
        what: &'static str,
    },
    /// It was broken.
    Broken {
        /// How often.
        times: u64,
        /// The first time.
        excerpt: Excerpt,
    },
    /// Nothing was seen that could have broken it; the reason.
    NotChecked(&'static str),
}

/// The shortest account of how a promise was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// What is wrong, in one sentence.
    pub what: String,
    /// Who did and saw what, and which faults were on; in the order of time.
    pub lines: Vec<Line>,
}

/// A line of an excerpt.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    /// When, µs since the drill's start; none for what stood there at the end.
    pub at_us: Option<u64>,
    /// What.
    pub text: String,
}

/// Counts breaks and keeps the earliest.
pub(super) struct Breaks<'a> {
    times: u64,
    first: Option<(u64, Found<'a>)>,
}

/// A break, before its story is told.
pub(super) struct Found<'a> {
    pub(super) what: String,
    /// The texts of the messages that it is about.
    pub(super) messages: Vec<&'a str>,
    /// What was seen besides the messages.
    pub(super) also: Vec<Line>,
}

impl<'a> Found<'a> {
    pub(super) fn new(what: String, messages: Vec<&'a str>) -> Found<'a> {
        Found { what, messages, also: Vec::new() }
    }
}

impl<'a> Breaks<'a> {
    pub(super) fn new() -> Breaks<'a> {
        Breaks { times: 0, first: None }
    }

    /// A break that showed at this time. It is put in words only if it is the first.
    pub(super) fn add(&mut self, at_us: u64, found: impl FnOnce() -> Found<'a>) {
        self.times += 1;
        if self.first.as_ref().is_none_or(|(first, _)| at_us < *first) {
            self.first = Some((at_us, found()));
        }
    }

    /// The verdict: broken if there was a break, else what `otherwise` says.
    pub(super) fn verdict(
        self,
        evidence: &super::Evidence<'_>,
        otherwise: impl FnOnce() -> Verdict,
    ) -> Verdict {
        match self.first {
            Some((at_us, found)) => Verdict::Broken {
                times: self.times,
                excerpt: super::story::tell(evidence.history, at_us, found),
            },
            None => otherwise(),
        }
    }
}

/// Held if anything was looked at, else not checked.
pub(super) fn held(checked: u64, what: &'static str, nothing: &'static str) -> Verdict {
    if checked == 0 { Verdict::NotChecked(nothing) } else { Verdict::Held { checked, what } }
}
