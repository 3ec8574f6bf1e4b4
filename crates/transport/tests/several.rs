//! Several equals, of which one is used at a time.

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::{Duration, Instant};

use bytes::Bytes;
use recado_transport::{
    AnyOf, CallError, Caller, DIAL_TIMEOUT_MS, Publisher, Responder, Subscriber,
};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use support::{ANY, LONG, heard, proxy};

/// Answers everything with its own end point.
async fn named() -> (Responder, JoinHandle<()>) {
    let responder = Responder::bind(ANY).await.unwrap();
    let answering = responder.clone();
    let task = tokio::spawn(async move {
        while let Some(requests) = answering.receive(64).await {
            for request in requests {
                let name = Bytes::copy_from_slice(answering.endpoint().as_bytes());
                answering.reply(&request.envelope, vec![name]).await;
            }
        }
    });
    (responder, task)
}

fn all(endpoints: &[&str]) -> AnyOf {
    AnyOf::from(endpoints.iter().map(|at| (*at).to_owned()).collect::<Vec<_>>())
}

/// Who answers; asked until somebody does.
async fn who_answers(caller: &Caller) -> String {
    let ask = async {
        loop {
            if caller.wait_connected(LONG).await
                && let Ok(frames) = caller.call(vec!["who".into()], LONG).await
            {
                return String::from_utf8(frames[0].to_vec()).unwrap();
            }
        }
    };
    tokio::time::timeout(LONG, ask).await.expect("an answer within the time")
}

#[tokio::test]
async fn calls_go_to_the_next_one_when_the_first_is_gone() {
    let (one, one_answers) = named().await;
    let (two, _two_answers) = named().await;
    let caller = Caller::connect(all(&[one.endpoint(), two.endpoint()])).await.unwrap();
    assert_eq!(who_answers(&caller).await, one.endpoint());
    assert_eq!(caller.endpoint(), one.endpoint());
    one_answers.abort();
    one.close().await;
    assert_eq!(who_answers(&caller).await, two.endpoint());
    assert_eq!(caller.endpoint(), two.endpoint());
}

#[tokio::test]
async fn one_that_is_of_no_use_is_given_up_once() {
    let (one, _one_answers) = named().await;
    let (two, _two_answers) = named().await;
    let caller = Caller::connect(all(&[one.endpoint(), two.endpoint()])).await.unwrap();
    assert_eq!(who_answers(&caller).await, one.endpoint());
    let connection = caller.connection().unwrap();
    let waiting = caller.start(vec!["who".into()]).unwrap();
    for _ in 0..10 {
        caller.give_up(connection);
    }
    // Answered before the connection went, or told that it is gone; never left waiting.
    let ended = tokio::time::timeout(LONG, waiting).await.unwrap();
    assert!(ended.is_ok() || ended == Err(CallError::Disconnected), "{ended:?}");
    let others = async { while who_answers(&caller).await != two.endpoint() {} };
    tokio::time::timeout(LONG, others).await.unwrap();
    caller.give_up(connection);
    assert_eq!(who_answers(&caller).await, two.endpoint(), "the newer connection stays");
}

#[tokio::test]
async fn a_host_that_takes_connections_and_says_nothing_is_passed() {
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mute_at = format!("tcp://{}", mute.local_addr().unwrap());
    let (two, _two_answers) = named().await;
    let started = Instant::now();
    let caller = Caller::connect(all(&[&mute_at, two.endpoint()])).await.unwrap();
    assert_eq!(who_answers(&caller).await, two.endpoint());
    assert!(started.elapsed() < Duration::from_millis(DIAL_TIMEOUT_MS), "without the long wait");
}

#[tokio::test]
async fn a_name_that_cannot_be_resolved_is_passed_and_tried_again() {
    let (two, _two_answers) = named().await;
    let to = all(&["tcp://no-such-host.invalid:1", two.endpoint()]).called("the broker");
    let caller = Caller::connect(to).await.unwrap();
    assert_eq!(who_answers(&caller).await, two.endpoint());
}

#[tokio::test]
async fn subscriptions_move_to_the_next_proxy() {
    let ([one_in, one_out], stop_one) = proxy().await;
    let ([two_in, two_out], _stop_two) = proxy().await;
    let first = Publisher::connect(&one_in, "server-1").await.unwrap();
    let second = Publisher::connect(&two_in, "server-1").await.unwrap();
    let subscriber = Subscriber::connect(all(&[&one_out, &two_out])).await.unwrap();
    subscriber.subscribe(b"early").await;
    assert!(subscriber.wait_connected(LONG).await);
    subscriber.subscribe(b"late").await;
    subscriber.subscribe(b"left").await;
    subscriber.unsubscribe(b"left").await;
    heard(&first, &subscriber, "early").await;
    assert_eq!(subscriber.endpoint(), one_out);
    let seen = subscriber.generation();
    stop_one.send(()).unwrap();
    let changed = tokio::time::timeout(LONG, subscriber.generation_changed(seen)).await.unwrap();
    assert!(changed.unwrap() > seen, "who may have missed something is told");
    heard(&second, &subscriber, "early").await;
    heard(&second, &subscriber, "late").await;
    assert_eq!(subscriber.endpoint(), two_out);
    let left = async {
        loop {
            let _ = second.publish("left".into(), "knock".into()).await;
            let _ = second.publish("late".into(), "end".into()).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let listen = async {
        for _ in 0..20 {
            assert_ne!(subscriber.receive().await.unwrap().0, "left");
        }
    };
    tokio::select! {
        () = left => {}
        () = listen => {}
    }
}
