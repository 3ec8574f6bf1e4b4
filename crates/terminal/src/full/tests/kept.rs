//! What was written is kept, whatever happens to the client.

use ratatui::crossterm::event::{KeyCode, KeyModifiers};
use recado_client::ClientError;
use recado_protocol::HistoryReply;

use super::stage::{START_MS, Stage, ack, chat, direct, private, record, tea};
use crate::full::model::event::{Effect, Event};
use crate::full::model::memory::Memory;
use crate::full::model::room::Place;

/// What would be read at the next start.
fn written_down(stage: &mut Stage) -> Memory {
    let memory = stage.effects.iter().rev().find_map(|effect| match effect {
        Effect::Remember { memory, .. } => Some(memory.clone()),
        _ => None,
    });
    memory.expect("it is written down")
}

/// The disk is full.
fn not_remembered(user: &str) -> Event {
    Event::NotRemembered { user: user.to_owned(), why: "the disk is full".to_owned() }
}

/// ana at the next start, with this memory, back in tea.
fn next_start(memory: Memory) -> Stage {
    let mut stage = Stage::new(80, 24);
    let user = "ana".to_owned();
    stage.happens(Event::LoggedIn { user: user.clone(), outcome: Ok(()) });
    stage.happens(Event::Recalled { user, memory });
    stage.happens(Event::Inbox(Ok(HistoryReply { messages: Vec::new(), newest: 0 })));
    let joins: Vec<String> = stage
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Join { channel } => Some(channel.clone()),
            _ => None,
        })
        .collect();
    for channel in joins {
        stage.happens(Event::Joined { channel, outcome: Ok(()) });
    }
    stage
}

#[test]
fn drafts_are_there_again_at_the_next_start() {
    let mut stage = Stage::in_tea(80, 24, chat(1));
    stage.line("/msg dora");
    stage.types("dear dora");
    stage.line("");
    stage.take_sends();
    stage.types("and by the way");
    stage.key(KeyCode::Up, KeyModifiers::ALT);
    assert_eq!(stage.state.open, Some(tea()));
    stage.happens(Event::Paste("two\nlines".to_owned()));
    stage.effects.clear();
    stage.passes(4_000);
    let memory = written_down(&mut stage);
    let mut stage = next_start(memory.clone());
    assert_eq!((stage.state.open.clone(), stage.state.input.text()), (Some(tea()), "two\nlines"));
    stage.line("/msg dora");
    let mut stage = next_start(memory);
    stage.ctrl('c');
    stage.line("/msg dora");
    assert_eq!(stage.state.input.text(), "and by the way");
}

#[test]
fn a_draft_is_kept_while_an_older_line_is_looked_at() {
    let looking_back = |line: &str| {
        let mut stage = Stage::in_tea(80, 24, chat(1));
        stage.has_joined(&["coffee"]);
        stage.line(line);
        stage.types("a draft");
        stage.press(KeyCode::Up);
        assert_eq!(stage.state.input.text(), line);
        stage
    };
    let mut stage = looking_back("older");
    stage.happens(Event::Terminate);
    assert_eq!(written_down(&mut stage).drafts, [(tea(), "a draft".to_owned())].into());
    let mut stage = looking_back("older");
    stage.alt('1');
    stage.alt('2');
    assert_eq!(stage.state.input.text(), "a draft");
    let mut stage = looking_back("/join coffee");
    stage.alt('2');
    stage.types("a draft");
    stage.press(KeyCode::Up);
    stage.press(KeyCode::Enter);
    stage.alt('2');
    assert_eq!(stage.state.input.text(), "a draft", "the command left it behind");
    let mut stage = looking_back("older");
    stage.press(KeyCode::Enter);
    stage.press(KeyCode::Up);
    stage.press(KeyCode::Up);
    assert_eq!(stage.state.input.text(), "a draft");
}

#[test]
fn a_draft_is_kept_behind_an_older_line_that_is_changed() {
    let mut stage = Stage::in_tea(80, 24, chat(1));
    stage.line("older");
    stage.types("a draft");
    stage.press(KeyCode::Up);
    stage.types("!");
    stage.happens(Event::Terminate);
    let memory = written_down(&mut stage);
    assert_eq!(memory.drafts, [(tea(), "older!".to_owned())].into());
    assert_eq!(memory.lines.last().map(String::as_str), Some("a draft"));
}

