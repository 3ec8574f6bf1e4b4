//! P5: nobody sees what was not committed, and reads never go backwards.
//!
//! What anybody read or received stands in the final history, in that topic under that number, and
//! was not seen before it was sent. A read sees all that was there before it was asked for: what
//! had been acknowledged, what had been delivered, and what any read that had ended had seen,
//! whoever it was and whichever server answered.

use std::collections::BTreeMap;

use super::evidence::Evidence;
use super::verdict::{Breaks, Found, Line, Verdict, held};
use crate::history::{Read, Row, Topic};

pub(super) fn check(evidence: &Evidence<'_>) -> Verdict {
    let history = evidence.history;
    let mut breaks = Breaks::new();
    let mut seen = Seen { evidence, breaks: &mut breaks, checked: 0 };
    for read in &history.reads {
        let who = || format!("client {}", read.client);
        for row in &read.rows {
            seen.row(read.got_at_us, &read.topic, read.with.is_some(), row, who);
        }
        seen.newest(read);
    }
    for delivery in &history.deliveries {
        let who = || format!("subscriber {}", delivery.subscriber);
        seen.row(delivery.at_us, &delivery.topic, false, &delivery.row, who);
    }
    let checked = seen.checked + backwards(evidence, &mut breaks);
    breaks.verdict(evidence, || match evidence.end() {
        Some(_) => held(checked, "rows and pages", "nobody read or received anything"),
        None => Verdict::NotChecked(Evidence::NO_END),
    })
}

struct Seen<'e, 'a, 'b> {
    evidence: &'e Evidence<'a>,
    breaks: &'b mut Breaks<'a>,
    checked: u64,
}

impl<'a> Seen<'_, 'a, '_> {
    /// A row that somebody saw. Of a talk between two, each row's topic is the recipient's inbox.
    fn row(
        &mut self,
        at_us: u64,
        topic: &'a Topic,
        talk: bool,
        row: &'a Row,
        who: impl Fn() -> String,
    ) {
        self.checked += 1;
        let evidence = self.evidence;
        let text = &*row.text;
        let sent = evidence.write(text).map(|write| write.sent_at_us());
        if let Some(sent) = sent.filter(|sent| at_us < *sent) {
            self.breaks.add(at_us, || {
                let what = format!("{} saw {text:?} before it was sent at {sent} µs", who());
                Found::new(what, vec![text])
            });
        }
        if evidence.end().is_none() {
            return;
        }
        let kept = if talk {
            evidence.place(text).is_some_and(|(_, seq)| seq == row.seq)
        } else {
            evidence.row(topic, row.seq).is_some_and(|kept| kept.row == *row)
        };
        if !kept {
            self.breaks.add(at_us, || {
                let seq = row.seq;
                let mut messages = vec![text];
                let end = match evidence.row(topic, seq) {
                    Some(other) if *other.row.text == *text => "has another sender".to_owned(),
                    Some(other) => {
                        messages.push(&*other.row.text);
                        format!("is {:?}", other.row.text)
                    }
                    None => "is not there".to_owned(),
                };
                let what =
                    format!("{} saw {text:?} as {seq} of {topic}, which {end} at the end", who());
                Found::new(what, messages)
            });
        }
    }

    /// The highest number that a read was told.
    fn newest(&mut self, read: &'a Read) {
        self.checked += 1;
        let newest = self.evidence.newest(&read.topic);
        let told = read.with.is_none() && self.evidence.end().is_some() && read.newest > newest;
        if told {
            self.breaks.add(read.got_at_us, || {
                let what = format!(
                    "client {} was told that {} has {} messages, but it has {newest} at the end",
                    read.client, read.topic, read.newest
                );
                Found { what, messages: Vec::new(), also: vec![reads(read)] }
            });
        }
    }
}

/// What happened at one time to a topic's highest known number.
enum Event<'a> {
    /// Somebody knows of this number from now on.
    Known { seq: u64, how: How<'a> },
    /// A read is asked for.
    Asked(&'a Read),
}

enum How<'a> {
    Message(&'a str),
    Read(&'a Read),
}

/// Reads that saw less than was known when they were asked for. Gives how many reads there were.
fn backwards<'a>(evidence: &Evidence<'a>, breaks: &mut Breaks<'a>) -> u64 {
    let history = evidence.history;
    let mut topics: BTreeMap<&Topic, Vec<(u64, Event<'a>)>> = BTreeMap::new();
    let mut checked = 0;
    for read in history.reads.iter().filter(|read| read.with.is_none()) {
        checked += 1;
        let events = topics.entry(&read.topic).or_default();
        events.push((read.sent_at_us, Event::Asked(read)));
        events.push((read.got_at_us, Event::Known { seq: read.newest, how: How::Read(read) }));
    }
    let mut known = |topic: &'a Topic, at_us: u64, seq: u64, text: &'a str| {
        // A topic that nobody reads needs no events.
        if let Some(events) = topics.get_mut(topic) {
            events.push((at_us, Event::Known { seq, how: How::Message(text) }));
        }
    };
    for write in &history.writes {
        if let Some(ack) = write.first_ack() {
            known(&write.topic, ack.at_us, ack.seq, &write.text);
        }
    }
    for delivery in &history.deliveries {
        known(&delivery.topic, delivery.at_us, delivery.row.seq, &delivery.row.text);
    }
    for events in topics.into_values() {
        sweep(events, breaks);
    }
    checked
}

fn sweep<'a>(mut events: Vec<(u64, Event<'a>)>, breaks: &mut Breaks<'a>) {
    // What became known in the very µs of the question need not be seen: questions first.
    events.sort_by_key(|(at_us, event)| (*at_us, matches!(event, Event::Known { .. })));
    let mut known: Option<(u64, u64, How<'a>)> = None;
    for (at_us, event) in events {
        match event {
            Event::Known { seq, how } => {
                if known.as_ref().is_none_or(|(highest, _, _)| *highest < seq) {
                    known = Some((seq, at_us, how));
                }
            }
            Event::Asked(read) => {
                let Some((seq, since_us, how)) = known.as_ref() else { continue };
                if read.newest >= *seq {
                    continue;
                }
                breaks.add(read.got_at_us, || {
                    let what = format!(
                        "client {} read {} up to {} only, though {seq} was known before it asked",
                        read.client, read.topic, read.newest
                    );
                    let mut also = vec![reads(read)];
                    let mut messages = Vec::new();
                    match how {
                        How::Message(text) => {
                            let text = format!("{text:?} is known to be {seq} of {}", read.topic);
                            also.push(Line { at_us: Some(*since_us), text });
                        }
                        How::Read(earlier) => also.push(reads(earlier)),
                    }
                    if let How::Message(text) = how {
                        messages.push(*text);
                    }
                    Found { what, messages, also }
                });
            }
        }
    }
}

/// A read as a line.
fn reads(read: &Read) -> Line {
    let server = read.server.as_ref().map_or(String::new(), |server| format!(" from {server}"));
    let text = format!(
        "client {} is told{server} that the newest of {} is {} (asked at {:.6} s)",
        read.client,
        read.topic,
        read.newest,
        read.sent_at_us as f64 / 1e6
    );
    Line { at_us: Some(read.got_at_us), text }
}
