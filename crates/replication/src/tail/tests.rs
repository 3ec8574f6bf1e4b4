use std::sync::Arc;

use openraft::storage::RaftLogStorage;
use openraft::{EntryPayload as Kind, RaftLogReader};
use raft_log::RaftLog;
use raft_log::api::raft_log_writer::RaftLogWriter;

use super::*;
use crate::log::Log;
use crate::log_codec::{DiskPayload, DiskVote};
use crate::replica::StartError;
use crate::types::{Payload, Vote};

/// A log with small files, and where its last record begins in the last file.
fn write(dir: &Path, last: Last, records_a_file: usize) -> usize {
    let mut config = raft_log::Config::new(dir.display());
    config.wal.chunk_max_records = Some(records_a_file);
    let mut log = RaftLog::<LogTypes>::open(Arc::new(config)).unwrap();
    log.save_vote(DiskVote(Vote::new_committed(1, 77))).unwrap();
    for index in 0..8u64 {
        let text = format!("entry {index} {}", "x".repeat(20)).into_bytes();
        let payload = DiskPayload::Known(Kind::Normal(Payload(text.into())));
        log.append([((1, index), payload)]).unwrap();
        log.commit((1, index)).unwrap();
    }
    match last {
        Last::Vote => log.save_vote(DiskVote(Vote::new(2, 78))).unwrap(),
        Last::Commit => log.commit((1, 7)).unwrap(),
        Last::Blank => log.append([((1, 8), DiskPayload::Known(Kind::Blank))]).unwrap(),
        Last::Entry => {
            let payload = DiskPayload::Known(Kind::Normal(Payload(vec![b'y'; 700].into())));
            log.append([((1, 8), payload)]).unwrap()
        }
        Last::Truncation => log.truncate(8).unwrap(),
        // Not so far that a file goes with it.
        Last::Purge => log.purge((1, 0)).unwrap(),
    };
    log.flush(true, None).unwrap();
    log.wait_worker_idle().unwrap();
    let length = log.stat().open_chunk;
    drop(log);
    let (_, path) = files(dir).unwrap().pop().unwrap();
    let bytes = fs::read(path).unwrap();
    assert_eq!(bytes.len() as u64, length.size);
    let mut at = 0;
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        at = bytes.len() - rest.len();
        Record::decode(&mut rest).unwrap();
    }
    at
}

#[derive(Clone, Copy, Debug)]
enum Last {
    Vote,
    Commit,
    Blank,
    Entry,
    Truncation,
    Purge,
}

const EVERY: [Last; 6] =
    [Last::Vote, Last::Commit, Last::Blank, Last::Entry, Last::Truncation, Last::Purge];

/// All in one file, and a few records a file.
const SIZES: [usize; 2] = [1000, 9];

fn last_file(dir: &Path) -> (PathBuf, Vec<u8>) {
    let (_, path) = files(dir).unwrap().pop().unwrap();
    let bytes = fs::read(&path).unwrap();
    (path, bytes)
}

#[test]
fn a_log_that_ends_anywhere_within_its_last_record_is_torn_there() {
    for (last, size) in EVERY.into_iter().flat_map(|last| SIZES.map(|size| (last, size))) {
        let dir = tempfile::tempdir().unwrap();
        let whole_bytes = write(dir.path(), last, size);
        let (path, bytes) = last_file(dir.path());
        for length in whole_bytes + 1..bytes.len() {
            let seen = look(&bytes[..length], true, true);
            assert_eq!(seen, Look::Torn { whole_bytes }, "{last:?} to {length}");
        }
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        let torn = Finding::Torn { path, whole_bytes: whole_bytes as u64 };
        assert_eq!(inspect(dir.path()).unwrap(), torn, "{last:?}");
    }
}

#[test]
fn a_tail_of_zeros_is_torn() {
    let dir = tempfile::tempdir().unwrap();
    let whole_bytes = write(dir.path(), Last::Entry, 1000);
    let (_, bytes) = last_file(dir.path());
    let borders = (0..bytes.len()).filter(|at| at % SECTOR_BYTES == 0 && *at > whole_bytes);
    for zeros in borders.chain([whole_bytes]) {
        for length in [bytes.len(), bytes.len() + 4096] {
            let mut torn = bytes.clone();
            torn[zeros..].fill(0);
            torn.resize(length, 0);
            let seen = look(&torn, true, true);
            assert_eq!(seen, Look::Torn { whole_bytes }, "zeros from {zeros} to {length}");
        }
    }
}

