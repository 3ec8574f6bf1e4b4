//! Requests and answers over real sockets on loopback.

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use bytes::Bytes;
use recado_protocol::limits::MAX_FRAME_BYTES;
use recado_transport::{CallError, Caller, OpenError, Responder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const LONG: Duration = Duration::from_secs(10);

async fn bind() -> Responder {
    Responder::bind("tcp://127.0.0.1:0").await.unwrap()
}

/// Answers everything with what was asked.
fn echo(responder: &Responder) -> tokio::task::JoinHandle<()> {
    let responder = responder.clone();
    tokio::spawn(async move {
        while let Some(requests) = responder.receive(64).await {
            for request in requests {
                responder.reply(&request.envelope, request.body).await;
            }
        }
    })
}

async fn connect(endpoint: &str) -> Caller {
    let caller = Caller::connect(endpoint).await.unwrap();
    assert!(caller.wait_connected(LONG).await);
    caller
}

#[tokio::test]
async fn a_call_gets_its_answer() {
    let responder = bind().await;
    assert!(!responder.endpoint().ends_with(":0"), "the real port is told");
    echo(&responder);
    let caller = connect(responder.endpoint()).await;
    let body = vec![Bytes::from("hello"), Bytes::new(), Bytes::from(vec![7; 100_000])];
    assert_eq!(caller.call(body.clone(), LONG).await, Ok(body));
    assert_eq!(responder.connections(), 1);
}

#[tokio::test]
async fn many_calls_are_in_flight_and_come_in_order() {
    const CALLS: u32 = 20_000;
    let responder = bind().await;
    let caller = connect(responder.endpoint()).await;
    let answers: Vec<_> = (0..CALLS)
        .map(|n| caller.start(vec![Bytes::copy_from_slice(&n.to_be_bytes())]).unwrap())
        .collect();
    let server = tokio::spawn(async move {
        let mut next = 0_u32;
        while next < CALLS {
            for request in responder.receive(100).await.unwrap() {
                assert_eq!(request.body[0], next.to_be_bytes()[..], "in order of the calls");
                next += 1;
                responder.reply(&request.envelope, request.body).await;
            }
        }
        responder
    });
    for (n, answer) in answers.into_iter().enumerate() {
        let answer = tokio::time::timeout(LONG, answer).await.unwrap().unwrap();
        assert_eq!(answer[0], u32::try_from(n).unwrap().to_be_bytes()[..]);
    }
    server.await.unwrap();
}

#[tokio::test]
async fn without_a_connection_a_call_fails_at_once() {
    let caller = Caller::connect("tcp://127.0.0.1:1").await.unwrap();
    assert!(!caller.connected());
    assert_eq!(caller.call(vec!["x".into()], LONG).await, Err(CallError::NotConnected));
}

#[tokio::test]
async fn a_call_without_answer_times_out_and_leaves_nothing_behind() {
    let responder = bind().await;
    let caller = connect(responder.endpoint()).await;
    let call = caller.call(vec!["x".into()], Duration::from_millis(20));
    assert_eq!(call.await, Err(CallError::TimedOut));
    // The late answer and a second one are ignored; the next call gets its own.
    let late = responder.receive(1).await.unwrap();
    responder.reply(&late[0].envelope, vec!["late".into()]).await;
    responder.reply(&late[0].envelope, vec!["late".into()]).await;
    echo(&responder);
    assert_eq!(caller.call(vec!["y".into()], LONG).await.unwrap()[0], "y");
}

#[tokio::test]
async fn when_the_peer_dies_calls_fail_and_nothing_is_delivered_late() {
    let responder = bind().await;
    let endpoint = responder.endpoint().to_owned();
    let caller = connect(&endpoint).await;
    let lost = caller.start(vec!["lost".into()]).unwrap();
    responder.close().await;
    assert_eq!(tokio::time::timeout(LONG, lost).await.unwrap(), Err(CallError::Disconnected));
    assert_eq!(caller.start(vec!["early".into()]).err(), Some(CallError::NotConnected));

    let responder = Responder::bind(&endpoint).await.unwrap();
    assert!(caller.wait_connected(LONG).await, "reconnects by itself");
    let answer = caller.start(vec!["fresh".into()]).unwrap();
    let requests = responder.receive(10).await.unwrap();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].body[0], "fresh");
    responder.reply(&requests[0].envelope, vec!["ok".into()]).await;
    assert_eq!(answer.await.unwrap()[0], "ok");
}

