//! P3: numbers are 1, 2, 3 … in each topic and the same for every reader.
//!
//! The final history of every topic has no hole and no number twice. Every page is without holes:
//! it begins where it was asked to begin, or ends where it was asked to end. What one reader,
//! subscriber or acknowledgement has under a number, all others have too. A subscriber that had
//! time to fill its gaps misses nothing between its first message and the topic's end.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::evidence::Evidence;
use super::verdict::{Breaks, Found, Line, Verdict, held};
use crate::history::{Read, Topic};

pub(super) fn check(evidence: &Evidence<'_>) -> Verdict {
    let mut breaks = Breaks::new();
    holes(evidence, &mut breaks);
    let checked = sightings(evidence, &mut breaks);
    for read in evidence.history.reads.iter().filter(|read| read.with.is_none()) {
        page(read, &mut breaks);
    }
    subscribers(evidence, &mut breaks);
    breaks.verdict(evidence, || match evidence.end() {
        Some(_) => held(checked, "sightings of messages", "no message was seen"),
        None => Verdict::NotChecked(Evidence::NO_END),
    })
}

/// Holes and repeats in the final history.
fn holes<'a>(evidence: &Evidence<'a>, breaks: &mut Breaks<'a>) {
    let Some(end) = evidence.end() else { return };
    for topic in end.topics.keys() {
        for (row, expected) in evidence.rows(topic).iter().zip(1..) {
            let seq = row.row.seq;
            if seq == expected {
                continue;
            }
            breaks.add(end.at_us, || {
                let what = format!("{topic} has {seq} where {expected} should be, at the end");
                Found::new(what, vec![&*row.row.text])
            });
            break;
        }
    }
}

/// Who saw what under which number: the same for all. Gives how many sightings there were.
fn sightings<'a>(evidence: &Evidence<'a>, breaks: &mut Breaks<'a>) -> u64 {
    let history = evidence.history;
    let mut known: HashMap<&'a Topic, HashMap<u64, &'a str>> = HashMap::new();
    let mut checked = 0;
    let mut see = |at_us: u64, topic: &'a Topic, seq: u64, text: &'a str| {
        checked += 1;
        let first = *known.entry(topic).or_default().entry(seq).or_insert(text);
        if first != text {
            breaks.add(at_us, || {
                let what =
                    format!("{seq} of {topic} is {first:?} for one and {text:?} for another");
                Found::new(what, vec![first, text])
            });
        }
    };
    for (topic, rows) in history.end.iter().flat_map(|end| &end.topics) {
        for row in rows {
            see(u64::MAX, topic, row.row.seq, &row.row.text);
        }
    }
    for write in &history.writes {
        for ack in write.acks() {
            see(ack.at_us, &write.topic, ack.seq, &write.text);
        }
    }
    for read in history.reads.iter().filter(|read| read.with.is_none()) {
        for row in &read.rows {
            see(read.got_at_us, &read.topic, row.seq, &row.text);
        }
    }
    for delivery in &history.deliveries {
        see(delivery.at_us, &delivery.topic, delivery.row.seq, &delivery.row.text);
    }
    checked
}

/// A page without holes, at the place that was asked for.
fn page<'a>(read: &'a Read, breaks: &mut Breaks<'a>) {
    let numbers: Vec<u64> = read.rows.iter().map(|row| row.seq).collect();
    // The first and the last number that the page may have.
    let lowest = read.after.map_or(1, |after| after.saturating_add(1));
    let highest =
        read.before.map_or(read.newest, |before| read.newest.min(before.saturating_sub(1)));
    let whole = numbers.windows(2).all(|pair| pair[0].checked_add(1) == Some(pair[1]));
    let placed = match (numbers.first(), numbers.last()) {
        (Some(&first), Some(&last)) => {
            let begins = if read.after.is_some() { first == lowest } else { last == highest };
            begins && first >= lowest && last <= highest
        }
        _ => lowest > highest,
    };
    if whole && placed {
        return;
    }
    breaks.add(read.got_at_us, || {
        let what = format!(
            "a page of {} has a hole: it should begin with {lowest} or end with {highest}",
            read.topic
        );
        let got = match (numbers.first(), numbers.last()) {
            (Some(first), Some(last)) => format!("{} rows from {first} to {last}", numbers.len()),
            _ => "no rows".to_owned(),
        };
        let text = format!(
            "client {} reads {}{}{}{} and gets {got}, the newest being {}",
            read.client,
            read.topic,
            read.after.map_or(String::new(), |after| format!(" after {after}")),
            read.before.map_or(String::new(), |before| format!(" before {before}")),
            read.server.as_ref().map_or(String::new(), |server| format!(" from {server}")),
            read.newest
        );
        let also = vec![Line { at_us: Some(read.got_at_us), text }];
        Found { what, messages: Vec::new(), also }
    });
}

/// What settled subscribers miss.
fn subscribers<'a>(evidence: &Evidence<'a>, breaks: &mut Breaks<'a>) {
    let history = evidence.history;
    let mut got: BTreeMap<u32, BTreeSet<u64>> = BTreeMap::new();
    let settled = history.subscriptions.iter().filter(|s| s.settled && s.to_us.is_none());
    let topics: HashMap<u32, &'a Topic> = settled.map(|s| (s.subscriber, &s.topic)).collect();
    for delivery in &history.deliveries {
        if topics.get(&delivery.subscriber).is_some_and(|topic| **topic == delivery.topic) {
            got.entry(delivery.subscriber).or_default().insert(delivery.row.seq);
        }
    }
    for (subscriber, numbers) in got {
        let Some((&first, topic)) = numbers.first().zip(topics.get(&subscriber)) else { continue };
        let missed = (first..=evidence.newest(topic)).find(|seq| !numbers.contains(seq));
        let Some(seq) = missed else { continue };
        let row = evidence.row(topic, seq);
        let sent = row.and_then(|row| evidence.write(&row.row.text)).map(|w| w.sent_at_us());
        breaks.add(sent.unwrap_or(0), || {
            let what = format!("subscriber {subscriber} of {topic} never got {seq}");
            Found::new(what, row.map(|row| &*row.row.text).into_iter().collect())
        });
    }
}