#[test]
fn a_draft_to_somebody_new_is_kept_too() {
    let mut stage = Stage::in_tea(80, 24, chat(1));
    stage.line("/msg dora");
    stage.types("we have not met");
    stage.happens(Event::Terminate);
    let memory = written_down(&mut stage);
    assert!(matches!(stage.effects.last(), Some(Effect::Quit { .. })));
    let stage = next_start(memory);
    let open = stage.state.open.clone();
    assert_eq!((open, stage.state.input.text()), (Some(direct("dora")), "we have not met"));
}

#[test]
fn a_draft_of_a_channel_that_is_not_joined_again_yet_is_not_forgotten() {
    let mut stage = Stage::in_tea(80, 24, chat(1));
    stage.types("a draft");
    stage.happens(Event::Terminate);
    let memory = written_down(&mut stage);
    let mut stage = Stage::new(80, 24);
    let user = "ana".to_owned();
    stage.happens(Event::LoggedIn { user: user.clone(), outcome: Ok(()) });
    stage.happens(Event::Recalled { user, memory });
    stage.effects.clear();
    stage.line("/msg dora");
    stage.types("another");
    stage.happens(Event::Terminate);
    let memory = written_down(&mut stage);
    assert_eq!(memory.drafts.len(), 2, "{memory:?}");
}

#[test]
fn lines_that_were_written_come_back_with_up() {
    let mut stage = Stage::in_tea(80, 24, chat(1));
    stage.line("the first");
    stage.line("/search x");
    stage.press(KeyCode::Esc);
    stage.happens(Event::Terminate);
    let memory = written_down(&mut stage);
    let mut stage = next_start(memory);
    stage.line("later");
    for expected in ["later", "/search x", "the first", "/join tea"] {
        stage.press(KeyCode::Up);
        assert_eq!(stage.state.input.text(), expected);
    }
}

#[test]
fn a_very_long_line_does_not_drive_out_the_others() {
    let mut stage = Stage::in_tea(80, 24, chat(1));
    stage.line("short");
    stage.happens(Event::Paste("long ".repeat(20_000)));
    stage.press(KeyCode::Enter);
    stage.line("shorter");
    stage.happens(Event::Terminate);
    assert_eq!(written_down(&mut stage).lines, ["/join tea", "short", "shorter"]);
}

#[test]
fn messages_that_are_not_sent_wait_for_the_next_start_and_are_sent_when_wanted() {
    let mut stage = Stage::in_tea(80, 24, chat(1));
    stage.line("failed");
    let number = stage.take_sends()[0].1;
    let outcome = Err(ClientError::Unknown { waited_ms: 30_000 });
    stage.happens(Event::Sent { place: tea(), number, outcome });
    for text in ["on its way", "waits"] {
        stage.line(text);
    }
    stage.line("/quit");
    let screen = stage.screen();
    assert!(screen.contains("2 messages are not sent yet; they are kept"), "{screen}");
    stage.ctrl('q');
    assert_eq!(stage.effects.last(), Some(&Effect::Quit { code: 0 }));
    let memory = written_down(&mut stage);
    assert!(memory.drafts.is_empty(), "/quit is no draft");

    let mut stage = next_start(memory);
    assert!(stage.take_sends().is_empty(), "nothing is sent that nobody asked for now");
    stage.serve(chat(1), 1);
    let screen = stage.screen();
    assert!(screen.contains("3 messages from before"), "{screen}");
    assert_eq!(screen.matches("✗ not sent").count(), 3, "{screen}");
    stage.ctrl('r');
    for (seq, expected) in [(2, "failed"), (3, "on its way"), (4, "waits")] {
        let sends = stage.take_sends();
        assert_eq!((sends.len(), sends[0].2.as_str()), (1, expected));
        stage.sent(&tea(), sends[0].1, ack(seq));
    }
    stage.passes(4_000);
    assert!(written_down(&mut stage).unsent.is_empty());
}

#[test]
fn what_came_back_is_sent_though_its_acknowledgement_is_lost() {
    let mut stage = Stage::in_tea(80, 24, chat(1));
    stage.line("arrived");
    stage.line("waits");
    stage.happens(Event::Message(record(2, "ana", "arrived")));
    stage.happens(Event::Terminate);
    let unsent = written_down(&mut stage).unsent;
    let texts: Vec<_> = unsent.iter().map(|unsent| unsent.text.as_str()).collect();
    assert_eq!(texts, ["waits"]);
}

