//! Long histories: what is in sight, what is held, what is fetched.

use ratatui::crossterm::event::{KeyCode, KeyModifiers};

use super::stage::{Stage, chat, record, tea};
use crate::full::model::event::{Event, Want};
use crate::full::model::log::{MAX_HELD_ASIDE, MAX_HELD_MESSAGES};
use crate::full::model::room::Scroll;

/// The numbers of the messages in sight, from `message number 7`.
fn in_sight(stage: &Stage) -> Vec<u64> {
    let screen = stage.screen();
    screen.lines().filter_map(|line| line.rsplit("number ").next()?.trim().parse().ok()).collect()
}

/// tea with so many messages, of which the newest page is there.
fn long(columns: u16, rows: u16, count: u64) -> (Stage, Vec<recado_protocol::Record>) {
    let history = chat(count);
    (with_newest(columns, rows, &history), history)
}

fn with_newest(columns: u16, rows: u16, history: &[recado_protocol::Record]) -> Stage {
    let mut stage = Stage::new(columns, rows);
    stage.log_in("ana");
    stage.line("/join tea");
    stage.happens(Event::Joined { channel: "tea".to_owned(), outcome: Ok(()) });
    stage.serve_all(history);
    stage.passes(60_000);
    stage
}

/// A conversation whose message 100 is a needle; so far back that the newest ones are let go of
/// on the way there.
fn haystack() -> (Stage, Vec<recado_protocol::Record>) {
    let mut history = chat(9_000);
    history[99].message = "a needle".to_owned();
    (with_newest(80, 24, &history), history)
}

fn search(stage: &mut Stage, wanted: &str, history: &[recado_protocol::Record]) {
    stage.ctrl('f');
    stage.types(wanted);
    stage.serve_all(history);
}

#[test]
fn older_messages_are_fetched_when_they_come_near() {
    let (mut stage, history) = long(80, 14, 1000);
    assert_eq!(stage.state.rooms[&tea()].log.len(), 200);
    assert!(stage.take_fetch().is_none(), "nothing older is in sight");
    let mut pages = 0;
    while stage.take_fetch().is_none() {
        stage.press(KeyCode::PageUp);
        pages += 1;
        assert!(pages < 40, "{:?}", in_sight(&stage));
        if stage
            .effects
            .iter()
            .any(|e| matches!(e, super::super::model::event::Effect::Fetch { .. }))
        {
            break;
        }
    }
    let before = in_sight(&stage);
    stage.serve_all(&history);
    assert_eq!(in_sight(&stage), before, "what is in sight stays");
    for _ in 0..200 {
        stage.press(KeyCode::PageUp);
        stage.serve_all(&history);
    }
    assert_eq!(in_sight(&stage)[0], 1);
    stage.press(KeyCode::Esc);
    stage.serve_all(&history);
    assert_eq!(in_sight(&stage).last(), Some(&1000));
}

#[test]
fn every_message_is_passed_once_on_the_way_up_and_down() {
    let (mut stage, history) = long(60, 14, 300);
    let mut seen = in_sight(&stage);
    let height = seen.len();
    while in_sight(&stage)[0] > 1 {
        stage.press(KeyCode::PageUp);
        stage.serve_all(&history);
        let now = in_sight(&stage);
        assert!(now.contains(&seen[0]) || now.last().unwrap() + 1 >= seen[0], "{now:?} {seen:?}");
        seen.splice(0..0, now.into_iter().filter(|n| *n < seen[0]).collect::<Vec<_>>());
    }
    assert_eq!(seen, (1..=300).collect::<Vec<_>>());
    for _ in 0..2 * 300 / height {
        stage.press(KeyCode::PageDown);
        stage.serve_all(&history);
    }
    assert_eq!(stage.state.rooms[&tea()].scroll, Scroll::Bottom);
}

#[test]
fn what_is_in_sight_stays_while_messages_come_and_the_size_changes() {
    let (mut stage, _) = long(80, 14, 300);
    stage.press(KeyCode::PageUp);
    stage.press(KeyCode::PageUp);
    let before = in_sight(&stage);
    for seq in 301..=400 {
        stage.happens(Event::Message(record(seq, "bob", &format!("message number {seq}"))));
    }
    assert_eq!(in_sight(&stage), before);
    stage.happens(Event::Resize { columns: 40, rows: 10 });
    let small = in_sight(&stage);
    assert_eq!(small.last(), before.last());
    stage.happens(Event::Resize { columns: 80, rows: 14 });
    assert_eq!(in_sight(&stage), before);
    assert_eq!(stage.state.rooms[&tea()].unread, 100);
    stage.press(KeyCode::Esc);
    assert_eq!(in_sight(&stage).last(), Some(&400));
    assert_eq!(stage.state.rooms[&tea()].unread, 0);
}

