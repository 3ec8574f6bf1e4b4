//! The reference's replica votes when the servers are even in number, so that the last of three
//! goes on alone; and when it alone holds what was committed, it gives it to a server.

use std::time::Duration;

use recado_replication::ProposeError;

use crate::memory::Cluster;
use crate::seq;

/// Three servers, the witness, and a session to publish with.
async fn start() -> (Cluster, usize, u64) {
    let mut cluster = Cluster::start(3).await;
    let witness = cluster.add_witness().await;
    let session = cluster.prepare().await;
    cluster.wait("the witness to follow", || level(&cluster, witness)).await;
    (cluster, witness, session)
}

/// Whether the primary knows that the witness has everything.
fn level(cluster: &Cluster, witness: usize) -> Option<()> {
    let primary = cluster.servers.iter().find(|s| s.leads())?.replica();
    let view = primary.view().borrow().clone();
    let row = view.witness.clone()?;
    let same = row.member.announced.node == cluster.servers[witness].node;
    (same && row.matched >= Some(view.applied)).then_some(())
}

async fn last_one_standing(writes: bool) {
    let (mut cluster, witness, session) = start().await;
    let mut n = 0;
    let mut publish = async |cluster: &Cluster| {
        n += 1;
        let committed = cluster.publish_until_acked(session, n).await;
        assert_eq!((seq(&committed), committed.members), (n, 3), "the witness is no server");
        committed.stored
    };
    assert_eq!(publish(&cluster).await, 3);
    cluster.wait_voters(&[0, 1, 2]).await;
    cluster.stop(0).await;
    if writes {
        publish(&cluster).await;
    }
    cluster.wait_voters(&[1, 2, witness]).await;
    cluster.stop(1).await;
    if writes {
        publish(&cluster).await;
    }
    cluster.wait_voters(&[2]).await;
    assert_eq!(publish(&cluster).await, 1);
    // Not even the reference is needed now.
    cluster.stop(witness).await;
    publish(&cluster).await;
    cluster.restart(witness).await;
    cluster.restart(0).await;
    cluster.wait_voters(&[0, 2, witness]).await;
    cluster.restart(1).await;
    cluster.wait_voters(&[0, 1, 2]).await;
    assert_eq!(publish(&cluster).await, 3);
    cluster.wait_equal().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_of_three_goes_on_alone() {
    last_one_standing(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_of_three_goes_on_alone_also_when_nothing_was_written() {
    last_one_standing(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_witness_alone_holds_is_not_lost() {
    let (mut cluster, witness, session) = start().await;
    cluster.publish_until_acked(session, 1).await;
    cluster.stop(0).await;
    cluster.wait_voters(&[1, 2, witness]).await;
    // The primary and the witness commit what the other server never hears of.
    let nodes = cluster.nodes();
    cluster.network.starve(nodes[1], nodes[2]);
    for n in 2..=5 {
        cluster.publish_until_acked(session, n).await;
    }
    cluster
        .wait("the witness to have it", || {
            let applied = |index: usize| *cluster.servers[index].replica().applied().borrow();
            (applied(witness) >= applied(1)).then_some(())
        })
        .await;
    cluster.stop(1).await;
    cluster.network.heal();
    for n in 2..=5 {
        assert_eq!(seq(&cluster.publish_until_acked(session, n).await), n, "acknowledged and lost");
    }
    assert_eq!(seq(&cluster.publish_until_acked(session, 6).await), 6);
    assert_eq!(cluster.primary().await, 2, "a witness is never the primary");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_witness_takes_no_writes_and_its_death_is_no_matter() {
    let (mut cluster, witness, session) = start().await;
    let refused = cluster.publish(witness, session, 1).await.unwrap_err();
    assert_eq!(refused, ProposeError::NotPrimary { primary: None });
    cluster.stop(witness).await;
    assert_eq!(cluster.publish_until_acked(session, 1).await.stored, 3);
    cluster.stop(0).await;
    assert_eq!(seq(&cluster.publish_until_acked(session, 2).await), 2);
    cluster.restart(witness).await;
    cluster.wait_voters(&[1, 2, witness]).await;
    cluster.stop(witness).await;
    let committed = tokio::time::timeout(Duration::from_secs(2), cluster.publish(1, session, 3));
    assert_eq!(seq(&committed.await.expect("no wait for a dead witness").unwrap()), 3);
}
