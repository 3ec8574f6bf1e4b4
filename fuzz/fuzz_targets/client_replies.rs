//! What clients are answered.
#![no_main]

use libfuzzer_sys::fuzz_target;
use recado_protocol::codec::{self, Stamp};

fuzz_target!(
    init: recado_fuzz::seed("client_replies", recado_fuzz::golden("clients.txt")),
    |bytes: &[u8]| {
        if let Ok((service, reply, clock)) = codec::decode_reply(bytes) {
            _ = (service, reply, Stamp { timestamp: 0, clock });
        }
    }
);
