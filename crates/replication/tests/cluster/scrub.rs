//! Damage that is found while a server runs: it stops, leaves a note, and comes back as a new node
//! with everything. Where nobody else has everything it does not start.

use std::fs;
use std::path::Path;
use std::time::Duration;

use recado_replication::Timing;
use recado_storage::{DAMAGE_NOTE, Logged, Store};

use crate::memory::{Cluster, PATIENCE};
use crate::seq;

/// As `Timing`, but the rows are read at once, and compared often.
fn impatient() -> Timing {
    Timing { scrub_after_ms: 50, compare_ms: 50, ..Timing::default() }
}

/// A cluster with some history.
async fn filled(servers: usize) -> (Cluster, u64) {
    let cluster = Cluster::start(servers).await;
    let session = cluster.prepare().await;
    for n in 1..=150 {
        cluster.publish_until_acked(session, n).await;
    }
    (cluster, session)
}

/// Flips one bit in a block of the store that holds this text.
fn spoil_block_with(dir: &Path, text: &[u8]) {
    let path = dir.join("chat.redb");
    let mut bytes = fs::read(&path).unwrap();
    let places = bytes.windows(text.len()).enumerate().filter(|(_, window)| *window == text);
    let places: Vec<usize> = places.map(|(place, _)| place).collect();
    assert!(!places.is_empty(), "the text is in the store");
    // Old pages may hold it too.
    places.iter().for_each(|place| bytes[*place] ^= 1);
    fs::write(path, bytes).unwrap();
}

async fn stops(cluster: &Cluster, index: usize) -> String {
    let replica = cluster.servers[index].replica().clone();
    tokio::time::timeout(PATIENCE, replica.failed()).await.expect("it finds the damage")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_reads_is_found_in_the_background_and_mended_from_the_others() {
    let (mut cluster, session) = filled(3).await;
    cluster.timing = impatient();
    cluster.stop(2).await;
    cluster.wait_active(2).await;
    let dir = cluster.servers[2].dir.clone();
    spoil_block_with(&dir, b"message 20");
    // It starts: nothing is read that is damaged.
    cluster.restart(2).await;
    let why = stops(&cluster, 2).await;
    assert!(why.contains("damaged") && why.contains("checksum"), "{why}");
    assert!(dir.join(DAMAGE_NOTE).exists());
    cluster.stop(2).await;
    cluster.wait_active(2).await;
    cluster.rebuild(2).await;
    cluster.wait_active(3).await;
    assert!(dir.join("damaged-1").join(DAMAGE_NOTE).exists() && !dir.join(DAMAGE_NOTE).exists());
    assert_eq!(seq(&cluster.publish_until_acked(session, 151).await), 151);
    cluster.wait_equal().await;
    // What was rebuilt is whole.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(cluster.servers[2].replica().failure(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_only_voter_keeps_what_it_has() {
    let (mut cluster, session) = filled(1).await;
    cluster.timing = impatient();
    cluster.stop(0).await;
    let dir = cluster.servers[0].dir.clone();
    let whole = fs::read(dir.join("chat.redb")).unwrap();
    spoil_block_with(&dir, b"message 20");
    cluster.restart(0).await;
    stops(&cluster, 0).await;
    cluster.stop(0).await;
    let refused = cluster.try_restart(0).await.unwrap_err();
    assert!(refused.contains("may be the only one"), "{refused}");
    assert!(!dir.join("damaged-1").exists(), "nothing was moved");
    // Restored from a backup.
    fs::write(dir.join("chat.redb"), whole).unwrap();
    fs::remove_file(dir.join(DAMAGE_NOTE)).unwrap();
    cluster.restart(0).await;
    assert_eq!(seq(&cluster.publish_until_acked(session, 151).await), 151);
}

/// A backup's store that leaves out what some entries did, with all checksums and marks right: as a
/// mistake in applying them would.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_rows_differ_stops_and_is_mended() {
    let (mut cluster, session) = filled(3).await;
    cluster.timing = impatient();
    for index in [1, 2, 0] {
        cluster.stop(index).await;
        cluster.restart(index).await;
        cluster.wait_active(3).await;
    }
    cluster.stop(2).await;
    cluster.wait_active(2).await;
    cluster.publish_until_acked(session, 151).await;
    cluster.wait_equal().await;
    let (dir, node) = (cluster.servers[2].dir.clone(), cluster.servers[2].node);
    {
        let (store, others) = (Store::open(&dir).unwrap(), cluster.servers[0].replica().store());
        let (marks, (upto, _)) = (others.marks().unwrap(), others.sums().unwrap());
        let (held, _) = store.sums().unwrap();
        let nothing = (held + 1..=upto).map(|position| Logged { position, entry: None });
        store.apply(&nothing.collect::<Vec<_>>(), &marks).unwrap();
        store.flush().unwrap();
    }
    cluster.restart(2).await;
    cluster.wait_active(3).await;
    let mut n = 152;
    let why = loop {
        let batch = (n..n + 64).map(|n| cluster.publish_until_acked(session, n));
        futures::future::join_all(batch).await;
        n += 64;
        if let Some(why) = cluster.servers[2].replica().failure() {
            break why;
        }
        assert!(n < 40_000, "nobody saw that the rows differ");
    };
    assert!(why.contains("its rows at position") && why.contains("those of others"), "{why}");
    cluster.stop(2).await;
    cluster.rebuild(2).await;
    assert_ne!(cluster.servers[2].node, node);
    cluster.wait_active(3).await;
    cluster.wait_equal().await;
    for index in 0..3 {
        assert_eq!(cluster.servers[index].replica().failure(), None);
    }
}
