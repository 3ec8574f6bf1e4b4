//! The order of the conversations, and the numbers that open them.

use ratatui::crossterm::event::{KeyCode, KeyModifiers};

use super::stage::{Stage, chat, record};
use crate::full::model::event::Event;

fn among_four() -> Stage {
    let mut stage = Stage::in_tea(80, 24, chat(1));
    stage.has_joined(&["coffee", "water", "zoo"]);
    stage
}

fn called_in(stage: &mut Stage, channel: &str, text: &str) {
    let mut call = record(1, "bob", text);
    call.to = channel.to_owned();
    stage.happens(Event::Message(call));
}

fn open(stage: &Stage) -> String {
    stage.state.open.as_ref().map_or_else(String::new, |open| open.title())
}

#[test]
fn numbers_stay_under_the_fingers_and_go_by_need_afterwards() {
    let mut stage = among_four();
    let before = ["#coffee", "#tea", "#water", "#zoo"];
    assert_eq!(stage.listed(), before);
    stage.alt('3');
    called_in(&mut stage, "zoo", "ana?");
    assert_eq!(stage.listed(), before, "a call moves nothing just now");
    stage.alt('2');
    assert_eq!(open(&stage), "#tea");
    stage.has_joined(&["apples"]);
    assert_eq!(stage.listed()[..4], before, "what is new comes last");
    stage.passes(4_000);
    stage.key(KeyCode::Down, KeyModifiers::ALT);
    assert_eq!(open(&stage), "#water");
    stage.passes(4_000);
    assert_eq!(stage.listed()[..4], before, "each of these keys holds it again");
    stage.passes(2_000);
    assert_eq!(stage.listed(), ["#zoo", "#apples", "#coffee", "#tea", "#water"]);
}

#[test]
fn what_is_read_by_its_number_stays_where_it_was() {
    let mut stage = among_four();
    called_in(&mut stage, "zoo", "ana?");
    called_in(&mut stage, "water", "ana?");
    assert_eq!(stage.listed()[..2], ["#water", "#zoo"]);
    stage.alt('1');
    stage.serve(Vec::new(), 1);
    assert_eq!(open(&stage), "#water");
    stage.alt('2');
    assert_eq!(open(&stage), "#zoo", "the second is the one that was seen there");
}

#[test]
fn the_next_unread_goes_by_need_all_the_same() {
    let mut stage = among_four();
    stage.alt('2');
    called_in(&mut stage, "coffee", "nobody in particular");
    called_in(&mut stage, "zoo", "ana?");
    stage.alt('a');
    assert_eq!(open(&stage), "#zoo");
}

#[test]
fn what_was_left_is_gone_from_a_list_that_is_held() {
    let mut stage = among_four();
    stage.alt('2');
    stage.line("/leave coffee");
    assert_eq!(stage.listed(), ["#tea", "#water", "#zoo"]);
}
