//! What the client does, by what happens to it.

use ratatui::crossterm::event::{KeyCode, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use recado_client::ClientError;
use recado_protocol::{Code, HistoryReply};

use super::stage::{Stage, ack, chat, direct, private, record, refused, tea};
use crate::full::model::Notify;
use crate::full::model::event::{Effect, Event, Listed, Want};
use crate::full::model::memory::Memory;
use crate::full::model::room::Place;

#[test]
fn a_message_needs_somebody_and_somewhere_and_is_not_lost_for_lack_of_either() {
    let mut stage = Stage::new(80, 24);
    stage.line("hello");
    assert!(stage.screen().contains("log in first: /login <name>"));
    assert_eq!(stage.state.input.text(), "hello");
    stage.log_in("ana");
    stage.press(KeyCode::Enter);
    assert!(stage.screen().contains("open a conversation first"));
    assert!(stage.take_sends().is_empty());
    assert_eq!(stage.state.input.text(), "hello");
}

#[test]
fn wrong_commands_stay_and_say_what_is_wrong() {
    let cases = [
        ("/jion tea", "no command \"jion\"; did you mean /join?"),
        ("/xyzzy", "/help lists all"),
        ("/join", "something is missing: /join <channel>"),
        ("/join \"tea", "a double quote is not closed"),
        ("/join coffee break", "too many words"),
        ("/leave tea", "you are not in tea"),
    ];
    for (line, expected) in cases {
        let mut stage = Stage::new(100, 24);
        stage.log_in("ana");
        stage.line(line);
        assert!(stage.screen().contains(expected), "{line}: {}", stage.screen());
        assert_eq!(stage.state.input.text(), line);
    }
}

#[test]
fn creating_joins_and_opens_and_joining_again_does_no_harm() {
    let mut stage = Stage::new(80, 24);
    stage.log_in("ana");
    stage.line("/create tea");
    assert!(stage.effects.contains(&Effect::Create { channel: "tea".to_owned() }));
    stage.happens(Event::Created { channel: "tea".to_owned(), outcome: Ok(()) });
    assert!(stage.effects.contains(&Effect::Join { channel: "tea".to_owned() }));
    stage.happens(Event::Joined { channel: "tea".to_owned(), outcome: Ok(()) });
    assert_eq!(stage.state.open, Some(tea()));
    stage.serve(chat(2), 2);
    stage.effects.clear();
    stage.line("/join tea");
    assert_eq!((stage.effects.len(), stage.state.open.clone()), (0, Some(tea())));
    assert!(stage.screen().contains("message number 2"));
}

#[test]
fn a_refusal_says_what_to_do() {
    let mut stage = Stage::new(100, 24);
    stage.log_in("ana");
    let outcome = Err(refused(Code::UnknownChannel, "no such channel"));
    stage.happens(Event::Joined { channel: "tea".to_owned(), outcome });
    assert!(stage.screen().contains("there is no channel tea; create it with: /create tea"));
}

#[test]
fn two_slashes_begin_a_message_with_one() {
    let mut stage = Stage::in_tea(80, 24, chat(1));
    stage.line("//usr is a folder");
    assert_eq!(stage.take_sends()[0].2, "/usr is a folder");
}

#[test]
fn own_messages_are_sent_one_by_one_and_shown_once_in_any_order_of_echo_and_answer() {
    for echo_first in [false, true] {
        let mut stage = Stage::in_tea(80, 24, chat(1));
        stage.line("again");
        stage.line("again");
        for seq in [2, 3] {
            let sends = stage.take_sends();
            assert_eq!(sends.len(), 1);
            let echo = Event::Message(record(seq, "ana", "again"));
            let shown = |stage: &Stage| stage.screen().matches("again").count();
            if echo_first {
                stage.happens(echo);
                assert_eq!(shown(&stage), 2, "{}", stage.screen());
                stage.sent(&tea(), sends[0].1, ack(seq));
            } else {
                stage.sent(&tea(), sends[0].1, ack(seq));
                assert_eq!(shown(&stage), 2, "{}", stage.screen());
                stage.happens(echo);
            }
        }
        let screen = stage.screen();
        assert_eq!(screen.matches("again ✓3/3").count(), 2, "{screen}");
        assert_eq!(screen.matches("again").count(), 2, "{screen}");
        assert!(stage.state.rooms[&tea()].outgoing.is_empty());
        assert!(screen.contains("stored on 3 of 3"), "{screen}");
    }
}

#[test]
fn somebody_elses_equal_text_hides_nothing_of_ones_own() {
    let mut stage = Stage::in_tea(80, 24, chat(1));
    stage.line("same words");
    let number = stage.take_sends()[0].1;
    // Sent by the same user from another terminal.
    stage.happens(Event::Message(record(2, "ana", "same words")));
    stage.sent(&tea(), number, ack(3));
    assert_eq!(stage.screen().matches("same words").count(), 2);
    stage.happens(Event::Message(record(3, "ana", "same words")));
    assert_eq!(stage.screen().matches("same words").count(), 2);
}

#[test]
fn a_failed_message_is_tried_again_or_taken_back() {
    let mut stage = Stage::in_tea(80, 24, chat(1));
    let fails = |stage: &mut Stage| {
        let number = stage.take_sends()[0].1;
        let outcome = Err(ClientError::Unknown { waited_ms: 30_000 });
        stage.happens(Event::Sent { place: tea(), number, outcome });
    };
    stage.line("hello");
    fails(&mut stage);
    assert!(stage.screen().contains("hello ✗ not sent"), "{}", stage.screen());
    assert!(stage.screen().contains("Ctrl-R"));
    stage.ctrl('r');
    fails(&mut stage);
    stage.ctrl('t');
    assert_eq!(stage.state.input.text(), "hello");
    assert!(!stage.screen().contains("not sent"), "{}", stage.screen());
    stage.press(KeyCode::Enter);
    let number = stage.take_sends()[0].1;
    stage.sent(&tea(), number, ack(2));
    stage.happens(Event::Message(record(2, "ana", "hello")));
    assert_eq!(stage.screen().matches("hello").count(), 1);
}

#[test]
fn a_direct_message_is_read_back_from_where_it_must_be() {
    let mut stage = Stage::in_tea(80, 24, chat(1));
    stage.line("/msg bob psst");
    assert_eq!(stage.state.open, Some(direct("bob")));
    stage.serve(vec![private(5, "bob", "ana", "hi")], 5);
    let sends = stage.take_sends();
    assert_eq!((&sends[0].0, sends[0].2.as_str()), (&direct("bob"), "psst"));
    // The answer to it is faster than the acknowledgement.
    stage.happens(Event::Message(private(12, "bob", "ana", "what?")));
    stage.sent(&direct("bob"), sends[0].1, ack(10));
    // What is before the first page, and then what was sent, wherever it went.
    stage.serve(Vec::new(), 12);
    let (place, ticket, want) = stage.take_fetch().unwrap();
    assert_eq!((&place, want), (&direct("bob"), Want::Newest));
    let messages = vec![
        private(5, "bob", "ana", "hi"),
        private(10, "ana", "bob", "psst"),
        private(12, "bob", "ana", "what?"),
    ];
    let outcome = Ok(HistoryReply { messages, newest: 12 });
    stage.happens(Event::Page { place, ticket, want, outcome });
    let screen = stage.screen();
    let at = |text: &str| screen.find(text).unwrap_or_else(|| panic!("{text} in {screen}"));
    assert!(at("hi") < at("psst ✓3/3") && at("psst ✓3/3") < at("what?"), "{screen}");
    assert_eq!(screen.matches("psst").count(), 1, "{screen}");
}

#[test]
fn unread_and_mentions_are_counted_where_nobody_looks_and_come_first() {
    let mut stage = Stage::in_tea(80, 24, chat(1));
    for channel in ["coffee", "zoo"] {
        stage.happens(Event::Joined { channel: channel.to_owned(), outcome: Ok(()) });
    }
    let mut in_zoo = record(1, "bob", "ANA!");
    in_zoo.to = "zoo".to_owned();
    let mut in_coffee = record(1, "bob", "banana");
    in_coffee.to = "coffee".to_owned();
    stage.happens(Event::Message(in_coffee));
    stage.happens(Event::Message(in_zoo));
    let titles: Vec<_> = stage.state.sorted().iter().map(|place| place.title()).collect();
    assert_eq!(titles, ["#zoo", "#coffee", "#tea"]);
    assert!(stage.screen().contains("#zoo        @1"), "{}", stage.screen());
    stage.alt('a');
    assert_eq!(stage.state.open.as_ref().unwrap().name(), "zoo");
    stage.serve(Vec::new(), 1);
    stage.alt('a');
    assert_eq!(stage.state.open.as_ref().unwrap().name(), "coffee");
    stage.serve(Vec::new(), 1);
    stage.alt('a');
    assert!(stage.screen().contains("nothing else is unread"));
}

#[test]
fn drafts_stay_with_their_conversation() {
    let mut stage = Stage::in_tea(80, 24, chat(1));
    stage.join("coffee", Vec::new());
    stage.types("for coffee");
    stage.alt('2');
    assert_eq!((stage.state.open.clone(), stage.state.input.text()), (Some(tea()), ""));
    stage.types("for tea");
    stage.alt('1');
    assert_eq!(stage.state.input.text(), "for coffee");
    stage.key(KeyCode::Down, KeyModifiers::ALT);
    assert_eq!(stage.state.input.text(), "for tea");
}

#[test]
fn the_terminal_rings_only_when_nobody_looks_and_never_says_what_was_said() {
    let cases = [
        (Notify::Off, true, 0),
        (Notify::Mentions, false, 0),
        (Notify::Mentions, true, 1),
        (Notify::All, false, 1),
    ];
    for (notify, mention, rings) in cases {
        for focused in [true, false] {
            let mut stage = Stage::in_tea(80, 24, chat(1));
            stage.state.notify = notify;
            stage.happens(Event::Focus(focused));
            let text = if mention { "secret for ana" } else { "secret" };
            stage.happens(Event::Message(record(2, "bob", text)));
            let alerts: Vec<_> = stage
                .effects
                .iter()
                .filter_map(|effect| match effect {
                    Effect::Alert(text) => Some(text.clone()),
                    _ => None,
                })
                .collect();
            assert_eq!(alerts.len(), if focused { 0 } else { rings }, "{notify:?} {mention}");
            assert!(!alerts.concat().contains("secret"));
        }
    }
}

#[test]
fn a_text_stands_in_the_timeline_only() {
    let mut stage = Stage::in_tea(100, 24, chat(1));
    stage.happens(Event::Message(private(9, "bob", "ana", "zebra")));
    stage.happens(Event::Joined { channel: "zoo".to_owned(), outcome: Ok(()) });
    assert!(!stage.screen().contains("zebra"), "{}", stage.screen());
    stage.line("giraffe");
    let number = stage.take_sends()[0].1;
    let outcome = Err(refused(Code::TooLarge, "too long"));
    stage.happens(Event::Sent { place: tea(), number, outcome });
    assert_eq!(stage.screen().matches("giraffe").count(), 1, "{}", stage.screen());
}

#[test]
fn names_channels_and_commands_are_completed_in_turn() {
    let mut stage = Stage::in_tea(80, 24, chat(1));
    let users = ["bob", "bobby", "old fox"].map(str::to_owned).to_vec();
    let channels = ["tea", "Coffee break"].map(str::to_owned).to_vec();
    stage.happens(Event::Names { users, channels });
    let cases: [(&str, usize, &str); 9] = [
        ("bo", 1, "bob: "),
        ("bo", 2, "bobby: "),
        ("bo", 3, "bo"),
        ("hi bo", 1, "hi bob "),
        ("see #te", 1, "see #tea "),
        ("/jo", 1, "/join "),
        ("/join cof", 1, "/join \"Coffee break\" "),
        ("/msg ol", 1, "/msg \"old fox\" "),
        ("/sea", 1, "/search "),
    ];
    for (typed, tabs, expected) in cases {
        stage.types(typed);
        (0..tabs).for_each(|_| stage.press(KeyCode::Tab));
        assert_eq!(stage.state.input.text(), expected, "{typed} and {tabs} tabs");
        stage.ctrl('c');
    }
    stage.happens(Event::Names { users: vec!["tea".to_owned()], channels: Vec::new() });
    stage.types("/history te");
    (0..3).for_each(|_| stage.press(KeyCode::Tab));
    assert_eq!(stage.state.input.text(), "/history tea ", "one name is offered once");
    stage.ctrl('c');
    stage.types("bo");
    stage.press(KeyCode::BackTab);
    stage.press(KeyCode::BackTab);
    assert_eq!(stage.state.input.text(), "bo");
}

#[test]
fn the_list_of_users_opens_a_conversation() {
    let mut stage = Stage::in_tea(80, 24, chat(1));
    stage.line("/users");
    assert!(stage.effects.contains(&Effect::Ask(Listed::Users)));
    let users = ["bob", "dora"].map(str::to_owned).to_vec();
    let names = crate::full::model::event::Names { users, channels: Vec::new(), of: Listed::Users };
    stage.happens(Event::Asked(Ok(names)));
    stage.types("dor");
    stage.press(KeyCode::Enter);
    assert_eq!(stage.state.open, Some(direct("dora")));
}

#[test]
fn leaving_with_something_unsent_is_asked_for_twice() {
    let mut stage = Stage::in_tea(80, 24, chat(1));
    stage.line("hello");
    stage.line("/quit");
    assert!(!stage.effects.contains(&Effect::Quit { code: 0 }));
    assert!(stage.screen().contains("1 message is not sent yet"), "{}", stage.screen());
    stage.press(KeyCode::Enter);
    assert!(stage.effects.contains(&Effect::Quit { code: 0 }));
}

#[test]
fn control_c_empties_the_line_and_then_leaves() {
    let mut stage = Stage::in_tea(80, 24, chat(1));
    stage.types("never mind");
    stage.ctrl('c');
    assert!(stage.state.input.is_empty());
    stage.ctrl('c');
    assert!(stage.effects.is_empty() && stage.screen().contains("Ctrl-C once more leaves"));
    stage.ctrl('c');
    assert_eq!(stage.effects.last(), Some(&Effect::Quit { code: 130 }));
}

#[test]
fn the_mouse_opens_and_scrolls() {
    let mut stage = Stage::in_tea(80, 14, chat(60));
    stage.join("coffee", Vec::new());
    let mouse = |kind, column, row| {
        Event::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE })
    };
    stage.happens(mouse(MouseEventKind::Down(MouseButton::Left), 3, 1));
    assert_eq!(stage.state.open, Some(tea()));
    stage.happens(mouse(MouseEventKind::ScrollUp, 30, 5));
    assert!(!stage.screen().contains("number 60") && stage.screen().contains("number 57"));
    stage.happens(mouse(MouseEventKind::ScrollDown, 30, 5));
    assert!(stage.screen().contains("number 60"));
}