#[test]
fn an_older_message_of_the_same_words_is_not_what_is_being_sent() {
    let history: Vec<_> =
        (1..=400).map(|seq| record(seq, "ana", if seq == 7 { "ok" } else { "other" })).collect();
    let mut stage = Stage::in_tea(80, 24, history[200..].to_vec());
    stage.line("ok");
    while !stage.state.rooms[&tea()].log.holds(7) {
        stage.press(KeyCode::PageUp);
        stage.serve_all(&history);
    }
    stage.happens(Event::Terminate);
    assert_eq!(written_down(&mut stage).unsent.len(), 1, "it is not the one of before");
}

#[test]
fn an_inbox_that_comes_late_is_not_shown_to_who_comes_next() {
    let mut stage = Stage::in_tea(80, 24, chat(1));
    stage.log_in("dora");
    let messages = vec![private(3, "bob", "ana", "for ana only")];
    stage.happens(Event::Inbox(Ok(HistoryReply { messages, newest: 3 })));
    assert!(!stage.state.rooms.contains_key(&direct("bob")));
    let messages = vec![private(4, "bob", "dora", "for dora")];
    stage.happens(Event::Inbox(Ok(HistoryReply { messages, newest: 4 })));
    assert!(stage.state.rooms.contains_key(&direct("bob")));
}

#[test]
fn where_nothing_can_be_kept_leaving_says_what_would_be_lost() {
    let mut stage = Stage::in_tea(80, 24, chat(1));
    stage.happens(not_remembered("ana"));
    stage.types("a draft");
    stage.ctrl('q');
    assert!(stage.screen().contains("1 text would be lost"), "{}", stage.screen());
    stage.ctrl('q');
    assert_eq!(stage.effects.last(), Some(&Effect::Quit { code: 0 }));
}

#[test]
fn what_could_not_be_written_down_is_tried_again_until_it_is() {
    let writes = |stage: &mut Stage| {
        let count = stage.effects.iter().filter(|e| matches!(e, Effect::Remember { .. })).count();
        stage.effects.clear();
        count
    };
    let mut stage = Stage::in_tea(120, 24, chat(1));
    stage.types("a draft");
    stage.passes(4_000);
    assert_eq!(writes(&mut stage), 1);
    stage.happens(not_remembered("ana"));
    assert!(stage.screen().contains("the disk is full"), "{}", stage.screen());
    stage.passes(20_000);
    assert_eq!(writes(&mut stage), 1, "though nothing changed");
    stage.happens(not_remembered("ana"));
    assert!(!stage.screen().contains("the disk is full"), "it was told");
    stage.ctrl('q');
    assert!(stage.screen().contains("1 text would be lost"), "{}", stage.screen());
    stage.press(KeyCode::Left);
    stage.passes(20_000);
    assert_eq!(writes(&mut stage), 1);
    stage.happens(Event::Remembered { user: "ana".to_owned() });
    stage.passes(20_000);
    assert_eq!(writes(&mut stage), 0);
    stage.ctrl('q');
    assert!(stage.effects.contains(&Effect::Quit { code: 0 }), "it is kept again");

    let mut stage = Stage::in_tea(120, 24, chat(1));
    stage.types("a draft");
    stage.passes(4_000);
    stage.happens(not_remembered("ana"));
    writes(&mut stage);
    stage.happens(Event::Terminate);
    assert_eq!(writes(&mut stage), 1, "once more before the end");
    stage.ctrl('c');
    stage.log_in("dora");
    stage.happens(not_remembered("ana"));
    assert!(stage.state.keeps, "dora's is another file");
    assert!(stage.screen().contains("the disk is full"), "{}", stage.screen());
}

#[test]
fn a_clock_that_is_set_back_keeps_nothing_waiting() {
    let mut stage = Stage::in_tea(80, 24, chat(1));
    stage.has_joined(&["coffee"]);
    stage.types("a draft");
    stage.passes(4_000);
    stage.alt('1');
    stage.types("another");
    stage.effects.clear();
    stage.happens(Event::Tick { now_ms: START_MS - 3_600_000 });
    assert_eq!(written_down(&mut stage).drafts.len(), 2);
    assert!(!stage.state.order_is_held());
    stage.happens(Event::Unanswered);
    stage.passes(5_000);
    let asks = Effect::AskStatus { asked: false };
    assert!(stage.effects.contains(&asks));

    let mut stage = Stage::in_tea(80, 24, chat(1));
    stage.happens(Event::Broker(false));
    let set_back_ms = START_MS - 3_600_000;
    stage.happens(Event::Tick { now_ms: set_back_ms });
    stage.happens(Event::Tick { now_ms: set_back_ms + 2_000 });
    assert!(stage.state.broker_away(), "and the person is told of it");
}

