//! Coming back: who was away is sent what it lacks, by log as long as that reaches back far enough,
//! else one snapshot, whatever is written meanwhile; and of a transfer nothing stays.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use recado_replication::Sizes;

use crate::memory::{Cluster, PATIENCE};

/// So soon after its end nothing is left of a transfer that was cut.
const CLEAN_WITHIN: Duration = Duration::from_secs(10);
/// Long enough for a file that takes a moment to write.
const LONG: usize = 64 * 1024;

/// Bounds by the number of entries.
fn few(keep_entries: u64) -> Sizes {
    Sizes { keep_bytes: u64::MAX, keep_entries, purge_entries: keep_entries / 10 }
}

/// Publishes so many with many writers at a time, from `first` on.
async fn publish_many(cluster: &Cluster, session: u64, first: u64, count: u64) {
    let next = AtomicU64::new(first);
    let writer = || async {
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= first + count {
                return;
            }
            cluster.publish_until_acked(session, n).await;
        }
    };
    futures::future::join_all((0..32).map(|_| writer())).await;
}

fn snapshots_sent(cluster: &Cluster) -> u64 {
    cluster.servers.iter().map(|server| server.metrics.snapshots_sent.get()).sum()
}

/// The files of transfers under these folders, those included that have no name any more.
fn transfer_files(cluster: &Cluster) -> Vec<String> {
    let of = |entry: std::io::Result<std::fs::DirEntry>| entry.ok()?.file_name().into_string().ok();
    let mut found: Vec<String> = (cluster.servers.iter())
        .flat_map(|server| std::fs::read_dir(&server.dir).unwrap())
        .filter_map(of)
        .filter(|name| name.starts_with("snapshot-"))
        .collect();
    // Where the system does not tell which files are open, only names are seen.
    let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten();
    let open = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    let ours = |path: &std::path::Path| {
        let inside = cluster.servers.iter().any(|server| path.starts_with(&server.dir));
        inside && path.to_string_lossy().contains("/snapshot-")
    };
    found.extend(open.filter(|path| ours(path)).map(|path| path.display().to_string()));
    found
}

async fn wait_for_a_transfer(cluster: &Cluster) {
    cluster.wait("a transfer", || (!transfer_files(cluster).is_empty()).then_some(())).await;
}