#[test]
fn another_login_forgets_the_conversations_of_the_one_before() {
    let mut stage = Stage::in_tea(80, 24, chat(1));
    stage.happens(Event::Message(private(9, "bob", "ana", "for ana only")));
    stage.line("/login dora");
    let login = Effect::Login { user: "dora".to_owned(), before: Some("ana".to_owned()) };
    assert!(stage.effects.contains(&login));
    stage.log_in("dora");
    assert!(!stage.state.rooms.contains_key(&direct("bob")));
    assert!(stage.state.rooms.contains_key(&tea()));
    stage.happens(Event::Message(private(10, "bob", "ana", "too late")));
    assert!(!stage.state.rooms.contains_key(&direct("bob")));
}

#[test]
fn nobody_answering_is_told_after_a_while_and_only_as_long_as_it_lasts() {
    let mut stage = Stage::in_tea(80, 24, chat(1));
    stage.line("hello");
    let number = stage.take_sends()[0].1;
    stage.passes(1_000);
    assert!(!stage.screen().contains("no server answers"));
    stage.passes(1_000);
    assert!(stage.screen().contains("no server answers yet"));
    stage.sent(&tea(), number, ack(2));
    assert!(!stage.screen().contains("no server answers"));
}

fn remembering(read: &[(Place, u64)], open: Option<Place>) -> Stage {
    let mut stage = Stage::new(80, 24);
    let user = "ana".to_owned();
    stage.happens(Event::LoggedIn { user: user.clone(), outcome: Ok(()) });
    assert!(stage.effects.contains(&Effect::Recall { user: user.clone() }));
    let memory = Memory { read: read.iter().cloned().collect(), open, ..Memory::default() };
    stage.happens(Event::Recalled { user, memory });
    stage
}

