//! What fuzzers feed that nobody else needs to name: frames between servers, and the reference's
//! file.

use std::path::Path;

use bytes::Bytes;

use crate::frames::{Adjust, Answer, Forward};
use crate::reference::feed_file;

/// Reads frames between servers; what is read is written as it was.
///
/// # Panics
/// When it is not.
pub fn frames(payload: &[u8]) {
    let payload = Bytes::copy_from_slice(payload);
    let answer = Answer::decode(payload.clone());
    assert_eq!(Answer::decode(answer.encode()), answer);
    if let Some(forward) = Forward::decode(payload.clone()) {
        assert_eq!(Forward::decode(forward.encode()), Some(forward));
    }
    if let Some(adjust) = Adjust::decode(payload.clone()) {
        assert_eq!(adjust.encode(), payload);
    }
}

/// Reads a reference's file: as it is, and with a checksum that fits.
pub fn reference_file(folder: &Path, bytes: &[u8]) {
    feed_file(folder, bytes);
}
