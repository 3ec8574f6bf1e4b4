//! A server that is removed for good: the voters follow, and it learns of it and stops, also when it
//! was cut off at that moment.

use std::collections::BTreeSet;

use recado_chat::{Command, MemberCommand, Outcome};

use crate::memory::{Cluster, PATIENCE};
use crate::seq;

async fn remove(cluster: &Cluster, index: usize) {
    let primary = cluster.servers[cluster.primary().await].replica();
    let node = cluster.servers[index].node;
    let command = Command::Member(MemberCommand::Remove { node });
    assert_eq!(primary.propose(command, None).await.unwrap().outcome, Outcome::Done);
}

async fn wait_stopped(cluster: &Cluster, index: usize) {
    let replica = cluster.servers[index].replica();
    let why = tokio::time::timeout(PATIENCE, replica.failed()).await.expect("it stops");
    assert!(why.contains("was removed"), "{why}");
    assert!(replica.was_removed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_server_stops_and_the_voters_follow() {
    let cluster = Cluster::start(4).await;
    let session = cluster.prepare().await;
    cluster.publish_until_acked(session, 1).await;
    remove(&cluster, 1).await;
    wait_stopped(&cluster, 1).await;
    cluster.wait_voters(&[0, 2, 3]).await;
    let committed = cluster.publish_until_acked(session, 2).await;
    assert_eq!((seq(&committed), committed.stored, committed.members), (2, 3, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dead_lose_their_vote_when_they_are_removed() {
    let mut cluster = Cluster::start(3).await;
    let session = cluster.prepare().await;
    cluster.stop(2).await;
    cluster.wait_active(2).await;
    cluster.publish_until_acked(session, 1).await;
    // It keeps its vote, since it may come back.
    assert_eq!(cluster.voters(), Some(BTreeSet::from([0, 1, 2])));
    remove(&cluster, 2).await;
    cluster.wait_voters(&[0]).await;
    let committed = cluster.publish_until_acked(session, 2).await;
    assert_eq!((seq(&committed), committed.stored, committed.members), (2, 2, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_takes_the_name_of_a_dead_one_takes_its_place() {
    let mut cluster = Cluster::start(4).await;
    let session = cluster.prepare().await;
    cluster.publish_until_acked(session, 1).await;
    cluster.stop(2).await;
    cluster.wait_active(3).await;
    cluster.stop(3).await;
    cluster.wait_active(2).await;
    cluster.restart_as(3, "server-3").await;
    let node = cluster.servers[3].node;
    let takes_part = || {
        let view = cluster.servers[0].replica().view().borrow().clone();
        let named = view.members.iter().filter(|m| m.member.announced.name == "server-3");
        let named: Vec<_> = named.map(|m| (m.member.announced.node, m.member.active)).collect();
        (named == [(node, true)]).then_some(())
    };
    cluster.wait("the new server of this name", takes_part).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_cut_off_learns_of_it_later() {
    let cluster = Cluster::start(3).await;
    let session = cluster.prepare().await;
    cluster.publish_until_acked(session, 1).await;
    cluster.network.isolate(cluster.servers[2].node, &cluster.nodes());
    cluster.wait_active(2).await;
    remove(&cluster, 2).await;
    cluster.wait_voters(&[0]).await;
    cluster.network.heal();
    wait_stopped(&cluster, 2).await;
    assert_eq!(seq(&cluster.publish_until_acked(session, 2).await), 2);
}
