use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use openraft::storage::RaftLogStorage;
use raft_log::api::raft_log_writer::RaftLogWriter;
use recado_chat::members::Announcement;
use recado_chat::{Command, LogEntry, MemberCommand, Stamp};
use recado_storage::STORE_FILE;

use super::*;
use crate::NodeId;
use crate::folder::find_a_gap;
use crate::identity::Standing;
use crate::log::{Log, LogTypes};
use crate::log_codec::{DiskPayload, DiskVote};
use crate::types::{Payload, StoredMembership, Vote};

const NODE: NodeId = 7;
const VOTERS: [NodeId; 3] = [NODE, 8, 9];
/// So many entries are applied to the store, which is on disk; the log has all of them.
const APPLIED: u64 = 5;
const COMMITTED: u64 = 8;
const LAST: u64 = 11;
const TERM: u64 = 3;

fn membership() -> openraft::Membership<u64, openraft::EmptyNode> {
    openraft::Membership::new_with_defaults(vec![VOTERS.into()], [])
}

fn member(node: NodeId) -> Command {
    Command::Member(MemberCommand::Announce(Announcement {
        node,
        name: format!("server-{node}"),
        address: format!("tcp://127.0.0.1:{node}"),
        rank: node,
        boot: node,
        pid: 1,
        witness: false,
    }))
}

/// What stands in the log at a position behind the first.
fn entry(position: u64) -> LogEntry {
    let command = match position {
        1..=3 => member(VOTERS[position as usize - 1]),
        4 => Command::Channel { channel: "general".into() },
        _ => Command::Publish {
            user: "ana".into(),
            channel: "general".into(),
            message: position.to_string(),
        },
    };
    let stamp = Stamp { time_ms: 1000 * position, clock: position };
    LogEntry { stamp, origin: None, published: 0, command }
}

fn id(index: u64) -> LogId {
    openraft::LogId { leader_id: TERM.into(), index }
}

/// A server's folder as a kill leaves it: the store is behind the log.
async fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let standing = Some(Standing { membership: Some(0), only_voter: false });
    let renewal = None;
    Identity { node: NODE, cluster: Some(70), has_log: true, standing, renewal }
        .save(dir.path())
        .unwrap();
    let log_dir = dir.path().join(LOG_FOLDER);
    fs::create_dir(&log_dir).unwrap();
    drop(Log::open(&log_dir).await.unwrap());
    let mut log: raft_log::RaftLog<LogTypes> = Log::open_whole(&log_dir).unwrap();
    log.save_vote(DiskVote(Vote::new_committed(TERM, 8))).unwrap();
    let first = EntryPayload::Membership(membership());
    log.append([((TERM, 0), DiskPayload::Known(first))]).unwrap();
    for position in 1..=LAST {
        let payload = EntryPayload::Normal(Payload(entry(position).encode().into()));
        log.append([((TERM, position), DiskPayload::Known(payload))]).unwrap();
    }
    // Replaced, as by another primary.
    log.truncate(LAST).unwrap();
    let payload = EntryPayload::Normal(Payload(entry(LAST).encode().into()));
    log.append([((TERM, LAST), DiskPayload::Known(payload))]).unwrap();
    log.commit((TERM, COMMITTED)).unwrap();
    log.flush(true, None).unwrap();
    log.wait_worker_idle().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut batch = vec![Logged { position: 0, entry: None }];
    batch.extend((1..=APPLIED).map(|position| Logged { position, entry: Some(entry(position)) }));
    let stored = StoredMembership::new(Some(id(0)), membership());
    store.apply(&batch, &encode_marks(Some(&id(APPLIED)), &stored).unwrap()).unwrap();
    store.flush().unwrap();
    dir
}

/// Every file in a folder, with its bytes.
fn content(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(content(&path));
        } else {
            files.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    files
}

fn messages(store: &Store) -> Vec<String> {
    let limit = recado_storage::PageLimit { rows: 100, bytes: 1 << 20 };
    let of = recado_storage::HistoryOf::Channel("general");
    let page = store.reader().unwrap().history(of, Some(0), None, limit).unwrap();
    page.messages.into_iter().map(|message| message.text).collect()
}

fn all_messages() -> Vec<String> {
    (5..=LAST).map(|position| position.to_string()).collect()
}

