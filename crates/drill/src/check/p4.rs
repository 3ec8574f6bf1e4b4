//! P4: what was acknowledged before another was sent has the smaller number.
//!
//! Within one topic, and for every pair: if A's acknowledgement was there before B was sent for
//! the first time, A's number is the smaller one. B may be unacknowledged, as long as it has a
//! number at the end. One walk along the numbers finds all: behind A no message may have been
//! sent later than A was acknowledged *and* have a smaller number.

use std::collections::BTreeMap;

use super::evidence::Evidence;
use super::verdict::{Breaks, Found, Verdict, held};
use crate::history::{Topic, Write};

pub(super) fn check(evidence: &Evidence<'_>) -> Verdict {
    let mut topics: BTreeMap<&Topic, Vec<(u64, &Write)>> = BTreeMap::new();
    for write in &evidence.history.writes {
        if let Some(seq) = number(evidence, write) {
            topics.entry(&write.topic).or_default().push((seq, write));
        }
    }
    let mut breaks = Breaks::new();
    let mut checked = 0;
    for (topic, mut writes) in topics {
        if writes.len() < 2 {
            continue;
        }
        writes.sort_by_key(|(seq, _)| *seq);
        checked += writes.len() as u64;
        walk(topic, &writes, &mut breaks);
    }
    breaks.verdict(evidence, || held(checked, "messages in order", "no topic has two messages"))
}

/// The number that was acknowledged, else the one at the end.
fn number(evidence: &Evidence<'_>, write: &Write) -> Option<u64> {
    let acked = write.first_ack().map(|ack| ack.seq);
    acked.or_else(|| {
        let (topic, seq) = evidence.place(&write.text)?;
        (*topic == write.topic).then_some(seq)
    })
}

fn walk<'a>(topic: &Topic, writes: &[(u64, &'a Write)], breaks: &mut Breaks<'a>) {
    // The latest sent of those with a smaller number.
    let mut latest: Option<(u64, &Write)> = None;
    for &(seq, write) in writes {
        if let (Some(ack), Some((smaller, other))) = (write.first_ack(), latest)
            && smaller < seq
            && ack.at_us < other.sent_at_us()
        {
            breaks.add(other.sent_at_us(), || {
                let what = format!(
                    "{:?} was acknowledged as {seq} of {topic} before {:?} was sent, \
                     which got the smaller number {smaller}",
                    write.text, other.text
                );
                Found::new(what, vec![&*write.text, &*other.text])
            });
        }
        if latest.is_none_or(|(_, other)| other.sent_at_us() < write.sent_at_us()) {
            latest = Some((seq, write));
        }
    }
}
