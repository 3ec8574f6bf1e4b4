//! Well-formed messages on the servers' own ports that no server of ours sends. They know the
//! cluster's id, which every server tells whoever asks; they are refused, and what stands on the
//! disks is read again after all were killed.

use std::time::Duration;

use bytes::Bytes;
use recado_transport::Caller;
use rmpv::Value;

use crate::support::{Cluster, chat};

const MESSAGES: usize = 50;
/// How long the answer to an honest question may take.
const ANSWER: Duration = Duration::from_secs(10);
/// How long one to a hostile message may take, which mostly gets none.
const NO_ANSWER: Duration = Duration::from_millis(100);

const APPEND: u8 = 1;
const VOTE: u8 = 2;
const TRANSFER: u8 = 5;
const ANNOUNCE: u8 = 7;
const WHO: u8 = 8;

fn list<const N: usize>(values: [Value; N]) -> Value {
    Value::Array(values.into())
}

/// Of an election: its term, the candidate, whether it won.
fn vote(term: u64, node: u64, won: bool) -> Value {
    list([list([term.into(), node.into()]), won.into()])
}

/// The head says the cluster, and who is meant.
fn message(head: &[u8], content: &Value) -> Bytes {
    let mut bytes = head.to_vec();
    rmpv::encode::write_value(&mut bytes, content).unwrap();
    bytes.into()
}

fn hostile(head: &[u8]) -> Vec<(u8, Bytes)> {
    let nothing = || list([]);
    let announced = |name: String, rank: u64| {
        let address = "tcp://127.0.0.1:1".into();
        list([77.into(), name.into(), address, rank.into(), 1.into(), 1.into()])
    };
    let append =
        |vote: Value, entries: Value, commit: Value| list([vote, Value::Nil, entries, commit]);
    let far = || list([u64::MAX.into(), u64::MAX.into()]);
    let normal = |bytes: Vec<u8>| Value::Map(vec![("Normal".into(), Value::Binary(bytes))]);
    let first = |payload: Value| list([list([list([1.into(), 0.into()]), payload])]);
    let contents = vec![
        (ANNOUNCE, announced("x".repeat(2_600_000), 1)),
        (ANNOUNCE, announced(String::new(), 1)),
        (ANNOUNCE, announced("far".into(), u64::MAX)),
        (APPEND, append(vote(u64::MAX, 77, true), nothing(), Value::Nil)),
        (APPEND, append(vote(u64::MAX, 77, false), nothing(), Value::Nil)),
        (APPEND, append(vote(900, 77, true), first(normal(vec![9; 40])), Value::Nil)),
        (APPEND, append(vote(900, 77, true), first(normal(vec![1; 3_000_000])), Value::Nil)),
        (APPEND, append(vote(900, 77, true), nothing(), far())),
        (VOTE, list([vote(u64::MAX, 77, false), far(), true.into()])),
        (VOTE, list([vote(900, 77, true), far(), true.into()])),
        (TRANSFER, list([vote(u64::MAX, 77, true), 77.into(), far()])),
    ];
    let mut all: Vec<_> =
        contents.into_iter().map(|(kind, content)| (kind, message(head, &content))).collect();
    // Kinds of all sorts with little behind them.
    for kind in 0..40 {
        all.push((kind, Bytes::new()));
        all.push((kind, Bytes::copy_from_slice(head)));
        all.push((kind, message(head, &Value::Array(vec![Value::Nil; 9]))));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_peers_stop_nobody_and_nobodys_next_start() {
    let mut cluster = Cluster::roles(3);
    let client = chat::connect(&cluster).await;
    client.create_channel("load").await.unwrap();
    for number in 0..MESSAGES {
        client.publish("ana", "load", &number.to_string()).await.unwrap();
    }
    // The witness listens with the reference, in front of the servers.
    for offset in 4..8 {
        let caller = Caller::connect(&cluster.endpoint(offset)).await.unwrap();
        assert!(caller.wait_connected(ANSWER).await);
        let call = |kind: u8, body: Bytes, limit| {
            caller.call(vec![Bytes::copy_from_slice(&[kind]), body], limit)
        };
        let who = call(WHO, message(&[0; 16], &Value::from(1)), ANSWER).await.unwrap();
        for (kind, body) in hostile(&who[0][..16]) {
            _ = call(kind, body, NO_ANSWER).await;
        }
    }
    client.publish("ana", "load", "all is well").await.unwrap();
    cluster.wait_active(3);
    let names = ["server-1", "server-2", "server-3"];
    names.iter().for_each(|name| cluster.kill(name));
    (1..=names.len()).for_each(|number| cluster.start_server(number, &[]));
    cluster.wait_active(3);
    assert_eq!(chat::channel_history(&client, "load").await.len(), MESSAGES + 1);
    for name in names {
        assert!(!cluster.data_dir().join(name).join("damaged-1").exists(), "{name}");
    }
}
