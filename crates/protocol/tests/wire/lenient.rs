//! What PROTOCOL.md promises to understand, row by row.

use recado_protocol::codec::{self, Stamp};
use recado_protocol::limits::{DEFAULT_PAGE_ROWS, MAX_CLOCK, MAX_PAGE_ROWS};
use recado_protocol::message::HistoryOf;
use recado_protocol::{Ack, Code, Event, Reply, Request, RequestId};
use rmpv::Value;

use crate::samples;

fn map(entries: Vec<(&str, Value)>) -> Value {
    Value::Map(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
}

fn bytes_of(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, value).unwrap();
    bytes
}

fn body(service: &str, data: Vec<(&str, Value)>) -> Vec<u8> {
    bytes_of(&map(vec![("service", service.into()), ("data", map(data))]))
}

/// A login with something unusual beside it, or instead of it.
fn login(beside: Vec<(&str, Value)>) -> Vec<u8> {
    let mut data = vec![("user", "ana".into())];
    data.extend(beside);
    body("login", data)
}

#[track_caller]
fn is_login(bytes: &[u8], clock: u64) {
    let incoming = codec::decode_request(bytes).unwrap();
    assert_eq!(incoming.request, Request::Login { user: "ana".into() });
    assert_eq!(incoming.clock, clock);
    assert_eq!(incoming.id, None);
}

#[track_caller]
fn refused(bytes: &[u8], service: &str, code: Code, naming: &str) {
    let bad = codec::decode_request(bytes).unwrap_err();
    assert_eq!((bad.service.as_str(), bad.refusal.code), (service, code));
    assert!(bad.refusal.text.contains(naming), "{:?} does not name {naming}", bad.refusal.text);
}

#[test]
fn any_timestamp_or_none() {
    let any = [
        1_760_000_000_123u64.into(),
        1_760_000_000u64.into(),
        1_760_000_000.5f64.into(),
        Value::F32(1.76e9),
        (-5).into(),
        f64::NAN.into(),
        "2025-10-09T08:53:20Z".into(),
        "09/10/2025 08:53".into(),
        Value::Binary(b"yesterday".to_vec()),
        Value::Nil,
        Value::Ext(-1, vec![0, 0, 0, 0]),
        map(vec![("seconds", 1.into())]),
    ];
    for timestamp in any {
        is_login(&login(vec![("timestamp", timestamp), ("clock", 4.into())]), 4);
    }
    is_login(&login(Vec::new()), 0);
}

#[test]
fn any_clock_or_none() {
    let readable =
        [(4.into(), 4), (4.0.into(), 4), (Value::F32(8.0), 8), (MAX_CLOCK.into(), MAX_CLOCK)];
    for (clock, expected) in readable {
        is_login(&login(vec![("clock", clock)]), expected);
    }
    let unreadable = [
        Value::Nil,
        "4".into(),
        (-4).into(),
        4.5.into(),
        f64::INFINITY.into(),
        (MAX_CLOCK + 1).into(),
        u64::MAX.into(),
    ];
    for clock in unreadable {
        is_login(&login(vec![("clock", clock)]), 0);
    }
}

#[test]
fn integers_in_any_width() {
    let widths: [&[u8]; 11] = [
        b"\x07",
        b"\xcc\x07",
        b"\xcd\x00\x07",
        b"\xce\x00\x00\x00\x07",
        b"\xcf\x00\x00\x00\x00\x00\x00\x00\x07",
        b"\xd0\x07",
        b"\xd1\x00\x07",
        b"\xd2\x00\x00\x00\x07",
        b"\xd3\x00\x00\x00\x00\x00\x00\x00\x07",
        b"\xca\x40\xe0\x00\x00",
        b"\xcb\x40\x1c\x00\x00\x00\x00\x00\x00",
    ];
    for width in widths {
        let front = b"\x82\xa7service\xa5login\xa4data\x82\xa4user\xa3ana\xa5clock";
        is_login(&[front, width].concat(), 7);
    }
}

#[test]
fn strings_as_str_or_bin_of_any_width() {
    let forms: [&[u8]; 7] = [
        b"\xa3ana",
        b"\xd9\x03ana",
        b"\xda\x00\x03ana",
        b"\xdb\x00\x00\x00\x03ana",
        b"\xc4\x03ana",
        b"\xc5\x00\x03ana",
        b"\xc6\x00\x00\x00\x03ana",
    ];
    for form in forms {
        is_login(&[b"\x82\xa7service\xa5login\xa4data\x81\xa4user", form].concat(), 0);
    }
    // Keys and the service's name too.
    is_login(b"\x82\xc4\x07service\xc4\x05login\xc4\x04data\x81\xc4\x04user\xc4\x03ana", 0);
    assert_eq!(codec::peek_service(b"\x81\xc4\x07service\xc4\x05login"), Some("login"));
}

