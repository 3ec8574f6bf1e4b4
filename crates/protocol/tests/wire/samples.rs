//! One sample or more of every message, with its way back.

use bytes::Bytes;
use recado_protocol::backend::{BrokerFacts, ConnectedServer, ToBroker, ToServer};
use recado_protocol::codec::{self, Stamp};
use recado_protocol::marker::ProxyFacts;
use recado_protocol::message::{ExportTable, HistoryOf};
use recado_protocol::reference::{Listed, ReferenceReply, ReferenceRequest, Registration};
use recado_protocol::reply::{ImportResult, MemberStatus, Role, Scrub};
use recado_protocol::server::{ServerReply, ServerRequest};
use recado_protocol::services::Link;
use recado_protocol::{
    Ack, Code, Event, HistoryQuery, HistoryReply, ImportRow, Incoming, Record, Refusal, Reply,
    Request, RequestId, Status,
};

/// Whether a sample is asked (or told) or answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Request,
    Reply,
    Refusal,
}

/// Fails unless the bytes decode to what was encoded.
type Check = Box<dyn Fn(&[u8])>;

/// A message's bytes, and a check that they mean what was encoded.
pub struct Sample {
    pub name: String,
    pub link: Link,
    pub service: String,
    pub way: Way,
    pub bytes: Bytes,
    pub check: Check,
}

pub const STAMP: Stamp = Stamp { timestamp: 1_760_000_000_123, clock: 7 };

/// Samples of every message on every link.
pub fn all() -> Vec<Sample> {
    let mut samples = Vec::new();
    requests(&mut samples);
    replies(&mut samples);
    events(&mut samples);
    own_events(&mut samples);
    reference(&mut samples);
    servers(&mut samples);
    backend(&mut samples);
    samples
}

fn requests(samples: &mut Vec<Sample>) {
    let id = RequestId { session: 0xfedc_ba98_7654_3210, n: 3 };
    let history =
        |of, after, before| Request::History(HistoryQuery { of, after, before, limit: 50 });
    let list: Vec<(&str, Request, Option<RequestId>)> = vec![
        ("login", Request::Login { user: "ana".into() }, None),
        ("login with id", Request::Login { user: "ana".into() }, Some(id)),
        ("users", Request::Users, None),
        ("channel", Request::Channel { channel: "geral".into() }, None),
        ("channels", Request::Channels, None),
        ("publish", publish(), None),
        ("publish with id", publish(), Some(id)),
        ("message", private(), None),
        ("session", Request::Session, None),
        ("history of a channel", history(HistoryOf::Channel("geral".into()), Some(41), None), None),
        ("history of an inbox", history(HistoryOf::Inbox("ana".into()), None, None), None),
        (
            "history of a conversation",
            history(
                HistoryOf::Conversation { user: "ana".into(), with: "bob".into() },
                None,
                Some(900),
            ),
            None,
        ),
        ("status", Request::Status, None),
        (
            "export",
            Request::Export {
                table: ExportTable::Publications,
                after: Some(Bytes::from_static(&[0, 255])),
                limit: 500,
            },
            None,
        ),
        ("import", Request::Import { rows: rows() }, Some(id)),
        ("remove", Request::Remove { server: "server-4".into() }, None),
    ];
    for (name, request, id) in list {
        let service = request.service();
        let incoming = Incoming { request, clock: STAMP.clock, id };
        let bytes = codec::encode_request(&incoming, STAMP);
        let check = Box::new(move |bytes: &[u8]| {
            assert_eq!(codec::decode_request(bytes).as_ref(), Ok(&incoming));
        });
        add(samples, Link::Clients, Way::Request, name, service, bytes, check);
    }
}

