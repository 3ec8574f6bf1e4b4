//! Three servers.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use recado_replication::{ProposeError, Sizes};

use crate::memory::{self, Cluster};
use crate::seq;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_servers_form_a_cluster_and_acknowledge_from_all_disks() {
    let cluster = Cluster::start(3).await;
    let session = cluster.prepare().await;
    for n in 1..=100 {
        let committed = cluster.publish_until_acked(session, n).await;
        assert_eq!(seq(&committed), n);
        assert_eq!((committed.stored, committed.members), (3, 3));
    }
    cluster.wait_equal().await;
    assert_eq!(cluster.primary().await, 0, "the lowest rank leads");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_refuses_to_propose_and_answers_reads() {
    let cluster = Cluster::start(3).await;
    let session = cluster.prepare().await;
    let primary = cluster.primary().await;
    let backup = (primary + 1) % 3;
    let refused = cluster.publish(backup, session, 1).await.unwrap_err();
    assert!(matches!(refused, ProposeError::NotPrimary { .. }));
    for n in 1..=50 {
        cluster.publish_until_acked(session, n).await;
        // Whatever was acknowledged before a read began is in it, on every server.
        let rows = cluster.servers[backup].replica().read().await.unwrap();
        let limit = recado_storage::PageLimit { rows: 1, bytes: 1024 };
        let page = rows.history(recado_storage::HistoryOf::Channel("general"), None, None, limit);
        assert_eq!(page.unwrap().newest, n);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_rank_takes_over_and_nothing_acknowledged_is_lost() {
    let mut cluster = Cluster::start(3).await;
    let session = cluster.prepare().await;
    for n in 1..=20 {
        cluster.publish_until_acked(session, n).await;
    }
    let first = cluster.primary().await;
    cluster.stop(first).await;
    let stopped = Instant::now();
    let committed = cluster.publish_until_acked(session, 21).await;
    eprintln!("acknowledged again after {} ms", stopped.elapsed().as_millis());
    assert_eq!(seq(&committed), 21);
    assert_eq!(cluster.primary().await, first + 1, "the next rank leads");
    // A repeat of what was acknowledged before has its first result.
    let repeat = cluster.publish_until_acked(session, 20).await;
    assert_eq!(seq(&repeat), 20);
    cluster.wait_active(2).await;
    cluster.restart(first).await;
    cluster.wait_active(3).await;
    assert_eq!(cluster.primary().await, first + 1, "who returns has a higher rank");
    let committed = cluster.publish_until_acked(session, 22).await;
    assert_eq!((seq(&committed), committed.stored), (22, 3));
    cluster.wait_equal().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_backup_is_dropped_and_comes_back() {
    let mut cluster = Cluster::start(3).await;
    let session = cluster.prepare().await;
    cluster.stop(2).await;
    let committed = cluster.publish_until_acked(session, 1).await;
    assert_eq!((committed.stored, committed.members), (2, 3));
    cluster.wait_active(2).await;
    cluster.restart(2).await;
    cluster.wait_active(3).await;
    let committed = cluster.publish_until_acked(session, 2).await;
    assert_eq!(committed.stored, 3);
    cluster.wait_equal().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_is_cut_off_acknowledges_nothing() {
    let cluster = Cluster::start(3).await;
    let session = cluster.prepare().await;
    cluster.publish_until_acked(session, 1).await;
    let old = cluster.primary().await;
    let nodes = cluster.nodes();
    cluster.network.isolate(nodes[old], &nodes);
    let on_its_way = cluster.publish(old, session, 2);
    let others = async {
        cluster
            .wait("another primary", || {
                let mut rest = cluster.servers.iter().enumerate().filter(|(i, _)| *i != old);
                rest.find(|(_, s)| s.leads()).map(|(i, _)| i)
            })
            .await
    };
    let (_, next) = tokio::join!(
        async {
            let result = tokio::time::timeout(Duration::from_secs(3), on_its_way).await;
            assert!(!matches!(result, Ok(Ok(_))), "acknowledged without the others: {result:?}");
        },
        others
    );
    assert!(cluster.servers[old].replica().read().await.is_err(), "a stale read");
    let committed = cluster.publish(next, session, 3).await.unwrap();
    assert_eq!(seq(&committed), 2);
    cluster.network.heal();
    cluster.wait_active(3).await;
    let committed = cluster.publish_until_acked(session, 2).await;
    assert_eq!(seq(&committed), 3, "the entry of the minority was never committed");
    cluster.wait_equal().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_there_after_all_stopped() {
    let mut cluster = Cluster::start(3).await;
    let session = cluster.prepare().await;
    for n in 1..=30 {
        cluster.publish_until_acked(session, n).await;
    }
    for index in 0..3 {
        cluster.stop(index).await;
    }
    for index in 0..3 {
        cluster.restart(index).await;
    }
    cluster.wait_active(3).await;
    for n in (1..=30).rev() {
        let repeat = cluster.publish_until_acked(session, n).await;
        assert_eq!(seq(&repeat), n);
    }
    assert_eq!(seq(&cluster.publish_until_acked(session, 31).await), 31);
    cluster.wait_equal().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_behind_the_log_gets_a_snapshot() {
    let sizes = Sizes { keep_bytes: u64::MAX, keep_entries: 10, purge_entries: 50 };
    let mut cluster = Cluster::start_with(1, sizes).await;
    let session = cluster.prepare().await;
    for n in 1..=300 {
        cluster.publish_until_acked(session, n).await;
    }
    cluster.wait_purged(0, 200).await;
    cluster.add().await;
    cluster.wait_active(2).await;
    let committed = cluster.publish_until_acked(session, 301).await;
    assert_eq!((seq(&committed), committed.stored), (301, 2));
    cluster.wait_equal().await;
    let left: Vec<_> = std::fs::read_dir(&cluster.servers[1].dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().starts_with("snapshot-"))
        .collect();
    assert!(left.is_empty(), "a snapshot file stays behind: {left:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_writers_get_every_number_once() {
    let cluster = Cluster::start(3).await;
    let session = cluster.prepare().await;
    let cluster = &cluster;
    let writers =
        (1..=500).map(|n| async move { seq(&cluster.publish_until_acked(session, n).await) });
    let all = futures::future::join_all(writers).await;
    let distinct: BTreeSet<u64> = all.iter().copied().collect();
    assert_eq!(distinct, (1..=500).collect::<BTreeSet<u64>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lower_rank_gets_the_lead_and_writes_go_on() {
    let cluster = Cluster::start(3).await;
    let session = cluster.prepare().await;
    cluster.rank([9, 8, 7]);
    let mut n = 0;
    let start = Instant::now();
    while cluster.primary().await != 2 {
        n += 1;
        let committed = cluster.publish_until_acked(session, n).await;
        assert_eq!(seq(&committed), n);
        assert!(start.elapsed() < memory::PATIENCE, "nobody hands over: {}", cluster.describe());
    }
    assert_eq!(seq(&cluster.publish_until_acked(session, n + 1).await), n + 1);
    cluster.wait_equal().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_lost_its_disk_comes_back_as_another_node() {
    let mut cluster = Cluster::start(3).await;
    let session = cluster.prepare().await;
    cluster.publish_until_acked(session, 1).await;
    let old = cluster.servers[2].node;
    cluster.stop(2).await;
    cluster.wait_active(2).await;
    cluster.wipe(2).await;
    cluster.wait_active(3).await;
    assert_ne!(cluster.servers[2].node, old);
    let committed = cluster.publish_until_acked(session, 2).await;
    assert_eq!((committed.stored, committed.members), (3, 3), "the old node is gone");
    cluster.wait_equal().await;
    // The new node counts: once it votes in the old one's place, another one may die.
    cluster.wait_voters(&[0, 1, 2]).await;
    cluster.stop(0).await;
    assert_eq!(seq(&cluster.publish_until_acked(session, 3).await), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_messages_fit_the_wire_at_once_and_for_who_comes_late() {
    let mut cluster = Cluster::start(3).await;
    let session = cluster.prepare().await;
    cluster.stop(2).await;
    cluster.wait_active(2).await;
    let primary = cluster.primary().await;
    // Together some ten mebibytes: more than any one message may carry.
    let text = "x".repeat(64 * 1024);
    let all = (1..=160).map(|n| cluster.publish_text(primary, session, n, text.clone()));
    let all = tokio::time::timeout(memory::PATIENCE, futures::future::join_all(all)).await;
    for committed in all.expect("long messages are acknowledged") {
        assert_eq!(committed.unwrap().stored, 2);
    }
    cluster.restart(2).await;
    cluster.wait_active(3).await;
    cluster.wait_equal().await;
}
