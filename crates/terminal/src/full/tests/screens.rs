//! Whole screens, compared with files.

use insta::assert_snapshot;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::KeyCode;
use ratatui::layout::Rect;
use ratatui::style::Style;
use recado_protocol::Code;

use super::stage::{Stage, ack, chat, id, private, record, refused, tea};
use crate::full::draw::draw;
use crate::full::draw::theme::{Colours, Look};
use crate::full::model::event::Event;
use crate::texts::{Language, Texts};

#[test]
fn before_anybody_is_logged_in() {
    assert_snapshot!(Stage::new(80, 12).screen());
}

#[test]
fn logged_in_with_nothing_open() {
    let mut stage = Stage::new(80, 14);
    stage.log_in("ana");
    assert_snapshot!(stage.screen());
}

fn busy(columns: u16, rows: u16) -> Stage {
    let messages = vec![
        record(1, "bob", "good morning"),
        record(2, "carla", "bom dia! 👋🏽 o pão de queijo saiu do forno, quem vem tomar café?"),
        record(700, "bob", "two lines:\n    the second is indented"),
        record(701, "小明", "你好世界,这是一条很长很长的消息,它不会在一行里放下"),
        record(702, "ana", "hello ✨"),
    ];
    let mut stage = Stage::in_tea(columns, rows, messages);
    stage.happens(Event::Joined { channel: "pão de queijo".to_owned(), outcome: Ok(()) });
    for (seq, text) in [(1, "hot!"), (2, "ana: are you coming?")] {
        let mut record = record(seq, "bob", text);
        record.to = "pão de queijo".to_owned();
        stage.happens(Event::Message(record));
    }
    stage.happens(Event::Message(private(900, "bob", "ana", "psst")));
    stage.happens(Event::Election { coordinator: "server-2".to_owned() });
    stage.passes(60_000);
    stage
}

#[test]
fn a_busy_evening() {
    assert_snapshot!(busy(100, 20).screen());
}

#[test]
fn a_small_terminal_shows_the_newest() {
    assert_snapshot!(busy(40, 10).screen());
}

#[test]
fn a_small_terminal_tells_where_one_writes_in_both_languages() {
    for language in Language::ALL {
        let mut stage = Stage::in_tea(40, 10, chat(3));
        stage.state.texts = Texts::new(*language, "/");
        stage.join("afternoon-tea", Vec::new());
        stage.line("hello");
        let sends = stage.take_sends();
        let (there, number, _) = sends.last().unwrap();
        stage.sent(there, *number, ack(1));
        assert!(stage.screen().contains(" · #afternoon-tea"), "{}", stage.screen());
    }
}

#[test]
fn hardly_any_terminal_is_no_mistake() {
    for columns in 1..30 {
        for rows in 1..12 {
            let mut stage = busy(columns, rows);
            stage.happens(Event::Broker(false));
            stage.passes(5_000);
            stage.screen();
            stage.press(KeyCode::Char('?'));
            stage.screen();
            stage.press(KeyCode::Esc);
            stage.ctrl('k');
            stage.screen();
        }
    }
}

#[test]
fn a_terminal_that_shrank_and_is_not_heard_of_yet_is_no_mistake() {
    let mut stage = busy(100, 30);
    stage.happens(Event::Broker(false));
    stage.passes(5_000);
    let draws = |stage: &Stage| {
        for (columns, rows) in [(40, 10), (19, 30), (100, 3), (1, 1), (0, 0)] {
            let mut buffer = Buffer::empty(Rect::new(0, 0, columns, rows));
            draw(&stage.state, &Look::new(Colours::Sixteen, false), &mut buffer);
        }
    };
    draws(&stage);
    for open in ['k', 'f'] {
        stage.ctrl(open);
        draws(&stage);
        stage.press(KeyCode::Esc);
    }
    stage.press(KeyCode::F(1));
    draws(&stage);
}

#[test]
fn own_messages_on_their_way_stored_and_failed() {
    let mut stage = Stage::in_tea(80, 14, chat(3));
    stage.line("the first");
    stage.line("the second");
    stage.line("the third, which is so long that its mark does not fit into the row of it end");
    let sends = stage.take_sends();
    assert_eq!(sends.len(), 1, "one at a time, so that they stay in order");
    stage.sent(&tea(), sends[0].1, ack(4));
    stage.happens(Event::Message(record(4, "ana", "the first")));
    let sends = stage.take_sends();
    let outcome = Err(refused(Code::TooLarge, "the message is too long"));
    stage.happens(Event::Sent { place: tea(), number: sends[0].1, outcome });
    assert_snapshot!(stage.screen());
}

