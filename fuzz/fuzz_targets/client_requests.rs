//! What clients ask.
#![no_main]

use libfuzzer_sys::fuzz_target;
use recado_protocol::codec::{self, Stamp};

fuzz_target!(
    init: recado_fuzz::seed("client_requests", recado_fuzz::golden("clients.txt")),
    |bytes: &[u8]| {
        let service = codec::peek_service(bytes);
        if let Ok(incoming) = codec::decode_request(bytes) {
            assert_eq!(service, Some(incoming.request.service()));
            _ = codec::request_digest(&incoming.request);
            let again = codec::encode_request(&incoming, Stamp { timestamp: 0, clock: incoming.clock });
            assert_eq!(codec::decode_request(&again), Ok(incoming));
        }
    }
);