fn replies(samples: &mut Vec<Sample>) {
    let member = MemberStatus {
        name: "server-1".into(),
        rank: 1,
        role: Role::Primary,
        address: "tcp://10.0.0.1:5560".into(),
        pid: 4321,
        applied: 99,
        term: 2,
        clock_offset_ms: Some(-3),
        http: Some("10.0.0.1:5625".into()),
        why: None,
        scrub: Scrub { ended_ms: Some(1_700_000_000_000), left_rows: None },
    };
    let backup = MemberStatus {
        role: Role::Backup,
        clock_offset_ms: None,
        http: None,
        scrub: Scrub::default(),
        ..member.clone()
    };
    let late = MemberStatus {
        role: Role::Joining,
        why: Some("its disk is slow".into()),
        ..backup.clone()
    };
    let status = Status {
        members: vec![member, backup, late],
        min_copies: 2,
        broker: rmpv::Value::Map(vec![("pid".into(), 12.into()), ("ready".into(), true.into())]),
        proxy: rmpv::Value::Map(vec![("connected".into(), false.into())]),
        reference: rmpv::Value::Nil,
        brokers: rmpv::Value::Array(vec![rmpv::Value::Map(vec![("pid".into(), 12.into())])]),
        proxies: rmpv::Value::Array(Vec::new()),
        why: Some("two of the three votes are missing".into()),
    };
    let page = HistoryReply { messages: vec![record(false), record(true)], newest: 42 };
    let results = vec![
        ImportResult::Stored,
        ImportResult::Known,
        ImportResult::LeftOut(Refusal::new(Code::NameTaken, "a user has this name")),
    ];
    let export = Reply::Export { rows: rows(), next: Some(Bytes::from_static(b"\x01\x02")) };
    let last = Reply::Export { rows: Vec::new(), next: None };
    let names = || vec!["ana".to_owned(), "josé".to_owned()];
    let list: Vec<(&str, Reply)> = vec![
        ("login", Reply::Done),
        ("users", Reply::Users(names())),
        ("channel", Reply::Done),
        ("channels", Reply::Channels(names())),
        ("publish", Reply::Acked(ack())),
        ("message", Reply::Acked(ack())),
        ("session", Reply::Session { session: 0xfedc_ba98_7654_3210, window: 1024 }),
        ("history", Reply::History(page)),
        ("status", Reply::Status(Box::new(status))),
        ("export", export),
        ("export", last),
        ("import", Reply::Import(results)),
        ("remove", Reply::Done),
    ];
    for (service, reply) in list {
        let name = match &reply {
            Reply::Export { next: None, .. } => "export, last page",
            _ => service,
        };
        add_reply(samples, Way::Reply, name, service, reply);
    }
    let refusal = Refusal::new(Code::ChannelExists, "the channel exists already");
    add_reply(samples, Way::Refusal, "channel", "channel", Reply::Refused(refusal));
    let refusal = Refusal::new(Code::UnknownChannel, "there is no such channel");
    add_reply(samples, Way::Refusal, "publish", "publish", Reply::Refused(refusal));
    let refusal = Refusal::new(Code::UnknownService, "there is no such service on this port");
    add_reply(samples, Way::Refusal, "any other service", "shout", Reply::Refused(refusal));
}

fn add_reply(samples: &mut Vec<Sample>, way: Way, name: &str, service: &'static str, reply: Reply) {
    let bytes = codec::encode_reply(service, &reply, STAMP);
    let check = Box::new(move |bytes: &[u8]| {
        let decoded = codec::decode_reply(bytes);
        assert_eq!(decoded, Ok((service.to_owned(), reply.clone(), STAMP)));
    });
    add(samples, Link::Clients, way, name, service, bytes, check);
}

fn events(samples: &mut Vec<Sample>) {
    let election = Event::Election {
        coordinator: "server-2".into(),
        timestamp: STAMP.timestamp,
        clock: STAMP.clock,
    };
    let list = [
        ("publication", Event::Publication(record(false))),
        ("private_message", Event::Private(record(true))),
        ("election", election),
    ];
    for (service, event) in list {
        let bytes = codec::encode_event(&event);
        let check = Box::new(move |bytes: &[u8]| {
            assert_eq!(codec::decode_event(event.topic().as_bytes(), bytes).as_ref(), Ok(&event));
        });
        add(samples, Link::Subscribers, Way::Request, service, service, bytes, check);
    }
}

fn own_events(samples: &mut Vec<Sample>) {
    let bytes = codec::encode_marker(70_000, STAMP);
    let check = Box::new(|bytes: &[u8]| assert_eq!(codec::decode_marker(bytes), Ok(70_000)));
    add(samples, Link::Subscribers, Way::Request, "marker", "marker", bytes, check);
    let facts = ProxyFacts {
        pid: 4321,
        http: Some("10.0.0.1:5619".into()),
        uptime_ms: 70_000,
        publishers: 3,
        subscribers: 12,
        servers: vec![ConnectedServer { name: "server-1".into(), since: 1_900_000_000_000 }],
    };
    let bytes = codec::encode_proxy_facts(&facts, STAMP);
    let check = Box::new(move |bytes: &[u8]| {
        assert_eq!(codec::decode_proxy_facts(bytes).as_ref(), Ok(&facts));
    });
    add(samples, Link::Subscribers, Way::Request, "proxy", "proxy", bytes, check);
}

