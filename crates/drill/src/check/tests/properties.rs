//! A random history of a chat that keeps its promises passes; changed in one place, it does not.

use std::collections::HashMap;

use proptest::prelude::*;

use super::model::{Fate, Model, STEP_US};
use crate::check::{Promise, check};
use crate::history::{Delivery, End, History, Led, Outcome, Read, Row, Source, Topic};

#[derive(Clone, Debug)]
enum Step {
    Write(usize, Fate),
    Read(usize, Option<u64>, usize),
    Talk,
}

fn step() -> impl Strategy<Value = (Step, u64)> {
    let fate = prop_oneof![
        6 => Just(Fate::Acked),
        1 => Just(Fate::Lost),
        1 => Just(Fate::Never),
        1 => Just(Fate::Refused),
        1 => Just(Fate::Repeated),
    ];
    let step = prop_oneof![
        4 => (0usize..4, fate).prop_map(|(topic, fate)| Step::Write(topic, fate)),
        2 => (0usize..4, prop::option::of(0u64..6), 1usize..8)
            .prop_map(|(topic, after, limit)| Step::Read(topic, after, limit)),
        1 => Just(Step::Talk),
    ];
    // Up to five steps wide, so that many are on their way at the same time.
    (step, 0..5 * STEP_US)
}

fn history(steps: &[(Step, u64)]) -> History {
    let mut model = Model::new();
    for (step, wide_us) in steps {
        match step {
            Step::Write(topic, fate) => model.write(*topic, *fate, *wide_us),
            Step::Read(topic, after, limit) => model.read(*topic, *after, *limit, *wide_us),
            Step::Talk => model.talk("ana", "bia"),
        }
    }
    model.history
}

fn end(history: &mut History) -> &mut End {
    history.end.as_mut().unwrap()
}

/// One change, in a place that `pick` chooses. Gives the promise that it breaks; none when this
/// history has no such place.
type Change = fn(&mut History, usize) -> Option<Promise>;

const CHANGES: &[(&str, Change)] = &[
    ("an acknowledged row is dropped", drop_row),
    ("two acknowledged rows change places", swap_rows),
    ("a row is there twice", double_row),
    ("two rows have one public id", double_id),
    ("a number is left out", skip_number),
    ("a read is stale", stale_read),
    ("a read invents a row", invent_row),
    ("a page loses a row", lose_from_page),
    ("order is turned round", turn_order),
    ("a subscriber loses a message", lose_delivery),
    ("another text is delivered", change_delivery),
    ("a term has two primaries", two_primaries),
    ("a rank is given twice", rank_twice),
    ("a state differs", flip_hash),
    ("a private message is published elsewhere", wrong_frame),
    ("a refused message is there", refuse_stored),
    ("an acknowledgement did not wait", too_early),
];

/// The places of all acknowledged rows: topic and index.
fn acked(history: &History) -> Vec<(Topic, usize)> {
    let acks = history.writes.iter().filter_map(|w| w.first_ack().map(|a| (&w.topic, a.seq)));
    acks.map(|(topic, seq)| (topic.clone(), seq as usize - 1)).collect()
}

fn choose<T: Clone>(from: &[T], pick: usize) -> Option<T> {
    (!from.is_empty()).then(|| from[pick % from.len()].clone())
}

fn drop_row(history: &mut History, pick: usize) -> Option<Promise> {
    let (topic, at) = choose(&acked(history), pick)?;
    end(history).topics.get_mut(&topic)?.remove(at);
    Some(Promise::P1)
}

fn swap_rows(history: &mut History, pick: usize) -> Option<Promise> {
    let (topic, at) = choose(&acked(history), pick)?;
    let rows = end(history).topics.get_mut(&topic)?;
    let other = (at + 1) % rows.len();
    if other == at {
        return None;
    }
    rows.swap(at, other);
    let seq = rows[at].row.seq;
    rows[at].row.seq = rows[other].row.seq;
    rows[other].row.seq = seq;
    Some(Promise::P1)
}