#[test]
fn a_second_client_of_the_same_user_says_that_it_keeps_nothing() {
    let mut stage = Stage::in_tea(80, 24, chat(1));
    stage.happens(Event::KeptElsewhere);
    assert!(stage.screen().contains("another client of yours"), "{}", stage.screen());
    stage.types("a draft");
    stage.ctrl('q');
    assert!(stage.screen().contains("1 text would be lost"), "{}", stage.screen());
    stage.ctrl('c');
    stage.log_in("dora");
    assert!(stage.state.keeps, "that is another file");
}

#[test]
fn what_was_written_before_there_was_a_conversation_is_not_lost_by_mistake() {
    let quits = |stage: &Stage| stage.effects.contains(&Effect::Quit { code: 0 });
    let mut stage = Stage::new(80, 24);
    stage.types("hello, is anybody there");
    stage.ctrl('q');
    assert!(!quits(&stage) && stage.screen().contains("1 text would be lost"));
    stage.ctrl('q');
    assert!(quits(&stage));
    let mut stage = Stage::new(80, 24);
    stage.types("/msg dora it has been a long time");
    stage.ctrl('q');
    assert!(!quits(&stage), "it is more than a command");
    let mut stage = Stage::new(80, 24);
    stage.types("/login an");
    stage.ctrl('q');
    assert!(quits(&stage), "a command is nothing to keep");
}

#[test]
fn what_was_written_before_a_conversation_opens_goes_into_it() {
    let mut stage = Stage::new(80, 24);
    stage.log_in("ana");
    stage.line("/join tea");
    stage.types("hello");
    stage.happens(Event::Joined { channel: "tea".to_owned(), outcome: Ok(()) });
    assert_eq!((stage.state.open.clone(), stage.state.input.text()), (Some(tea()), "hello"));

    let mut stage = Stage::new(80, 24);
    stage.types("hello");
    let user = "ana".to_owned();
    stage.happens(Event::LoggedIn { user: user.clone(), outcome: Ok(()) });
    let drafts = [(direct("bob"), "dear bob".to_owned())].into();
    let memory = Memory { open: Some(direct("bob")), drafts, ..Memory::default() };
    stage.happens(Event::Recalled { user, memory });
    assert_eq!(stage.state.input.text(), "dear bob");
    stage.press(KeyCode::Up);
    assert_eq!(stage.state.input.text(), "hello");

    let mut stage = Stage::new(80, 24);
    stage.log_in("ana");
    stage.line("/msg bob");
    let open = stage.state.open.clone();
    assert_eq!((open, stage.state.input.text()), (Some(direct("bob")), ""), "a command is done");
}

#[test]
fn leaving_a_conversation_loses_nothing_that_was_written_there() {
    let mut stage = Stage::in_tea(80, 24, chat(1));
    stage.types("a draft in tea");
    stage.has_joined(&["coffee"]);
    stage.alt('1');
    stage.serve(Vec::new(), 0);
    stage.line("/leave tea");
    assert!(stage.screen().contains("Up brings back"), "{}", stage.screen());
    stage.press(KeyCode::Up);
    stage.press(KeyCode::Up);
    assert_eq!(stage.state.input.text(), "a draft in tea");
}

#[test]
fn leaving_the_only_conversation_takes_the_command_along() {
    let mut stage = Stage::in_tea(80, 24, chat(1));
    stage.line("/leave");
    assert_eq!((stage.state.open.clone(), stage.state.input.text()), (None, ""));
    stage.press(KeyCode::Up);
    assert_eq!(stage.state.input.text(), "/leave");
}

