//! Damage on one server's disk: it is recognised, what is left is kept aside, and the server comes
//! back as a new node with everything. Only where nobody else needs to have the data it does not
//! start.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use recado_replication::{Lane, Sizes};

use crate::memory::{CLUSTER, Cluster};
use crate::seq;
use crate::wire::{HOLD, Held, seal, unseal};

/// Small enough that the log forgets soon.
const SMALL: Sizes = Sizes { keep_bytes: u64::MAX, keep_entries: 10, purge_entries: 50 };

pub fn log_file(dir: &Path) -> PathBuf {
    let mut files: Vec<PathBuf> = fs::read_dir(dir.join("log"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "wal"))
        .collect();
    files.sort();
    files.pop().unwrap()
}

/// Flips a bit in the middle of a file.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::write(path, bytes).unwrap();
}

/// Flips bits of a file until one means something: most of a store's pages are free.
fn spoil(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes.iter_mut().skip(4096).step_by(64).for_each(|byte| *byte ^= 4);
    fs::write(path, bytes).unwrap();
}

/// A backup is stopped, this is done to its folder, and it is started again.
async fn comes_back_after(sizes: Sizes, harm: impl Fn(&Path)) -> (PathBuf, tempfile::TempDir) {
    let mut cluster = Cluster::start_with(3, sizes).await;
    let session = cluster.prepare().await;
    for n in 1..=150 {
        cluster.publish_until_acked(session, n).await;
    }
    if sizes == SMALL {
        cluster.wait_purged(2, 80).await;
    }
    cluster.stop(2).await;
    cluster.wait_active(2).await;
    cluster.publish_until_acked(session, 151).await;
    let dir = cluster.servers[2].dir.clone();
    harm(&dir);
    cluster.rebuild(2).await;
    cluster.wait_active(3).await;
    let committed = cluster.publish_until_acked(session, 152).await;
    assert_eq!((seq(&committed), committed.stored, committed.members), (152, 3, 3));
    cluster.wait_equal().await;
    // The new node counts: once it votes in the old one's place, another one may die.
    cluster.wait_voters(&[0, 1, 2]).await;
    cluster.stop(0).await;
    assert_eq!(seq(&cluster.publish_until_acked(session, 153).await), 153);
    (dir.join("damaged-1"), cluster.into_folder())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_in_the_log() {
    let (aside, _folder) = comes_back_after(Sizes::default(), |dir| flip(&log_file(dir))).await;
    for name in ["log", "chat.redb", "identity"] {
        assert!(aside.join(name).exists(), "{name} is kept");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_in_the_logs_first_record() {
    comes_back_after(Sizes::default(), |dir| {
        let path = log_file(dir);
        let mut bytes = fs::read(&path).unwrap();
        bytes[13] ^= 1 << 5;
        fs::write(path, bytes).unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_in_the_logs_last_record() {
    comes_back_after(Sizes::default(), |dir| {
        let path = log_file(dir);
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(path, bytes).unwrap();
    })
    .await;
}

/// A disk that reported a write done and lost it when the server was killed: no server can see that
/// of itself. The primary had counted on it, and must neither stop nor leave the server behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_last_record_that_was_acknowledged_and_is_gone() {
    let mut cluster = Cluster::start(3).await;
    let session = cluster.prepare().await;
    let (store, kept) = {
        let dir = &cluster.servers[2].dir;
        (dir.join("chat.redb"), dir.join("kept"))
    };
    cluster.stop(2).await;
    fs::copy(&store, &kept).unwrap();
    cluster.restart(2).await;
    cluster.wait_active(3).await;
    for n in 1..=20 {
        cluster.publish_until_acked(session, n).await;
    }
    cluster.stop(2).await;
    // A killed server's store has what was flushed at some time; the log has the rest.
    fs::rename(&kept, &store).unwrap();
    let path = log_file(&cluster.servers[2].dir);
    let bytes = fs::read(&path).unwrap();
    fs::write(path, &bytes[..bytes.len() - 200]).unwrap();
    cluster.restart(2).await;
    cluster.wait_active(3).await;
    assert_eq!(seq(&cluster.publish_until_acked(session, 21).await), 21);
    cluster.wait_equal().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_in_the_store() {
    comes_back_after(Sizes::default(), |dir| spoil(&dir.join("chat.redb"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_in_the_identity() {
    comes_back_after(Sizes::default(), |dir| flip(&dir.join("identity"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_identity() {
    comes_back_after(Sizes::default(), |dir| fs::remove_file(dir.join("identity")).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_log() {
    comes_back_after(Sizes::default(), |dir| fs::remove_dir_all(dir.join("log")).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_log_and_store() {
    comes_back_after(Sizes::default(), |dir| {
        fs::remove_dir_all(dir.join("log")).unwrap();
        fs::remove_file(dir.join("chat.redb")).unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_store_behind_a_log_that_forgot() {
    comes_back_after(SMALL, |dir| fs::remove_file(dir.join("chat.redb")).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_rebuild_is_begun_again() {
    comes_back_after(Sizes::default(), |dir| {
        flip(&log_file(dir));
        // As far as a first try may have come.
        fs::create_dir(dir.join("damaged-9")).unwrap();
        fs::rename(dir.join("log"), dir.join("damaged-9/log")).unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_store_is_replayed_from_a_whole_log() {
    let mut cluster = Cluster::start(3).await;
    let session = cluster.prepare().await;
    cluster.publish_until_acked(session, 1).await;
    cluster.stop(2).await;
    cluster.wait_active(2).await;
    fs::remove_file(cluster.servers[2].dir.join("chat.redb")).unwrap();
    cluster.restart(2).await;
    cluster.wait_active(3).await;
    cluster.wait_equal().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_only_voter_does_not_start_without_its_data() {
    let mut cluster = Cluster::start(1).await;
    let session = cluster.prepare().await;
    for n in 1..=50 {
        cluster.publish_until_acked(session, n).await;
    }
    cluster.stop(0).await;
    let dir = cluster.servers[0].dir.clone();
    let files = [log_file(&dir), dir.join("chat.redb"), dir.join("identity")];
    for path in &files {
        let whole = fs::read(path).unwrap();
        if path.ends_with("chat.redb") {
            spoil(path)
        } else {
            flip(path)
        }
        let refused = cluster.try_restart(0).await.unwrap_err();
        assert!(refused.contains("may be the only one"), "{}: {refused}", path.display());
        fs::write(path, whole).unwrap();
    }
    fs::rename(dir.join("log"), dir.join("elsewhere")).unwrap();
    let refused = cluster.try_restart(0).await.unwrap_err();
    assert!(refused.contains("may be the only one"), "without its log: {refused}");
    fs::remove_dir_all(dir.join("log")).unwrap();
    fs::rename(dir.join("elsewhere"), dir.join("log")).unwrap();
    assert!(!dir.join("damaged-1").exists(), "nothing was moved");
    // With everything back it goes on.
    cluster.restart(0).await;
    for n in (1..=51).rev() {
        assert_eq!(seq(&cluster.publish_until_acked(session, n).await), n.min(51));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_no_vote_is_rebuilt_by_the_only_voter() {
    let mut cluster = Cluster::start(2).await;
    let session = cluster.prepare().await;
    cluster.publish_until_acked(session, 1).await;
    for harmed in ["identity", "log"] {
        cluster.stop(1).await;
        cluster.wait_active(1).await;
        let dir = cluster.servers[1].dir.clone();
        if harmed == "log" {
            flip(&log_file(&dir))
        } else {
            flip(&dir.join(harmed))
        }
        cluster.rebuild(1).await;
        cluster.wait_active(2).await;
    }
    cluster.stop(1).await;
    cluster.stop(0).await;
    flip(&log_file(&cluster.servers[0].dir));
    let refused = cluster.try_restart(0).await.unwrap_err();
    assert!(refused.contains("may be the only one"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_rebuilt_stays_in_its_cluster_and_forms_no_other() {
    let mut cluster = Cluster::start(3).await;
    cluster.prepare().await;
    for index in 0..3 {
        cluster.stop(index).await;
    }
    flip(&log_file(&cluster.servers[0].dir));
    for index in 1..3 {
        cluster.restart(index).await;
    }
    cluster.rebuild(0).await;
    let replica = cluster.servers[0].replica();
    assert_eq!(replica.cluster(), Some(4711), "so no reference lets it form one");
    replica.form(4712).await.unwrap();
    assert_eq!(replica.cluster(), Some(4711));
    assert!(!replica.view().borrow().is_primary);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_is_damaged_on_its_way_is_sent_again() {
    let mut cluster = Cluster::start_with(1, SMALL).await;
    let session = cluster.prepare().await;
    for n in 1..=300 {
        cluster.publish_until_acked(session, n).await;
    }
    cluster.wait_purged(0, 200).await;
    let spoiled = Arc::new(AtomicU32::new(0));
    let count = spoiled.clone();
    *cluster.network.tamper.lock().unwrap() = Some(Box::new(move |lane, body| {
        let from = body.len() / 2;
        if lane != Lane::Snapshot || body.len() < 1024 || count.fetch_add(1, Ordering::Relaxed) > 2
        {
            return body;
        }
        let mut bytes = body.to_vec();
        bytes[from] ^= 4;
        Bytes::from(bytes)
    }));
    cluster.add().await;
    cluster.wait_active(2).await;
    assert!(spoiled.load(Ordering::Relaxed) > 3, "it was sent again");
    let committed = cluster.publish_until_acked(session, 301).await;
    assert_eq!((seq(&committed), committed.stored), (301, 2));
    cluster.wait_equal().await;
}

/// Nobody discards a copy before somebody else has confirmed that it is not needed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_all_are_damaged_alike_none_discards_anything() {
    let mut cluster = Cluster::start(3).await;
    let session = cluster.prepare().await;
    for n in 1..=20 {
        cluster.publish_until_acked(session, n).await;
    }
    for index in 0..3 {
        cluster.stop(index).await;
    }
    let files: Vec<PathBuf> = cluster.servers.iter().map(|s| log_file(&s.dir)).collect();
    files.iter().for_each(|file| flip(file));
    for (index, file) in files.iter().enumerate() {
        let refused = cluster.try_restart(index).await.unwrap_err();
        assert!(refused.contains("no primary"), "{refused}");
        let dir = &cluster.servers[index].dir;
        assert!(!dir.join("damaged-1").exists() && file.exists(), "{}", dir.display());
    }
    // With the bits as they were everything is there again.
    files.iter().for_each(|file| flip(file));
    for index in 0..3 {
        cluster.restart(index).await;
    }
    cluster.wait_active(3).await;
    for n in (1..=21).rev() {
        assert_eq!(seq(&cluster.publish_until_acked(session, n).await), n.min(21));
    }
    cluster.wait_equal().await;
}

/// Only who leads now, with a majority behind it, can say what the cluster has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leads_says_what_the_cluster_has() {
    let cluster = Cluster::start(3).await;
    let session = cluster.prepare().await;
    cluster.publish_until_acked(session, 1).await;
    let primary = cluster.primary().await;
    let term = cluster.servers[primary].replica().view().borrow().term;
    let hold = async |index: usize, reach: (u64, u64)| {
        let body = seal(CLUSTER, 0, &reach);
        let answer = cluster.servers[index].replica().handle_peer(HOLD, body).await;
        unseal::<Held>(&answer.unwrap())
    };
    assert_eq!(hold(primary, (0, 0)).await, Held::All);
    assert_eq!(hold(primary, (term, 1)).await, Held::All);
    assert_eq!(hold(primary, (term - 1, 1_000_000)).await, Held::All, "of a term that is over");
    for more in [(term, 1_000_000), (term + 1, 1)] {
        assert!(matches!(hold(primary, more).await, Held::Less(_)), "{more:?}");
    }
    assert_eq!(hold((primary + 1) % 3, (0, 0)).await, Held::NotPrimary);
    cluster.network.isolate(cluster.servers[primary].node, &cluster.nodes());
    assert_eq!(hold(primary, (0, 0)).await, Held::NotPrimary, "it may be deposed by now");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_witness_is_rebuilt() {
    let mut cluster = Cluster::start(2).await;
    let witness = cluster.add_witness().await;
    let session = cluster.prepare().await;
    cluster.publish_until_acked(session, 1).await;
    cluster.wait_voters(&[0, 1, witness]).await;
    cluster.stop(witness).await;
    flip(&log_file(&cluster.servers[witness].dir));
    cluster.rebuild(witness).await;
    cluster.wait_voters(&[0, 1, witness]).await;
    cluster.publish_until_acked(session, 2).await;
    cluster.wait_equal().await;
}
