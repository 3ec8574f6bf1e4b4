//! What is on disk survives: one server's restart, everybody's, a clean one and a kill -9.

use std::time::Instant;

use recado_protocol::Record;

use crate::support::{Cluster, chat};

async fn fill(cluster: &Cluster, count: usize) -> Vec<Record> {
    let client = chat::connect(cluster).await;
    client.login("ana").await.unwrap();
    client.login("bia").await.unwrap();
    client.create_channel("general").await.unwrap();
    for number in 0..count {
        client.publish("ana", "general", &format!("message {number}")).await.unwrap();
    }
    client.message("ana", "bia", "a secret").await.unwrap();
    chat::channel_history(&client, "general").await
}

async fn check_same(cluster: &Cluster, before: &[Record]) {
    let client = chat::connect(cluster).await;
    for _ in 0..4 {
        assert_eq!(chat::channel_history(&client, "general").await, before);
        assert_eq!(client.users().await.unwrap(), ["ana", "bia"]);
        assert_eq!(client.channels().await.unwrap(), ["general"]);
    }
    let ack = client.publish("ana", "general", "one more").await.unwrap();
    assert_eq!(ack.seq, before.len() as u64 + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_server_catches_up_and_is_active_again() {
    let mut cluster = Cluster::roles(3);
    let client = chat::connect(&cluster).await;
    client.create_channel("general").await.unwrap();
    client.publish("ana", "general", "before").await.unwrap();
    cluster.kill("server-3");
    for number in 0..300 {
        client.publish("ana", "general", &format!("while away {number}")).await.unwrap();
    }
    let started = Instant::now();
    cluster.start_server(3, &[]);
    cluster.wait_active(3);
    println!("restart: active again after {} ms", started.elapsed().as_millis());
    // Every read may land on the returned server now.
    for _ in 0..6 {
        assert_eq!(chat::channel_history(&client, "general").await.len(), 301);
    }
    let ack = client.publish("ana", "general", "with all").await.unwrap();
    assert_eq!((ack.stored, ack.members), (3, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_of_the_whole_cluster_keeps_everything() {
    let mut cluster = Cluster::up(3);
    let before = fill(&cluster, 100).await;
    cluster.stop_all();
    cluster.start_up(3, &[]);
    cluster.wait_active(3);
    check_same(&cluster, &before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_of_the_whole_cluster_keeps_everything() {
    let mut cluster = Cluster::roles(3);
    let before = fill(&cluster, 100).await;
    for _ in 0..2 {
        cluster.kill_all();
        cluster.start_roles(3);
        cluster.wait_active(3);
        let client = chat::connect(&cluster).await;
        assert_eq!(chat::channel_history(&client, "general").await, before);
    }
    check_same(&cluster, &before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_of_the_whole_cluster_under_load_loses_no_acknowledged_message() {
    let mut cluster = Cluster::roles(3);
    let client = chat::connect(&cluster).await;
    client.create_channel("load").await.unwrap();
    let load = chat::Load::start(&cluster, "load", 8).await;
    // So many of our own get through that the others' are on their way too.
    for number in 0..50 {
        client.publish("ana", "load", &format!("mark {number}")).await.unwrap();
    }
    for name in ["server-1", "server-2", "server-3"] {
        cluster.kill(name);
    }
    for number in 1..=3 {
        cluster.start_server(number, &[]);
    }
    cluster.wait_active(3);
    let acked = load.stop().await;
    let records = chat::channel_history(&client, "load").await;
    chat::check_acked(&acked, &records);
    chat::check_order(&records);
}
