//! Messages of replication, in frames of this cluster.
#![no_main]

use libfuzzer_sys::fuzz_target;
use recado_replication::fuzzing;

fuzz_target!(
    init: recado_fuzz::seed("peer_messages", fuzzing::peer_messages()),
    |bytes: &[u8]| {
        fuzzing::peer_message(bytes);
        fuzzing::peer_frame(bytes);
    }
);
