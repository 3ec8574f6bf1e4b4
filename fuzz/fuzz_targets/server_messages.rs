//! What servers tell each other beside replication.
#![no_main]

use libfuzzer_sys::fuzz_target;
use recado_protocol::codec::{self, Stamp};

fuzz_target!(
    init: recado_fuzz::seed("server_messages", recado_fuzz::golden("servers.txt")),
    |bytes: &[u8]| {
        _ = codec::decode_server_reply(bytes);
        if let Ok((request, clock)) = codec::decode_server_request(bytes) {
            let again = codec::encode_server_request(&request, Stamp { timestamp: 0, clock });
            assert_eq!(codec::decode_server_request(&again), Ok((request, clock)));
        }
        recado_server::fuzzing::frames(bytes);
    }
);
