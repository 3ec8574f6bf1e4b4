//! Writing: the help in between, completion, long pastes.

use ratatui::crossterm::event::KeyCode;

use super::stage::{Stage, chat, nobody, record};
use crate::full::model::event::{Effect, Event};
use crate::line::command::COMMANDS;
use crate::texts::{Language, Texts};

#[test]
fn a_second_question_mark_begins_a_message_with_one() {
    let mut stage = Stage::in_tea(80, 24, chat(1));
    stage.types("??");
    assert!(stage.state.overlay.is_none());
    stage.line(" really");
    assert_eq!(stage.take_sends()[0].2, "? really");
    stage.press(KeyCode::F(1));
    stage.types("?");
    assert!(stage.state.overlay.is_none() && stage.state.input.is_empty(), "any key closes it");
    stage.line("/status");
    stage.happens(Event::AskedStatus(Ok(nobody())));
    assert!(stage.state.overlay.is_some());
    stage.types("?");
    assert!(stage.state.overlay.is_none() && stage.state.input.is_empty(), "this one is no help");
}

#[test]
fn the_help_names_every_command_in_both_languages() {
    for language in Language::ALL {
        let help = help(*language, 80);
        for (name, _) in COMMANDS {
            assert!(help.contains(&format!("/{name}")), "{name} is not in {help}");
        }
        assert!(help.contains("??"), "{help}");
    }
}

/// The whole help on a terminal of this width.
fn help(language: Language, columns: u16) -> String {
    let mut stage = Stage::in_tea(columns, 120, chat(1));
    stage.state.texts = Texts::new(language, "/");
    stage.press(KeyCode::F(1));
    stage.screen()
}

#[test]
fn a_narrow_help_keeps_keys_apart_from_what_they_do() {
    for language in Language::ALL {
        let help = help(*language, 40);
        let lines: Vec<&str> = help.lines().collect();
        let keys = lines.iter().position(|line| *line == "PgUp, PgDn, Shift-Up");
        let keys = keys.or(lines.iter().position(|line| *line == "PgUp, PgDn, Shift-Cima"));
        let keys = keys.unwrap_or_else(|| panic!("{help}"));
        assert!(lines[keys + 1].starts_with("  "), "{help}");
    }
    insta::assert_snapshot!("narrow_help", help(Language::Portuguese, 40));
}

#[test]
fn a_help_is_read_page_by_page_without_missing_a_row() {
    let whole = help(Language::English, 40);
    for (rows, height) in [(10, 7), (14, 11)] {
        let mut stage = Stage::in_tea(40, rows, chat(1));
        stage.press(KeyCode::F(1));
        let mut seen = Vec::new();
        for _ in 0..40 {
            let screen = stage.screen();
            seen.extend(screen.lines().skip(1).take(height).map(str::to_owned));
            stage.press(KeyCode::PageDown);
        }
        for row in whole.lines().skip(1).take_while(|row| !row.starts_with('›')) {
            assert!(seen.iter().any(|seen| seen == row), "{row:?} was not seen in {rows} rows");
        }
        let last = stage.screen();
        assert!(last.lines().nth(height).unwrap().contains("this page"), "{last}");
        let before = stage.screen();
        stage.press(KeyCode::Up);
        assert_ne!(stage.screen(), before, "the end is no hole to climb out of");
    }
}

#[test]
fn what_to_do_first_is_legible_on_a_narrow_terminal_in_both_languages() {
    for (language, first, explained, does) in [
        (Language::English, "  log in, or become known", " /join <channel>", "   open one"),
        (Language::Portuguese, "  entrar, ou se apresentar", " /join <canal>", "   abrir um"),
    ] {
        let mut stage = Stage::new(40, 24);
        stage.state.texts = Texts::new(language, "/");
        assert!(stage.screen().contains(first), "{}", stage.screen());
        stage.log_in("ana");
        let screen = stage.screen();
        assert!(screen.contains(&format!("{explained}\n{does}\n")), "{screen}");
    }
}

#[test]
fn a_narrow_title_says_that_there_is_more() {
    let mut stage = Stage::in_tea(38, 12, chat(1));
    stage.press(KeyCode::F(1));
    assert!(stage.screen().starts_with("Help · Down: more\n"), "{}", stage.screen());
}

#[test]
fn an_emptied_line_takes_along_what_was_wrong_with_it() {
    let mut stage = Stage::in_tea(80, 24, chat(1));
    stage.line("/jion tea");
    assert!(stage.screen().contains("did you mean /join?"));
    stage.ctrl('c');
    assert!(!stage.screen().contains("did you mean"), "{}", stage.screen());
}