async fn wait_until_clean(cluster: &Cluster) {
    let start = Instant::now();
    loop {
        let left = transfer_files(cluster);
        if left.is_empty() {
            return;
        }
        assert!(start.elapsed() < CLEAN_WITHIN, "{left:?} stay behind");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A cluster with so much in it that a snapshot takes its time.
async fn heavy_cluster() -> Cluster {
    let cluster = Cluster::start_with(3, few(100)).await;
    let session = cluster.prepare().await;
    let primary = cluster.primary().await;
    let text = "x".repeat(LONG);
    for begin in (1..=480).step_by(160) {
        let all = (begin..begin + 160).map(|n| {
            let text = text.clone();
            cluster.publish_text(primary, session, n, text)
        });
        for committed in futures::future::join_all(all).await {
            committed.unwrap();
        }
    }
    cluster.wait_purged(primary, 360).await;
    cluster
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_away_within_the_bounds_comes_back_by_log() {
    // The log is longer than one file, and is shortened.
    let mut cluster = Cluster::start_with(3, few(4_000)).await;
    let session = cluster.prepare().await;
    publish_many(&cluster, session, 1, 4_500).await;
    cluster.wait_purged(cluster.primary().await, 400).await;
    cluster.stop(2).await;
    cluster.wait_active(2).await;
    publish_many(&cluster, session, 4_501, 3_000).await;
    cluster.restart(2).await;
    cluster.wait_active(3).await;
    cluster.wait_equal().await;
    assert_eq!(snapshots_sent(&cluster), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_away_for_longer_is_sent_one_snapshot() {
    let mut cluster = Cluster::start_with(3, few(100)).await;
    let session = cluster.prepare().await;
    publish_many(&cluster, session, 1, 50).await;
    cluster.stop(2).await;
    cluster.wait_active(2).await;
    publish_many(&cluster, session, 51, 400).await;
    // For a while it is kept for whoever was heard of lately.
    let primary = cluster.primary().await;
    let (start, mut next) = (Instant::now(), 451);
    while cluster.servers[primary].metrics.purged_position.get() < 300 {
        publish_many(&cluster, session, next, 20).await;
        next += 20;
        assert!(start.elapsed() < PATIENCE, "the log is never shortened");
    }
    cluster.restart(2).await;
    cluster.wait_active(3).await;
    cluster.wait_equal().await;
    assert_eq!(snapshots_sent(&cluster), 1);
    wait_until_clean(&cluster).await;
}

/// Wipes a backup, holds its snapshot up while `meanwhile` entries are written, and waits until it
/// is back, with the load going on.
async fn wiped_under_load(meanwhile: u64) -> Cluster {
    let mut cluster = Cluster::start_with(3, few(500)).await;
    let session = cluster.prepare().await;
    publish_many(&cluster, session, 1, 1_000).await;
    cluster.wait_purged(cluster.primary().await, 400).await;
    let mut next = 1_001;
    cluster.stop(2).await;
    cluster.wait_active(2).await;
    cluster.network.hold_snapshots(true);
    cluster.wipe(2).await;
    let primary = cluster.primary().await;
    let replica = cluster.servers[primary].replica().clone();
    cluster
        .wait("the new server in the table", || {
            let node = cluster.servers[2].node;
            replica.view().borrow().member(node).map(drop)
        })
        .await;
    // The snapshot is made of what is there now, soon, and then held up.
    cluster.network.hold_snapshots(false);
    wait_for_a_transfer(&cluster).await;
    cluster.network.hold_snapshots(true);
    publish_many(&cluster, session, next, meanwhile).await;
    next += meanwhile;
    cluster.network.hold_snapshots(false);
    let done = Arc::new(AtomicBool::new(false));
    let load = async {
        while !done.load(Ordering::Relaxed) {
            publish_many(&cluster, session, next, 20).await;
            next += 20;
        }
    };
    let back = async {
        cluster.wait_active(3).await;
        done.store(true, Ordering::Relaxed);
    };
    futures::future::join(load, back).await;
    cluster.wait_equal().await;
    cluster
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wiped_server_is_sent_everything_once_whatever_is_written_meanwhile() {
    // More than is kept otherwise, and less than the hard bound.
    let cluster = wiped_under_load(1_200).await;
    assert_eq!(snapshots_sent(&cluster), 1);
    wait_until_clean(&cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_the_log_outgrows_is_sent_anew() {
    let cluster = wiped_under_load(2_600).await;
    assert!(snapshots_sent(&cluster) >= 1);
    wait_until_clean(&cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_stays_when_the_sender_stops_while_it_writes() {
    let mut cluster = heavy_cluster().await;
    cluster.stop(2).await;
    cluster.wait_active(2).await;
    cluster.wipe(2).await;
    wait_for_a_transfer(&cluster).await;
    let primary = cluster.primary().await;
    cluster.stop(primary).await;
    cluster.stop(2).await;
    wait_until_clean(&cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_stays_when_the_receiver_is_gone() {
    let mut cluster = heavy_cluster().await;
    cluster.stop(2).await;
    cluster.wait_active(2).await;
    cluster.wipe(2).await;
    wait_for_a_transfer(&cluster).await;
    cluster.network.hold_snapshots(true);
    cluster.stop(2).await;
    wait_until_clean(&cluster).await;
    cluster.network.hold_snapshots(false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_stays_when_the_sender_loses_the_lead() {
    let mut cluster = heavy_cluster().await;
    cluster.stop(2).await;
    cluster.wait_active(2).await;
    cluster.wipe(2).await;
    wait_for_a_transfer(&cluster).await;
    cluster.network.hold_snapshots(true);
    let primary = cluster.primary().await;
    cluster.rank(if primary == 0 { [9, 8, 7] } else { [8, 9, 7] });
    let led_by_another =
        || cluster.servers.iter().position(|s| s.leads()).filter(|p| *p != primary);
    cluster.wait("another primary", led_by_another).await;
    // The receiver is abandoned in the middle, and the next one can't begin.
    wait_until_clean(&cluster).await;
    cluster.network.hold_snapshots(false);
    cluster.wait_active(3).await;
    cluster.wait_equal().await;
    wait_until_clean(&cluster).await;
}