#[tokio::test]
async fn a_look_has_all_that_the_log_holds_and_changes_nothing() {
    let dir = folder().await;
    let before = content(dir.path());
    let scratch = tempfile::tempdir().unwrap();
    let looked = look(dir.path(), scratch.path()).unwrap();
    assert_eq!(messages(&looked.store), all_messages());
    let members = vec!["server-7".to_owned(), "server-8".to_owned(), "server-9".to_owned()];
    let expected = Holding {
        position: LAST,
        term: TERM,
        uncertain: LAST - COMMITTED,
        newest_ms: Some(1000 * LAST),
        members,
    };
    assert_eq!((&looked.holding, &looked.damage), (&expected, &None));
    // Whoever looks holds it.
    let Err(error) = look(dir.path(), scratch.path()) else { panic!("looked into twice") };
    assert!(error.to_string().contains("in use"), "{error}");
    drop(looked);
    let findings = check(dir.path(), scratch.path()).unwrap();
    assert!(findings.iter().all(|finding| finding.well), "{findings:?}");
    assert!(content(dir.path()) == before, "something was changed");
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_torn_end_is_no_damage_and_a_flipped_bit_is() {
    let scratch = tempfile::tempdir().unwrap();
    let log_file = |dir: &Path| {
        let files = crate::tail::files(&dir.join(LOG_FOLDER)).unwrap();
        files.into_iter().next_back().unwrap().1
    };
    let dir = folder().await;
    let path = log_file(dir.path());
    let whole = fs::read(&path).unwrap();
    fs::write(&path, [&whole[..], &[0, 0, 0, 1, 0, 0]].concat()).unwrap();
    let findings = check(dir.path(), scratch.path()).unwrap();
    assert!(findings.iter().all(|finding| finding.well), "{findings:?}");
    assert!(findings.iter().any(|finding| finding.what.contains("torn")), "{findings:?}");

    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    fs::write(&path, &flipped).unwrap();
    let wrong = |findings: Vec<Finding>| findings.iter().filter(|finding| !finding.well).count();
    assert_eq!(wrong(check(dir.path(), scratch.path()).unwrap()), 1);
    let looked = look(dir.path(), scratch.path()).unwrap();
    assert!(looked.damage.is_some() && looked.holding.position < LAST);
    drop(looked);
    let before = content(dir.path());
    let Err(StartError::Damaged(why)) = renew(dir.path(), |_| Ok(())).await else {
        panic!("a cluster of a damaged log")
    };
    assert!(why.contains("--export"), "{why}");
    assert!(content(dir.path()) == before);
    fs::write(&path, &whole).unwrap();

    let store = dir.path().join(STORE_FILE);
    let mut rows = fs::read(&store).unwrap();
    rows.iter_mut().skip(4096).step_by(64).for_each(|byte| *byte ^= 4);
    fs::write(&store, rows).unwrap();
    assert!(wrong(check(dir.path(), scratch.path()).unwrap()) > 0);
}

/// The folder as a server would open it.
async fn opened(dir: &Path) -> (Identity, Log, Store) {
    let identity = Identity::open(dir, &crate::entropy::SystemEntropy).unwrap();
    let log = Log::open(&dir.join(LOG_FOLDER)).await.unwrap();
    let store = Store::open(dir).unwrap();
    find_a_gap(dir, &identity, &log, &store).unwrap();
    (identity, log, store)
}

async fn check_renewed(dir: &Path, renewed: &Renewed) {
    let (identity, mut log, store) = opened(dir).await;
    assert_eq!((identity.node, identity.cluster), (renewed.node, Some(renewed.cluster)));
    assert!(!VOTERS.contains(&identity.node) && renewed.cluster != 70);
    assert!(identity.standing.unwrap().only_voter);
    let (applied, membership) = decode_marks(&store.marks().unwrap()).unwrap();
    assert_eq!(membership.membership().voter_ids().collect::<Vec<_>>(), [identity.node]);
    let state = log.get_log_state().await.unwrap();
    assert_eq!((state.last_log_id, state.last_purged_log_id), (applied, applied));
    let vote = openraft::RaftLogReader::read_vote(&mut log).await.unwrap().unwrap();
    assert_eq!((vote.leader_id.term, vote.leader_id.voted_for), (TERM, identity.node));
    let reader = store.reader().unwrap();
    assert_eq!(reader.members().unwrap(), []);
    assert_eq!(reader.removed_nodes().unwrap(), VOTERS.into());
    assert_eq!(messages(&store), all_messages());
    assert!(reader.verify().findings.is_empty());
    let names: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
}

#[tokio::test]
async fn wherever_it_is_interrupted_a_second_run_finishes() {
    let steps =
        [Step::Planned, Step::Rows, Step::NextLog, Step::OldLogAside, Step::NewLog, Step::Identity];
    for stop in steps {
        let dir = folder().await;
        let mut seen = Vec::new();
        let stopped = renew(dir.path(), |step| {
            seen.push(step);
            if step == stop { Err(io::Error::other("a power cut")) } else { Ok(()) }
        });
        stopped.await.unwrap_err();
        assert_eq!(seen.last(), Some(&stop));
        // Until the last step no server starts in it.
        let open = Identity::open(dir.path(), &crate::entropy::SystemEntropy);
        match stop {
            Step::Identity => _ = open.unwrap(),
            _ => assert!(open.unwrap_err().to_string().contains("--new-cluster")),
        }
        let scratch = tempfile::tempdir().unwrap();
        let looked = look(dir.path(), scratch.path()).unwrap();
        assert_eq!(messages(&looked.store), all_messages(), "behind {stop:?}");
        drop(looked);
        let renewed = renew(dir.path(), |_| Ok(())).await.unwrap();
        check_renewed(dir.path(), &renewed).await;
    }
}

#[tokio::test]
async fn a_new_generation_can_be_made_of_a_new_generation() {
    let dir = folder().await;
    let first = renew(dir.path(), |_| Ok(())).await.unwrap();
    check_renewed(dir.path(), &first).await;
    let second = renew(dir.path(), |_| Ok(())).await.unwrap();
    assert!(second.node != first.node && second.cluster != first.cluster);
    let removed = Store::open(dir.path()).unwrap().reader().unwrap().removed_nodes().unwrap();
    assert!(removed.contains(&first.node) && removed.len() == VOTERS.len() + 1);
}

#[tokio::test]
async fn what_is_no_folder_of_a_server_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let Err(error) = look(dir.path(), dir.path()) else { panic!("looked into nothing") };
    assert!(error.to_string().contains("no data of a server"), "{error}");
    fs::create_dir(dir.path().join(LOG_FOLDER)).unwrap();
    let error = renew(dir.path(), |_| Ok(())).await.unwrap_err();
    assert!(error.to_string().contains("holds nothing of a cluster"), "{error}");
}