fn double_row(history: &mut History, pick: usize) -> Option<Promise> {
    let (topic, at) = choose(&acked(history), pick)?;
    let rows = end(history).topics.get_mut(&topic)?;
    let mut again = rows[at].clone();
    again.row.seq = rows.len() as u64 + 1;
    rows.push(again);
    Some(Promise::P2)
}

fn double_id(history: &mut History, pick: usize) -> Option<Promise> {
    let (topic, at) = choose(&acked(history), pick)?;
    let rows = end(history).topics.get_mut(&topic)?;
    let other = (at + 1) % rows.len();
    if other == at {
        return None;
    }
    rows[other].message_id = rows[at].message_id;
    Some(Promise::P2)
}

fn skip_number(history: &mut History, pick: usize) -> Option<Promise> {
    let (topic, at) = choose(&acked(history), pick)?;
    for row in &mut end(history).topics.get_mut(&topic)?[at..] {
        row.row.seq += 1;
    }
    Some(Promise::P3)
}

/// What everybody knew before a read was asked for.
fn known(history: &History, read: &Read) -> u64 {
    let acks = history.writes.iter().filter(|w| w.topic == read.topic);
    let acks = acks.filter_map(|w| w.first_ack()).map(|ack| (ack.at_us, ack.seq));
    acks.filter(|(at_us, _)| *at_us < read.sent_at_us).map(|(_, seq)| seq).max().unwrap_or(0)
}

fn stale_read(history: &mut History, pick: usize) -> Option<Promise> {
    let fresh: Vec<(usize, u64)> = (0..history.reads.len())
        .filter(|at| history.reads[*at].with.is_none())
        .map(|at| (at, known(history, &history.reads[at])))
        .filter(|(_, known)| *known > 0)
        .collect();
    let (at, known) = choose(&fresh, pick)?;
    let read = &mut history.reads[at];
    read.newest = known - 1;
    read.rows.retain(|row| row.seq < known);
    Some(Promise::P5)
}

fn invent_row(history: &mut History, pick: usize) -> Option<Promise> {
    let places: Vec<usize> = (0..history.reads.len()).collect();
    let read = &mut history.reads[choose(&places, pick)?];
    read.rows.push(Row { seq: 999, from: "eva".into(), text: "boo".into() });
    Some(Promise::P5)
}

fn lose_from_page(history: &mut History, pick: usize) -> Option<Promise> {
    let places: Vec<usize> = (0..history.reads.len())
        .filter(|at| history.reads[*at].with.is_none() && history.reads[*at].rows.len() > 2)
        .collect();
    let rows = &mut history.reads[choose(&places, pick)?].rows;
    rows.remove(1);
    Some(Promise::P3)
}

/// Two messages, one acknowledged before the other was sent, get each other's numbers everywhere.
fn turn_order(history: &mut History, pick: usize) -> Option<Promise> {
    let mut pairs = Vec::new();
    for first in &history.writes {
        let Some(ack) = first.first_ack() else { continue };
        for second in history.writes.iter().filter(|w| w.topic == first.topic) {
            if let Some(later) = second.first_ack()
                && ack.at_us < second.sent_at_us()
            {
                pairs.push((first.topic.clone(), ack.seq, later.seq));
            }
        }
    }
    let (topic, a, b) = choose(&pairs, pick)?;
    let new: HashMap<u64, u64> = [(a, b), (b, a)].into();
    let turn = |seq: &mut u64| *seq = new.get(seq).copied().unwrap_or(*seq);
    for write in history.writes.iter_mut().filter(|w| w.topic == topic) {
        for attempt in &mut write.attempts {
            if let Outcome::Acked(ack) = &mut attempt.outcome {
                turn(&mut ack.seq);
            }
        }
    }
    let rows = end(history).topics.get_mut(&topic)?;
    rows.iter_mut().for_each(|row| turn(&mut row.row.seq));
    rows.sort_by_key(|row| row.row.seq);
    Some(Promise::P4)
}

