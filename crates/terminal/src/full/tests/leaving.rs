//! Leaving, which is asked for twice where it is easy to do by mistake.

use ratatui::crossterm::event::KeyCode;

use super::stage::{Stage, chat};
use crate::full::model::event::Effect;

fn leaves(stage: &mut Stage) -> bool {
    stage.ctrl('c');
    stage.effects.drain(..).any(|effect| matches!(effect, Effect::Quit { .. }))
}

#[test]
fn another_key_takes_the_question_back() {
    for key in [KeyCode::PageUp, KeyCode::Left, KeyCode::F(2)] {
        let mut stage = Stage::in_tea(80, 24, chat(60));
        assert!(!leaves(&mut stage));
        stage.press(key);
        assert!(!stage.screen().contains("once more leaves"), "{}", stage.screen());
        assert!(!leaves(&mut stage), "{key:?}");
        assert!(leaves(&mut stage));
    }
}

#[test]
fn a_question_that_is_no_longer_shown_is_no_longer_asked() {
    let mut stage = Stage::in_tea(80, 24, chat(1));
    assert!(!leaves(&mut stage));
    stage.passes(60_000);
    assert!(!stage.screen().contains("once more leaves"));
    assert!(!leaves(&mut stage));
    assert!(leaves(&mut stage));
}

#[test]
fn a_line_that_was_emptied_does_not_count() {
    let mut stage = Stage::in_tea(80, 24, chat(1));
    stage.types("hello");
    assert!(!leaves(&mut stage), "it emptied the line");
    assert!(!leaves(&mut stage));
    stage.types("more");
    assert!(!leaves(&mut stage));
    assert!(!leaves(&mut stage));
    assert!(leaves(&mut stage));
}
