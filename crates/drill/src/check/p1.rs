//! P1: every acknowledged write is in the final history.
//!
//! In its topic, under the number that was acknowledged, with the same text, sender and public id.
//! And when it was acknowledged it was on the disk of every active server: the acknowledgement
//! says on how many, and that can't be fewer than were active all the time from the attempt to
//! its acknowledgement.

use super::evidence::Evidence;
use super::verdict::{Breaks, Found, Line, Verdict, held};
use crate::history::{Ack, Active, Outcome, Write};

/// A server may be dropped so long before the member table that others see shows it.
const SHOWN_AFTER_US: u64 = 500_000;

pub(super) fn check(evidence: &Evidence<'_>) -> Verdict {
    if evidence.end().is_none() {
        return Verdict::NotChecked(Evidence::NO_END);
    }
    let mut breaks = Breaks::new();
    let mut checked = 0;
    for write in &evidence.history.writes {
        for ack in write.acks() {
            checked += 1;
            let kept = evidence.row(&write.topic, ack.seq).is_some_and(|kept| {
                kept.row.text == write.text
                    && kept.row.from == write.from
                    && ack.message_id.is_none_or(|id| id == kept.message_id)
            });
            if kept {
                continue;
            }
            breaks.add(ack.at_us, || {
                let (seq, topic) = (ack.seq, &write.topic);
                let mut messages = vec![&*write.text];
                let instead = match evidence.row(topic, seq) {
                    Some(other) if other.row.text == write.text => {
                        "its sender or its id is another one".to_owned()
                    }
                    Some(other) => {
                        messages.push(&*other.row.text);
                        format!("{:?} stands there", other.row.text)
                    }
                    None => format!("the topic ends with {}", evidence.newest(topic)),
                };
                let text = &write.text;
                let what = format!(
                    "{text:?} was acknowledged as {seq} of {topic}, but is not there: {instead}"
                );
                Found::new(what, messages)
            });
        }
    }
    on_every_disk(evidence, &mut breaks);
    breaks.verdict(evidence, || held(checked, "acknowledgements", "nothing was acknowledged"))
}

/// Acknowledgements that came before every active server had the message on disk.
fn on_every_disk<'a>(evidence: &Evidence<'a>, breaks: &mut Breaks<'a>) {
    let active = &evidence.history.active;
    // Who is active changes rarely: between two changes all acknowledgements have the same list.
    let mut changes: Vec<u64> = active.iter().flat_map(|a| [a.from_us, a.to_us]).collect();
    changes.sort_unstable();
    changes.dedup();
    let mut lists: Vec<Vec<&Active>> = vec![Vec::new(); changes.len()];
    for active in active {
        let first = changes.partition_point(|at| *at < active.from_us);
        let last = changes.partition_point(|at| *at < active.to_us);
        lists[first..=last].iter_mut().for_each(|list| list.push(active));
    }
    for write in &evidence.history.writes {
        for attempt in &write.attempts {
            let Outcome::Acked(ack) = &attempt.outcome else { continue };
            let sent_at_us = attempt.sent_at_us;
            let since = changes.partition_point(|at| *at <= sent_at_us);
            let Some(list) = since.checked_sub(1).and_then(|at| lists.get(at)) else { continue };
            let until_us = ack.at_us.saturating_add(SHOWN_AFTER_US);
            let throughout = list.iter().filter(|a| a.from_us <= sent_at_us && a.to_us >= until_us);
            let count = throughout.clone().count();
            if ack.stored > 0 && count > ack.stored as usize {
                let names: Vec<&str> = throughout.map(|active| &*active.server).collect();
                breaks.add(ack.at_us, || too_early(write, ack, &names));
            }
        }
    }
}

fn too_early<'a>(write: &'a Write, ack: &Ack, names: &[&str]) -> Found<'a> {
    let (text, stored, active) = (&write.text, ack.stored, names.len());
    let what = format!(
        "{text:?} was acknowledged when it was on {stored} disks, while {active} servers were active"
    );
    let line = format!("active were {}", names.join(", "));
    let also = vec![Line { at_us: Some(ack.at_us), text: line }];
    Found { what, messages: vec![&*write.text], also }
}
