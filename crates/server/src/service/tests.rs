//! Every service, through a fake cluster.

use std::time::Duration;

use bytes::Bytes;
use recado_protocol::message::{ExportTable, HistoryOf, HistoryQuery};
use recado_protocol::reply::{Ack, ImportResult};
use recado_protocol::{Code, ImportRow, Incoming, Reply, Request, RequestId, codec};

use super::Asked;
use super::fake::{Far, LIMIT_BYTES, Mood, OTHER, OWN, body, leadership, stage};
use crate::frames::{Answer, Forward};

fn login(user: &str) -> Request {
    Request::Login { user: user.into() }
}

fn channel(channel: &str) -> Request {
    Request::Channel { channel: channel.into() }
}

fn publish(channel: &str, message: &str) -> Request {
    Request::Publish { user: "ann".into(), channel: channel.into(), message: message.into() }
}

fn message(dst: &str, message: &str) -> Request {
    Request::Message { src: "ann".into(), dst: dst.into(), message: message.into() }
}

fn history(of: HistoryOf) -> Request {
    Request::History(HistoryQuery { of, after: None, before: None, limit: 10 })
}

fn seq(reply: Reply) -> u64 {
    match reply {
        Reply::Acked(Ack { seq, stored: 2, members: 3, id }) if id.len() == 16 => seq,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_standards_services_work_on_the_primary() {
    let stage = stage(Some(OWN));
    assert_eq!(stage.reply(login("ann")).await, Reply::Done);
    assert_eq!(stage.reply(login("ann")).await, Reply::Done);
    assert_eq!(stage.reply(login("bob")).await, Reply::Done);
    assert_eq!(stage.reply(channel("news")).await, Reply::Done);
    assert_eq!(stage.reply(Request::Users).await, Reply::Users(vec!["ann".into(), "bob".into()]));
    assert_eq!(stage.reply(Request::Channels).await, Reply::Channels(vec!["news".into()]));
    assert_eq!(seq(stage.reply(publish("news", "one")).await), 1);
    assert_eq!(seq(stage.reply(publish("news", "")).await), 2);
    assert_eq!(seq(stage.reply(message("bob", "psst")).await), 1);
}

#[tokio::test]
async fn refusals_carry_their_codes() {
    let stage = stage(Some(OWN));
    stage.reply(login("ann")).await;
    stage.reply(channel("news")).await;
    let long = "x".repeat(LIMIT_BYTES + 1);
    for (request, code) in [
        (channel("news"), Code::ChannelExists),
        (channel("ann"), Code::NameTaken),
        (login("news"), Code::NameTaken),
        (login(""), Code::InvalidName),
        (login("servers"), Code::InvalidName),
        (channel(" x"), Code::InvalidName),
        (publish("nowhere", "x"), Code::UnknownChannel),
        (message("nobody", "x"), Code::UnknownUser),
        (publish("news", &long), Code::TooLarge),
        (message("ann", &long), Code::TooLarge),
    ] {
        assert_eq!(stage.code(request.clone()).await, code, "{request:?}");
    }
    let most = "x".repeat(LIMIT_BYTES);
    assert_eq!(seq(stage.reply(publish("news", &most)).await), 1);
}

#[tokio::test]
async fn what_is_no_request_is_refused_and_never_proposed() {
    let stage = stage(Some(OWN));
    let huge = vec![0u8; recado_protocol::limits::MAX_REQUEST_BYTES + 1];
    for bad in [
        &b""[..],
        b"\xc1",
        b"\x80",
        b"\x81\xa7service\xa5login",
        b"\x82\xa7service\xa7unknown\xa4data\x80",
        b"\x82\xa7service\xa5login\xa4data\xc0",
        &[0x91; 1000],
        &huge,
    ] {
        let answer = stage.ask(Bytes::copy_from_slice(bad), None).await;
        let Answer::Done(reply) = answer else { panic!("{answer:?}") };
        let (_, reply, _) = codec::decode_reply(&reply).unwrap();
        assert!(matches!(reply, Reply::Refused(_)), "{reply:?}");
    }
    assert_eq!(*stage.fake().position.lock().unwrap(), 0);
}

#[tokio::test]
async fn a_repeat_has_no_second_effect_whoever_gave_the_id() {
    let stage = stage(Some(OWN));
    stage.reply(channel("news")).await;
    let Reply::Session { session, window } = stage.reply(Request::Session).await else {
        panic!("no session");
    };
    assert!(window > 0);
    let id = Some(RequestId { session, n: 1 });
    let first = stage.reply_to(publish("news", "one"), id).await;
    assert_eq!(stage.reply_to(publish("news", "one"), id).await, first);
    // The broker's id does what the body's would.
    let again = stage.ask(body(publish("news", "one"), None), id).await;
    let Answer::Done(again) = again else { panic!("{again:?}") };
    assert_eq!(codec::decode_reply(&again).unwrap().1, first);
    // The body's id goes before the broker's.
    let other = Some(RequestId { session, n: 2 });
    let Answer::Done(own) = stage.ask(body(publish("news", "one"), id), other).await else {
        panic!("no reply");
    };
    assert_eq!(codec::decode_reply(&own).unwrap().1, first);
    assert_eq!(seq(stage.reply(publish("news", "two")).await), 2);
}

#[tokio::test]
async fn another_request_under_the_same_id_is_a_conflict() {
    let stage = stage(Some(OWN));
    stage.reply(channel("news")).await;
    let Reply::Session { session, .. } = stage.reply(Request::Session).await else {
        panic!("no session");
    };
    let id = Some(RequestId { session, n: 1 });
    stage.reply_to(publish("news", "one"), id).await;
    let code = |reply| match reply {
        Reply::Refused(refusal) => refusal.code,
        other => panic!("{other:?}"),
    };
    assert_eq!(code(stage.reply_to(publish("news", "two"), id).await), Code::IdConflict);
    let unknown = Some(RequestId { session: session ^ 1, n: 1 });
    assert_eq!(code(stage.reply_to(publish("news", "two"), unknown).await), Code::IdExpired);
}

#[tokio::test]
async fn history_shows_channels_inboxes_and_conversations() {
    let stage = stage(Some(OWN));
    stage.reply(login("ann")).await;
    stage.reply(login("bob")).await;
    stage.reply(channel("news")).await;
    for text in ["one", "two"] {
        stage.reply(publish("news", text)).await;
        stage.reply(message("bob", text)).await;
    }
    for of in [
        HistoryOf::Channel("news".into()),
        HistoryOf::Inbox("bob".into()),
        HistoryOf::Conversation { user: "bob".into(), with: "ann".into() },
    ] {
        let Reply::History(page) = stage.reply(history(of.clone())).await else {
            panic!("{of:?}");
        };
        let texts: Vec<&str> = page.messages.iter().map(|row| row.message.as_str()).collect();
        assert_eq!(texts, ["one", "two"], "{of:?}");
        assert!(page.newest >= 2);
    }
    assert_eq!(stage.code(history(HistoryOf::Channel("no".into()))).await, Code::UnknownChannel);
    assert_eq!(stage.code(history(HistoryOf::Inbox("no".into()))).await, Code::UnknownUser);
}

#[tokio::test]
async fn what_is_exported_can_be_imported_once() {
    let stage = stage(Some(OWN));
    let rows = vec![
        ImportRow::User { user: "ann".into(), login_ms: 5, seen_ms: 6, created_ms: 4 },
        ImportRow::Channel { channel: "news".into() },
        ImportRow::Publication {
            user: "ann".into(),
            channel: "news".into(),
            message: "one".into(),
            timestamp: 9,
            clock: 3,
        },
    ];
    let import = || Request::Import { rows: rows.clone() };
    assert_eq!(stage.reply(import()).await, Reply::Import(vec![ImportResult::Stored; 3]));
    // Names are known; whether a message is there already is for the importing tool to find out.
    let again = Request::Import { rows: rows[..2].to_vec() };
    assert_eq!(stage.reply(again).await, Reply::Import(vec![ImportResult::Known; 2]));
    let mut exported = Vec::new();
    for table in [ExportTable::Users, ExportTable::Channels, ExportTable::Publications] {
        let request = Request::Export { table, after: None, limit: 10 };
        match stage.reply(request).await {
            Reply::Export { rows, next: None } => exported.extend(rows),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(exported, rows);
}

#[tokio::test]
async fn an_import_of_too_many_rows_is_refused() {
    let stage = stage(Some(OWN));
    let row = ImportRow::Channel { channel: "c".into() };
    let rows = vec![row; recado_protocol::limits::MAX_PAGE_ROWS + 1];
    assert_eq!(stage.code(Request::Import { rows }).await, Code::TooLarge);
}

#[tokio::test]
async fn what_the_log_says_becomes_the_right_kind_of_again() {
    let stage = stage(Some(OWN));
    for (mood, answer) in [
        (Mood::Fails("busy"), Answer::ELSEWHERE),
        (Mood::Fails("not primary"), Answer::ELSEWHERE),
        (Mood::Fails("uncertain"), Answer::PERHAPS),
    ] {
        *stage.fake().mood.lock().unwrap() = mood;
        assert_eq!(stage.ask(body(login("ann"), None), None).await, answer);
    }
    *stage.fake().readable.lock().unwrap() = false;
    assert_eq!(stage.ask(body(Request::Users, None), None).await, Answer::ELSEWHERE);
}

#[tokio::test]
async fn without_a_primary_a_write_goes_elsewhere_at_once() {
    let stage = stage(None);
    assert_eq!(stage.ask(body(login("ann"), None), None).await, Answer::ELSEWHERE);
}

#[tokio::test]
async fn a_backup_hands_writes_on_with_their_id() {
    let stage = stage(Some(OTHER));
    let done = Answer::Done(Bytes::from_static(b"the primary's words"));
    *stage.fake().far.lock().unwrap() = Far::Says(done.clone());
    let words = body(login("ann"), None);
    let id = Some(RequestId { session: 3, n: 4 });
    assert_eq!(stage.ask(words.clone(), id).await, done);
    let sent = stage.fake().forwarded.lock().unwrap().clone();
    assert_eq!(Forward::decode(sent[0].clone()), Some(Forward { id, body: words }));
}

#[tokio::test]
async fn a_request_is_handed_on_once_only() {
    let stage = stage(Some(OTHER));
    let asked = Asked { body: body(login("ann"), None), id: None, forwarded: true };
    assert_eq!(stage.service.answer(asked).await, Answer::ELSEWHERE);
    assert!(stage.fake().forwarded.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn how_handing_on_fails_decides_whether_it_may_be_done() {
    let stage = stage(Some(OTHER));
    for (far, answer) in [
        (Far::Away, Answer::ELSEWHERE),
        (Far::Breaks, Answer::PERHAPS),
        (Far::Silent, Answer::PERHAPS),
        (Far::Says(Answer::ELSEWHERE), Answer::ELSEWHERE),
        (Far::Says(Answer::PERHAPS), Answer::PERHAPS),
    ] {
        *stage.fake().far.lock().unwrap() = far;
        assert_eq!(stage.ask(body(login("ann"), None), None).await, answer);
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_primary_that_is_none_any_more() {
    let stage = stage(Some(OTHER));
    *stage.fake().far.lock().unwrap() = Far::Silent;
    let started = tokio::time::Instant::now();
    let asked = stage.ask(body(login("ann"), None), None);
    let deposed = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        stage.leads.send_replace(leadership(None));
    };
    let (answer, ()) = futures::join!(asked, deposed);
    assert_eq!(answer, Answer::PERHAPS);
    assert!(started.elapsed() < Duration::from_millis(200));
}

#[tokio::test(start_paused = true)]
async fn status_is_answered_whoever_is_away() {
    for (primary, far) in [(Some(OWN), Far::Away), (None, Far::Away), (Some(OTHER), Far::Silent)] {
        let stage = stage(primary);
        *stage.fake().far.lock().unwrap() = far;
        assert!(matches!(stage.reply(Request::Status).await, Reply::Status(_)));
    }
}

#[tokio::test]
async fn the_senders_clock_moves_ours() {
    let stage = stage(Some(OWN));
    let incoming = Incoming { request: Request::Users, clock: 5000, id: None };
    let stamp = codec::Stamp { timestamp: 0, clock: 5000 };
    let Answer::Done(reply) = stage.ask(codec::encode_request(&incoming, stamp), None).await else {
        panic!("no reply");
    };
    assert!(codec::decode_reply(&reply).unwrap().2.clock > 5001);
}

#[tokio::test]
async fn giving_up_names_the_service_and_how_certain_it_is() {
    let stage = stage(None);
    for (uncertain, code) in [(false, Code::Unavailable), (true, Code::Unknown)] {
        let reply = stage.service.give_up(&body(login("ann"), None), uncertain);
        let (service, reply, _) = codec::decode_reply(&reply).unwrap();
        assert_eq!(service, "login");
        assert!(matches!(reply, Reply::Refused(refusal) if refusal.code == code));
    }
}
