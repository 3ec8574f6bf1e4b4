//! Two brokers and two proxies: whichever dies or stands still, our clients go on at the other one,
//! under the same request ids, and who uses the other one already notices nothing.

use std::time::{Duration, Instant};

use recado_client::{Client, ClientEvent, StartAt};
use recado_protocol::codec::{Stamp, decode_reply, encode_request};
use recado_protocol::{Incoming, Reply, Request};
use recado_transport::Caller;
use rustix::process::Signal;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

use crate::support::{Cluster, chat, eventually_async, process};

const CLIENTS: usize = 4;

/// The machine that runs tests is shared and slow; the aim is 2 s, and the measured time is
/// printed.
const GAP_LIMIT: Duration = Duration::from_secs(10);

/// How long the next message may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The process that serves at this end point, by its place among the doors.
fn door_at(cluster: &Cluster, role: &str, endpoint: &str) -> String {
    let place = cluster.doors(role).iter().position(|at| at == endpoint).unwrap();
    if place == 0 { role.to_owned() } else { format!("{role}-{}", place + 1) }
}

/// Stops a process for a while, as a host does that hangs.
fn signal(cluster: &mut Cluster, name: &str, signal: Signal) {
    process::signal(cluster.process(name).pid(), signal);
}

async fn wait_for_more_acks(client: &Client, channel: &str, more: usize) {
    let before = chat::channel_history(client, channel).await.len();
    eventually_async("acknowledgements go on", 60, || async {
        let now = chat::channel_history(client, channel).await.len();
        (now >= before + more).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_dies_or_stands_still_costs_a_moment_and_no_message() {
    let mut cluster = Cluster::with_doors(2, 2);
    let client = chat::connect(&cluster).await;
    client.create_channel("load").await.unwrap();
    let load = chat::Load::start(&cluster, "load", CLIENTS).await;
    wait_for_more_acks(&client, "load", 100).await;

    let dying = door_at(&cluster, "broker", &client.broker());
    let killed = Instant::now();
    cluster.kill(&dying);
    wait_for_more_acks(&client, "load", 100).await;
    let other = door_at(&cluster, "broker", &client.broker());
    assert_ne!(other, dying, "the client went to the other one");
    let number = if dying == "broker" { 1 } else { 2 };
    cluster.start_door("broker", number);

    signal(&mut cluster, &other, Signal::STOP);
    let stopped = Instant::now();
    eventually_async("the client is back at the first one", 60, || async {
        client.channels().await.ok()?;
        (door_at(&cluster, "broker", &client.broker()) == dying).then_some(())
    })
    .await;
    wait_for_more_acks(&client, "load", 100).await;
    signal(&mut cluster, &other, Signal::CONT);

    let acked = load.stop().await;
    let (kill_gap, stop_gap) =
        (chat::longest_gap(&acked, killed), chat::longest_gap(&acked, stopped));
    println!("longest time without an acknowledgement: {} ms", kill_gap.as_millis());
    assert!(kill_gap < GAP_LIMIT && stop_gap < GAP_LIMIT, "{kill_gap:?} {stop_gap:?}");
    let records = chat::channel_history(&client, "load").await;
    chat::check_acked(&acked, &records);
    chat::check_order(&records);
}

/// A client of the standard: it knows one broker and sends no request ids.
async fn publish_plainly(caller: &Caller, n: u64) {
    let (user, channel) = ("standard".to_owned(), "load".to_owned());
    let request = Request::Publish { user, channel, message: format!("plain {n}") };
    let stamp = Stamp { timestamp: 1, clock: n };
    let body = encode_request(&Incoming { request, clock: n, id: None }, stamp);
    let frames = caller.call(vec![body], PATIENCE).await.unwrap();
    let (_, reply, _) = decode_reply(&frames[0]).unwrap();
    assert!(matches!(reply, Reply::Acked(_)), "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standard_client_at_the_other_broker_notices_nothing() {
    let mut cluster = Cluster::with_doors(2, 2);
    let client = chat::connect(&cluster).await;
    client.create_channel("load").await.unwrap();
    let second = &cluster.doors("broker")[1];
    let caller = Caller::connect(second).await.unwrap();
    assert!(caller.wait_connected(PATIENCE).await);
    for n in 1..=20 {
        publish_plainly(&caller, n).await;
    }
    cluster.kill("broker");
    for n in 21..=100 {
        publish_plainly(&caller, n).await;
    }
    let records = chat::channel_history(&client, "load").await;
    let texts: Vec<_> = records.iter().map(|record| record.message.clone()).collect();
    assert_eq!(texts, (1..=100).map(|n| format!("plain {n}")).collect::<Vec<_>>());
}

/// Reads until this text comes; every `seq` on the way comes once and in order.
async fn read_until(events: &mut Receiver<ClientEvent>, last: &mut u64, text: &str) {
    loop {
        let event = timeout(PATIENCE, events.recv()).await.expect("the next event").unwrap();
        if let ClientEvent::Message(record) = event {
            assert_eq!(record.seq, *last + 1, "a gap or a repeat at {record:?}");
            *last = record.seq;
            if record.message == text {
                return;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_move_and_nothing_is_missed() {
    let mut cluster = Cluster::with_doors(2, 2);
    let client = chat::connect(&cluster).await;
    client.create_channel("general").await.unwrap();
    let (subscription, mut events) = client.subscribe().await.unwrap();
    subscription.join("general", StartAt::After(0)).await.unwrap();
    let mut last = 0;
    client.publish("ana", "general", "first").await.unwrap();
    read_until(&mut events, &mut last, "first").await;

    // Whichever it listens at is one of these two.
    for (turn, name) in ["proxy", "proxy-2"].into_iter().enumerate() {
        signal(&mut cluster, name, Signal::STOP);
        for n in 0..50 {
            client.publish("ana", "general", &format!("{turn}-{n}")).await.unwrap();
        }
        read_until(&mut events, &mut last, &format!("{turn}-49")).await;
        cluster.kill(name);
        client.publish("ana", "general", &format!("{turn}-gone")).await.unwrap();
        read_until(&mut events, &mut last, &format!("{turn}-gone")).await;
        cluster.start_door("proxy", u16::try_from(turn).unwrap() + 1);
        client.publish("ana", "general", &format!("{turn}-back")).await.unwrap();
        read_until(&mut events, &mut last, &format!("{turn}-back")).await;
    }
    chat::check_order(&chat::channel_history(&client, "general").await);
}