fn lose_delivery(history: &mut History, pick: usize) -> Option<Promise> {
    let newest: HashMap<Topic, u64> =
        end(history).topics.iter().map(|(t, rows)| (t.clone(), rows.len() as u64)).collect();
    let inner: Vec<(Topic, u64)> = history
        .deliveries
        .iter()
        .filter(|d| d.row.seq > 1 && d.row.seq <= newest[&d.topic])
        .map(|d| (d.topic.clone(), d.row.seq))
        .collect();
    let (topic, seq) = choose(&inner, pick)?;
    history.deliveries.retain(|d| d.topic != topic || d.row.seq != seq);
    Some(Promise::P3)
}

fn change_delivery(history: &mut History, pick: usize) -> Option<Promise> {
    let places: Vec<usize> = (0..history.deliveries.len()).collect();
    let at = choose(&places, pick)?;
    let Delivery { topic, row, .. } = &mut history.deliveries[at];
    row.text = format!("{} of {topic}, changed", row.text).into();
    Some(Promise::P5)
}

fn two_primaries(history: &mut History, pick: usize) -> Option<Promise> {
    let first = choose(&history.led, pick)?;
    history.led.push(Led { server: "s9".into(), node: 109, ..first });
    Some(Promise::P6)
}

fn rank_twice(history: &mut History, pick: usize) -> Option<Promise> {
    let mut again = choose(&history.ranks, pick)?;
    again.boot += 100;
    history.ranks.push(again);
    Some(Promise::P6)
}

fn flip_hash(history: &mut History, pick: usize) -> Option<Promise> {
    let states = &mut end(history).states;
    let at = pick % states.len();
    states[at].hash[pick % 32] ^= 1;
    Some(Promise::P7)
}

fn wrong_frame(history: &mut History, pick: usize) -> Option<Promise> {
    let private: Vec<usize> = (0..history.deliveries.len())
        .filter(|at| {
            let delivery = &history.deliveries[*at];
            delivery.topic.is_private() && delivery.source == Source::Live
        })
        .collect();
    history.deliveries[choose(&private, pick)?].frame = Some("geral".into());
    Some(Promise::P8)
}

fn refuse_stored(history: &mut History, pick: usize) -> Option<Promise> {
    let stored: Vec<usize> =
        (0..history.writes.len()).filter(|w| history.writes[*w].first_ack().is_some()).collect();
    for attempt in &mut history.writes[choose(&stored, pick)?].attempts {
        attempt.outcome = Outcome::Refused { at_us: 0, code: "unavailable".into() };
    }
    Some(Promise::P2)
}

fn too_early(history: &mut History, pick: usize) -> Option<Promise> {
    let acks = history.writes.iter_mut().flat_map(|write| &mut write.attempts);
    let mut acks: Vec<_> = acks
        .filter_map(|attempt| match &mut attempt.outcome {
            Outcome::Acked(ack) => Some(ack),
            _ => None,
        })
        .collect();
    let places = acks.len();
    acks.get_mut(pick.checked_rem(places)?)?.stored = 1;
    Some(Promise::P1)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_keeps_the_promises_passes(steps in prop::collection::vec(step(), 0..60)) {
        let findings = check(&history(&steps));
        prop_assert_eq!(findings.broken(), [], "{:#?}", findings);
    }

    #[test]
    fn one_change_is_caught(
        steps in prop::collection::vec(step(), 20..60),
        which in 0..CHANGES.len(),
        pick: usize,
    ) {
        let mut history = history(&steps);
        let (name, change) = CHANGES[which];
        if let Some(promise) = change(&mut history, pick) {
            let broken = check(&history).broken();
            prop_assert!(broken.contains(&promise), "{name}: {broken:?} without {promise}");
        }
    }
}

/// No change may be one that never finds a place.
#[test]
fn every_change_finds_a_place() {
    let mut steps = Vec::new();
    for round in 0..8 {
        for topic in 0..4 {
            steps.push((Step::Write(topic, Fate::Acked), 10));
            steps.push((Step::Read(topic, None, 5), round));
        }
    }
    for (name, change) in CHANGES {
        let mut history = history(&steps);
        let promise = change(&mut history, 5).unwrap_or_else(|| panic!("{name}"));
        assert!(check(&history).broken().contains(&promise), "{name}");
    }
}