#[test]
fn who_reads_older_messages_is_told_how_many_new_ones_came() {
    let (mut stage, _) = long(80, 14, 300);
    stage.press(KeyCode::PageUp);
    assert!(stage.screen().contains("older messages; Esc returns"), "{}", stage.screen());
    stage.happens(Event::Message(record(301, "bob", "hello")));
    assert!(stage.screen().contains("1 new below; Esc returns"), "{}", stage.screen());
    stage.happens(Event::Message(record(302, "bob", "hello, ana")));
    stage.happens(Event::Message(record(303, "bob", "hello?")));
    assert!(stage.screen().contains("3 new below, @1; Esc returns"), "{}", stage.screen());
    stage.happens(Event::Resize { columns: 40, rows: 8 });
    assert!(stage.screen().contains("3 new below, @1; Esc returns"), "{}", stage.screen());
    stage.press(KeyCode::Esc);
    assert!(!stage.screen().contains("new below"), "{}", stage.screen());
}

#[test]
fn the_newest_message_is_in_sight_at_every_size() {
    let (mut stage, _) = long(80, 24, 100);
    for columns in (20..120).step_by(7) {
        for rows in 4..30 {
            stage.happens(Event::Resize { columns, rows });
            assert_eq!(in_sight(&stage).last(), Some(&100), "{columns}×{rows}\n{}", stage.screen());
        }
    }
}

#[test]
fn memory_is_bounded_however_far_one_reads() {
    let (mut stage, history) = long(80, 50, 20_000);
    for _ in 0..600 {
        stage.press(KeyCode::PageUp);
        stage.serve_all(&history);
        assert!(stage.state.rooms[&tea()].log.len() <= MAX_HELD_MESSAGES);
    }
    assert_eq!(in_sight(&stage)[0], 1);
    assert!(!stage.state.rooms[&tea()].log.live, "the newest ones were let go of");
    // New ones are counted, and not put behind a gap.
    stage.happens(Event::Message(record(20_001, "bob", "new")));
    assert_eq!(stage.state.rooms[&tea()].unread, 1);
    for _ in 0..600 {
        stage.press(KeyCode::PageDown);
        stage.serve_all(&history);
    }
    assert!(in_sight(&stage).ends_with(&[19_999, 20_000]), "{:?}", in_sight(&stage));
    stage.key(KeyCode::End, KeyModifiers::CONTROL);
    stage.serve_all(&history);
    assert_eq!(in_sight(&stage).last(), Some(&20_000));
}

#[test]
fn a_conversation_aside_holds_little() {
    let mut stage = Stage::in_tea(80, 24, chat(10));
    stage.join("coffee", Vec::new());
    for seq in 11..=5_000 {
        stage.happens(Event::Message(record(seq, "bob", &format!("message number {seq}"))));
    }
    assert_eq!(stage.state.rooms[&tea()].log.len(), MAX_HELD_ASIDE);
    assert_eq!(stage.state.rooms[&tea()].unread, 4_990);
    stage.line("/join tea");
    assert_eq!(in_sight(&stage).last(), Some(&5_000));
}

#[test]
fn a_frame_of_a_hundred_thousand_messages_wraps_only_what_it_shows() {
    let (mut stage, history) = long(120, 50, 100_000);
    for _ in 0..30 {
        stage.press(KeyCode::PageUp);
        stage.serve_all(&history);
    }
    let rows = stage.state.rows_of_open(100).unwrap();
    let shown = rows.in_sight(47);
    assert_eq!(shown.len(), 47);
    assert!(rows.wrapped.get() <= 48, "{} messages were wrapped", rows.wrapped.get());
}

#[test]
fn a_search_goes_back_through_everything_and_returns() {
    let (mut stage, history) = long(80, 24, 5_000);
    stage.ctrl('f');
    stage.types("number 77");
    stage.serve_all(&history);
    // 4977 comes first, then 4877 …; what begins with 77 is found as well.
    let found = stage.state.search.as_ref().unwrap().found.unwrap();
    assert!(in_sight(&stage).contains(&found), "{found} {}", stage.screen());
    assert!(format!("number {found}").contains("number 77"), "{found}");
    let mut all = vec![found];
    loop {
        stage.press(KeyCode::Enter);
        stage.serve_all(&history);
        let search = stage.state.search.as_ref().unwrap();
        if search.exhausted {
            break;
        }
        all.push(search.found.unwrap());
        assert!(in_sight(&stage).contains(all.last().unwrap()), "{all:?} {}", stage.screen());
    }
    let expected: Vec<u64> =
        (1..=5_000).rev().filter(|n| format!("number {n}").contains("number 77")).collect();
    assert_eq!(all, expected);
    stage.press(KeyCode::Esc);
    stage.serve_all(&history);
    assert_eq!(in_sight(&stage).last(), Some(&5_000));
}

#[test]
fn another_text_is_searched_for_from_the_newest_message_on() {
    let (mut stage, history) = haystack();
    search(&mut stage, "needle", &history);
    assert_eq!(stage.state.search.as_ref().unwrap().found, Some(100));
    assert!(!stage.state.rooms[&tea()].log.live, "the newest ones were let go of");
    stage.ctrl('u');
    stage.types("number 8");
    stage.serve_all(&history);
    assert_eq!(stage.state.search.as_ref().unwrap().found, Some(8_999));
    assert!(in_sight(&stage).contains(&8_999), "{}", stage.screen());
}

