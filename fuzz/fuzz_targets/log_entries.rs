//! Entries that pass the bounds, one after the other: every one can be applied.
#![no_main]

use libfuzzer_sys::fuzz_target;
use recado_chat::rows::MemoryRows;
use recado_replication::fuzzing;

fuzz_target!(
    init: recado_fuzz::seed("log_entries", fuzzing::chat_entries()),
    |bytes: &[u8]| {
        let mut rows = MemoryRows::default();
        for (position, entry) in (1..).zip(bytes.split(|byte| *byte == 0xc1)) {
            if let Some(entry) = fuzzing::entry_bytes(entry) {
                let Ok(_) = recado_chat::apply(&mut rows, position, &entry);
                assert_eq!(fuzzing::entry_bytes(&entry.encode()), Some(entry));
            }
        }
    }
);
