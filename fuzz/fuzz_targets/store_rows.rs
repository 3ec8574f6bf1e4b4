//! Rows of every table, as a snapshot brings them: a table, a key's length, the key, the value.
#![no_main]

use libfuzzer_sys::fuzz_target;
use recado_storage::fuzzing;

fuzz_target!(
    init: recado_fuzz::seed("store_rows", fuzzing::rows(&recado_fuzz::folder())),
    |bytes: &[u8]| {
        if let [table, length, rest @ ..] = bytes
            && let Some((key, value)) = rest.split_at_checked(usize::from(*length))
        {
            fuzzing::row(*table, key, value);
        }
    }
);
