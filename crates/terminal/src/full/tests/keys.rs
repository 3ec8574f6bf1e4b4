//! Keys that a person has chosen.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::stage::Stage;
use crate::full::model::event::Event;
use crate::full::{Action, Key, Keymap};

fn press(stage: &mut Stage, letter: char) {
    stage.happens(Event::Key(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL)));
}

#[test]
fn a_chosen_key_works_and_the_usual_one_no_longer() {
    let mut stage = Stage::in_tea(80, 24, Vec::new());
    let mut keys = Keymap::default();
    keys.choose(Action::Search, Key::parse("Ctrl-S").unwrap()).unwrap();
    stage.state.texts = stage.state.texts.with_keys(keys);
    press(&mut stage, 'f');
    assert!(stage.state.search.is_none());
    press(&mut stage, 's');
    assert!(stage.state.search.is_some());
}
