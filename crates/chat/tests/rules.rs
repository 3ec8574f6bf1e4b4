//! The rules of the chat, case by case, over rows in memory.
#![allow(missing_docs)]

use recado_chat::machine::{SESSION_WINDOW, SESSIONS_MAX, TOUCH_POSITIONS};
use recado_chat::members::Announcement;
use recado_chat::rows::MemoryRows;
use recado_chat::{
    Applied, Command, ImportedRow, LogEntry, MemberCommand, Origin, Outcome, Refusal, Stamp, apply,
};

/// Rows, and the position and time of the next entry.
#[derive(Default)]
struct Chat {
    rows: MemoryRows,
    position: u64,
    time_ms: u64,
    published: u64,
}

impl Chat {
    fn with(commands: impl IntoIterator<Item = Command>) -> Chat {
        let mut chat = Chat { time_ms: 1_000, ..Chat::default() };
        for command in commands {
            let outcome = chat.run(command);
            assert!(!matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
        }
        chat
    }

    fn apply(&mut self, origin: Option<Origin>, command: Command) -> Applied {
        self.position += 1;
        let stamp = Stamp { time_ms: self.time_ms, clock: self.position };
        let entry = LogEntry { stamp, origin, published: self.published, command };
        let Ok(applied) = apply(&mut self.rows, self.position, &entry);
        applied
    }

    fn run(&mut self, command: Command) -> Outcome {
        self.apply(None, command).outcome
    }

    /// Runs a command under an id of session 1, with its text's length as the digest.
    fn ask(&mut self, n: u64, message: &str) -> Applied {
        let digest = message.len() as u64;
        self.apply(Some(Origin { session: 1, n, digest }), publish("ana", "geral", message))
    }

    fn texts(&self) -> Vec<&str> {
        self.rows.messages.values().map(|message| message.text.as_str()).collect()
    }
}

fn login(user: &str) -> Command {
    Command::Login { user: user.into() }
}

fn channel(channel: &str) -> Command {
    Command::Channel { channel: channel.into() }
}

fn publish(user: &str, channel: &str, message: &str) -> Command {
    Command::Publish { user: user.into(), channel: channel.into(), message: message.into() }
}

fn private(src: &str, dst: &str, message: &str) -> Command {
    Command::Message { src: src.into(), dst: dst.into(), message: message.into() }
}

fn refused(refusal: Refusal) -> Outcome {
    Outcome::Refused(refusal)
}

fn seq(outcome: &Outcome) -> u64 {
    match outcome {
        Outcome::Stored { seq, .. } => *seq,
        other => panic!("not stored: {other:?}"),
    }
}

#[test]
fn every_login_is_stored_and_the_first_makes_a_user() {
    let mut chat = Chat::with([login("ana")]);
    chat.time_ms = 2_000;
    assert_eq!(chat.run(login("ana")), Outcome::Done);
    let user = chat.rows.users.values().next().unwrap();
    assert_eq!((user.created_ms, user.login_ms, user.seen_ms), (1_000, 2_000, 2_000));
    assert_eq!(chat.rows.logins.values().map(|login| login.1).collect::<Vec<_>>(), [1_000, 2_000]);
}

#[test]
fn users_and_channels_share_their_names() {
    let mut chat = Chat::with([login("ana"), channel("geral")]);
    let cases = [
        (login("geral"), Refusal::NameTaken),
        (channel("ana"), Refusal::NameTaken),
        (channel("geral"), Refusal::ChannelExists),
        (login("servers"), Refusal::InvalidName),
        (login(""), Refusal::InvalidName),
        (channel(" x"), Refusal::InvalidName),
        (publish("", "geral", "oi"), Refusal::InvalidName),
        (publish("ana", "outro", "oi"), Refusal::UnknownChannel),
        (publish("ana", "ana", "oi"), Refusal::UnknownChannel),
        (private("ana", "bia", "oi"), Refusal::UnknownUser),
        (private("ana", "geral", "oi"), Refusal::UnknownUser),
        (private("a\n", "ana", "oi"), Refusal::InvalidName),
    ];
    let before = chat.rows.clone();
    for (command, refusal) in cases {
        assert_eq!(chat.run(command.clone()), refused(refusal), "{command:?}");
    }
    assert_eq!(chat.rows, before, "a refusal changes nothing");
}

#[test]
fn a_sender_needs_a_name_but_no_login() {
    let mut chat = Chat::with([channel("geral"), login("ana")]);
    assert_eq!(seq(&chat.run(publish("ghost", "geral", "oi"))), 1);
    assert_eq!(seq(&chat.run(publish("geral", "geral", "oi"))), 2);
    assert_eq!(seq(&chat.run(private("ghost", "ana", "oi"))), 1);
}

#[test]
fn seqs_count_per_channel_and_per_inbox() {
    let mut chat = Chat::with([channel("a"), channel("b"), login("ana"), login("bia")]);
    let commands = [
        (publish("x", "a", "1"), 1),
        (publish("x", "b", "1"), 1),
        (publish("x", "a", "2"), 2),
        (private("ana", "bia", "1"), 1),
        (private("bia", "ana", "1"), 1),
        (private("x", "bia", "2"), 2),
        (publish("x", "c", "refused"), 0),
        (publish("x", "a", "3"), 3),
    ];
    for (command, expected) in commands {
        match chat.run(command) {
            Outcome::Stored { seq, .. } => assert_eq!(seq, expected),
            _ => assert_eq!(expected, 0),
        }
    }
}

#[test]
fn time_never_goes_back_within_a_channel() {
    let mut chat = Chat::with([channel("a"), channel("b")]);
    for (time_ms, to, expected) in
        [(5_000, "a", 5_000), (3_000, "a", 5_000), (3_000, "b", 3_000), (6_000, "a", 6_000)]
    {
        chat.time_ms = time_ms;
        chat.run(publish("x", to, "oi"));
        assert_eq!(chat.rows.messages.values().last().unwrap().stamp.time_ms, expected);
    }
}

#[test]
fn a_conversation_stays_whole_when_a_stranger_logs_in() {
    let mut chat = Chat::with([login("ana"), private("ghost", "ana", "1"), login("ghost")]);
    chat.run(private("ana", "ghost", "2"));
    let pairs: Vec<_> = chat.rows.conversations.iter().map(|(a, b, _)| (*a, *b)).collect();
    assert_eq!(pairs.len(), 2);
    assert_eq!(pairs[0], pairs[1]);
}

#[test]
fn a_repeat_gets_the_first_result_and_has_no_effect() {
    let mut chat = Chat::with([channel("geral"), Command::Session { session: 1 }]);
    let first = chat.ask(1, "oi");
    assert!(first.publishes);
    let again = chat.ask(1, "oi");
    assert_eq!((again.outcome, again.publishes), (first.outcome, false));
    assert_eq!(chat.texts(), ["oi"]);
}

#[test]
fn a_refusal_is_a_result_too() {
    let mut chat = Chat::with([Command::Session { session: 1 }]);
    assert_eq!(chat.ask(1, "oi").outcome, refused(Refusal::UnknownChannel));
    chat.run(channel("geral"));
    assert_eq!(chat.ask(1, "oi").outcome, refused(Refusal::UnknownChannel));
    assert!(chat.ask(2, "oi").publishes);
}

#[test]
fn other_content_under_the_same_id_is_a_conflict() {
    let mut chat = Chat::with([channel("geral"), Command::Session { session: 1 }]);
    chat.ask(1, "oi");
    assert_eq!(chat.ask(1, "other").outcome, refused(Refusal::IdConflict));
    assert_eq!(chat.texts(), ["oi"]);
}

#[test]
fn what_left_the_window_or_has_no_session_is_never_executed() {
    let mut chat = Chat::with([channel("geral"), Command::Session { session: 1 }]);
    chat.ask(5, "a");
    assert!(chat.ask(5 + SESSION_WINDOW, "b").publishes);
    assert_eq!(chat.ask(5, "a").outcome, refused(Refusal::IdExpired));
    assert_eq!(chat.ask(0, "zero").outcome, refused(Refusal::IdExpired));
    let stranger = Origin { session: 2, n: 1, digest: 0 };
    let outcome = chat.apply(Some(stranger), publish("ana", "geral", "c")).outcome;
    assert_eq!(outcome, refused(Refusal::IdExpired));
    assert_eq!(chat.texts(), ["a", "b"]);
    assert!(chat.ask(4, "late, but new").publishes);
}

#[test]
fn a_session_number_is_given_once() {
    let mut chat = Chat::with([Command::Session { session: 1 }]);
    assert_eq!(chat.run(Command::Session { session: 1 }), refused(Refusal::IdConflict));
}

#[test]
fn the_session_unused_for_longest_makes_room() {
    let most = u64::from(SESSIONS_MAX);
    let mut chat = Chat::with([channel("geral")]);
    let ask = |session, n| Some(Origin { session, n, digest: 0 });
    for session in 1..=most {
        chat.run(Command::Session { session });
        // Session 1 stays in use.
        if session % TOUCH_POSITIONS == 0 {
            chat.ask(session, "oi");
        }
    }
    let window = chat.rows.sessions[&2].window;
    chat.run(Command::Session { session: most + 1 });
    assert_eq!(chat.rows.sessions.len() as u64, most);
    assert_eq!(chat.rows.uses.len() as u64, most);
    assert_eq!(chat.rows.counters.sessions, most);
    assert!(chat.rows.sessions.contains_key(&1));
    assert_eq!(chat.rows.sessions[&(most + 1)].window, window, "its window is used again");
    let outcome = chat.apply(ask(2, 1), login("ana")).outcome;
    assert_eq!(outcome, refused(Refusal::IdExpired));
}

#[test]
fn results_of_an_evicted_session_mean_nothing() {
    let mut chat = Chat::with([channel("geral"), Command::Session { session: 1 }]);
    let ask = |session, n| Some(Origin { session, n, digest: 0 });
    for n in [1, 2 + SESSION_WINDOW] {
        assert!(chat.apply(ask(1, n), publish("ana", "geral", "old")).publishes);
    }
    for session in 2..=u64::from(SESSIONS_MAX) + 1 {
        chat.run(Command::Session { session });
    }
    let heir = u64::from(SESSIONS_MAX) + 1;
    assert_eq!(chat.rows.sessions[&heir].window, 0);
    for n in [1, 2] {
        assert!(chat.apply(ask(heir, n), publish("ana", "geral", "new")).publishes);
        assert!(!chat.apply(ask(heir, n), publish("ana", "geral", "new")).publishes);
    }
    assert_eq!(chat.apply(ask(1, 1), login("x")).outcome, refused(Refusal::IdExpired));
}

#[test]
fn ids_are_unique_and_hide_the_session() {
    let mut chat = Chat::with([channel("geral"), Command::Session { session: 1 }]);
    for n in 1..50 {
        chat.ask(n, "oi");
        chat.run(publish("ana", "geral", "oi"));
    }
    let ids: std::collections::BTreeSet<_> = chat.rows.messages.values().map(|m| m.id).collect();
    assert_eq!(ids.len(), 98);
    assert!(ids.iter().all(|id| !id.starts_with(&[0; 4])));
}

#[test]
fn an_import_keeps_times_and_leaves_out_what_conflicts() {
    let mut chat = Chat::with([login("ana"), channel("geral")]);
    let stamp = |time_ms| Stamp { time_ms, clock: 4 };
    let user = |user: &str| ImportedRow::User {
        user: user.into(),
        login_ms: 3,
        seen_ms: 4,
        created_ms: 2,
    };
    let publication = |channel: &str, time_ms| ImportedRow::Publication {
        user: "old".into(),
        channel: channel.into(),
        message: "oi".into(),
        stamp: stamp(time_ms),
    };
    let private = |dst: &str| ImportedRow::Private {
        src: "old".into(),
        dst: dst.into(),
        message: "oi".into(),
        stamp: stamp(1),
    };
    let rows = vec![
        user("old"),
        user("ana"),
        user("geral"),
        user(" "),
        ImportedRow::Channel { channel: "novo".into() },
        ImportedRow::Channel { channel: "geral".into() },
        ImportedRow::Channel { channel: "ana".into() },
        publication("novo", 9_000),
        publication("novo", 8_000),
        publication("missing", 1),
        private("old"),
        private("nobody"),
    ];
    let applied = chat.apply(None, Command::Import { rows });
    assert!(!applied.publishes);
    let expected = vec![
        Ok(true),
        Ok(false),
        Err(Refusal::NameTaken),
        Err(Refusal::InvalidName),
        Ok(true),
        Ok(false),
        Err(Refusal::NameTaken),
        Ok(true),
        Ok(true),
        Err(Refusal::UnknownChannel),
        Ok(true),
        Err(Refusal::UnknownUser),
    ];
    assert_eq!(applied.outcome, Outcome::Imported(expected));
    let kept: Vec<_> =
        chat.rows.messages.values().map(|m| (m.seq, m.stamp.time_ms, m.imported)).collect();
    assert_eq!(kept, [(1, 9_000, true), (2, 8_000, true), (1, 1, true)]);
    // What comes now is not before what was there.
    assert_eq!(seq(&chat.run(publish("ana", "novo", "now"))), 3);
    assert_eq!(chat.rows.messages.values().last().unwrap().stamp.time_ms, 9_000);
}

#[test]
fn the_watermark_only_goes_up_and_never_past_the_entry() {
    let mut chat = Chat::with((0..20).map(|i| login(&format!("u{i}"))));
    for (published, expected) in [(5, 5), (3, 5), (9, 9), (1_000, 23)] {
        chat.published = published;
        chat.run(publish("x", "unknown", "refused, but it tells"));
        assert_eq!(chat.rows.published, expected);
    }
}

fn announce(node: u64, boot: u64, rank: u64) -> Command {
    Command::Member(MemberCommand::Announce(Announcement {
        node,
        name: format!("s{node}"),
        address: "tcp://h:1".into(),
        rank,
        boot,
        pid: 1,
        witness: false,
    }))
}

fn member(chat: &Chat, node: u64) -> (bool, u64) {
    let member = &chat.rows.members[&node];
    (member.active, member.announced.rank)
}

#[test]
fn members_come_go_and_come_back() {
    let mut chat = Chat::with([announce(1, 7, 1)]);
    assert_eq!(member(&chat, 1), (false, 1));
    let activate = || Command::Member(MemberCommand::Activate { node: 1 });
    assert!(chat.apply(None, activate()).members_changed);
    chat.run(announce(1, 7, 4));
    assert_eq!(member(&chat, 1), (true, 4), "the same boot stays active");
    assert!(!chat.apply(None, announce(1, 7, 4)).members_changed);
    let drop = || MemberCommand::Drop { nodes: vec![1, 99], reason: "silent".into() };
    chat.run(Command::Member(drop()));
    assert_eq!(member(&chat, 1), (false, 0));
    assert!(!chat.apply(None, Command::Member(drop())).members_changed, "dropped already");
    chat.run(activate());
    chat.run(announce(1, 8, 5));
    assert_eq!(member(&chat, 1), (false, 5), "another boot is inactive");
    chat.run(activate());
    assert_eq!(member(&chat, 1), (true, 5));
    assert!(!chat.apply(None, activate()).members_changed, "active already");
}

#[test]
fn of_two_servers_with_one_name_the_first_one_stays_until_it_is_removed() {
    let mut chat = Chat::with([announce(1, 7, 1)]);
    let Command::Member(MemberCommand::Announce(first)) = announce(1, 7, 1) else { panic!() };
    let namesake = || {
        let second = Announcement { node: 2, boot: 8, ..first.clone() };
        Command::Member(MemberCommand::Announce(second))
    };
    let refused = chat.apply(None, namesake());
    assert_eq!(refused.outcome, Outcome::Refused(Refusal::NameTaken));
    assert!(!chat.rows.members.contains_key(&2));
    chat.run(Command::Member(MemberCommand::Remove { node: 1 }));
    chat.run(namesake());
    assert!(chat.rows.members.contains_key(&2));
}

#[test]
fn a_witness_is_never_active() {
    let mut chat = Chat::with([announce(1, 7, 1)]);
    let announced = Announcement { witness: true, ..chat.rows.members[&1].announced.clone() };
    let announced = Announcement { node: 2, name: "s2".into(), ..announced };
    chat.run(Command::Member(MemberCommand::Announce(announced)));
    let activate = Command::Member(MemberCommand::Activate { node: 2 });
    assert!(!chat.apply(None, activate).members_changed);
    assert!(!chat.rows.members[&2].active);
}

#[test]
fn a_removed_node_never_comes_back() {
    let mut chat = Chat::with([announce(1, 7, 1), announce(2, 7, 2)]);
    let applied = chat.apply(None, Command::Member(MemberCommand::Remove { node: 1 }));
    assert!(applied.members_changed);
    assert_eq!(chat.run(announce(1, 8, 3)), refused(Refusal::Removed));
    let activate = Command::Member(MemberCommand::Activate { node: 1 });
    assert_eq!(chat.run(activate), refused(Refusal::Removed));
    assert_eq!(chat.rows.members.len(), 1);
}
