//! Any message that the types allow.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use recado_protocol::backend::{ToBroker, ToServer};
use recado_protocol::codec::Stamp;
use recado_protocol::limits::{MAX_CLOCK, MAX_PAGE_ROWS};
use recado_protocol::message::{ExportTable, HistoryOf};
use recado_protocol::reference::{Listed, ReferenceReply, ReferenceRequest, Registration};
use recado_protocol::reply::{ImportResult, MemberStatus, Role, Scrub};
use recado_protocol::server::{ServerReply, ServerRequest};
use recado_protocol::{
    Ack, Code, Event, HistoryQuery, HistoryReply, ImportRow, Incoming, Record, Refusal, Reply,
    Request, RequestId, Status,
};

/// Short and long texts, with characters of every width.
pub fn text() -> impl Strategy<Value = String> {
    prop_oneof![4 => "\\PC{0,12}", 1 => any::<String>(), 1 => "[a-zé]{300,400}"]
}

/// Names and addresses of the cluster's parts.
fn label() -> impl Strategy<Value = String> {
    prop_oneof![4 => "\\PC{0,12}", 1 => "[a-zé]{100,150}"]
}

fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

/// Integers of every width.
fn number() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0u32..64).prop_map(|(n, shift)| n >> shift)
}

/// A stamp outside the range in which a time is taken for seconds.
pub fn stamp() -> impl Strategy<Value = Stamp> {
    let timestamp = prop_oneof![0u64..1_000_000_000, 100_000_000_000..u64::MAX];
    (timestamp, number()).prop_map(|(timestamp, clock)| Stamp { timestamp, clock })
}

fn request_id() -> impl Strategy<Value = RequestId> {
    (number(), 1..u64::MAX).prop_map(|(session, n)| RequestId { session, n })
}

pub fn refusal() -> impl Strategy<Value = Refusal> {
    (prop::sample::select(Code::ALL), text()).prop_map(|(code, text)| Refusal::new(code, text))
}

fn import_row() -> impl Strategy<Value = ImportRow> {
    let texts = (text(), text(), text(), number(), number());
    prop_oneof![
        (text(), number(), number(), number()).prop_map(|(user, login_ms, seen_ms, created_ms)| {
            ImportRow::User { user, login_ms, seen_ms, created_ms }
        }),
        text().prop_map(|channel| ImportRow::Channel { channel }),
        texts.prop_map(|(user, channel, message, timestamp, clock)| ImportRow::Publication {
            user,
            channel,
            message,
            timestamp,
            clock
        }),
        (text(), text(), text(), number(), number()).prop_map(
            |(src, dst, message, timestamp, clock)| ImportRow::Private {
                src,
                dst,
                message,
                timestamp,
                clock
            }
        ),
    ]
}

fn history_query() -> impl Strategy<Value = HistoryQuery> {
    let of = prop_oneof![
        text().prop_map(HistoryOf::Channel),
        text().prop_map(HistoryOf::Inbox),
        (text(), text()).prop_map(|(user, with)| HistoryOf::Conversation { user, with }),
    ];
    (of, option::of(number()), option::of(number()), 1..=MAX_PAGE_ROWS)
        .prop_map(|(of, after, before, limit)| HistoryQuery { of, after, before, limit })
}

pub fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        text().prop_map(|user| Request::Login { user }),
        Just(Request::Users),
        text().prop_map(|channel| Request::Channel { channel }),
        Just(Request::Channels),
        (text(), text(), text()).prop_map(|(user, channel, message)| Request::Publish {
            user,
            channel,
            message
        }),
        (text(), text(), text()).prop_map(|(src, dst, message)| Request::Message {
            src,
            dst,
            message
        }),
        Just(Request::Session),
        history_query().prop_map(Request::History),
        Just(Request::Status),
        (prop::sample::select(&ExportTable::ALL[..]), option::of(bytes()), 1..=MAX_PAGE_ROWS)
            .prop_map(|(table, after, limit)| Request::Export { table, after, limit }),
        vec(import_row(), 0..5).prop_map(|rows| Request::Import { rows }),
        text().prop_map(|server| Request::Remove { server }),
    ]
}

