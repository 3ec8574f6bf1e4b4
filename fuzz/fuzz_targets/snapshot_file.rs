//! A snapshot's file, as it is and with checksums that fit: what passes can be installed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

use recado_storage::fuzzing;

static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(recado_fuzz::folder);

fuzz_target!(init: recado_fuzz::seed("snapshot_file", fuzzing::snapshot_pieces(recado_fuzz::folder().path())), |bytes: &[u8]| {
    fuzzing::snapshot(FOLDER.path(), bytes);
    fuzzing::snapshot(FOLDER.path(), &fuzzing::sealed_snapshot(bytes));
});
