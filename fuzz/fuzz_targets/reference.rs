//! What servers tell the reference, what it answers, and what it keeps in its file.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use recado_protocol::codec::{self, Stamp};

static FOLDER: LazyLock<PathBuf> = LazyLock::new(recado_fuzz::folder);

fuzz_target!(
    init: recado_fuzz::seed("reference", recado_fuzz::golden("reference.txt").into_iter().chain(kept())),
    |bytes: &[u8]| {
        _ = codec::decode_reference_reply(bytes);
        if let Ok((request, clock)) = codec::decode_reference_request(bytes) {
            let again = codec::encode_reference_request(&request, Stamp { timestamp: 0, clock });
            assert_eq!(codec::decode_reference_request(&again), Ok((request, clock)));
        }
        recado_server::fuzzing::reference_file(&FOLDER, bytes);
    }
);

/// What the reference keeps.
fn kept() -> Option<Vec<u8>> {
    let kept = r#"{"last_rank":7,"cluster":5,"granted_to":9,"given":{}}"#;
    Some(kept.as_bytes().to_vec())
}
