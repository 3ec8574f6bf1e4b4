//! Events through the proxy, over real sockets on loopback.

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use recado_transport::{CallError, EventProxy, Publisher, Subscriber};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use support::{LONG, heard, proxy};

/// Polls until something is true; the tests wait for conditions, never for times.
async fn until(mut condition: impl FnMut() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, wait).await.expect("the condition within the time");
}

#[tokio::test]
async fn what_is_published_reaches_who_asked_for_it() {
    let ([publishers, subscribers], _stop) = proxy().await;
    let publisher = Publisher::connect(&publishers, "server-1").await.unwrap();
    assert_eq!(publisher.publish("t".into(), "x".into()).await, Err(CallError::NotConnected));
    let subscriber = Subscriber::connect(&subscribers).await.unwrap();
    subscriber.subscribe(b"news").await;
    until(|| publisher.connected() && subscriber.connected()).await;
    heard(&publisher, &subscriber, "news").await;
    for n in 0..100_u8 {
        publisher.publish("other".into(), Bytes::from(vec![n])).await.unwrap();
        publisher.publish("news".into(), Bytes::from(vec![n])).await.unwrap();
    }
    let mut next = 0;
    while next < 100 {
        let (topic, body) =
            tokio::time::timeout(LONG, subscriber.receive()).await.unwrap().unwrap();
        assert_eq!(topic, "news");
        if body != "knock" {
            assert_eq!(body[..], [next]);
            next += 1;
        }
    }
}

#[tokio::test]
async fn a_burst_reaches_all_readers_without_loss() {
    const EVENTS: u32 = 20_000;
    let ([publishers, subscribers], _stop) = proxy().await;
    let publisher = Publisher::connect(&publishers, "server-1").await.unwrap();
    until(|| publisher.connected()).await;
    let mut readers = Vec::new();
    for _ in 0..3 {
        let subscriber = Subscriber::connect(&subscribers).await.unwrap();
        subscriber.subscribe(b"burst").await;
        heard(&publisher, &subscriber, "burst").await;
        readers.push(tokio::spawn(async move {
            let mut seen = HashSet::new();
            while seen.len() < EVENTS as usize {
                let (_, body) = subscriber.receive().await.unwrap();
                if body != "knock" {
                    seen.insert(u32::from_be_bytes(body[..4].try_into().unwrap()));
                }
            }
        }));
    }
    for n in 0..EVENTS {
        let mut body = n.to_be_bytes().to_vec();
        body.resize(300, 0);
        publisher.publish("burst".into(), body.into()).await.unwrap();
    }
    for reader in readers {
        tokio::time::timeout(3 * LONG, reader).await.expect("nothing is lost").unwrap();
    }
}

#[tokio::test]
async fn all_come_back_when_the_proxy_does() {
    let ([publishers, subscribers], stop) = proxy().await;
    let publisher = Publisher::connect(&publishers, "server-1").await.unwrap();
    let subscriber = Subscriber::connect(&subscribers).await.unwrap();
    subscriber.subscribe(b"t").await;
    until(|| publisher.connected() && subscriber.connected()).await;
    let before = subscriber.generation();
    drop(stop);
    until(|| !publisher.connected() && !subscriber.connected()).await;
    assert_ne!(subscriber.generation(), before);
    let proxy = async {
        loop {
            if let Ok(proxy) = EventProxy::bind(&publishers, &subscribers).await {
                return proxy;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let proxy = tokio::time::timeout(LONG, proxy).await.expect("the ports become free");
    tokio::spawn(proxy.run(std::future::pending()));
    until(|| publisher.connected() && subscriber.connected()).await;
    heard(&publisher, &subscriber, "t").await;
}

#[tokio::test]
async fn a_greedy_subscriber_is_disconnected_and_others_are_not() {
    let ([publishers, subscribers], _stop) = proxy().await;
    let publisher = Publisher::connect(&publishers, "server-1").await.unwrap();
    let modest = Subscriber::connect(&subscribers).await.unwrap();
    modest.subscribe(b"t").await;
    let greedy = Subscriber::connect(&subscribers).await.unwrap();
    until(|| publisher.connected() && modest.connected() && greedy.connected()).await;
    let connection = modest.generation();
    let asking = async {
        for n in 0..20_000_u32 {
            greedy.subscribe(format!("topic-{n}").as_bytes()).await;
        }
        std::future::pending::<()>().await
    };
    let seen = greedy.generation();
    tokio::select! {
        () = asking => {}
        changed = greedy.generation_changed(seen) => assert!(changed.is_some()),
        () = tokio::time::sleep(LONG) => panic!("it may ask for ever"),
    }
    assert_eq!(modest.generation(), connection);
    heard(&publisher, &modest, "t").await;
}

#[tokio::test]
async fn a_subscriber_that_does_not_read_holds_up_nobody() {
    const EVENTS: u32 = 5_000;
    let ([publishers, subscribers], _stop) = proxy().await;
    let publisher = Publisher::connect(&publishers, "server-1").await.unwrap();
    let _deaf = deaf_subscriber(&subscribers).await;
    let subscriber = Subscriber::connect(&subscribers).await.unwrap();
    subscriber.subscribe(b"t").await;
    until(|| publisher.connected()).await;
    heard(&publisher, &subscriber, "t").await;
    let reader = tokio::spawn(async move {
        let mut next = 0;
        while next < EVENTS {
            let (_, body) = subscriber.receive().await.unwrap();
            if body != "knock" {
                assert_eq!(body[..4], next.to_be_bytes(), "in order, without a gap");
                next += 1;
            }
        }
    });
    // Far more than the deaf one's share of memory.
    for n in 0..EVENTS {
        let mut body = n.to_be_bytes().to_vec();
        body.resize(10_000, 0);
        publisher.publish("t".into(), body.into()).await.unwrap();
    }
    tokio::time::timeout(3 * LONG, reader).await.expect("nothing is lost").unwrap();
}

/// A SUB by hand that asks for everything and never reads.
async fn deaf_subscriber(endpoint: &str) -> TcpStream {
    let mut stream = TcpStream::connect(endpoint.trim_start_matches("tcp://")).await.unwrap();
    let mut bytes = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0];
    bytes.extend_from_slice(b"NULL");
    bytes.resize(64, 0);
    bytes.extend_from_slice(b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB");
    // A message whose first byte subscribes, as ZMTP 3.0 has it.
    bytes.extend_from_slice(&[0, 1, 1]);
    stream.write_all(&bytes).await.unwrap();
    let mut greeting = [0; 64];
    stream.read_exact(&mut greeting).await.unwrap();
    stream
}
