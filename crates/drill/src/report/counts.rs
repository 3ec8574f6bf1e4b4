//! How many of what.

use std::collections::{BTreeMap, HashSet};

use crate::history::{History, Name, Source};

/// Counts of one drill.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages that were acknowledged.
    pub acks: u64,
    /// Messages of which nobody knows whether they were stored.
    pub unknowns: u64,
    /// Messages that were refused, at every attempt.
    pub refusals: u64,
    /// Attempts behind the first one of a message.
    pub retries: u64,
    /// Pages that were read.
    pub reads: u64,
    /// Messages that subscribers got, repeats left out.
    pub deliveries: u64,
    /// Deliveries of what the same subscriber had got already.
    pub repeats: u64,
    /// Deliveries that came from the history.
    pub filled: u64,
    /// Gaps that subscribers saw.
    pub gaps: u64,
    /// Gaps of which all was fetched.
    pub gaps_filled: u64,
    /// Faults by kind.
    pub faults: BTreeMap<Name, u64>,
    /// Kinds of faults that could not be made here, and why.
    pub skipped: BTreeMap<Name, Name>,
}

impl Counts {
    /// Counts what a history has.
    pub fn of(history: &History) -> Counts {
        let mut counts = Counts { reads: history.reads.len() as u64, ..Counts::default() };
        for write in &history.writes {
            counts.retries += write.attempts.len().saturating_sub(1) as u64;
            if write.acks().next().is_some() {
                counts.acks += 1;
            } else if write.is_refused() {
                counts.refusals += 1;
            } else {
                counts.unknowns += 1;
            }
        }
        let mut seen = HashSet::new();
        for delivery in &history.deliveries {
            if seen.insert((delivery.subscriber, &delivery.topic, delivery.row.seq)) {
                counts.deliveries += 1;
            } else {
                counts.repeats += 1;
            }
            counts.filled += u64::from(delivery.source == Source::Filled);
        }
        counts.gaps = history.gaps.len() as u64;
        counts.gaps_filled =
            history.gaps.iter().filter(|gap| gap.filled_at_us.is_some()).count() as u64;
        for fault in &history.faults {
            *counts.faults.entry(fault.kind.clone()).or_default() += 1;
        }
        for skipped in &history.skipped {
            counts.skipped.insert(skipped.kind.clone(), skipped.why.clone());
        }
        counts
    }
}