fn reference(samples: &mut Vec<Sample>) {
    let registration = Registration {
        user: "server-1".into(),
        boot: Some(77),
        address: Some("tcp://10.0.0.1:5560".into()),
        node: Some(5),
        cluster: Some(9),
    };
    let standard = Registration { user: "server-1".into(), ..Registration::default() };
    let list = vec![
        Listed {
            name: "server-1".into(),
            rank: 1,
            address: Some("tcp://10.0.0.1:5560".into()),
            node: Some(5),
        },
        Listed { name: "other".into(), rank: 2, address: None, node: None },
    ];
    let requests = [
        ("rank", ReferenceRequest::Rank(registration.clone())),
        ("rank of a standard server", ReferenceRequest::Rank(standard)),
        ("list", ReferenceRequest::List),
        ("heartbeat", ReferenceRequest::Heartbeat(registration)),
        ("status", ReferenceRequest::Status),
    ];
    for (name, request) in requests {
        let service = request.service();
        let bytes = codec::encode_reference_request(&request, STAMP);
        let check = Box::new(move |bytes: &[u8]| {
            let decoded = codec::decode_reference_request(bytes);
            assert_eq!(decoded, Ok((request.clone(), STAMP.clock)));
        });
        add(samples, Link::Reference, Way::Request, name, service, bytes, check);
    }
    let refusal = Refusal::new(Code::Malformed, "the field `user` is missing");
    let replies = [
        ("rank", ReferenceReply::Rank { rank: 3, form: Some(9), list: list.clone() }),
        ("list", ReferenceReply::List(list.clone())),
        (
            "heartbeat",
            ReferenceReply::Heartbeat {
                rank: 3,
                form: None,
                list: list.clone(),
                pid: 88,
                http: Some("10.0.0.9:5623".into()),
            },
        ),
        ("status", ReferenceReply::Status { pid: 88, last_rank: 4, list, http: None }),
        ("rank", ReferenceReply::Refused(refusal)),
    ];
    for (service, reply) in replies {
        let way = match reply {
            ReferenceReply::Refused(_) => Way::Refusal,
            _ => Way::Reply,
        };
        let bytes = codec::encode_reference_reply(service, &reply, STAMP);
        let check = Box::new(move |bytes: &[u8]| {
            assert_eq!(codec::decode_reference_reply(bytes), Ok((reply.clone(), STAMP)));
        });
        add(samples, Link::Reference, way, service, service, bytes, check);
    }
}

fn servers(samples: &mut Vec<Sample>) {
    let replicate = |name: &str| ServerRequest::Replicate { service: name.to_owned() };
    let requests = [
        ("clock", ServerRequest::Clock),
        ("clock_adjust", ServerRequest::ClockAdjust { delta_ms: -250 }),
        ("election", ServerRequest::Election),
        ("replicate_login", replicate("replicate_login")),
        ("replicate_channel", replicate("replicate_channel")),
        ("replicate_publish", replicate("replicate_publish")),
        ("replicate_message", replicate("replicate_message")),
    ];
    for (service, request) in requests {
        let bytes = codec::encode_server_request(&request, STAMP);
        let check = Box::new(move |bytes: &[u8]| {
            let decoded = codec::decode_server_request(bytes);
            assert_eq!(decoded, Ok((request.clone(), STAMP.clock)));
        });
        add(samples, Link::Servers, Way::Request, service, service, bytes, check);
    }
    let refusal = Refusal::new(Code::UnknownService, "entries come through the log only");
    let replies = [
        ("clock", ServerReply::Clock { time: 1_760_000_000_125 }),
        ("clock_adjust", ServerReply::Adjusted),
        ("election", ServerReply::Election),
        ("replicate_login", ServerReply::Refused(refusal)),
    ];
    for (service, reply) in replies {
        let way = match reply {
            ServerReply::Refused(_) => Way::Refusal,
            _ => Way::Reply,
        };
        let bytes = codec::encode_server_reply(service, &reply, STAMP);
        let check = Box::new(move |bytes: &[u8]| {
            assert_eq!(codec::decode_server_reply(bytes), Ok((reply.clone(), STAMP)));
        });
        add(samples, Link::Servers, way, service, service, bytes, check);
    }
}

