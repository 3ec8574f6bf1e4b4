//! Votes, payloads and marks, as records of the log and the store have them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use recado_replication::fuzzing;

fuzz_target!(
    init: recado_fuzz::seed("log_records", fuzzing::log_records()),
    |bytes: &[u8]| {
        fuzzing::log_record(bytes);
    }
);