pub fn incoming() -> impl Strategy<Value = Incoming> {
    (request(), 0..=MAX_CLOCK, option::of(request_id())).prop_map(|(request, clock, id)| Incoming {
        request,
        clock,
        id,
    })
}

pub fn record(private: bool) -> impl Strategy<Value = Record> {
    ((text(), text(), text()), (number(), number()), bytes(), 1..u64::MAX, number()).prop_map(
        move |((from, to, message), (timestamp, clock), id, seq, pos)| Record {
            from,
            to,
            message,
            timestamp,
            clock,
            id,
            seq,
            pos,
            private,
        },
    )
}

fn any_record() -> impl Strategy<Value = Record> {
    any::<bool>().prop_flat_map(record)
}

/// A free-form value, as broker and servers put into `status`.
fn free() -> impl Strategy<Value = rmpv::Value> {
    let leaf = prop_oneof![
        Just(rmpv::Value::Nil),
        any::<bool>().prop_map(rmpv::Value::from),
        any::<i64>().prop_map(rmpv::Value::from),
        number().prop_map(rmpv::Value::from),
        text().prop_map(rmpv::Value::from),
    ];
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(rmpv::Value::Array),
            vec((text().prop_map(rmpv::Value::from), inner), 0..4).prop_map(rmpv::Value::Map),
        ]
    })
}

fn member() -> impl Strategy<Value = MemberStatus> {
    let roles = &[Role::Primary, Role::Backup, Role::Joining, Role::Down][..];
    (
        (text(), text()),
        prop::sample::select(roles),
        (number(), number(), number()),
        any::<u32>(),
        (option::of(any::<i64>()), option::of(text()), option::of(text()), scrub()),
    )
        .prop_map(
            |(
                (name, address),
                role,
                (rank, applied, term),
                pid,
                (clock_offset_ms, http, why, scrub),
            )| {
                MemberStatus {
                    name,
                    rank,
                    role,
                    address,
                    pid,
                    applied,
                    term,
                    clock_offset_ms,
                    http,
                    why,
                    scrub,
                }
            },
        )
}

fn scrub() -> impl Strategy<Value = Scrub> {
    (option::of(number()), option::of(number()))
        .prop_map(|(ended_ms, left_rows)| Scrub { ended_ms, left_rows })
}

/// A reply with a service that it may answer.
pub fn reply() -> impl Strategy<Value = (&'static str, Reply)> {
    let done =
        prop::sample::select(&["login", "channel", "remove"][..]).prop_map(|s| (s, Reply::Done));
    let ack = (bytes(), number(), any::<u32>(), any::<u32>())
        .prop_map(|(id, seq, stored, members)| Reply::Acked(Ack { id, seq, stored, members }));
    let told = (any::<u32>(), option::of(label()));
    let status = (vec(member(), 0..3), told, free(), free(), free(), free(), free()).prop_map(
        |(members, (min_copies, why), broker, proxy, reference, brokers, proxies)| {
            let all =
                Status { members, min_copies, broker, proxy, reference, brokers, proxies, why };
            Reply::Status(Box::new(all))
        },
    );
    let result = prop_oneof![
        Just(ImportResult::Stored),
        Just(ImportResult::Known),
        refusal().prop_map(ImportResult::LeftOut)
    ];
    let any_service = prop::sample::select(&["login", "publish", "message", "users", "x", ""][..]);
    prop_oneof![
        done,
        (prop::sample::select(&["publish", "message"][..]), ack),
        vec(text(), 0..20).prop_map(|names| ("users", Reply::Users(names))),
        vec(text(), 0..20).prop_map(|names| ("channels", Reply::Channels(names))),
        (number(), number())
            .prop_map(|(session, window)| ("session", Reply::Session { session, window })),
        (vec(any_record(), 0..4), number()).prop_map(|(messages, newest)| {
            ("history", Reply::History(HistoryReply { messages, newest }))
        }),
        status.prop_map(|status| ("status", status)),
        (vec(import_row(), 0..4), option::of(bytes()))
            .prop_map(|(rows, next)| ("export", Reply::Export { rows, next })),
        vec(result, 0..4).prop_map(|results| ("import", Reply::Import(results))),
        (any_service, refusal().prop_map(Reply::Refused)),
    ]
}

