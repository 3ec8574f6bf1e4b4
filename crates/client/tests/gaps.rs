//! Each message of a joined topic is delivered once and in order, whatever the proxy loses.
#![allow(clippy::unwrap_used, reason = "a test that can't be set up fails")]

mod fake;

use std::time::Duration;

use fake::Fake;
use recado_client::{ClientEvent, StartAt};
use recado_protocol::Code;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, timeout};

/// A missed last message is found within this time.
const FOUND_WITHIN: Duration = Duration::from_secs(5);

async fn next(events: &mut Receiver<ClientEvent>) -> ClientEvent {
    timeout(FOUND_WITHIN + Duration::from_secs(1), events.recv()).await.unwrap().unwrap()
}

/// The texts of the next messages; other events are passed over.
async fn texts(events: &mut Receiver<ClientEvent>, count: usize) -> Vec<String> {
    let mut texts = Vec::new();
    while texts.len() < count {
        if let ClientEvent::Message(record) = next(events).await {
            texts.push(record.message);
        }
    }
    texts
}

#[tokio::test]
async fn a_gap_is_filled_and_the_order_kept() {
    let fake = Fake::start().await;
    fake.state().channels.push("general".to_owned());
    fake.state().lose_events = vec![2, 3];
    let client = fake.client().await;
    let (subscription, mut events) = client.subscribe().await.unwrap();
    subscription.join("general", StartAt::Now).await.unwrap();
    for text in ["one", "two", "three", "four"] {
        client.publish("ana", "general", text).await.unwrap();
    }
    assert_eq!(texts(&mut events, 4).await, ["one", "two", "three", "four"]);
}

#[tokio::test]
async fn a_missed_last_message_is_found_without_another_one() {
    let fake = Fake::start().await;
    fake.state().channels.push("general".to_owned());
    fake.state().lose_events = vec![2];
    let client = fake.client().await;
    let (subscription, mut events) = client.subscribe().await.unwrap();
    subscription.join("general", StartAt::Now).await.unwrap();
    client.publish("ana", "general", "one").await.unwrap();
    assert_eq!(texts(&mut events, 1).await, ["one"]);
    // A new subscription is looked after more often; that is not what is measured here.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    client.publish("ana", "general", "two").await.unwrap();
    let sent = Instant::now();
    assert_eq!(texts(&mut events, 1).await, ["two"]);
    assert!(sent.elapsed() < FOUND_WITHIN, "{:?}", sent.elapsed());
    let filled = ClientEvent::GapFilled { topic: "general".to_owned(), count: 1 };
    assert_eq!(next(&mut events).await, filled);
}

#[tokio::test]
async fn topics_that_only_begin_alike_are_not_delivered() {
    let fake = Fake::start().await;
    fake.state().channels.extend(["gen".to_owned(), "general".to_owned()]);
    let client = fake.client().await;
    let (subscription, mut events) = client.subscribe().await.unwrap();
    subscription.join("gen", StartAt::Now).await.unwrap();
    client.publish("ana", "general", "not for us").await.unwrap();
    client.publish("ana", "gen", "for us").await.unwrap();
    assert_eq!(texts(&mut events, 1).await, ["for us"]);
}

#[tokio::test]
async fn history_and_proxy_meet_without_a_seam() {
    let fake = Fake::start().await;
    fake.state().channels.push("general".to_owned());
    let client = fake.client().await;
    for number in 1..=5 {
        client.publish("ana", "general", &number.to_string()).await.unwrap();
    }
    let (subscription, mut events) = client.subscribe().await.unwrap();
    subscription.join("general", StartAt::Newest(2)).await.unwrap();
    client.publish("ana", "general", "6").await.unwrap();
    assert_eq!(texts(&mut events, 3).await, ["4", "5", "6"]);
}

#[tokio::test]
async fn an_inbox_delivers_private_messages_and_leaving_ends_it() {
    let fake = Fake::start().await;
    let client = fake.client().await;
    client.login("bob").await.unwrap();
    let (subscription, mut events) = client.subscribe().await.unwrap();
    subscription.open_inbox("bob", StartAt::Now).await.unwrap();
    client.message("ana", "bob", "psst").await.unwrap();
    assert_eq!(texts(&mut events, 1).await, ["psst"]);
    assert!(subscription.leave("bob").await);
    assert!(!subscription.leave("bob").await);
    client.message("ana", "bob", "nobody listens").await.unwrap();
    let late = timeout(Duration::from_millis(500), async {
        while !matches!(next(&mut events).await, ClientEvent::Message(_)) {}
    });
    assert!(late.await.is_err());
}

#[tokio::test]
async fn a_channel_that_does_not_exist_can_not_be_joined() {
    let fake = Fake::start().await;
    let client = fake.client().await;
    let (subscription, _events) = client.subscribe().await.unwrap();
    let error = subscription.join("nowhere", StartAt::Now).await.unwrap_err();
    assert_eq!(error.code(), Some(Code::UnknownChannel));
}

#[tokio::test]
async fn a_reader_that_sleeps_misses_nothing_and_blocks_no_command() {
    const MESSAGES: usize = 5000;
    let fake = Fake::start().await;
    fake.state().channels.push("general".to_owned());
    let client = fake.client().await;
    let (subscription, mut events) = client.subscribe().await.unwrap();
    subscription.join("general", StartAt::Now).await.unwrap();
    for number in 0..MESSAGES {
        let (_, _unpublished) =
            fake.state().post("ana".into(), "general".into(), number.to_string(), false);
    }
    client.publish("ana", "general", "last").await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    timeout(Duration::from_secs(1), subscription.join("general", StartAt::Now))
        .await
        .unwrap()
        .unwrap();
    let received = texts(&mut events, MESSAGES + 1).await;
    let expected: Vec<_> =
        (0..MESSAGES).map(|number| number.to_string()).chain(["last".to_owned()]).collect();
    assert_eq!(received, expected);
}
