//! A data folder's identity.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

use recado_replication::fuzzing;

static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(recado_fuzz::folder);

fuzz_target!(init: recado_fuzz::seed("identity_file", fuzzing::identities(FOLDER.path())), |bytes: &[u8]| {
    fuzzing::identity_file(FOLDER.path(), bytes);
});
