//! A log's file, whatever is in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

use recado_replication::fuzzing;

static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(recado_fuzz::folder);

fuzz_target!(init: recado_fuzz::seed("log_files", fuzzing::log_files(recado_fuzz::folder().path())), |bytes: &[u8]| {
    fuzzing::log_file(FOLDER.path(), bytes);
});