#[test]
fn what_is_pasted_is_searched_for() {
    let (mut stage, history) = long(80, 24, 50);
    stage.ctrl('f');
    stage.happens(Event::Paste("number 17".to_owned()));
    stage.serve_all(&history);
    assert_eq!(stage.state.search.as_ref().unwrap().found, Some(17));
}

#[test]
fn one_enter_too_many_stays_at_what_was_found() {
    let (mut stage, history) = haystack();
    search(&mut stage, "needle", &history);
    for _ in 0..2 {
        stage.press(KeyCode::Enter);
        stage.serve_all(&history);
        let search = stage.state.search.as_ref().unwrap();
        assert_eq!((search.found, search.exhausted), (Some(100), true));
        assert!(stage.screen().contains("a needle"), "{}", stage.screen());
    }
    // What was found last may be far from the beginning.
    stage.ctrl('u');
    stage.types("number 8000");
    stage.serve_all(&history);
    stage.press(KeyCode::Enter);
    stage.serve_all(&history);
    assert!(stage.state.search.as_ref().unwrap().exhausted);
    assert!(in_sight(&stage).contains(&8_000), "{}", stage.screen());
}

#[test]
fn who_finds_nothing_is_where_the_search_began() {
    let (mut stage, history) = haystack();
    search(&mut stage, "no such thing", &history);
    assert!(stage.state.search.as_ref().unwrap().exhausted);
    assert_eq!(in_sight(&stage).last(), Some(&9_000));
    stage.press(KeyCode::Esc);
    stage.press(KeyCode::PageUp);
    let before = in_sight(&stage);
    assert!(before.last() < Some(&9_000));
    search(&mut stage, "no such thing", &history);
    assert_eq!(in_sight(&stage).last(), before.last(), "{}", stage.screen());
    stage.ctrl('u');
    stage.types("needle");
    stage.serve_all(&history);
    assert!(stage.screen().contains("a needle"), "{}", stage.screen());
    stage.press(KeyCode::Esc);
    stage.serve_all(&history);
    assert_eq!(in_sight(&stage).last(), before.last(), "{}", stage.screen());
}

#[test]
fn a_page_that_was_asked_for_before_a_jump_changes_nothing() {
    let (mut stage, _) = long(80, 14, 400);
    while !stage
        .effects
        .iter()
        .any(|e| matches!(e, super::super::model::event::Effect::Fetch { .. }))
    {
        stage.press(KeyCode::PageUp);
    }
    let (place, ticket, want) = stage.take_fetch().unwrap();
    assert!(matches!(want, Want::Before(_)));
    let held = stage.state.rooms[&tea()].log.len();
    let outcome =
        Ok(recado_protocol::HistoryReply { messages: vec![record(1, "bob", "x")], newest: 400 });
    stage.happens(Event::Page { place, ticket: ticket + 1, want, outcome });
    assert_eq!(stage.state.rooms[&tea()].log.len(), held);
}

/// What frames of a long conversation cost; prints figures, promises none.
#[test]
#[ignore = "measures; run it with --release --nocapture"]
fn frames_of_a_hundred_thousand_messages_are_measured() {
    let (mut stage, history) = long(120, 50, 100_000);
    let mut frames_ms: [Vec<f64>; 3] = Default::default();
    let mut measure = |what: usize, stage: &mut Stage, step: &mut dyn FnMut(&mut Stage)| {
        let started = std::time::Instant::now();
        step(stage);
        stage.buffer();
        frames_ms[what].push(started.elapsed().as_secs_f64() * 1000.0);
    };
    for seq in 100_001..=100_200 {
        measure(0, &mut stage, &mut |stage| {
            stage.happens(Event::Message(record(seq, "bob", &"some words ".repeat(20))));
        });
    }
    for _ in 0..3_000 {
        measure(1, &mut stage, &mut |stage| {
            stage.press(KeyCode::PageUp);
            stage.serve_all(&history);
        });
    }
    for columns in 40..140 {
        measure(2, &mut stage, &mut |stage| {
            stage.happens(Event::Resize { columns, rows: 50 });
        });
    }
    let held = stage.state.rooms[&tea()].log.len();
    for (what, frames) in ["a new message", "a page up", "a new width"].iter().zip(&mut frames_ms) {
        frames.sort_by(f64::total_cmp);
        let at = |part: usize| frames[(frames.len() - 1) * part / 100];
        println!(
            "{what}: {} frames, median {:.2} ms, 99 % within {:.2} ms, longest {:.2} ms",
            frames.len(),
            at(50),
            at(99),
            at(100)
        );
    }
    println!("{held} messages held; the first in sight is {:?}", in_sight(&stage).first());
}
