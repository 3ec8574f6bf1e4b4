//! What it costs to encode and decode the messages of one publication: `cargo bench -p
//! recado-protocol`.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use recado_protocol::codec::{
    Stamp, decode_event, decode_reply, decode_request, encode_event, encode_reply, encode_request,
};
use recado_protocol::{Ack, Event, Incoming, Record, Reply, Request, RequestId};

const STAMP: Stamp = Stamp { timestamp: 1_760_000_000_123, clock: 70_000 };

fn text() -> String {
    "x".repeat(200)
}

fn request() -> Incoming {
    let request =
        Request::Publish { user: "ana".into(), channel: "general".into(), message: text() };
    Incoming { request, clock: STAMP.clock, id: Some(RequestId { session: 1 << 60, n: 1000 }) }
}

fn acknowledgement() -> Reply {
    Reply::Acked(Ack { id: Bytes::from(vec![7; 16]), seq: 100_000, stored: 3, members: 3 })
}

fn event() -> Event {
    Event::Publication(Record {
        from: "ana".into(),
        to: "general".into(),
        message: text(),
        timestamp: STAMP.timestamp,
        clock: STAMP.clock,
        id: Bytes::from(vec![7; 16]),
        seq: 100_000,
        pos: 1_000_000,
        private: false,
    })
}

fn codec(criterion: &mut Criterion) {
    let mut bench = |name: &str, work: &mut dyn FnMut()| {
        criterion.bench_function(name, |bencher| bencher.iter(&mut *work));
    };
    let incoming = request();
    let body = encode_request(&incoming, STAMP);
    bench("encode a request", &mut || _ = black_box(encode_request(black_box(&incoming), STAMP)));
    bench("decode a request", &mut || _ = black_box(decode_request(black_box(&body)).unwrap()));

    let reply = acknowledgement();
    let body = encode_reply("publish", &reply, STAMP);
    bench("encode an acknowledgement", &mut || {
        _ = black_box(encode_reply("publish", black_box(&reply), STAMP));
    });
    bench("decode an acknowledgement", &mut || {
        _ = black_box(decode_reply(black_box(&body)).unwrap());
    });

    let event = event();
    let body = encode_event(&event);
    bench("encode an event", &mut || _ = black_box(encode_event(black_box(&event))));
    bench("decode an event", &mut || {
        _ = black_box(decode_event(b"general", black_box(&body)).unwrap());
    });
}

criterion_group!(benches, codec);
criterion_main!(benches);
