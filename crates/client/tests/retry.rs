//! A write takes effect at most once, however often it has to be sent.
#![allow(clippy::unwrap_used, reason = "a test that can't be set up fails")]

mod fake;

use std::time::Duration;

use fake::{Fake, Fault};
use recado_client::{Client, ClientConfig, ClientError};
use recado_protocol::{Code, Request, RequestId};

/// The ids under which publications arrived.
fn ids(fake: &Fake) -> Vec<RequestId> {
    let publications = fake.state().arrived.clone();
    publications
        .into_iter()
        .filter(|(request, _)| matches!(request, Request::Publish { .. }))
        .map(|(_, id)| id.unwrap())
        .collect()
}

fn stored(fake: &Fake) -> usize {
    fake.state().log.len()
}

async fn cluster_with_channel() -> Fake {
    let fake = Fake::start().await;
    fake.state().channels.push("general".to_owned());
    fake
}

#[tokio::test]
async fn whatever_gets_lost_the_same_id_is_sent_again_and_one_message_is_stored() {
    let faults = [
        Fault::LoseRequest,
        Fault::LoseReply,
        Fault::Refuse(Code::Unavailable),
        Fault::Refuse(Code::Unknown),
    ];
    for fault in faults {
        let fake = cluster_with_channel().await;
        let client = fake.client().await;
        fake.state().faults.extend([fault, fault]);
        let ack = client.publish("ana", "general", "hi").await.unwrap();
        assert_eq!((ack.seq, stored(&fake)), (1, 1), "{fault:?}");
        let ids = ids(&fake);
        assert_eq!(ids.len(), 3, "{fault:?}");
        assert!(ids.iter().all(|id| *id == ids[0]), "{fault:?}: {ids:?}");
    }
}

#[tokio::test]
async fn a_refusal_is_final_and_comes_back_as_one() {
    let fake = Fake::start().await;
    let client = fake.client().await;
    let error = client.publish("ana", "nowhere", "hi").await.unwrap_err();
    assert_eq!(error.code(), Some(Code::UnknownChannel));
    assert_eq!(ids(&fake).len(), 1);
}

#[tokio::test]
async fn an_expired_session_is_replaced() {
    let fake = cluster_with_channel().await;
    let client = fake.client().await;
    client.publish("ana", "general", "one").await.unwrap();
    fake.state().faults.push_back(Fault::Refuse(Code::IdExpired));
    client.publish("ana", "general", "two").await.unwrap();
    let ids = ids(&fake);
    assert_eq!(stored(&fake), 2);
    assert_ne!(ids[1].session, ids[2].session);
}

#[tokio::test]
async fn a_message_that_was_stored_before_its_session_expired_is_found_and_not_repeated() {
    let fake = cluster_with_channel().await;
    let client = fake.client().await;
    fake.state().faults.push_back(Fault::LoseReplyAndForget);
    let ack = client.publish("ana", "general", "hi").await.unwrap();
    assert_eq!((ack.seq, stored(&fake)), (1, 1));
}

#[tokio::test]
async fn a_message_that_was_lost_before_its_session_expired_is_sent_in_a_new_one() {
    let fake = cluster_with_channel().await;
    let client = fake.client().await;
    fake.state().faults.push_back(Fault::LoseRequestAndForget);
    let ack = client.publish("ana", "general", "hi").await.unwrap();
    assert_eq!((ack.seq, stored(&fake)), (1, 1));
}

#[tokio::test]
async fn a_channel_that_may_have_been_created_is_reported_as_unknown() {
    let fake = Fake::start().await;
    let client = fake.client().await;
    fake.state().faults.push_back(Fault::LoseReplyAndForget);
    let error = client.create_channel("general").await.unwrap_err();
    assert!(matches!(error, ClientError::Unknown { .. }), "{error:?}");
}

#[tokio::test]
async fn many_requests_share_a_small_window() {
    let fake = cluster_with_channel().await;
    let client = fake.client().await;
    fake.state().faults.extend([Fault::LoseReply, Fault::LoseRequest]);
    let mut sent = tokio::task::JoinSet::new();
    for number in 0..100 {
        let client = client.clone();
        sent.spawn(async move {
            client.publish("ana", "general", &format!("message {number}")).await.unwrap().seq
        });
    }
    let mut seqs = sent.join_all().await;
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=100).collect::<Vec<_>>());
    assert_eq!(stored(&fake), 100);
    let arrived = ids(&fake);
    assert!(arrived.iter().all(|id| id.session == arrived[0].session));
}

#[tokio::test]
async fn patience_ends_with_what_is_known() {
    let fake = cluster_with_channel().await;
    let client =
        Client::connect(ClientConfig { patience: Duration::from_secs(1), ..fake.config() })
            .await
            .unwrap();
    client.publish("ana", "general", "opens the session").await.unwrap();
    fake.state().faults.extend([Fault::Refuse(Code::Unavailable); 1000]);
    let error = client.publish("ana", "general", "hi").await.unwrap_err();
    assert!(matches!(error, ClientError::Unavailable { .. }), "{error:?}");
    fake.state().faults.clear();
    fake.state().faults.extend([Fault::LoseReply; 1000]);
    let error = client.publish("ana", "general", "ho").await.unwrap_err();
    assert!(matches!(error, ClientError::Unknown { .. }), "{error:?}");
}

#[tokio::test]
async fn a_broker_that_is_not_there_yet_is_waited_for() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let endpoint = format!("tcp://127.0.0.1:{port}");
    let client = Client::connect(ClientConfig::new(&endpoint, "")).await.unwrap();
    let asking = tokio::spawn(async move { client.channels().await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let _fake = Fake::start_at(&endpoint).await;
    assert_eq!(asking.await.unwrap().unwrap(), Vec::<String>::new());
}