#[test]
fn a_command_that_takes_nothing_is_told_so() {
    for (line, expected) in [
        ("/users x", "/users takes nothing behind it"),
        ("/join coffee break", "too many words: /join <channel> (a name with a space"),
    ] {
        let mut stage = Stage::in_tea(100, 24, chat(1));
        stage.line(line);
        assert!(stage.screen().contains(expected), "{}", stage.screen());
    }
}

#[test]
fn who_spoke_last_is_offered_first() {
    let messages = vec![
        record(1, "bobby", "first"),
        record(2, "bob", "second"),
        record(3, "bobby", "third"),
        record(4, "ana", "bo"),
    ];
    let mut stage = Stage::in_tea(80, 24, messages);
    let users = ["boa", "bob", "bobby", "bonnie"].map(str::to_owned).to_vec();
    stage.happens(Event::Names { users, channels: Vec::new() });
    let offered = |stage: &mut Stage, typed: &str| {
        stage.types(typed);
        let mut offered = Vec::new();
        for _ in 0..4 {
            stage.press(KeyCode::Tab);
            offered.push(stage.state.input.text().trim_end_matches([' ', ':']).to_owned());
        }
        stage.ctrl('c');
        offered
    };
    assert_eq!(offered(&mut stage, "bo"), ["bobby", "bob", "boa", "bonnie"]);
    let said = ["/msg bobby", "/msg bob", "/msg boa", "/msg bonnie"];
    assert_eq!(offered(&mut stage, "/msg bo"), said);
}

#[test]
fn names_are_asked_for_by_who_needs_them() {
    let asks = |stage: &mut Stage| {
        let count = stage.effects.iter().filter(|effect| **effect == Effect::AskNames).count();
        stage.effects.clear();
        count
    };
    let mut stage = Stage::new(80, 24);
    assert_eq!(asks(&mut stage), 1, "the first Tab has something to offer");
    stage.passes(600_000);
    stage.types("bo");
    assert_eq!(asks(&mut stage), 0);
    stage.press(KeyCode::Tab);
    assert_eq!(asks(&mut stage), 1);
    stage.press(KeyCode::Tab);
    stage.ctrl('k');
    assert_eq!(asks(&mut stage), 0, "they are known well enough");
    stage.press(KeyCode::Esc);
    stage.passes(10_000);
    stage.ctrl('k');
    assert_eq!(asks(&mut stage), 1);
}

#[test]
fn what_is_chosen_stays_chosen_when_more_names_come() {
    let names = |users: &[&str]| Event::Names {
        users: users.iter().map(|user| (*user).to_owned()).collect(),
        channels: Vec::new(),
    };
    let mut stage = Stage::in_tea(80, 24, chat(1));
    stage.happens(names(&["dora", "emil"]));
    stage.ctrl('k');
    stage.types("e");
    stage.press(KeyCode::Down);
    let chosen = stage.state.chosen();
    assert!(chosen.is_some());
    stage.happens(names(&["ebba", "eck"]));
    assert_eq!(stage.state.chosen(), chosen);
}

#[test]
fn what_was_offered_to_somebody_is_not_offered_to_who_comes_next() {
    let mut stage = Stage::in_tea(80, 24, chat(1));
    let users = ["bob", "bobby"].map(str::to_owned).to_vec();
    stage.happens(Event::Names { users, channels: Vec::new() });
    stage.types("bo");
    stage.press(KeyCode::Tab);
    assert_eq!(stage.state.input.text(), "bob: ");
    stage.log_in("dora");
    stage.press(KeyCode::Tab);
    assert!(stage.state.input.is_empty(), "{}", stage.state.input.text());
}

#[test]
fn a_paste_that_does_not_fit_into_sight_is_counted() {
    let mut stage = Stage::in_tea(80, 24, chat(1));
    stage.happens(Event::Paste("one\ntwo\nthree".to_owned()));
    assert!(!stage.screen().contains("lines"), "{}", stage.screen());
    stage.ctrl('c');
    stage.happens(Event::Paste("line\r\n".repeat(40)));
    let screen = stage.screen();
    assert!(screen.contains("40 lines: Enter sends them as one message"), "{screen}");
    stage.ctrl('c');
    stage.happens(Event::Paste("é".repeat(1_000)));
    let screen = stage.screen();
    assert!(screen.contains("1000 letters: Enter sends them as one message"), "{screen}");
    stage.happens(Event::Paste("é".repeat(1_000_000)));
    assert!(stage.screen().contains("that is too long to be sent"), "{}", stage.screen());
}