#[tokio::test]
async fn dropping_the_last_caller_closes_the_connection() {
    let responder = bind().await;
    let caller = connect(responder.endpoint()).await;
    let pending = caller.start(vec!["x".into()]).unwrap();
    let envelope = responder.receive(1).await.unwrap().remove(0).envelope;
    let clone = caller.clone();
    drop(caller);
    assert!(clone.connected());
    drop(clone);
    assert_eq!(pending.await, Err(CallError::Disconnected));
    let gone = tokio::time::timeout(LONG, responder.gone()).await.unwrap();
    assert_eq!(gone, Some(envelope.identity()), "the responder learns who left");
    // An answer to somebody who is gone is dropped and does no harm.
    responder.reply(&envelope, vec!["too late".into()]).await;
    echo(&responder);
    let other = connect(responder.endpoint()).await;
    assert!(other.call(vec!["y".into()], LONG).await.is_ok());
}

#[tokio::test]
async fn a_taken_port_is_said_in_one_sentence() {
    let responder = bind().await;
    let Err(error) = Responder::bind(responder.endpoint()).await else { panic!("it is taken") };
    assert!(matches!(error, OpenError::InUse { .. }));
    assert!(error.to_string().contains("in use"), "{error}");
    for wrong in ["", "5555", "tcp://", "ipc:///tmp/x", "inproc://x", "tcp://127.0.0.1:99999"] {
        assert!(Responder::bind(wrong).await.is_err(), "{wrong}");
        assert!(Caller::connect(wrong).await.is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn a_frame_that_is_too_long_closes_the_connection() {
    let responder = bind().await;
    echo(&responder);
    let caller = connect(responder.endpoint()).await;
    let longest = Bytes::from(vec![1; MAX_FRAME_BYTES]);
    assert_eq!(caller.call(vec![longest.clone()], LONG).await.unwrap()[0].len(), longest.len());
    let too_long = Bytes::from(vec![1; MAX_FRAME_BYTES + 64 * 1024]);
    assert_eq!(caller.call(vec![too_long], LONG).await, Err(CallError::Disconnected));
    assert!(caller.wait_connected(LONG).await);
    assert!(caller.call(vec!["still there".into()], LONG).await.is_ok());
}

#[tokio::test]
async fn garbage_on_the_port_does_no_harm() {
    let responder = bind().await;
    echo(&responder);
    let address = responder.endpoint().trim_start_matches("tcp://").to_owned();
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 64], &[0; 4096], b""] {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(garbage).await.unwrap();
    }
    // A proper greeting, then nonsense.
    let mut greeting = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0];
    greeting.extend_from_slice(b"NULL");
    greeting.resize(64, 0);
    greeting.extend_from_slice(&[0xaa; 512]);
    let mut stream = TcpStream::connect(&address).await.unwrap();
    stream.write_all(&greeting).await.unwrap();
    let mut rest = Vec::new();
    // The connection is closed, by an end or by a reset.
    let _ = tokio::time::timeout(LONG, stream.read_to_end(&mut rest)).await.unwrap();
    let caller = connect(responder.endpoint()).await;
    assert!(caller.call(vec!["hello".into()], LONG).await.is_ok());
}

#[tokio::test]
async fn who_does_not_read_holds_up_nobody_and_is_disconnected() {
    let responder = bind().await;
    let mut deaf = deaf_dealer(responder.endpoint()).await;
    deaf.write_all(&[1, 0, 0, 1, b'?']).await.unwrap();
    let envelope = responder.receive(1).await.unwrap().remove(0).envelope;
    let caller = connect(responder.endpoint()).await;
    let large = Bytes::from(vec![0; 512 * 1024]);
    for _ in 0..1000 {
        responder.reply(&envelope, vec![large.clone()]).await;
    }
    let other = caller.start(vec!["x".into()]).unwrap();
    let request = responder.receive(1).await.unwrap().remove(0);
    responder.reply(&request.envelope, vec!["quick".into()]).await;
    assert_eq!(tokio::time::timeout(LONG, other).await.unwrap().unwrap()[0], "quick");
    let gone = tokio::time::timeout(LONG, responder.gone()).await.unwrap();
    assert_eq!(gone, Some(envelope.identity()));
}

/// A DEALER by hand, that never reads again after the handshake.
async fn deaf_dealer(endpoint: &str) -> TcpStream {
    let mut stream = TcpStream::connect(endpoint.trim_start_matches("tcp://")).await.unwrap();
    let mut greeting = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0];
    greeting.extend_from_slice(b"NULL");
    greeting.resize(64, 0);
    stream.write_all(&greeting).await.unwrap();
    let mut ready = vec![5];
    ready.extend_from_slice(b"READY");
    ready.push(11);
    ready.extend_from_slice(b"Socket-Type");
    ready.extend_from_slice(&6_u32.to_be_bytes());
    ready.extend_from_slice(b"DEALER");
    stream
        .write_all(&[&[4, u8::try_from(ready.len()).unwrap()][..], &ready].concat())
        .await
        .unwrap();
    let mut peer = [0; 64 + 2];
    stream.read_exact(&mut peer).await.unwrap();
    let mut rest = vec![0; usize::from(peer[65])];
    stream.read_exact(&mut rest).await.unwrap();
    stream
}
