//! From a break to the shortest account of it: what happened to its messages, and which faults
//! were on.

use super::verdict::{Excerpt, Found, Line};
use crate::history::{Fault, History, Outcome, Source, Write};

/// So many sightings of one message are told; the others are counted.
const MAX_SIGHTINGS: usize = 4;
/// So many faults are told.
const MAX_FAULTS: usize = 6;
/// Faults so long before the first line may have caused it.
const BEFORE_US: u64 = 2_000_000;

/// Tells a break that showed at `at_us`.
pub(super) fn tell(history: &History, at_us: u64, found: Found<'_>) -> Excerpt {
    let mut lines = found.also;
    let mut messages = found.messages;
    messages.dedup();
    for text in messages {
        lines.extend(message(history, text));
    }
    let first = lines.iter().filter_map(|line| line.at_us).min().unwrap_or(at_us);
    let last = lines.iter().filter_map(|line| line.at_us).max().unwrap_or(at_us);
    lines.extend(faults(history, first.saturating_sub(BEFORE_US), last));
    // What stood there at the end comes last.
    lines.sort_by_key(|line| (line.at_us.unwrap_or(u64::MAX), line.text.clone()));
    lines.dedup();
    Excerpt { what: found.what, lines }
}

/// What is known of one message.
fn message(history: &History, text: &str) -> Vec<Line> {
    let mut lines: Vec<Line> =
        history.writes.iter().filter(|write| &*write.text == text).flat_map(attempts).collect();
    let mut seen = sightings(history, text);
    seen.sort();
    let left = seen.len().saturating_sub(MAX_SIGHTINGS);
    lines.extend(seen.into_iter().take(MAX_SIGHTINGS));
    if left > 0 {
        lines.push(Line { at_us: None, text: format!("{text:?} was seen {left} times more") });
    }
    let Some(end) = &history.end else { return lines };
    let mut stands = false;
    for (topic, rows) in &end.topics {
        for row in rows.iter().filter(|row| &*row.row.text == text) {
            stands = true;
            let text = format!("{text:?} stands in {topic} under {} at the end", row.row.seq);
            lines.push(Line { at_us: None, text });
        }
    }
    if !stands {
        lines.push(Line { at_us: None, text: format!("{text:?} is nowhere at the end") });
    }
    lines
}

fn attempts(write: &Write) -> Vec<Line> {
    let mut lines = Vec::new();
    for attempt in &write.attempts {
        let (client, text, topic) = (write.client, &*write.text, &write.topic);
        let sent = format!("client {client} sends {text:?} to {topic}");
        let (at_us, answer) = match &attempt.outcome {
            Outcome::Acked(ack) => (
                Some(ack.at_us),
                format!(
                    "client {client} is told that {text:?} is stored under {}, on {} of {} servers",
                    ack.seq, ack.stored, ack.members
                ),
            ),
            Outcome::Refused { at_us, code } => {
                (Some(*at_us), format!("client {client} is told {code} for {text:?}"))
            }
            Outcome::Unknown => (None, String::new()),
        };
        match at_us {
            Some(_) => {
                lines.push(Line { at_us: Some(attempt.sent_at_us), text: sent });
                lines.push(Line { at_us, text: answer });
            }
            None => {
                let text = format!("{sent} and gets no answer");
                lines.push(Line { at_us: Some(attempt.sent_at_us), text });
            }
        }
    }
    lines
}

/// Who read the message, and who got it.
fn sightings(history: &History, text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    for read in &history.reads {
        for row in read.rows.iter().filter(|row| &*row.text == text) {
            let (client, seq, topic) = (read.client, row.seq, &read.topic);
            let server = read.server.as_ref().map_or(String::new(), |name| format!(" from {name}"));
            let text = format!("client {client} reads {text:?} in {topic} under {seq}{server}");
            lines.push(Line { at_us: Some(read.got_at_us), text });
        }
    }
    for delivery in history.deliveries.iter().filter(|delivery| &*delivery.row.text == text) {
        let (number, seq, topic) = (delivery.subscriber, delivery.row.seq, &delivery.topic);
        let how = match delivery.source {
            Source::Live => "gets",
            Source::Filled => "finds",
        };
        let text = format!("subscriber {number} {how} {text:?} of {topic} under {seq}");
        lines.push(Line { at_us: Some(delivery.at_us), text });
    }
    lines
}

/// The faults that were on in this time, or came in it; the latest ones, if there are many.
fn faults(history: &History, from_us: u64, to_us: u64) -> Vec<Line> {
    let on = |fault: &&Fault| {
        fault.from_us <= to_us && fault.to_us.unwrap_or(fault.from_us).max(fault.from_us) >= from_us
    };
    let mut lines: Vec<Line> = history.faults.iter().filter(on).map(fault).collect();
    lines.sort();
    lines.split_off(lines.len().saturating_sub(MAX_FAULTS))
}

fn fault(fault: &Fault) -> Line {
    let until = fault.to_us.map_or(String::new(), |to| {
        format!(", for {:.3} s", to.saturating_sub(fault.from_us) as f64 / 1e6)
    });
    let text = format!("fault: {} {}{until}", fault.kind, fault.target);
    Line { at_us: Some(fault.from_us), text }
}