#[test]
fn strings_must_be_valid_utf_8() {
    let bytes = b"\x82\xa7service\xa5login\xa4data\x81\xa4user\xa3a\xff\xfe";
    refused(bytes, "login", Code::Malformed, "`user`");
}

#[test]
fn containers_of_any_width_in_any_order_with_unknown_keys() {
    let wide = b"\xdf\x00\x00\x00\x02\xa4data\xde\x00\x01\xa4user\xa3ana\xa7service\xa5login";
    is_login(wide, 0);
    assert_eq!(codec::peek_service(wide), Some("login"));
    let mut beside = vec![
        ("extra", map(vec![("deep", Value::Array(vec![1.into(), Value::Nil]))])),
        ("ext", Value::Ext(42, vec![1, 2, 3])),
    ];
    is_login(&login(beside.clone()), 0);
    beside.push(("clock", 9.into()));
    is_login(&login(beside), 9);
    // Keys that are no strings at all.
    let odd = Value::Map(vec![
        (1.into(), "one".into()),
        (Value::Array(Vec::new()), Value::Nil),
        ("user".into(), "ana".into()),
    ]);
    is_login(&bytes_of(&map(vec![("data", odd), ("x", 1.into()), ("service", "login".into())])), 0);
}

#[test]
fn data_may_be_absent_where_nothing_is_needed() {
    for data in [vec![], vec![("data", Value::Nil)]] {
        let mut entries = vec![("service", "users".into())];
        entries.extend(data);
        let incoming = codec::decode_request(&bytes_of(&map(entries))).unwrap();
        assert_eq!(incoming.request, Request::Users);
    }
    let bytes = bytes_of(&map(vec![("service", "login".into())]));
    refused(&bytes, "login", Code::Malformed, "`user` is missing");
    let bytes = bytes_of(&map(vec![("service", "login".into()), ("data", 3.into())]));
    refused(&bytes, "login", Code::Malformed, "`data` must be a map");
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    let publish = |without: &str| {
        let all = [("user", "a"), ("channel", "b"), ("message", "c")];
        let kept = all.into_iter().filter(|(name, _)| *name != without);
        body("publish", kept.map(|(name, value)| (name, value.into())).collect())
    };
    for name in ["user", "channel", "message"] {
        refused(&publish(name), "publish", Code::Malformed, &format!("`{name}` is missing"));
    }
    let bytes =
        body("message", vec![("src", 5.into()), ("dst", "b".into()), ("message", "c".into())]);
    refused(&bytes, "message", Code::Malformed, "`src` must be a string");
    let bytes = body("channel", vec![("channel", Value::Nil)]);
    refused(&bytes, "channel", Code::Malformed, "`channel` is missing");
    refused(&body("history", vec![]), "history", Code::Malformed, "`channel` and `user`");
    let bytes = body("export", vec![("table", "rooms".into())]);
    refused(&bytes, "export", Code::Malformed, "`table`");
    let bytes = body("import", vec![("rows", Value::Array(vec![map(vec![("src", "a".into())])]))]);
    refused(&bytes, "import", Code::Malformed, "`dst` is missing");
    let bytes = body("import", vec![("rows", Value::Array(vec![1.into()]))]);
    refused(&bytes, "import", Code::Malformed, "`rows` must be an array of maps");
}

#[test]
fn the_service_is_named_as_far_as_it_can_be_read() {
    refused(&body("shout", vec![]), "shout", Code::UnknownService, "no such service");
    refused(b"", "error", Code::Malformed, "ends");
    refused(b"hello", "error", Code::Malformed, "behind");
    refused(b"\x2a", "error", Code::Malformed, "must be a map");
    refused(b"\xc1", "error", Code::Malformed, "reserves");
    refused(b"\x80", "error", Code::Malformed, "`service` is missing");
    refused(b"\x81\xa7service\x05", "error", Code::Malformed, "`service` must be a string");
    refused(b"\x82\xa7service\xa5login\xa4da", "login", Code::Malformed, "ends");
}

