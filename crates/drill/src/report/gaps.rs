//! How long nobody got an acknowledgement: overall, and after each kind of fault.
//!
//! A gap lies between two acknowledgements that follow each other, whoever got them; the last one
//! ends when the last message was sent, if that is later. The gap of a fault is the longest one
//! that was open when it began or that began behind it, within [`AFTER_FAULT_US`]. One that is
//! open when the next fault begins is the next fault's, unless it began within [`AT_ONCE_US`] and
//! may be due to either. These figures mean something only while clients send all the time.

use std::collections::BTreeMap;

use crate::history::{History, Name};

/// A gap that begins so long after a fault has another cause.
const AFTER_FAULT_US: u64 = 10_000_000;
/// A gap that begins so soon after a fault is the fault's, whatever else comes during it.
const AT_ONCE_US: u64 = 1_000_000;

/// A time without an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Since when, µs since the drill's start.
    pub from_us: u64,
    /// Until when.
    pub to_us: u64,
}

impl Wait {
    /// How long.
    pub fn us(self) -> u64 {
        self.to_us.saturating_sub(self.from_us)
    }
}

/// The gaps that followed the faults of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// How many faults there were.
    pub faults: u64,
    /// The median, µs.
    pub p50_us: u64,
    /// 99 of 100 are not longer, µs.
    pub p99_us: u64,
    /// The longest, µs.
    pub max_us: u64,
}

/// All gaps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// The longest of all; none without two acknowledgements.
    pub longest: Option<Wait>,
    /// By kind of fault.
    pub after: BTreeMap<Name, Spread>,
}

impl Gaps {
    /// Measures the gaps of a history: of all clients together.
    pub fn of(history: &History) -> Gaps {
        Gaps::in_waits(history, &[waits(history)])
    }

    /// The gaps of several clients, each for itself: after a fault it is that of the client that
    /// waited longest.
    pub(super) fn in_waits(history: &History, clients: &[Vec<Wait>]) -> Gaps {
        let mut starts: Vec<u64> = history.faults.iter().map(|fault| fault.from_us).collect();
        starts.sort_unstable();
        let mut after: BTreeMap<Name, Vec<u64>> = BTreeMap::new();
        for fault in &history.faults {
            let next = starts.partition_point(|start| *start <= fault.from_us);
            let until = fault.from_us.saturating_add(AFTER_FAULT_US);
            let until = starts.get(next).map_or(until, |start| until.min(*start));
            let longest =
                clients.iter().filter_map(|waits| longest_within(waits, fault.from_us, until));
            if let Some(us) = longest.max() {
                after.entry(fault.kind.clone()).or_default().push(us);
            }
        }
        Gaps {
            longest: clients.iter().flatten().copied().max_by_key(|wait| wait.us()),
            after: after.into_iter().map(|(kind, us)| (kind, spread(us))).collect(),
        }
    }
}

/// The waits from one acknowledgement to the next, in order.
fn waits(history: &History) -> Vec<Wait> {
    let mut at: Vec<u64> =
        history.writes.iter().flat_map(|write| write.acks().map(|ack| ack.at_us)).collect();
    at.sort_unstable();
    let attempts = history.writes.iter().flat_map(|write| &write.attempts);
    let last_sent = attempts.map(|attempt| attempt.sent_at_us).max();
    if let (Some(&last), Some(sent)) = (at.last(), last_sent)
        && sent > last
    {
        at.push(sent);
    }
    between(at)
}

/// From each of these times, in order, to the next.
pub(super) fn between(at: Vec<u64>) -> Vec<Wait> {
    at.windows(2).map(|pair| Wait { from_us: pair[0], to_us: pair[1] }).collect()
}

/// The longest wait of a fault that began at `from_us`, if the next cause came at `until_us`. None
/// when the fault came behind the last message: nobody waited.
fn longest_within(waits: &[Wait], from_us: u64, until_us: u64) -> Option<u64> {
    let first = waits.partition_point(|wait| wait.to_us <= from_us);
    let within = waits[first..].iter().take_while(|wait| wait.from_us < until_us);
    let at_once_us = from_us.saturating_add(AT_ONCE_US);
    let own = within.filter(|wait| wait.to_us <= until_us || wait.from_us < at_once_us);
    own.map(|wait| wait.us()).max()
}

fn spread(mut us: Vec<u64>) -> Spread {
    us.sort_unstable();
    Spread {
        faults: us.len() as u64,
        p50_us: percentile(&us, 50),
        p99_us: percentile(&us, 99),
        max_us: us.last().copied().unwrap_or(0),
    }
}

/// The smallest value that so many of 100 do not exceed (nearest rank).
fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0)
}

/// The median, the 99th percentile and the maximum.
#[cfg(test)]
pub(super) fn spread_of(us: Vec<u64>) -> (u64, u64, u64) {
    let spread = spread(us);
    (spread.p50_us, spread.p99_us, spread.max_us)
}