#[test]
fn what_was_joined_and_read_is_remembered() {
    let coffee = Place::Channel("coffee".to_owned());
    let read = [(tea(), 3), (coffee.clone(), 1), (direct("bob"), 7)];
    let mut stage = remembering(&read, Some(tea()));
    for channel in ["coffee", "tea"] {
        assert!(stage.effects.contains(&Effect::Join { channel: channel.to_owned() }));
    }
    let messages = vec![private(7, "bob", "ana", "old"), private(9, "bob", "ana", "new")];
    stage.happens(Event::Inbox(Ok(HistoryReply { messages, newest: 2 })));
    assert_eq!(stage.state.rooms[&direct("bob")].unread, 1);

    stage.happens(Event::Joined { channel: "coffee".to_owned(), outcome: Ok(()) });
    assert_eq!(stage.state.open, None, "tea was open, and opens when it is joined");
    let mut call = record(300, "bob", "ana?");
    call.to = "coffee".to_owned();
    stage.serve(vec![call], 300);
    let room = &stage.state.rooms[&coffee];
    assert_eq!((room.unread, room.mentions), (299, 1), "what is not held counts too");

    stage.happens(Event::Joined { channel: "tea".to_owned(), outcome: Ok(()) });
    assert_eq!(stage.state.open, Some(tea()));
    stage.serve(chat(5), 5);
    let screen = stage.screen();
    let at = |text: &str| screen.find(text).unwrap_or_else(|| panic!("{text} in {screen}"));
    assert!(at("number 3") < at("── new") && at("── new") < at("number 4"), "{screen}");
}

