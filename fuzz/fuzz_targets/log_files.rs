//! A log's file, whatever is in it.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use recado_replication::fuzzing;

static FOLDER: LazyLock<PathBuf> = LazyLock::new(recado_fuzz::folder);

fuzz_target!(
    init: recado_fuzz::seed("log_files", fuzzing::log_files(&recado_fuzz::folder())),
    |bytes: &[u8]| {
        fuzzing::log_file(&FOLDER, bytes);
    }
);