#[test]
fn unread_starts_at_a_line() {
    let mut stage = Stage::in_tea(80, 14, chat(3));
    stage.happens(Event::Focus(false));
    for seq in 4..=6 {
        stage.happens(Event::Message(record(seq, "bob", "while you were away")));
    }
    assert_snapshot!("away", stage.screen());
    stage.happens(Event::Focus(true));
    assert_snapshot!("back", stage.screen());
}

#[test]
fn a_lost_broker_is_told_and_what_is_written_waits() {
    let mut stage = Stage::in_tea(80, 14, chat(3));
    stage.happens(Event::Broker(false));
    stage.passes(2_000);
    stage.line("written meanwhile");
    stage.types("a draft");
    assert_snapshot!(stage.screen());
}

/// The styles of the cells where this text stands.
fn styles_of(stage: &Stage, text: &str) -> Vec<Style> {
    let buffer = stage.buffer();
    let width = usize::from(buffer.area.width);
    let rows = buffer.content.chunks(width).map(|row| {
        let text: String = row.iter().map(|cell| cell.symbol()).collect();
        (row, text)
    });
    let mut found = rows.filter_map(|(row, line)| line.find(text).map(|at| (row, line, at)));
    let (row, line, at) = found.next_back().expect("it is on the screen");
    let first = line[..at].chars().count();
    row[first..first + text.chars().count()].iter().map(|cell| cell.style()).collect()
}

#[test]
fn who_is_called_sees_it_in_the_message_itself() {
    let messages = vec![
        record(1, "bob", "nothing for you"),
        record(2, "bob", "come here, ana, at once"),
        record(3, "ana", "ana is here"),
    ];
    let stage = Stage::in_tea(80, 14, messages);
    let mention = Look::new(Colours::Sixteen, false).mention.fg;
    let called = |stage: &Stage, text| styles_of(stage, text).iter().all(|s| s.fg == mention);
    assert!(called(&stage, "come here, ana, at once"));
    assert!(styles_of(&stage, "bob │ come")[..3].iter().all(|s| s.fg == mention));
    assert!(!called(&stage, "nothing for you"));
    assert!(!called(&stage, "ana is here"), "one's own words call nobody");
}

#[test]
fn a_name_keeps_its_colour_at_every_width() {
    let names = ["bartholomew-the-elder", "bartholomew-the-other", "bartholomew-the-youngest"];
    for (name, me) in names.into_iter().flat_map(|name| [(name, false), (name, true)]) {
        let mut stage = Stage::in_tea(120, 14, vec![record(1, name, "hello")]);
        if me {
            stage.state.me = Some(name.to_owned());
        }
        let style = |stage: &Stage| styles_of(stage, "barth")[0].fg;
        let look = Look::new(Colours::Sixteen, false);
        let expected = if me { look.own } else { look.nick(name) }.fg;
        for columns in [40, 70, 90, 120] {
            stage.happens(Event::Resize { columns, rows: 14 });
            assert_eq!(style(&stage), expected, "{name} in {columns} columns");
        }
    }
}

#[test]
fn the_help() {
    let mut stage = Stage::in_tea(80, 45, chat(3));
    stage.press(KeyCode::Char('?'));
    assert_snapshot!(stage.screen());
}

#[test]
fn the_switcher() {
    let mut stage = busy(80, 14);
    let users = ["bob", "carla", "dora"].map(str::to_owned).to_vec();
    let channels = ["tea", "coffee break"].map(str::to_owned).to_vec();
    stage.happens(Event::Names { users, channels });
    stage.ctrl('k');
    assert_snapshot!("everything", stage.screen());
    stage.types("ca");
    assert_snapshot!("filtered", stage.screen());
}

#[test]
fn a_search() {
    let mut stage = Stage::in_tea(80, 14, chat(60));
    stage.ctrl('f');
    stage.types("number 7");
    assert_snapshot!(stage.screen());
}

#[test]
fn several_lines_are_written() {
    let mut stage = Stage::in_tea(80, 14, chat(3));
    stage.happens(Event::Paste("fn main() {\r\n\tprintln!(\"hello\");\r\n}".to_owned()));
    assert_snapshot!(stage.screen());
}

#[test]
fn evil_text_is_harmless() {
    let mut evil = record(1, "a\u{1b}[2J", "x\u{1b}]0;title\u{7}\r\n\u{202e}y\u{9b}31m");
    evil.id = id(1);
    let stage = Stage::in_tea(80, 12, vec![evil]);
    let screen = stage.screen();
    assert!(!screen.chars().any(|c| c.is_control() && c != '\n'), "{screen:?}");
    assert_snapshot!(screen);
}