#[test]
fn what_is_joined_and_read_is_written_down_when_it_changed() {
    let mut stage = remembering(&[(tea(), 3)], None);
    stage.happens(Event::Joined { channel: "tea".to_owned(), outcome: Ok(()) });
    stage.line("/join tea");
    stage.serve(chat(5), 5);
    let memories = |stage: &mut Stage| {
        let mut memories = Vec::new();
        stage.effects.retain(|effect| match effect {
            Effect::Remember { user, memory } => {
                assert_eq!(user, "ana");
                memories.push(memory.clone());
                false
            }
            _ => true,
        });
        memories
    };
    stage.passes(10_000);
    let last = memories(&mut stage).pop().unwrap();
    let lines = vec!["/join tea".to_owned()];
    let read = [(tea(), 5)].into();
    let expected = Memory { read, open: Some(tea()), lines, ..Memory::default() };
    assert_eq!(last, expected);
    stage.passes(10_000);
    assert!(memories(&mut stage).is_empty(), "nothing changed");
    stage.happens(Event::Message(record(6, "bob", "one more")));
    stage.line("/quit");
    let last = memories(&mut stage).pop().unwrap();
    assert_eq!(last.read, [(tea(), 6)].into());
    assert_eq!(stage.effects.last(), Some(&Effect::Quit { code: 0 }), "written before the end");
    stage.line("/leave tea");
    stage.passes(10_000);
    assert!(memories(&mut stage).pop().unwrap().read.is_empty());
}

