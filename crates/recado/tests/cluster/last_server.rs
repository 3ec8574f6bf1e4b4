//! Two of three servers die one after the other, and the third one goes on; a primary that stood
//! still wakes up and says nothing that is no longer true.

use rustix::process::Signal;

use crate::support::{Cluster, chat, eventually_async, signal};

/// Waits until the reference's replica votes, or no more.
fn wait_for_vote(cluster: &Cluster, votes: bool) {
    let wanted = if votes { "votes" } else { "follows" };
    cluster.eventually(&format!("the reference's replica {wanted}"), || {
        let status = cluster.status()?;
        (status["reference"]["replica"] == wanted).then_some(())
    });
}

async fn last_server_standing(writes: bool) {
    let mut cluster = Cluster::roles(3);
    let client = chat::connect(&cluster).await;
    client.create_channel("general").await.unwrap();
    wait_for_vote(&cluster, false);
    let mut published = 0;
    let mut publish = async || {
        published += 1;
        client.publish("ana", "general", &published.to_string()).await.unwrap();
        published
    };
    publish().await;
    let (first, _) = cluster.primary();
    cluster.kill(&first);
    if writes {
        publish().await;
    }
    wait_for_vote(&cluster, true);
    let (second, _) = cluster.primary();
    cluster.kill(&second);
    publish().await;
    wait_for_vote(&cluster, false);
    // It needs nobody now.
    cluster.kill("reference");
    publish().await;
    cluster.start("reference", &["reference"]);
    for dead in [first, second] {
        cluster.start_server(dead.trim_start_matches("server-").parse().unwrap(), &[]);
    }
    cluster.wait_active(3);
    let count = publish().await;
    let records = chat::channel_history(&client, "general").await;
    chat::check_order(&records);
    assert_eq!(records.len(), count);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_of_three_servers_goes_on() {
    last_server_standing(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_of_three_servers_goes_on_also_when_nothing_was_written() {
    last_server_standing(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_stood_still_says_nothing_old() {
    let cluster = Cluster::roles(3);
    let client = chat::connect(&cluster).await;
    client.create_channel("general").await.unwrap();
    let (stopped, pid) = cluster.primary();
    signal(pid, Signal::STOP);
    client.publish("ana", "general", "while it stood still").await.unwrap();
    signal(pid, Signal::CONT);
    // Asked by turns, every server answers now and then, the one that woke up too.
    let until_active = eventually_async("the woken server is a backup again", 60, || async {
        let records = chat::channel_history(&client, "general").await;
        assert_eq!(records.len(), 1, "a stale read");
        let members = cluster.members();
        let back = members.iter().any(|m| m["name"] == stopped.as_str() && m["role"] == "backup");
        back.then_some(())
    });
    until_active.await;
}