#[test]
fn somebody_else_does_not_get_what_was_written() {
    let mut stage = Stage::in_tea(80, 24, chat(1));
    stage.line("/msg bob a secret");
    let number = stage.take_sends()[0].1;
    stage.sent(&direct("bob"), number, ack(2));
    stage.types("for bob");
    stage.has_joined(&["coffee"]);
    stage.alt('1');
    stage.types("for coffee");
    stage.alt('2');
    stage.types("for tea");
    stage.effects.clear();
    stage.happens(Event::LoggedIn { user: "dora".to_owned(), outcome: Ok(()) });
    let kept = stage.effects.iter().find_map(|effect| match effect {
        Effect::Remember { user, memory } => Some((user.as_str(), memory)),
        _ => None,
    });
    let (user, memory) = kept.expect("ana's is written down first");
    let drafts: Vec<_> = memory.drafts.values().map(String::as_str).collect();
    assert_eq!((user, drafts), ("ana", vec!["for coffee", "for tea", "for bob"]));
    assert_eq!(stage.listed(), ["#coffee", "#tea"]);
    for _ in 0..2 {
        assert!(stage.state.input.is_empty(), "{}", stage.state.input.text());
        stage.press(KeyCode::Up);
        assert!(stage.state.input.is_empty(), "{}", stage.state.input.text());
        stage.alt('1');
    }
    assert_eq!(stage.state.open.as_ref().map(Place::name), Some("coffee"));
    assert!(!stage.state.rooms.contains_key(&direct("bob")));
}

#[test]
fn what_failed_is_kept_for_its_writer_and_keeps_nobody_else_out() {
    let mut stage = Stage::in_tea(80, 24, chat(1));
    stage.line("by ana");
    let number = stage.take_sends()[0].1;
    let outcome = Err(ClientError::Unknown { waited_ms: 30_000 });
    stage.happens(Event::Sent { place: tea(), number, outcome });
    stage.line("/login dora");
    let login = Effect::Login { user: "dora".to_owned(), before: Some("ana".to_owned()) };
    assert!(stage.effects.contains(&login), "{}", stage.screen());
    stage.happens(Event::LoggedIn { user: "dora".to_owned(), outcome: Ok(()) });
    let memory = written_down(&mut stage);
    assert_eq!((memory.unsent.len(), memory.unsent[0].text.as_str()), (1, "by ana"));
    assert!(!stage.screen().contains("by ana"), "{}", stage.screen());

    let mut stage = Stage::in_tea(80, 24, chat(1));
    stage.happens(not_remembered("ana"));
    stage.line("by ana");
    let number = stage.take_sends()[0].1;
    let outcome = Err(ClientError::Unknown { waited_ms: 30_000 });
    stage.happens(Event::Sent { place: tea(), number, outcome });
    stage.effects.clear();
    stage.line("/login dora");
    assert!(stage.effects.is_empty(), "nobody would have it any more");
}

#[test]
fn nobody_else_logs_in_while_drafts_would_be_lost() {
    let logs_in = |stage: &Stage| stage.effects.iter().any(|e| matches!(e, Effect::Login { .. }));
    let mut stage = Stage::in_tea(80, 24, chat(1));
    stage.happens(Event::KeptElsewhere);
    stage.has_joined(&["coffee"]);
    stage.types("for tea");
    stage.alt('1');
    stage.line("/login dora");
    assert!(!logs_in(&stage));
    assert!(stage.screen().contains("1 text would be lost; send it"), "{}", stage.screen());
    stage.ctrl('c');
    stage.alt('2');
    assert_eq!(stage.state.input.text(), "for tea");
    stage.ctrl('c');
    stage.line("/login dora");
    assert!(logs_in(&stage), "the command is no draft: {}", stage.screen());
    stage.types("written meanwhile");
    stage.happens(Event::LoggedIn { user: "dora".to_owned(), outcome: Ok(()) });
    assert_eq!(stage.state.me.as_deref(), Some("ana"));
    assert_eq!(stage.state.input.text(), "written meanwhile");
}

#[test]
fn what_can_not_be_read_is_told_and_what_is_not_kept_then() {
    let mut stage = Stage::in_tea(80, 24, chat(1));
    let file = "/home/ana/.local/state/recado/chat/ana@x.json.damaged".to_owned();
    stage.happens(Event::Damaged { kept_as: file });
    let screen = stage.screen();
    assert!(screen.contains("is damaged") && screen.contains("json.damaged"), "{screen}");
    assert!(stage.state.keeps, "a new file takes its place");
    stage.happens(Event::NotRecalled("ana@x.json: permission denied".to_owned()));
    assert!(stage.screen().contains("permission denied"), "{}", stage.screen());
    stage.types("a draft");
    stage.ctrl('q');
    assert!(stage.screen().contains("1 text would be lost"), "{}", stage.screen());
}