#[test]
fn nobody_else_logs_in_while_messages_wait() {
    let mut stage = Stage::in_tea(80, 24, chat(1));
    stage.line("/msg bob a secret");
    stage.take_sends();
    stage.line("and one more");
    stage.line("/login dora");
    let logins = |stage: &mut Stage| {
        let mut logins = Vec::new();
        stage.effects.retain(|effect| match effect {
            Effect::Login { user, before } => {
                logins.push((user.clone(), before.clone()));
                false
            }
            _ => true,
        });
        logins
    };
    assert!(logins(&mut stage).is_empty());
    assert!(stage.screen().contains("2 messages are not sent yet"), "{}", stage.screen());
    assert_eq!(stage.state.input.text(), "/login dora");
    stage.ctrl('c');
    stage.line("/login ana");
    assert_eq!(logins(&mut stage).len(), 1, "the same one may log in again");
}

#[test]
fn what_is_written_while_another_login_is_on_its_way_is_sent_by_its_writer() {
    let mut stage = Stage::in_tea(80, 24, chat(1));
    stage.line("/login dora");
    stage.effects.clear();
    stage.line("the first");
    stage.line("/msg bob a secret");
    stage.line("the second");
    stage.happens(Event::LoggedIn { user: "dora".to_owned(), outcome: Ok(()) });
    assert_eq!(stage.state.me.as_deref(), Some("ana"));
    assert!(stage.screen().contains("3 messages are not sent yet"), "{}", stage.screen());
    let back = Effect::Login { user: "ana".to_owned(), before: Some("dora".to_owned()) };
    assert!(stage.effects.contains(&back), "the inbox is ana's again");
    stage.happens(Event::LoggedIn { user: "ana".to_owned(), outcome: Ok(()) });
    assert!(stage.screen().contains("3 messages are not sent yet"), "the reason stays");
    let mut seq = 1;
    while let Some(at) = stage.effects.iter().position(|e| matches!(e, Effect::Send { .. })) {
        let Effect::Send { place, number, from, .. } = stage.effects.remove(at) else { continue };
        assert_eq!(from, "ana");
        seq += 1;
        stage.sent(&place, number, ack(seq));
    }
    assert_eq!((seq, stage.state.unsent()), (4, 0));
}

