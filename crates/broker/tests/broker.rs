//! The broker between real clients and fake servers, on loopback.

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use bytes::Bytes;
use recado_broker::{Broker, BrokerConfig, Limits};
use recado_protocol::backend::{READY_INTERVAL_MS, ToBroker, ToServer};
use recado_protocol::codec::{self, Stamp};
use recado_protocol::reply::Scrub;
use recado_protocol::{Code, Incoming, Refusal, Reply, Request};
use recado_transport::{BackendLink, Caller, FromBroker};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

const LONG: Duration = Duration::from_secs(10);

struct Running {
    front: String,
    back: String,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

async fn start(plain: bool, limits: Limits) -> Running {
    let any = || "tcp://127.0.0.1:0".to_owned();
    let config = BrokerConfig { plain, limits, ..BrokerConfig::new(any(), any()) };
    let broker = Broker::bind(config).await.unwrap();
    let [front, back] = broker.endpoints().map(str::to_owned);
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(async move {
        let stopped = async {
            let _ = stopped.await;
        };
        broker.run(stopped).await.unwrap();
    });
    Running { front, back, stop, task }
}

/// A server whose requests the test answers by hand; it says that it is ready as it should.
struct FakeServer {
    link: BackendLink,
    requests: mpsc::UnboundedReceiver<(ToServer, Bytes)>,
    tasks: [JoinHandle<()>; 2],
}

impl FakeServer {
    async fn start(back: &str, name: &'static str) -> FakeServer {
        let link = BackendLink::connect(back).await.unwrap();
        assert!(link.wait_connected(LONG).await);
        let beat = link.clone();
        let beat = tokio::spawn(async move {
            let name = name.to_owned();
            let (credit, primary, serving, http) = (8, false, true, None);
            let scrub = Scrub::default();
            let ready =
                ToBroker::Ready { name, boot: 1, credit, primary, serving, http, scrub, why: None };
            loop {
                let _ = beat.send(codec::encode_to_broker(&ready, Stamp::default()), None);
                tokio::time::sleep(Duration::from_millis(READY_INTERVAL_MS)).await;
            }
        });
        let (sender, requests) = mpsc::unbounded_channel();
        let inbox = link.clone();
        let read = tokio::spawn(async move {
            while let Some(batch) = inbox.receive(16).await {
                for request in batch {
                    let FromBroker::Dealt { header, body } = request else { panic!("not plain") };
                    if let Ok((facts, _)) = codec::decode_broker_facts(&header) {
                        assert_eq!(facts.pid, std::process::id());
                        continue;
                    }
                    let (header, _) = codec::decode_to_server(&header).unwrap();
                    if codec::peek_service(&body) == Some("session") {
                        let opened = Reply::Session { session: header.n, window: 1024 };
                        done(
                            &inbox,
                            &header,
                            codec::encode_reply("session", &opened, Stamp::default()),
                        );
                    } else {
                        sender.send((header, body)).unwrap();
                    }
                }
            }
        });
        FakeServer { link, requests, tasks: [beat, read] }
    }

    async fn next(&mut self) -> (ToServer, Bytes) {
        tokio::time::timeout(LONG, self.requests.recv()).await.expect("a request").unwrap()
    }

