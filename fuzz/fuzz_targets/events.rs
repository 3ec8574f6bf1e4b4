//! What subscribers and publishers receive: events, markers, facts of proxies and brokers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use recado_protocol::codec;

fuzz_target!(
    init: recado_fuzz::seed("events", recado_fuzz::golden("subscribers.txt").into_iter().chain(recado_fuzz::golden("broker.txt"))),
    |bytes: &[u8]| {
        _ = codec::decode_event(b"geral", bytes);
        _ = codec::decode_marker(bytes);
        _ = codec::decode_proxy_facts(bytes);
        _ = codec::decode_broker_facts(bytes);
    }
);