#[test]
fn a_direct_conversation_is_opened_by_name_and_closed() {
    let mut stage = Stage::in_tea(80, 24, chat(1));
    stage.line("/msg bob");
    assert_eq!(stage.state.open, Some(direct("bob")));
    stage.serve(vec![private(5, "bob", "ana", "hi")], 5);
    stage.types("still being sent");
    stage.press(KeyCode::Enter);
    stage.line("/leave");
    assert!(stage.screen().contains("1 message to bob is still being sent"), "{}", stage.screen());
    stage.ctrl('c');
    let number = stage.take_sends()[0].1;
    stage.sent(&direct("bob"), number, ack(6));
    stage.line("/leave");
    assert!(stage.screen().contains("closed the conversation with bob"), "{}", stage.screen());
    assert_eq!(stage.state.open, Some(tea()));
    assert!(!stage.state.rooms.contains_key(&direct("bob")));
    assert!(!stage.effects.iter().any(|effect| matches!(effect, Effect::Leave { .. })));
    stage.happens(Event::Message(private(9, "bob", "ana", "are you there?")));
    assert_eq!(stage.state.rooms[&direct("bob")].unread, 1);
    stage.line("/leave bob");
    assert!(!stage.state.rooms.contains_key(&direct("bob")));
    stage.line("/msg");
    assert!(stage.screen().contains("something is missing"), "{}", stage.screen());
}

#[test]
fn what_was_closed_stays_closed_until_something_new_comes() {
    let mut stage = remembering(&[(tea(), 3), (direct("bob"), 7)], None);
    stage.line("/leave bob");
    stage.line("/msg carla");
    stage.passes(10_000);
    let last = stage.effects.iter().rev().find_map(|effect| match effect {
        Effect::Remember { memory, .. } => Some(memory.clone()),
        _ => None,
    });
    let memory = last.unwrap();
    let remembered: Vec<_> = memory.read.keys().cloned().collect();
    assert_eq!(remembered, [tea()], "there was no message with carla");

    let mut stage = Stage::new(80, 24);
    let user = "ana".to_owned();
    stage.happens(Event::LoggedIn { user: user.clone(), outcome: Ok(()) });
    stage.happens(Event::Recalled { user, memory });
    let old = private(7, "bob", "ana", "old");
    let messages = vec![old.clone()];
    stage.happens(Event::Inbox(Ok(HistoryReply { messages, newest: 7 })));
    assert!(!stage.state.rooms.contains_key(&direct("bob")));
    let messages = vec![old, private(9, "bob", "ana", "new")];
    stage.happens(Event::Inbox(Ok(HistoryReply { messages, newest: 9 })));
    assert_eq!(stage.state.rooms[&direct("bob")].unread, 1);
}

