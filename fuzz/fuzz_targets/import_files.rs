//! The files of an import.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use recado_client::transfer::fuzzing;

static FOLDER: LazyLock<PathBuf> = LazyLock::new(recado_fuzz::folder);

fuzz_target!(
    init: recado_fuzz::seed("import_files", files()),
    |bytes: &[u8]| {
        fuzzing::import_files(&FOLDER, bytes);
    }
);

/// Rows of all files, of this and of other programs.
fn files() -> Vec<Vec<u8>> {
    [
        r#"[["ana",{"user":"ana","loginTime":3,"lastSeen":4,"createdAt":2}],"bob",{"user":"eva"}]"#,
        r#"["geral",{"channel":"sala"}]"#,
        r#"[{"user":"ana","channel":"geral","message":"a","timestamp":1760000000.5,"clock":"7"}]"#,
        r#"[{"src":"ana","dst":"bob","message":"b","timestamp":"2025-10-09T08:53:20Z"}]"#,
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}
