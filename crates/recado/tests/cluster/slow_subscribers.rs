//! Who reads slowly costs the proxy bounded memory, holds nobody up, and misses nothing for good.

use std::time::Duration;

use recado_client::{Client, ClientConfig, ClientEvent, StartAt};
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::support::relay::Relay;
use crate::support::{Cluster, chat, process};

/// Together far more than anything on the way may hold.
const MESSAGES: usize = 1500;
const MESSAGE_BYTES: usize = 60 * 1024;
const MAX_GROWTH_KIB: u64 = 48 * 1024;

/// How many publications are on their way at a time.
const WRITERS: usize = 25;

/// How long the next message may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads messages until `count` came; says how many of them filled gaps.
async fn read(events: &mut Receiver<ClientEvent>, count: usize) -> (Vec<u64>, usize) {
    let (mut seqs, mut filled) = (Vec::new(), 0);
    while seqs.len() < count {
        match timeout(PATIENCE, events.recv()).await.unwrap().unwrap() {
            ClientEvent::Message(record) => seqs.push(record.seq),
            ClientEvent::GapFilled { count, .. } => filled += count,
            _ => {}
        }
    }
    (seqs, filled)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_subscriber_costs_little_and_misses_nothing() {
    let mut cluster = Cluster::roles(1);
    let client = chat::connect(&cluster).await;
    client.create_channel("general").await.unwrap();
    // One that stops reading, as far as the proxy can see.
    let relay = Relay::start(&cluster.endpoint(3)).await;
    let far = Client::connect(ClientConfig::new(cluster.endpoint(0), relay.endpoint())).await;
    let (slow, mut unread) = far.unwrap().subscribe().await.unwrap();
    slow.join("general", StartAt::Now).await.unwrap();
    let (quick, mut events) = client.subscribe().await.unwrap();
    quick.join("general", StartAt::Now).await.unwrap();
    client.publish("ana", "general", "both are there").await.unwrap();
    read(&mut unread, 1).await;
    read(&mut events, 1).await;
    relay.flow(false);
    let quick = tokio::spawn(async move { read(&mut events, MESSAGES).await });
    let proxy = cluster.process("proxy").pid();
    let before = process::resident_kib(proxy);

    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let client = client.clone();
        writers.spawn(async move {
            let text = "x".repeat(MESSAGE_BYTES);
            for _ in 0..MESSAGES / WRITERS {
                client.publish("ana", "general", &text).await.unwrap();
            }
        });
    }
    let mut largest = 0;
    while let Some(done) = writers.join_next().await {
        done.unwrap();
        largest = largest.max(process::resident_kib(proxy));
    }
    let expected: Vec<u64> = (2..2 + MESSAGES as u64).collect();
    let (seqs, _) = timeout(PATIENCE, quick).await.expect("the slow one holds nobody up").unwrap();
    assert_eq!(seqs, expected);
    let grown = largest.saturating_sub(before);
    println!("the proxy grew by {grown} KiB");
    assert!(grown < MAX_GROWTH_KIB, "{grown} KiB more than before");

    relay.flow(true);
    let (seqs, filled) = read(&mut unread, MESSAGES).await;
    assert_eq!(seqs, expected, "each one once, in order");
    assert!(filled > 0, "nothing was left out for the slow one: too little was sent");
}
