//! Who looks, and who is called: with a terminal that tells its focus and with one that does not.

use ratatui::crossterm::event::KeyCode;

use super::stage::{Stage, chat, nobody, record, tea};
use crate::full::model::event::{Effect, Event};

fn calls(stage: &mut Stage, seq: u64) -> usize {
    stage.happens(Event::Message(record(seq, "bob", "ana, are you there?")));
    let alerts = stage.effects.iter().filter(|effect| matches!(effect, Effect::Alert(_))).count();
    stage.effects.clear();
    alerts
}

fn unread(stage: &Stage) -> u32 {
    stage.state.rooms[&tea()].unread
}

#[test]
fn who_presses_no_key_for_a_minute_is_away_when_the_terminal_tells_nothing() {
    let mut stage = Stage::without_focus(80, 24).into_tea(chat(1));
    stage.press(KeyCode::Left);
    stage.passes(59_000);
    assert_eq!((calls(&mut stage, 2), unread(&stage)), (0, 0));
    stage.passes(2_000);
    assert_eq!((calls(&mut stage, 3), unread(&stage)), (1, 1));
    stage.press(KeyCode::Left);
    assert_eq!(unread(&stage), 0, "back, and it is in sight");
    assert!(stage.screen().contains("── new"), "{}", stage.screen());
    stage.passes(30_000);
    assert_eq!((calls(&mut stage, 4), unread(&stage)), (0, 0));
}

#[test]
fn a_terminal_that_tells_its_focus_is_believed() {
    let mut stage = Stage::without_focus(80, 24).into_tea(chat(1));
    stage.happens(Event::Focus(true));
    stage.passes(600_000);
    assert_eq!((calls(&mut stage, 2), unread(&stage)), (0, 0), "it is looked at without any key");
    stage.happens(Event::Focus(false));
    stage.passes(1_000);
    assert_eq!((calls(&mut stage, 3), unread(&stage)), (1, 1));
}

#[test]
fn who_types_looks_whatever_the_terminal_said() {
    let mut stage = Stage::without_focus(80, 24).into_tea(chat(1));
    stage.happens(Event::Focus(false));
    stage.types("hello");
    assert_eq!((calls(&mut stage, 2), unread(&stage)), (0, 0));
}

#[test]
fn servers_that_do_not_answer_are_told_to_who_only_reads() {
    let mut stage = Stage::new(80, 24).into_tea(chat(1));
    stage.happens(Event::Status(nobody()));
    assert!(stage.screen().contains("no server answers"), "{}", stage.screen());
    stage.happens(Event::Message(record(2, "bob", "they are back")));
    assert!(!stage.screen().contains("no server answers"), "{}", stage.screen());
    stage.passes(5_000);
    stage.happens(Event::Unanswered);
    assert!(stage.screen().contains("no server answers"), "{}", stage.screen());
    stage.happens(Event::Broker(false));
    stage.passes(2_000);
    stage.happens(Event::Broker(true));
    stage.happens(Event::Broker(false));
    stage.happens(Event::Unanswered);
    stage.happens(Event::Broker(true));
    assert!(!stage.screen().contains("no server answers"), "a lost broker is no lost server");
}

fn status_asks(stage: &mut Stage) -> usize {
    let effects = stage.effects.drain(..);
    effects.filter(|effect| *effect == Effect::AskStatus { asked: false }).count()
}

#[test]
fn how_the_cluster_is_is_asked_once_at_a_time_and_a_late_answer_is_not_believed() {
    let mut stage = Stage::new(80, 24).into_tea(chat(1));
    stage.happens(Event::Unanswered);
    assert!(stage.screen().contains("no server answers"), "{}", stage.screen());
    status_asks(&mut stage);
    stage.passes(2_000);
    assert_eq!(status_asks(&mut stage), 1);
    stage.passes(60_000);
    assert_eq!(status_asks(&mut stage), 0, "the first one is not answered yet");
    stage.happens(Event::Message(record(2, "bob", "they are back")));
    for late in [Event::Unanswered, Event::Status(nobody())] {
        stage.happens(late);
        assert!(!stage.screen().contains("no server answers"), "{}", stage.screen());
    }
    stage.passes(5_000);
    assert_eq!(status_asks(&mut stage), 1);
    stage.happens(Event::Unanswered);
    assert!(stage.screen().contains("no server answers"), "now it is true");
}

#[test]
fn after_an_election_no_answer_from_before_is_the_last_one() {
    let mut stage = Stage::new(80, 24).into_tea(chat(1));
    stage.happens(Event::Status(nobody()));
    stage.passes(5_000);
    assert_eq!(status_asks(&mut stage), 1);
    stage.happens(Event::Message(record(2, "bob", "hello")));
    stage.happens(Event::Election { coordinator: "server-2".to_owned() });
    assert_eq!(status_asks(&mut stage), 0, "the one before is not answered yet");
    stage.happens(Event::Status(nobody()));
    stage.passes(250);
    assert_eq!(status_asks(&mut stage), 1);
    stage.happens(Event::Message(record(3, "bob", "hello again")));
    stage.happens(Event::Status(nobody()));
    stage.passes(250);
    assert_eq!(status_asks(&mut stage), 0, "once is enough");
}

#[test]
fn a_server_that_does_not_tell_how_it_is_answers_all_the_same() {
    let mut stage = Stage::new(80, 24).into_tea(chat(1));
    stage.happens(Event::StatusRefused);
    status_asks(&mut stage);
    stage.passes(60_000);
    assert!(!stage.screen().contains("no server answers"), "{}", stage.screen());
    assert_eq!(status_asks(&mut stage), 0, "the answer would be the same");
    stage.happens(Event::Broker(false));
    stage.happens(Event::Broker(true));
    assert_eq!(status_asks(&mut stage), 1, "it may be another cluster now");
    stage.happens(Event::Status(nobody()));
    assert!(stage.screen().contains("no server answers"), "{}", stage.screen());
}