#[test]
fn a_request_id_is_a_map_and_anything_else_is_somebody_elses() {
    let with = |id: Value| login(vec![("id", id)]);
    for foreign in [Value::Nil, "b2c1-77".into(), 17.into(), Value::Array(vec![1.into()])] {
        is_login(&with(foreign), 0);
    }
    let good = map(vec![("n", 2.0.into()), ("session", u64::MAX.into()), ("x", 1.into())]);
    let id = codec::decode_request(&with(good)).unwrap().id;
    assert_eq!(id, Some(RequestId { session: u64::MAX, n: 2 }));
    let bad = [
        (vec![("session", 1.into())], "`n` is missing"),
        (vec![("n", 1.into())], "`session` is missing"),
        (vec![("session", 1.into()), ("n", 0.into())], "`n` counts from 1"),
        (vec![("session", "1".into()), ("n", 1.into())], "`session` must be an integer"),
    ];
    for (id, naming) in bad {
        refused(&with(map(id)), "login", Code::Malformed, naming);
    }
}

#[test]
fn a_page_has_between_one_and_the_most_rows() {
    let limit = |limit: Value| {
        let bytes = body("history", vec![("user", "ana".into()), ("limit", limit)]);
        match codec::decode_request(&bytes).unwrap().request {
            Request::History(query) => query.limit,
            other => panic!("{other:?}"),
        }
    };
    for (asked, given) in [
        (Value::Nil, DEFAULT_PAGE_ROWS),
        (0.into(), 1),
        ((-7).into(), 1),
        ((-7.0).into(), 1),
        (250.0.into(), 250),
        (1e30.into(), MAX_PAGE_ROWS),
        (u64::MAX.into(), MAX_PAGE_ROWS),
    ] {
        assert_eq!(limit(asked), given);
    }
    let bytes = body("history", vec![("user", "ana".into()), ("limit", "9".into())]);
    refused(&bytes, "history", Code::Malformed, "`limit`");
}

#[test]
fn history_of_a_channel_comes_before_history_of_a_user() {
    let bytes = body("history", vec![("user", "ana".into()), ("channel", "geral".into())]);
    match codec::decode_request(&bytes).unwrap().request {
        Request::History(query) => assert_eq!(query.of, HistoryOf::Channel("geral".into())),
        other => panic!("{other:?}"),
    }
}

#[test]
fn plain_replies_of_a_standard_server() {
    let reply = |service: &str, data| codec::decode_reply(&body(service, data)).map(|r| r.1);
    assert_eq!(reply("login", vec![("status", "sucesso".into())]), Ok(Reply::Done));
    let plain = Ack { id: Default::default(), seq: 0, stored: 0, members: 0 };
    assert_eq!(reply("publish", vec![("status", "OK".into())]), Ok(Reply::Acked(plain.clone())));
    assert_eq!(reply("message", vec![("status", "ok".into())]), Ok(Reply::Acked(plain)));
    let names = || Value::Array(vec!["a".into(), Value::Binary(b"b".to_vec())]);
    let list = vec!["a".to_owned(), "b".to_owned()];
    assert_eq!(reply("users", vec![("users", names())]), Ok(Reply::Users(list.clone())));
    assert_eq!(reply("channels", vec![("users", names())]), Ok(Reply::Channels(list.clone())));
    assert_eq!(reply("channels", vec![("channels", names())]), Ok(Reply::Channels(list)));
    let erro = |field, text: &str| vec![("status", "erro".into()), (field, text.into())];
    for (service, field) in [
        ("login", "description"),
        ("channel", "description"),
        ("publish", "message"),
        ("message", "message"),
        // The other field is understood as well.
        ("publish", "description"),
        ("login", "message"),
    ] {
        match reply(service, erro(field, "canal já existe")) {
            Ok(Reply::Refused(refusal)) => {
                assert_eq!(
                    (refusal.code, refusal.text.as_str()),
                    (Code::Refused, "canal já existe")
                );
            }
            other => panic!("{other:?}"),
        }
    }
    // Neither success nor refusal: nobody may take it for either.
    assert!(reply("publish", vec![]).is_err());
    assert!(reply("publish", vec![("status", "talvez".into())]).is_err());
}

#[test]
fn codes_of_later_versions_are_refusals_all_the_same() {
    let data = vec![("status", "erro".into()), ("code", "too_loud".into())];
    match codec::decode_reply(&body("publish", data)).unwrap().1 {
        Reply::Refused(refusal) => assert_eq!(refusal.code, Code::Refused),
        other => panic!("{other:?}"),
    }
}

#[test]
fn times_of_others_become_milliseconds() {
    let time = |timestamp: Value| {
        let bytes = body("login", vec![("status", "sucesso".into()), ("timestamp", timestamp)]);
        codec::decode_reply(&bytes).unwrap().2.timestamp
    };
    for (sent, understood) in [
        (1_760_000_000_123u64.into(), 1_760_000_000_123),
        (1_760_000_000u64.into(), 1_760_000_000_000),
        (1_760_000_000.5f64.into(), 1_760_000_000_500),
        (1_760_000_000_123.9f64.into(), 1_760_000_000_123),
        ("2025-10-09".into(), 0),
        ((-1).into(), 0),
        (f64::NAN.into(), 0),
    ] {
        assert_eq!(time(sent), understood);
    }
}

