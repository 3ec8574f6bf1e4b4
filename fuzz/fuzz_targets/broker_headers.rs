//! The headers between brokers and servers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use recado_protocol::codec;

fuzz_target!(
    init: recado_fuzz::seed("broker_headers", recado_fuzz::golden("backend.txt").into_iter().chain(recado_fuzz::golden("broker.txt"))),
    |bytes: &[u8]| {
        _ = codec::decode_to_broker(bytes);
        _ = codec::decode_to_server(bytes);
        _ = codec::decode_broker_facts(bytes);
    }
);
