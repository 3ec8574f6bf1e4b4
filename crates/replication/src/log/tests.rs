use std::fs;
use std::path::Path;

use super::opening::FORMAT;
use super::*;
use crate::replica::StartError;
use crate::tail;

/// A log folder that a program wrote with raft-log directly.
fn written(write: impl FnOnce(&mut raft_log::RaftLog<LogTypes>)) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut log = Log::open_whole(dir.path()).unwrap();
    write(&mut log);
    log.flush(true, None).unwrap();
    log.wait_worker_idle().unwrap();
    dir
}

fn append(log: &mut raft_log::RaftLog<LogTypes>, index: u64, payload: DiskPayload) {
    log.append([((1, index), payload)]).unwrap();
}

fn blank() -> DiskPayload {
    DiskPayload::Known(EntryPayload::Blank)
}

fn content(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "wal"))
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

#[tokio::test]
async fn a_log_names_its_format_from_the_first_start_on() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(tail::format(dir.path()).unwrap(), None);
    for _ in 0..2 {
        let log = Log::open(dir.path()).await.unwrap();
        assert!(log.is_empty());
        drop(log);
        assert_eq!(tail::format(dir.path()).unwrap().as_deref(), Some("1"));
    }
    // Further files name it too.
    let mut config = raft_log::Config::new(dir.path().display());
    config.wal.chunk_max_records = Some(2);
    let mut log = raft_log::RaftLog::<LogTypes>::open(Arc::new(config)).unwrap();
    (0..20).for_each(|index| append(&mut log, index, blank()));
    log.flush(true, None).unwrap();
    log.wait_worker_idle().unwrap();
    drop(log);
    assert!(content(dir.path()).len() > 5);
    assert_eq!(tail::format(dir.path()).unwrap().as_deref(), Some("1"));
}

#[tokio::test]
async fn a_log_without_a_format_is_of_the_first_one() {
    let dir = written(|log| append(log, 0, blank()));
    drop(Log::open(dir.path()).await.unwrap());
    let mut log = Log::open(dir.path()).await.unwrap();
    assert_eq!(log.try_get_log_entries(0..9).await.unwrap().len(), 1);
    assert_eq!(log.lock().log_state().user_data.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_newer_format_is_refused_and_left_alone() {
    for format in ["2", "17", "something else"] {
        let dir = written(|log| {
            log.save_user_data(Some(format.to_owned())).map(drop).unwrap();
            append(log, 0, DiskPayload::Unknown { tag: 9, bytes: vec![1, 2, 3] });
        });
        let before = content(dir.path());
        let error = Log::open(dir.path()).await.err().unwrap();
        assert!(matches!(error, StartError::Failed(_)), "{error}");
        let said = error.to_string();
        assert!(said.contains("newer") && said.contains(&format!("format {format}")), "{said}");
        assert_eq!(content(dir.path()), before);
    }
}

#[tokio::test]
async fn an_entry_of_an_unknown_kind_is_no_damage_and_says_what_to_do() {
    let dir = written(|log| {
        append(log, 0, blank());
        append(log, 1, DiskPayload::Unknown { tag: 9, bytes: vec![1, 2, 3] });
        append(log, 2, blank());
    });
    let mut log = Log::open(dir.path()).await.unwrap();
    assert_eq!(log.try_get_log_entries(0..1).await.unwrap().len(), 1);
    assert!(log.try_get_log_entries(0..3).await.is_err());
    let said = log.trouble().borrow().clone().unwrap();
    assert!(said.contains("entry 1") && said.contains("run the version"), "{said}");
}

#[tokio::test]
async fn an_entry_that_is_longer_than_allowed_is_read() {
    let long = DiskPayload::Known(EntryPayload::Normal(Payload(vec![7; 2_600_000].into())));
    let dir = written(|log| append(log, 0, long));
    let mut log = Log::open(dir.path()).await.unwrap();
    let entries = log.try_get_log_entries(0..1).await.unwrap();
    assert!(matches!(&entries[0].payload,
        EntryPayload::Normal(Payload(bytes)) if bytes.len() == 2_600_000));
}

#[tokio::test]
async fn whole_records_that_make_no_log_are_no_damage() {
    let dir = written(|log| {
        log.save_user_data(Some(FORMAT.to_string())).map(drop).unwrap();
        log.save_vote(DiskVote(Vote::new(9, 1))).map(drop).unwrap();
    });
    // A vote that goes back, as no program of ours writes it: its record comes from another log.
    let other = written(|log| _ = log.save_vote(DiskVote(Vote::new(3, 1))).unwrap());
    let whole = content(other.path()).remove(0).1;
    let (path, mut bytes) = content(dir.path()).remove(0);
    // Kind, term, node, whether it is committed, and the checksum.
    bytes.extend(&whole[whole.len() - (4 + 8 + 8 + 1 + 8)..]);
    fs::write(&path, &bytes).unwrap();
    let error = Log::open(dir.path()).await.err().unwrap();
    assert!(matches!(error, StartError::Failed(_)), "{error}");
    assert!(error.to_string().contains("can't make sense"), "{error}");
    assert_eq!(content(dir.path()), [(path, bytes)]);
}

#[test]
fn the_last_entry_is_found_before_and_behind_damage() {
    let dir = written(|log| (0..50).for_each(|index| append(log, index, blank())));
    assert_eq!(tail::last_entry(dir.path()).unwrap(), Some((1, 49)));
    let (path, whole) = content(dir.path()).remove(0);
    for at in [5, whole.len() / 2, whole.len() - 100] {
        let mut bytes = whole.clone();
        bytes[at] ^= 4;
        fs::write(&path, bytes).unwrap();
        assert_eq!(tail::last_entry(dir.path()).unwrap(), Some((1, 49)), "damage at {at}");
    }
    fs::write(&path, b"").unwrap();
    assert_eq!(tail::last_entry(dir.path()).unwrap(), None);
}
