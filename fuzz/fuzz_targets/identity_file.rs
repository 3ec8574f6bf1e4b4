//! A data folder's identity.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use recado_replication::fuzzing;

static FOLDER: LazyLock<PathBuf> = LazyLock::new(recado_fuzz::folder);

fuzz_target!(
    init: recado_fuzz::seed("identity_file", fuzzing::identities(&FOLDER)),
    |bytes: &[u8]| {
        fuzzing::identity_file(&FOLDER, bytes);
    }
);