#[test]
fn events_of_a_standard_server() {
    let data = vec![
        ("user", "ana".into()),
        ("channel", "geral".into()),
        ("message", "oi".into()),
        ("timestamp", 1_760_000_000.25f64.into()),
    ];
    match codec::decode_event(b"geral", &body("publication", data)).unwrap() {
        Event::Publication(record) => {
            assert_eq!(record.timestamp, 1_760_000_000_250);
            assert_eq!((record.clock, record.seq, record.pos, record.id.len()), (0, 0, 0, 0));
        }
        other => panic!("{other:?}"),
    }
    let data = vec![("coordinator", "s2".into())];
    let event = codec::decode_event(b"servers", &body("election", data)).unwrap();
    assert_eq!(event, Event::Election { coordinator: "s2".into(), timestamp: 0, clock: 0 });
}

#[test]
fn our_names_may_mean_something_else_to_others() {
    let foreign = || vec![("id", 7.into()), ("seq", "a1".into()), ("stored", true.into())];
    let mut data = foreign();
    data.push(("status", "OK".into()));
    let plain = Ack { id: Default::default(), seq: 0, stored: 0, members: 0 };
    assert_eq!(codec::decode_reply(&body("publish", data)).unwrap().1, Reply::Acked(plain));
    let mut data = foreign();
    data.extend([("src", "ana".into()), ("dst", "bob".into()), ("message", "oi".into())]);
    data.extend([("timestamp", "09:15".into()), ("pos", Value::Nil)]);
    match codec::decode_event(b"bob", &body("private_message", data)).unwrap() {
        Event::Private(record) => {
            assert_eq!((record.timestamp, record.seq, record.pos, record.id.len()), (0, 0, 0, 0));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_event_must_name_its_topic() {
    let bytes = codec::encode_event(&Event::Publication(samples::record(false)));
    assert!(codec::decode_event(b"geral", &bytes).is_ok());
    assert!(codec::decode_event(b"gera", &bytes).is_err());
    assert!(codec::decode_event(b"geral2", &bytes).is_err());
}

#[test]
fn a_message_id_may_be_text_or_bytes() {
    let ack = |id: Value| {
        let data = vec![("status", "OK".into()), ("id", id), ("seq", 1.into())];
        match codec::decode_reply(&body("publish", data)).unwrap().1 {
            Reply::Acked(ack) => ack.id.to_vec(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(ack("00ff7a".into()), [0, 255, 0x7a]);
    assert_eq!(ack("00FF7A".into()), [0, 255, 0x7a]);
    assert_eq!(ack(Value::Binary(vec![0, 255])), [0, 255]);
    for foreign in ["a-uuid".into(), "abc".into(), "é".into(), 12.into(), Value::Nil] {
        assert!(ack(foreign).is_empty());
    }
}

#[test]
fn a_standard_reference_and_standard_servers_are_understood() {
    use recado_protocol::reference::{Listed, ReferenceReply};
    let data = vec![("timestamp", 5.into()), ("clock", 6.into())];
    let (reply, stamp) = codec::decode_reference_reply(&body("heartbeat", data)).unwrap();
    let empty =
        ReferenceReply::Heartbeat { rank: 0, form: None, list: Vec::new(), pid: 0, http: None };
    assert_eq!((reply, stamp), (empty, Stamp { timestamp: 5, clock: 6 }));
    let (reply, _) =
        codec::decode_reference_reply(&body("rank", vec![("rank", 2.into())])).unwrap();
    assert_eq!(reply, ReferenceReply::Rank { rank: 2, form: None, list: Vec::new() });
    let entry = map(vec![("name", "s1".into()), ("rank", 1.into())]);
    let bytes = body("list", vec![("list", Value::Array(vec![entry]))]);
    let listed = Listed { name: "s1".into(), rank: 1, address: None, node: None };
    assert_eq!(
        codec::decode_reference_reply(&bytes).unwrap().0,
        ReferenceReply::List(vec![listed])
    );
    let bad = codec::decode_reference_request(&body("rank", vec![])).unwrap_err();
    assert_eq!((bad.service.as_str(), bad.refusal.code), ("rank", Code::Malformed));
    let bad = codec::decode_server_request(&body("login", vec![])).unwrap_err();
    assert_eq!((bad.service.as_str(), bad.refusal.code), ("login", Code::UnknownService));
}