#[test]
fn a_flipped_bit_anywhere_is_damage() {
    for (last, size) in EVERY.into_iter().flat_map(|last| SIZES.map(|size| (last, size))) {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), last, size);
        let files = files(dir.path()).unwrap();
        for (number, (_, path)) in files.iter().enumerate() {
            let mut bytes = fs::read(path).unwrap();
            for bit in 0..bytes.len() * 8 {
                bytes[bit / 8] ^= 1 << (bit % 8);
                let seen = look(&bytes, true, number + 1 == files.len());
                let damaged = matches!(seen, Look::Damaged { .. });
                assert!(damaged, "{last:?}, bit {bit} of {}: {seen:?}", path.display());
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            bytes[1] ^= 1;
            fs::write(path, &bytes).unwrap();
            assert!(matches!(inspect(dir.path()).unwrap(), Finding::Damaged(_)));
            bytes[1] ^= 1;
            fs::write(path, &bytes).unwrap();
        }
    }
}

/// The state of a log that opens, in words.
async fn open_and_look(dir: &Path) -> Result<String, StartError> {
    let mut log = Log::open(dir).await?;
    let state = log.get_log_state().await.unwrap();
    let vote = log.read_vote().await.unwrap();
    let first = state.last_purged_log_id.map_or(0, |id| id.index + 1);
    let there = log.try_get_log_entries(first..).await.unwrap().len();
    Ok(format!("{state:?}, {vote:?}, {there} entries"))
}

#[tokio::test]
async fn a_torn_log_opens_with_all_that_was_whole_and_a_damaged_one_does_not() {
    for (last, size) in EVERY.into_iter().flat_map(|last| SIZES.map(|size| (last, size))) {
        let dir = tempfile::tempdir().unwrap();
        let start = write(dir.path(), last, size);
        let (path, bytes) = last_file(dir.path());
        fs::write(&path, &bytes[..start]).unwrap();
        let whole = open_and_look(dir.path()).await.unwrap();
        for length in (start + 1..bytes.len()).step_by(1 + (bytes.len() - start) / 6) {
            fs::write(&path, &bytes[..length]).unwrap();
            assert_eq!(open_and_look(dir.path()).await.unwrap(), whole, "{last:?} to {length}");
        }
        for bit in (start * 8..bytes.len() * 8).step_by(1 + (bytes.len() - start) * 8 / 6) {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &flipped).unwrap();
            let met = open_and_look(dir.path()).await;
            assert!(matches!(met, Err(StartError::Damaged(_))), "{last:?}, bit {bit}: {met:?}");
            assert_eq!(fs::read(&path).unwrap(), flipped, "what is damaged is not touched");
        }
    }
}

#[tokio::test]
async fn a_log_without_its_first_file_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), Last::Vote, 9);
    fs::remove_file(&files(dir.path()).unwrap()[0].1).unwrap();
    assert!(matches!(open_and_look(dir.path()).await, Err(StartError::Damaged(_))));
}

#[test]
fn zeros_behind_a_damaged_record_do_not_hide_it() {
    let dir = tempfile::tempdir().unwrap();
    let start = write(dir.path(), Last::Entry, 1000);
    let (_, bytes) = last_file(dir.path());
    // Behind its head, which says how long the record is.
    let body = start + KIND_BYTES + ID_BYTES + HEAD_BYTES;
    for bit in body * 8..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        flipped.resize(bytes.len() + 2 * SECTOR_BYTES, 0);
        let seen = look(&flipped, true, true);
        assert_eq!(seen, Look::Damaged { whole_bytes: start }, "bit {bit}");
    }
}

#[test]
fn a_missing_file_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), Last::Vote, 9);
    let all = files(dir.path()).unwrap();
    assert!(all.len() > 2, "{all:?}");
    fs::remove_file(&all[1].1).unwrap();
    assert!(matches!(inspect(dir.path()).unwrap(), Finding::Damaged(_)));
}
