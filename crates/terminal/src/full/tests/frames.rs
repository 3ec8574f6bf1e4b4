//! When the screen is drawn: only when something is to be seen.

use ratatui::crossterm::event::KeyCode;
use recado_protocol::Status;
use recado_protocol::reply::{MemberStatus, Role, Scrub};

use super::stage::{Stage, chat, record};
use crate::full::model::event::Event;

fn status(primary: &str) -> Status {
    let member = MemberStatus {
        name: primary.to_owned(),
        rank: 1,
        role: Role::Primary,
        address: "tcp://a:1".to_owned(),
        pid: 1,
        applied: 1,
        term: 1,
        clock_offset_ms: None,
        http: None,
        why: None,
        scrub: Scrub::default(),
    };
    Status {
        min_copies: 1,
        members: vec![member],
        broker: rmpv::Value::Nil,
        proxy: rmpv::Value::Nil,
        reference: rmpv::Value::Nil,
        brokers: rmpv::Value::Nil,
        proxies: rmpv::Value::Nil,
        why: None,
    }
}

/// How often the screen is drawn while so much time passes and the cluster tells how it is.
fn frames(stage: &mut Stage, ms: u64) -> usize {
    let mut frames = 0;
    for tick in 0..ms / 250 {
        stage.passes(250);
        if tick % 20 == 0 {
            stage.happens(Event::Status(status("server-1")));
        }
        if tick % 80 == 0 {
            let users = vec![format!("user-{tick}")];
            stage.happens(Event::Names { users, channels: Vec::new() });
        }
        frames += usize::from(stage.state.take_stale());
    }
    frames
}

#[test]
fn nothing_is_drawn_while_nothing_happens() {
    let mut stage = Stage::in_tea(80, 24, chat(5));
    stage.happens(Event::Status(status("server-1")));
    frames(&mut stage, 20_000);
    assert_eq!(frames(&mut stage, 600_000), 0);
    stage.happens(Event::Message(record(6, "bob", "hello")));
    assert_eq!(frames(&mut stage, 10_000), 1);
    stage.press(KeyCode::Left);
    assert_eq!(frames(&mut stage, 10_000), 1);
}

#[test]
fn names_are_drawn_where_they_are_listed() {
    let mut stage = Stage::in_tea(80, 24, chat(1));
    stage.ctrl('k');
    stage.state.take_stale();
    stage.happens(Event::Names { users: vec!["zoe".to_owned()], channels: Vec::new() });
    assert!(stage.state.take_stale() && stage.screen().contains("@zoe"));
}

#[test]
fn what_comes_and_goes_with_time_is_drawn() {
    let mut stage = Stage::in_tea(80, 24, chat(5));
    stage.happens(Event::Status(status("server-1")));
    frames(&mut stage, 20_000);
    stage.press(KeyCode::F(2));
    assert_eq!(frames(&mut stage, 60_000), 2, "a note comes and goes");
    stage.happens(Event::Status(status("server-2")));
    assert!(stage.state.take_stale(), "another primary");
    stage.happens(Event::Broker(false));
    assert_eq!(frames(&mut stage, 60_000), 2, "the connection, and its banner");
    stage.happens(Event::Broker(true));
    stage.state.take_stale();
    stage.has_joined(&["apples"]);
    stage.alt('1');
    stage.serve(Vec::new(), 1);
    stage.alt('2');
    let mut call = record(1, "bob", "ana?");
    call.to = "apples".to_owned();
    stage.happens(Event::Message(call));
    assert_eq!(frames(&mut stage, 60_000), 2, "the order is held and let go");
}