fn backend(samples: &mut Vec<Sample>) {
    let ready = ToBroker::Ready {
        name: "server-1".into(),
        boot: 77,
        credit: 64,
        primary: true,
        serving: false,
        http: Some("10.0.0.1:5625".into()),
        why: Some("two of the three votes are missing".into()),
        scrub: Scrub { ended_ms: Some(1_700_000_000_000), left_rows: Some(70_000) },
    };
    let list = [
        ("ready", ready),
        ("done", ToBroker::Done { n: 70_000 }),
        ("again", ToBroker::Again { n: 70_001, uncertain: true }),
        ("bye", ToBroker::Bye),
    ];
    for (service, header) in list {
        let bytes = codec::encode_to_broker(&header, STAMP);
        let check = Box::new(move |bytes: &[u8]| {
            assert_eq!(codec::decode_to_broker(bytes), Ok((header.clone(), STAMP.clock)));
        });
        add(samples, Link::Broker, Way::Request, service, service, bytes, check);
    }
    let id = Some(RequestId { session: 1, n: 2 });
    for (name, id) in [("request", None), ("request with id", id)] {
        let header = ToServer { n: 70_000, id };
        let bytes = codec::encode_to_server(&header, STAMP);
        let check = Box::new(move |bytes: &[u8]| {
            assert_eq!(codec::decode_to_server(bytes), Ok((header.clone(), STAMP.clock)));
        });
        add(samples, Link::Backend, Way::Request, name, "request", bytes, check);
    }
    let server = ConnectedServer { name: "server-1".into(), since: STAMP.timestamp };
    let facts = BrokerFacts {
        address: "tcp://10.0.0.1:5555".into(),
        pid: 4321,
        http: None,
        uptime_ms: 70_000,
        clients: 12,
        servers: vec![server],
    };
    let bytes = codec::encode_broker_facts(&facts, STAMP);
    let check = Box::new(move |bytes: &[u8]| {
        assert_eq!(codec::decode_broker_facts(bytes), Ok((facts.clone(), STAMP.clock)));
    });
    add(samples, Link::Backend, Way::Request, "broker", "broker", bytes, check);
}

fn add(
    samples: &mut Vec<Sample>,
    link: Link,
    way: Way,
    name: &str,
    service: &str,
    bytes: Bytes,
    check: Check,
) {
    let (name, service) = (name.to_owned(), service.to_owned());
    samples.push(Sample { name, link, service, way, bytes, check });
}

pub fn publish() -> Request {
    Request::Publish { user: "ana".into(), channel: "geral".into(), message: "olá, você".into() }
}

pub fn private() -> Request {
    Request::Message { src: "ana".into(), dst: "bob".into(), message: "psst".into() }
}

fn ack() -> Ack {
    Ack { id: message_id(), seq: 42, stored: 3, members: 3 }
}

fn message_id() -> Bytes {
    Bytes::from_static(&[0, 17, 34, 51, 68, 85, 102, 119, 136, 153, 170, 187, 204, 221, 238, 255])
}

pub fn record(private: bool) -> Record {
    Record {
        from: "ana".into(),
        to: if private { "bob".into() } else { "geral".into() },
        message: "olá".into(),
        timestamp: STAMP.timestamp,
        clock: STAMP.clock,
        id: message_id(),
        seq: 42,
        pos: 1234,
        private,
    }
}

fn rows() -> Vec<ImportRow> {
    let (timestamp, clock) = (STAMP.timestamp, STAMP.clock);
    vec![
        ImportRow::User { user: "ana".into(), login_ms: 3, seen_ms: 4, created_ms: 1 },
        ImportRow::Channel { channel: "geral".into() },
        ImportRow::Publication {
            user: "ana".into(),
            channel: "geral".into(),
            message: "olá".into(),
            timestamp,
            clock,
        },
        ImportRow::Private {
            src: "ana".into(),
            dst: "bob".into(),
            message: "psst".into(),
            timestamp,
            clock,
        },
    ]
}
