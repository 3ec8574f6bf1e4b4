//! A snapshot's file, as it is and with checksums that fit: what passes can be installed.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use recado_storage::fuzzing;

static FOLDER: LazyLock<PathBuf> = LazyLock::new(recado_fuzz::folder);

fuzz_target!(
    init: recado_fuzz::seed("snapshot_file", fuzzing::snapshot_pieces(&recado_fuzz::folder())),
    |bytes: &[u8]| {
        fuzzing::snapshot(&FOLDER, bytes);
        fuzzing::snapshot(&FOLDER, &fuzzing::sealed_snapshot(bytes));
    }
);
