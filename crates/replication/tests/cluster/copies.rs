//! Writes that need more than one copy.

use std::time::Duration;

use recado_replication::ProposeError;

use crate::memory::Cluster;
use crate::seq;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn below_the_least_number_of_copies_writes_are_refused_and_reads_go_on() {
    let mut cluster = Cluster::start_needing(3, 2).await;
    let session = cluster.prepare().await;
    cluster.stop(2).await;
    assert_eq!(cluster.publish_until_acked(session, 1).await.stored, 2);
    cluster.add_witness().await;
    cluster.wait_active(2).await;
    cluster.wait_voters(&[0, 1, 3]).await;
    cluster.stop(1).await;
    cluster.wait_active(1).await;
    let primary = cluster.primary().await;
    let refused = cluster.publish(primary, session, 2).await.unwrap_err();
    assert_eq!(refused, ProposeError::TooFew { active: 1, needed: 2 });
    let rows = cluster.servers[primary].replica().read().await.unwrap();
    let limit = recado_storage::PageLimit { rows: 9, bytes: 1024 };
    let page = rows.history(recado_storage::HistoryOf::Channel("general"), None, None, limit);
    assert_eq!(page.unwrap().newest, 1, "what was refused was not proposed");

    cluster.restart(1).await;
    cluster.wait_active(2).await;
    let committed = cluster.publish_until_acked(session, 2).await;
    assert_eq!((seq(&committed), committed.stored), (2, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_proposed_and_does_not_get_its_copies_is_unknown() {
    let mut cluster = Cluster::start_needing(2, 2).await;
    cluster.add_witness().await;
    cluster.wait_voters(&[0, 1, 2]).await;
    let session = cluster.prepare().await;
    let nodes = cluster.nodes();
    // The witness makes the majority, and the backup never gets the entry.
    cluster.network.starve(nodes[0], nodes[1]);
    let waiting = cluster.publish(0, session, 1);
    let waited = tokio::time::timeout(Duration::from_secs(30), waiting).await;
    assert_eq!(waited.expect("nobody waits for ever").unwrap_err(), ProposeError::Uncertain);
    cluster.wait_active(1).await;
    let refused = cluster.publish(0, session, 2).await.unwrap_err();
    assert_eq!(refused, ProposeError::TooFew { active: 1, needed: 2 });
    cluster.network.heal();
    cluster.wait_active(2).await;
    // It was committed all the same.
    let repeat = cluster.publish_until_acked(session, 1).await;
    assert_eq!((seq(&repeat), repeat.stored), (1, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_primary_brings_the_cluster_to_what_it_was_told() {
    let mut cluster = Cluster::start(2).await;
    assert_eq!(cluster.servers[0].replica().view().borrow().min_copies, 1);
    cluster.add_witness().await;
    cluster.wait_voters(&[0, 1, 2]).await;
    cluster.min_copies = Some(2);
    cluster.stop(1).await;
    cluster.restart(1).await;
    cluster.wait_active(2).await;
    cluster.wait_voters(&[0, 1, 2]).await;
    assert_eq!(cluster.servers[0].replica().view().borrow().min_copies, 1, "a backup has no say");
    cluster.min_copies = None;
    cluster.stop(0).await;
    cluster.restart(0).await;
    let told = |cluster: &Cluster, index: usize| {
        cluster.servers[index].replica().view().borrow().min_copies
    };
    cluster.wait("all to know", || (0..2).all(|i| told(&cluster, i) == 2).then_some(())).await;
}
