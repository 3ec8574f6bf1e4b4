//! P2: each request id takes effect at most once.
//!
//! No text stands twice in the final history, no public id does, and no two messages were
//! acknowledged under one request id. A write that was acknowledged several times got the same
//! number each time. A write of which every attempt was refused took no effect (its sender may
//! send it again under a new id), and nothing is there that nobody sent; where others write too,
//! nothing that none of our users sent.

use std::collections::HashMap;

use super::evidence::Evidence;
use super::verdict::{Breaks, Found, Verdict, held};
use crate::history::{End, RequestId, Write};

pub(super) fn check(evidence: &Evidence<'_>) -> Verdict {
    let mut breaks = Breaks::new();
    answers(evidence, &mut breaks);
    let mut checked = 0;
    if let Some(end) = evidence.end() {
        checked = rows(evidence, end, &mut breaks);
    }
    breaks.verdict(evidence, || match evidence.end() {
        Some(_) => held(checked, "messages", "no message was stored"),
        None => Verdict::NotChecked(Evidence::NO_END),
    })
}

/// What clients were told.
fn answers<'a>(evidence: &Evidence<'a>, breaks: &mut Breaks<'a>) {
    let mut owners: HashMap<RequestId, &'a Write> = HashMap::new();
    for write in &evidence.history.writes {
        let Some(first) = write.first_ack() else { continue };
        for other in write.acks().filter(|ack| ack.seq != first.seq) {
            breaks.add(other.at_us, || {
                let (text, a, b) = (&write.text, first.seq, other.seq);
                let what = format!("{text:?} was acknowledged as {a} and again as {b}");
                Found::new(what, vec![&*write.text])
            });
        }
        let Some(id) = write.id else { continue };
        if let Some(owner) = owners.insert(id, write) {
            breaks.add(first.at_us, || {
                let what = format!(
                    "{:?} and {:?} were both acknowledged under request {} of session {}",
                    owner.text, write.text, id.n, id.session
                );
                Found::new(what, vec![&*owner.text, &*write.text])
            });
        }
    }
}

/// What is there at the end.
fn rows<'a>(evidence: &Evidence<'a>, end: &'a End, breaks: &mut Breaks<'a>) -> u64 {
    let expected = evidence.history.writes.len();
    let mut texts = HashMap::with_capacity(expected);
    let mut ids = HashMap::with_capacity(expected);
    let mut checked = 0;
    let all = end.topics.iter().flat_map(|(topic, rows)| rows.iter().map(move |row| (topic, row)));
    for (topic, row) in all {
        checked += 1;
        let (text, seq) = (&*row.row.text, row.row.seq);
        let write = evidence.write(text);
        let at_us = write.map_or(end.at_us, Write::sent_at_us);
        // Others may say the same thing as often as they like.
        let foreign = evidence.is_foreign(&row.row);
        if !foreign && let Some((other, number)) = texts.insert(text, (topic, seq)) {
            breaks.add(at_us, || {
                let what = format!(
                    "{text:?} took effect twice: as {number} of {other} and as {seq} of {topic}"
                );
                Found::new(what, vec![text])
            });
        } else if let Some(other) = ids.insert(row.message_id, text) {
            breaks.add(at_us, || {
                let what = format!("{other:?} and {text:?} have the same public id");
                Found::new(what, vec![other, text])
            });
        }
        match write {
            None if foreign => {}
            None => breaks.add(at_us, || {
                let what = format!("{text:?} stands as {seq} in {topic}, and nobody sent it");
                Found::new(what, vec![text])
            }),
            Some(write) if write.is_refused() => breaks.add(at_us, || {
                let what = format!("{text:?} was refused, but stands as {seq} in {topic}");
                Found::new(what, vec![text])
            }),
            Some(_) => {}
        }
    }
    checked
}