    fn kill(self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

fn done(link: &BackendLink, header: &ToServer, reply: Bytes) {
    let header = codec::encode_to_broker(&ToBroker::Done { n: header.n }, Stamp::default());
    link.send(header, Some(reply)).unwrap();
}

fn publish() -> Bytes {
    let request =
        Request::Publish { user: "ana".into(), channel: "news".into(), message: "hello".into() };
    encode(request)
}

fn encode(request: Request) -> Bytes {
    codec::encode_request(&Incoming { request, clock: 1, id: None }, Stamp::default())
}

async fn connect(front: &str) -> Caller {
    let caller = Caller::connect(front).await.unwrap();
    assert!(caller.wait_connected(LONG).await);
    caller
}

async fn ask(caller: &Caller, body: Bytes) -> (String, Reply) {
    let mut answer = caller.call(vec![body], LONG).await.unwrap();
    assert_eq!(answer.len(), 1);
    let (service, reply, _) = codec::decode_reply(&answer.remove(0)).unwrap();
    (service, reply)
}

fn code(reply: &Reply) -> Code {
    let Reply::Refused(Refusal { code, .. }) = reply else { panic!("not refused: {reply:?}") };
    *code
}

/// A REQ socket by hand: what every standard client sends and expects on the wire.
struct Req(TcpStream);

impl Req {
    async fn connect(front: &str) -> Req {
        let mut stream = TcpStream::connect(front.trim_start_matches("tcp://")).await.unwrap();
        let mut greeting = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0];
        greeting.extend_from_slice(b"NULL");
        greeting.resize(64, 0);
        stream.write_all(&greeting).await.unwrap();
        let mut ready = b"\x05READY\x0bSocket-Type\x00\x00\x00\x03REQ".to_vec();
        ready.splice(0..0, [4, u8::try_from(ready.len()).unwrap()]);
        stream.write_all(&ready).await.unwrap();
        let mut peer = [0; 64];
        stream.read_exact(&mut peer).await.unwrap();
        let mut req = Req(stream);
        let (flags, _) = req.frame().await;
        assert_eq!(flags, 4, "its READY");
        req
    }

    async fn frame(&mut self) -> (u8, Vec<u8>) {
        let flags = self.0.read_u8().await.unwrap();
        let length = match flags & 2 {
            0 => u64::from(self.0.read_u8().await.unwrap()),
            _ => self.0.read_u64().await.unwrap(),
        };
        let mut body = vec![0; usize::try_from(length).unwrap()];
        self.0.read_exact(&mut body).await.unwrap();
        (flags, body)
    }

    async fn call(&mut self, body: &[u8]) -> Vec<u8> {
        let mut frames = vec![1, 0, 2];
        frames.extend_from_slice(&(body.len() as u64).to_be_bytes());
        frames.extend_from_slice(body);
        self.0.write_all(&frames).await.unwrap();
        let (flags, delimiter) = self.frame().await;
        assert_eq!((flags, delimiter.len()), (1, 0));
        let (flags, body) = self.frame().await;
        assert_eq!(flags & 1, 0, "one body frame");
        body
    }
}

#[tokio::test]
async fn a_standard_client_gets_its_answer() {
    let broker = start(false, Limits::default()).await;
    let mut server = FakeServer::start(&broker.back, "a").await;
    let mut client = Req::connect(&broker.front).await;
    let request = publish();
    for n in 0..3_u8 {
        let (answer, ()) = tokio::join!(client.call(&request), async {
            let (header, body) = server.next().await;
            assert_eq!(body, request);
            assert!(header.id.is_some());
            done(&server.link, &header, Bytes::from(vec![n]));
        });
        assert_eq!(answer, [n]);
    }
}

#[tokio::test]
async fn when_a_server_dies_the_other_gets_the_same_request_under_the_same_id() {
    let broker = start(false, Limits::default()).await;
    let mut servers =
        [FakeServer::start(&broker.back, "a").await, FakeServer::start(&broker.back, "b").await];
    let client = connect(&broker.front).await;
    let answer = tokio::spawn(async move { client.call(vec![publish()], LONG).await });
    let [first, second] = &mut servers;
    let (in_first, (header, _)) = tokio::select! {
        request = first.next() => (true, request),
        request = second.next() => (false, request),
    };
    let [first, second] = servers;
    let (dead, mut alive) = if in_first { (first, second) } else { (second, first) };
    dead.kill();
    let (again, body) = alive.next().await;
    assert_eq!(again.id, header.id);
    assert!(again.id.is_some());
    assert_ne!(again.n, header.n);
    assert_eq!(body, publish());
    done(&alive.link, &again, "stored".into());
    assert_eq!(answer.await.unwrap().unwrap(), ["stored"]);
}

#[tokio::test]
async fn without_servers_there_is_an_answer_in_time() {
    let limits = Limits { request_ms: 500, status_ms: 300, vet_ms: 100, ..Limits::default() };
    let broker = start(false, limits).await;
    let client = connect(&broker.front).await;
    let (write, read, status, garbage) = tokio::join!(
        ask(&client, publish()),
        ask(&client, encode(Request::Channels)),
        ask(&client, encode(Request::Status)),
        ask(&client, "garbage".into()),
    );
    assert_eq!((write.0.as_str(), code(&write.1)), ("publish", Code::Unavailable));
    assert_eq!((read.0.as_str(), code(&read.1)), ("channels", Code::Unavailable));
    assert_eq!((garbage.0.as_str(), code(&garbage.1)), ("error", Code::Malformed));
    let Reply::Status(status) = status.1 else { panic!("a status") };
    assert!(status.members.is_empty());
    assert_eq!(status.broker["pid"], std::process::id().into());
}

#[tokio::test]
async fn what_is_too_long_is_refused() {
    let broker = start(false, Limits::default()).await;
    let client = connect(&broker.front).await;
    let message = "x".repeat(recado_protocol::limits::MAX_REQUEST_BYTES);
    let request = Request::Publish { user: "ana".into(), channel: "news".into(), message };
    let (service, reply) = ask(&client, encode(request)).await;
    assert_eq!((service.as_str(), code(&reply)), ("publish", Code::TooLarge));
}

#[tokio::test]
async fn a_server_that_gives_a_request_back_is_not_the_last_word() {
    let broker = start(false, Limits::default()).await;
    let mut server = FakeServer::start(&broker.back, "a").await;
    let client = connect(&broker.front).await;
    let answer = tokio::spawn(async move { client.call(vec![publish()], LONG).await });
    let (first, _) = server.next().await;
    let again = ToBroker::Again { n: first.n, uncertain: false };
    server.link.send(codec::encode_to_broker(&again, Stamp::default()), None).unwrap();
    let (second, _) = server.next().await;
    assert_eq!(second.id, first.id);
    done(&server.link, &second, "stored".into());
    assert_eq!(answer.await.unwrap().unwrap(), ["stored"]);
}

#[tokio::test]
async fn when_the_broker_ends_everybody_is_answered() {
    let broker = start(false, Limits::default()).await;
    let client = connect(&broker.front).await;
    let mut server = FakeServer::start(&broker.back, "a").await;
    let answer = tokio::spawn(async move { ask(&client, publish()).await });
    server.next().await;
    broker.stop.send(()).unwrap();
    assert_eq!(code(&answer.await.unwrap().1), Code::Unknown);
    broker.task.await.unwrap();
    // Its ports are free again.
    let config = BrokerConfig::new(broker.front, broker.back);
    Broker::bind(config).await.unwrap();
}

#[tokio::test]
async fn servers_find_a_broker_that_starts_anew() {
    let broker = start(false, Limits::default()).await;
    let mut server = FakeServer::start(&broker.back, "a").await;
    broker.stop.send(()).unwrap();
    broker.task.await.unwrap();
    let config = BrokerConfig::new(broker.front, broker.back);
    let anew = Broker::bind(config).await.unwrap();
    let front = anew.endpoints()[0].to_owned();
    tokio::spawn(anew.run(std::future::pending()));
    let client = connect(&front).await;
    let answer = tokio::spawn(async move { client.call(vec![publish()], LONG).await });
    let (header, _) = server.next().await;
    done(&server.link, &header, "stored".into());
    assert_eq!(answer.await.unwrap().unwrap(), ["stored"]);
}

#[tokio::test]
async fn the_plain_pump_is_understood_by_our_link() {
    let broker = start(true, Limits::default()).await;
    let server = BackendLink::connect(&broker.back).await.unwrap();
    assert!(server.wait_connected(LONG).await);
    // What only our broker understands does no harm here.
    let ready = codec::encode_to_broker(&ToBroker::Bye, Stamp::default());
    server.send(ready, None).unwrap();
    tokio::spawn(async move {
        while let Some(requests) = server.receive(16).await {
            for request in requests {
                let FromBroker::Plain { envelope, body } = request else { panic!("plain") };
                server.reply(&envelope, body).unwrap();
            }
        }
    });
    let mut standard = Req::connect(&broker.front).await;
    assert_eq!(standard.call(b"hello").await, b"hello");
    let client = connect(&broker.front).await;
    assert_eq!(client.call(vec!["many".into()], LONG).await.unwrap(), ["many"]);
    broker.stop.send(()).unwrap();
    broker.task.await.unwrap();
}

#[tokio::test]
async fn a_taken_port_is_said() {
    let broker = start(false, Limits::default()).await;
    let config = BrokerConfig::new(broker.front.clone(), "tcp://127.0.0.1:0");
    let Err(error) = Broker::bind(config).await else { panic!("it is taken") };
    assert!(error.to_string().contains("in use"), "{error}");
}