pub fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        record(false).prop_map(Event::Publication),
        record(true).prop_map(Event::Private),
        (text(), stamp()).prop_map(|(coordinator, Stamp { timestamp, clock })| {
            Event::Election { coordinator, timestamp, clock }
        }),
    ]
}

fn registration() -> impl Strategy<Value = Registration> {
    let numbers = (option::of(number()), option::of(number()), option::of(number()));
    (label(), option::of(label()), numbers).prop_map(|(user, address, (boot, node, cluster))| {
        Registration { user, boot, address, node, cluster }
    })
}

pub fn reference_request() -> impl Strategy<Value = ReferenceRequest> {
    prop_oneof![
        registration().prop_map(ReferenceRequest::Rank),
        Just(ReferenceRequest::List),
        registration().prop_map(ReferenceRequest::Heartbeat),
        Just(ReferenceRequest::Status),
    ]
}

pub fn reference_reply() -> impl Strategy<Value = (&'static str, ReferenceReply)> {
    let listed = || {
        (text(), number(), option::of(text()), option::of(number()))
            .prop_map(|(name, rank, address, node)| Listed { name, rank, address, node })
    };
    let list = || vec(listed(), 0..4);
    prop_oneof![
        (number(), option::of(number()), list())
            .prop_map(|(rank, form, list)| ("rank", ReferenceReply::Rank { rank, form, list })),
        list().prop_map(|list| ("list", ReferenceReply::List(list))),
        (number(), option::of(number()), list(), any::<u32>(), option::of(text())).prop_map(
            |(rank, form, list, pid, http)| {
                ("heartbeat", ReferenceReply::Heartbeat { rank, form, list, pid, http })
            }
        ),
        (any::<u32>(), number(), list(), option::of(text())).prop_map(
            |(pid, last_rank, list, http)| {
                ("status", ReferenceReply::Status { pid, last_rank, list, http })
            }
        ),
        refusal().prop_map(|refusal| ("rank", ReferenceReply::Refused(refusal))),
    ]
}

pub fn server_request() -> impl Strategy<Value = ServerRequest> {
    let names =
        &["replicate_login", "replicate_channel", "replicate_publish", "replicate_message"][..];
    prop_oneof![
        Just(ServerRequest::Clock),
        any::<i64>().prop_map(|delta_ms| ServerRequest::ClockAdjust { delta_ms }),
        Just(ServerRequest::Election),
        prop::sample::select(names)
            .prop_map(|name| ServerRequest::Replicate { service: name.to_owned() }),
    ]
}

pub fn server_reply() -> impl Strategy<Value = (&'static str, ServerReply)> {
    prop_oneof![
        number().prop_map(|time| ("clock", ServerReply::Clock { time })),
        Just(("clock_adjust", ServerReply::Adjusted)),
        Just(("election", ServerReply::Election)),
        refusal().prop_map(|refusal| ("replicate_login", ServerReply::Refused(refusal))),
    ]
}

pub fn to_broker() -> impl Strategy<Value = ToBroker> {
    prop_oneof![
        (
            (label(), number(), any::<u32>(), any::<bool>(), any::<bool>()),
            option::of(label()),
            (scrub(), option::of(label())),
        )
            .prop_map(|((name, boot, credit, primary, serving), http, (scrub, why))| {
                ToBroker::Ready { name, boot, credit, primary, serving, http, scrub, why }
            }),
        number().prop_map(|n| ToBroker::Done { n }),
        (number(), any::<bool>()).prop_map(|(n, uncertain)| ToBroker::Again { n, uncertain }),
        Just(ToBroker::Bye),
    ]
}

pub fn to_server() -> impl Strategy<Value = ToServer> {
    (number(), option::of(request_id())).prop_map(|(n, id)| ToServer { n, id })
}