#[test]
fn the_open_conversation_is_in_sight_however_many_there_are() {
    let mut stage = Stage::in_tea(80, 12, chat(1));
    for number in 10..40 {
        let channel = format!("a-{number}");
        stage.happens(Event::Joined { channel, outcome: Ok(()) });
    }
    let click = |stage: &mut Stage, row| {
        let kind = MouseEventKind::Down(MouseButton::Left);
        let mouse = MouseEvent { kind, column: 3, row, modifiers: KeyModifiers::NONE };
        stage.happens(Event::Mouse(mouse));
    };
    let listed = |stage: &Stage| -> Vec<String> {
        let screen = stage.screen();
        screen.lines().map(|line| line.chars().take(16).collect::<String>()).collect()
    };
    for height in [3, 5, 12, 30, 31, 32] {
        stage.happens(Event::Resize { columns: 80, rows: height });
        for _ in 0..31 {
            stage.key(KeyCode::Down, KeyModifiers::ALT);
            let title = stage.state.open.as_ref().unwrap().title();
            let rows = listed(&stage);
            let row = rows.iter().position(|row| row.trim_end().ends_with(&title));
            let row = row.unwrap_or_else(|| panic!("{title} in {rows:?}"));
            let open = stage.state.open.clone();
            click(&mut stage, u16::try_from(row).unwrap());
            assert_eq!(stage.state.open, open, "the mouse opens what is shown there");
            let shown = rows.iter().filter(|row| row.contains('#')).count();
            let hidden: usize = rows
                .iter()
                .filter_map(|row| row.trim().strip_prefix(['↑', '↓'])?.trim().parse::<usize>().ok())
                .sum();
            assert_eq!(shown + hidden, 31, "{rows:?}");
        }
    }
}

#[test]
fn trying_again_leads_to_where_something_failed() {
    let mut stage = Stage::in_tea(80, 24, chat(1));
    stage.line("hello");
    let number = stage.take_sends()[0].1;
    let outcome = Err(ClientError::Unknown { waited_ms: 30_000 });
    stage.happens(Event::Sent { place: tea(), number, outcome });
    stage.join("coffee", Vec::new());
    stage.ctrl('r');
    assert_eq!(stage.state.open, Some(tea()));
    assert!(stage.take_sends().is_empty(), "one sees first what is sent again");
    stage.ctrl('r');
    assert_eq!(stage.take_sends()[0].2, "hello");
}

#[test]
fn taking_back_leads_to_where_something_failed_too() {
    let mut stage = Stage::in_tea(80, 24, chat(1));
    stage.line("hello");
    let number = stage.take_sends()[0].1;
    let outcome = Err(ClientError::Unknown { waited_ms: 30_000 });
    stage.happens(Event::Sent { place: tea(), number, outcome });
    stage.join("coffee", Vec::new());
    stage.ctrl('t');
    assert_eq!((stage.state.open.clone(), stage.state.input.text()), (Some(tea()), ""));
    stage.ctrl('t');
    assert_eq!(stage.state.input.text(), "hello");
}

#[test]
fn the_choice_in_the_switcher_goes_up_and_down_and_stays() {
    let mut stage = Stage::in_tea(80, 24, chat(1));
    let users = ["bob", "carla", "dora"].map(str::to_owned).to_vec();
    stage.happens(Event::Names { users, channels: Vec::new() });
    stage.ctrl('k');
    let chosen = |stage: &Stage| match &stage.state.overlay {
        Some(crate::full::model::Overlay::Picker(picker)) => picker.chosen,
        other => panic!("{other:?}"),
    };
    stage.press(KeyCode::Tab);
    stage.press(KeyCode::Tab);
    assert_eq!(chosen(&stage), 2);
    stage.press(KeyCode::BackTab);
    assert_eq!(chosen(&stage), 1);
    stage.press(KeyCode::Insert);
    assert_eq!(chosen(&stage), 1, "a key that does nothing changes nothing");
    stage.types("d");
    assert_eq!(chosen(&stage), 0);
}

#[test]
fn a_help_that_goes_on_says_so() {
    let mut stage = Stage::in_tea(100, 14, chat(1));
    stage.press(KeyCode::Char('?'));
    assert!(stage.screen().contains("Down: more"), "{}", stage.screen());
    (0..100).for_each(|_| stage.press(KeyCode::Down));
    assert!(!stage.screen().contains("Down: more"), "{}", stage.screen());
}
