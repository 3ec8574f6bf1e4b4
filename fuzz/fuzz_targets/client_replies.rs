//! What clients are answered.
#![no_main]

use libfuzzer_sys::fuzz_target;
use recado_protocol::codec;

fuzz_target!(
    init: recado_fuzz::seed("client_replies", recado_fuzz::golden("clients.txt")),
    |bytes: &[u8]| {
        _ = codec::decode_reply(bytes);
    }
);
