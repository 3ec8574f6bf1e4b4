//! Three servers, a reference and a proxy in one process, over real sockets; the broker's part
//! is played by the test.

#![allow(clippy::unwrap_used, reason = "a test that can not go on shall say so at once")]

use std::collections::HashMap;
use std::path::Path;
use std::sync::LazyLock;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use recado_protocol::backend::{ToBroker, ToServer};
use recado_protocol::marker::OWN_TOPICS;
use recado_protocol::reply::{Role, Status};
use recado_protocol::server::{ServerReply, ServerRequest};
use recado_protocol::{Event, Incoming, Reply, Request, RequestId, codec};
use recado_server::{Proxy, ReferenceConfig, ServerConfig, run_reference, run_server};
use recado_transport::{Caller, Envelope, EventProxy, PlainPump, Publisher, Responder, Subscriber};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

/// A role on a thread and runtime of its own, as the binary has it.
struct Thread {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), String>>>,
}

impl Thread {
    fn start<F, R>(role: F) -> Thread
    where
        F: FnOnce(oneshot::Receiver<()>) -> R + Send + 'static,
        R: Future<Output = Result<(), String>>,
    {
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(role(stopped))
        });
        Thread { stop: Some(stop), thread: Some(thread) }
    }

    fn stop(&mut self) -> Result<(), String> {
        drop(self.stop.take());
        self.thread.take().map_or(Ok(()), |thread| thread.join().unwrap())
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn local(port: u16) -> String {
    format!("tcp://127.0.0.1:{port}")
}

/// The test's broker: knows who is ready, deals one request at a time.
struct Broker {
    responder: Responder,
    ready: HashMap<String, (Envelope, bool, bool)>,
    n: u64,
}

impl Broker {
    async fn bind() -> Broker {
        let responder = Responder::bind("tcp://127.0.0.1:0").await.unwrap();
        Broker { responder, ready: HashMap::new(), n: 0 }
    }

    /// Takes what servers say; gives the first answer to request `n`.
    async fn listen(&mut self, n: u64, limit: Duration) -> Option<Result<Bytes, bool>> {
        let until = Instant::now() + limit;
        loop {
            let left = until.checked_duration_since(Instant::now())?;
            let batch = timeout(left, self.responder.receive(1)).await.ok()??;
            for message in batch {
                match codec::decode_to_broker(&message.body[0]).unwrap().0 {
                    ToBroker::Ready { name, primary, serving, .. } => {
                        self.ready.insert(name, (message.envelope, primary, serving));
                    }
                    ToBroker::Done { n: done } if done == n => {
                        return Some(Ok(message.body[1].clone()));
                    }
                    ToBroker::Again { n: again, uncertain } if again == n => {
                        return Some(Err(uncertain));
                    }
                    ToBroker::Bye => {
                        self.ready.retain(|_, (envelope, ..)| *envelope != message.envelope);
                    }
                    _ => {}
                }
            }
        }
    }

    /// Asks one server once.
    async fn ask_at(
        &mut self,
        name: &str,
        request: &Request,
        id: Option<RequestId>,
    ) -> Option<Reply> {
        let envelope = self.ready.get(name)?.0.clone();
        self.n += 1;
        let stamp = codec::Stamp::default();
        let header = codec::encode_to_server(&ToServer { n: self.n, id }, stamp);
        let incoming = Incoming { request: request.clone(), clock: 0, id: None };
        let body = codec::encode_request(&incoming, stamp);
        self.responder.send(&envelope, vec![header, body]);
        let reply = self.listen(self.n, Duration::from_millis(1500)).await?.ok()?;
        Some(codec::decode_reply(&reply).unwrap().1)
    }

    /// Asks whoever serves until there is a reply.
    async fn ask(&mut self, request: &Request, id: Option<RequestId>) -> Reply {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            self.listen(0, Duration::from_millis(20)).await;
            let serving: Vec<String> = self
                .ready
                .iter()
                .filter(|(_, (_, _, serving))| *serving)
                .map(|(name, _)| name.clone())
                .collect();
            for name in serving {
                if let Some(reply) = self.ask_at(&name, request, id).await {
                    return reply;
                }
            }
        }
        panic!("no reply to {request:?}");
    }

    async fn status(&mut self) -> Status {
        match self.ask(&Request::Status, None).await {
            Reply::Status(status) => *status,
            other => panic!("{other:?}"),
        }
    }

    async fn status_when(&mut self, what: &str, good: impl Fn(&Status) -> bool) -> Status {
        let until = Instant::now() + PATIENCE;
        let mut status = self.status().await;
        while !good(&status) {
            assert!(Instant::now() < until, "{what}: {status:#?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
            status = self.status().await;
        }
        status
    }
}

fn roles(status: &Status, role: Role) -> usize {
    status.members.iter().filter(|member| member.role == role).count()
}

/// Stops a task when it is dropped.
type Stopper = oneshot::Sender<()>;

async fn start_proxy(publishers: u16, subscribers: u16) -> Stopper {
    let proxy = EventProxy::bind(&local(publishers), &local(subscribers)).await.unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(proxy.run(async { drop(stopped.await) }));
    stop
}

/// A way to a port that the test opens and closes.
struct Door {
    endpoint: String,
    open: watch::Sender<bool>,
}

impl Door {
    async fn to(port: u16) -> Door {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = local(listener.local_addr().unwrap().port());
        let open = watch::Sender::new(true);
        let mut waits = open.subscribe();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                if waits.wait_for(|open| *open).await.is_err() {
                    return;
                }
                tokio::spawn(async move {
                    if let Ok(mut far) = TcpStream::connect(("127.0.0.1", port)).await {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                    }
                });
            }
        });
        Door { endpoint, open }
    }
}

/// What the test itself publishes, to know that the subscriber hears.
const KNOCK: &str = "knock";

struct Stage {
    broker: Broker,
    subscriber: Subscriber,
    reference_port: u16,
    proxy_ports: (u16, u16),
    proxy: Option<Stopper>,
    reference: Option<Thread>,
    folder: tempfile::TempDir,
}

impl Stage {
    async fn set() -> Stage {
        let (reference_port, publishers, subscribers) = (free_port(), free_port(), free_port());
        let proxy = start_proxy(publishers, subscribers).await;
        let subscriber = Subscriber::connect(&local(subscribers)).await.unwrap();
        subscriber.subscribe(b"").await;
        let folder = tempfile::tempdir().unwrap();
        let mut stage = Stage {
            broker: Broker::bind().await,
            subscriber,
            reference_port,
            proxy_ports: (publishers, subscribers),
            proxy: Some(proxy),
            reference: None,
            folder,
        };
        stage.start_reference();
        stage
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn start_reference(&mut self) {
        let folder = self.path().join("reference");
        let config = ReferenceConfig::new(local(self.reference_port), folder);
        self.reference = Some(Thread::start(|stopped| async {
            let stopped = async { drop(stopped.await) };
            run_reference(config, stopped).await.map_err(|error| error.to_string())
        }));
    }

    fn start_server(&self, name: &str, clock_offset_ms: i64) -> Thread {
        let proxies = [(local(self.proxy_ports.0), local(self.proxy_ports.1))];
        self.start_server_at(self.broker.responder.endpoint(), &proxies, name, clock_offset_ms)
    }

    fn start_server_at(
        &self,
        broker: &str,
        proxies: &[(String, String)],
        name: &str,
        offset_ms: i64,
    ) -> Thread {
        let mut config = ServerConfig::local(name, self.path().join(name), 1);
        config.endpoint = "tcp://127.0.0.1:0".into();
        config.brokers = vec![broker.to_owned()];
        let proxies = proxies.iter().cloned();
        let proxies = proxies.map(|(publishers, subscribers)| Proxy { publishers, subscribers });
        config.proxies = proxies.collect();
        config.reference = local(self.reference_port);
        config.clock_offset_ms = offset_ms;
        Thread::start(|stopped| async {
            let stopped = async { drop(stopped.await) };
            run_server(config, stopped).await.map_err(|error| error.to_string())
        })
    }

    /// The publications' numbers as they come, up to this one.
    async fn until_seq(&self, last: u64) -> Vec<u64> {
        seqs(&self.subscriber, last).await
    }

    /// Waits until a marker has passed.
    async fn until_marker(&self) {
        let marker = async {
            while self.subscriber.receive().await.unwrap().0.first() != Some(&OWN_TOPICS) {}
        };
        timeout(PATIENCE, marker).await.unwrap();
    }

    /// Starts the proxy again, and waits until the subscriber hears: else the server might be back
    /// before the subscriber is.
    async fn proxy_again(&mut self) {
        let (publishers, subscribers) = self.proxy_ports;
        self.proxy = Some(start_proxy(publishers, subscribers).await);
        wait_hearing(&self.subscriber, publishers).await;
    }

    async fn next_event(&self) -> Event {
        next_event(&self.subscriber).await
    }
}

async fn next_event(subscriber: &Subscriber) -> Event {
    loop {
        let (topic, body) = hear(subscriber).await;
        if topic != KNOCK {
            return codec::decode_event(&topic, &body).unwrap();
        }
    }
}

/// The publications' numbers as they come, up to this one.
async fn seqs(subscriber: &Subscriber, last: u64) -> Vec<u64> {
    let mut seen = Vec::new();
    while seen.last() != Some(&last) {
        if let Event::Publication(record) = next_event(subscriber).await {
            seen.push(record.seq);
        }
    }
    seen
}

/// Waits until what is published there reaches the subscriber.
async fn wait_hearing(subscriber: &Subscriber, publishers: u16) {
    subscriber.subscribe(KNOCK.as_bytes()).await;
    let publisher = Publisher::connect(&local(publishers), "server-1").await.unwrap();
    let knocks = async {
        loop {
            _ = publisher.publish(KNOCK.into(), KNOCK.into()).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        () = knocks => {}
        (topic, _) = hear(subscriber) => assert_eq!(topic, KNOCK),
    }
}

/// The next event that is not the cluster's own.
async fn hear(subscriber: &Subscriber) -> (Bytes, Bytes) {
    loop {
        let event = timeout(PATIENCE, subscriber.receive()).await.unwrap().unwrap();
        if event.0.first() != Some(&OWN_TOPICS) {
            return event;
        }
    }
}

fn publish(text: &str) -> Request {
    Request::Publish { user: "ann".into(), channel: "news".into(), message: text.into() }
}

fn seq(reply: &Reply) -> u64 {
    match reply {
        Reply::Acked(ack) => ack.seq,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_cluster_forms_serves_fails_over_and_goes_on_without_the_reference() {
    let mut stage = Stage::set().await;
    let mut servers: HashMap<&str, Thread> = HashMap::new();
    for name in ["s1", "s2", "s3"] {
        servers.insert(name, stage.start_server(name, 0));
    }
    let status = stage
        .broker
        .status_when("three servers are active", |status| {
            roles(status, Role::Primary) == 1 && roles(status, Role::Backup) == 2
        })
        .await;
    let primary = status.members.iter().find(|m| m.role == Role::Primary).unwrap().name.clone();

    let create = Request::Channel { channel: "news".into() };
    assert_eq!(stage.broker.ask(&create, None).await, Reply::Done);
    // A backup hands on what it can't do itself.
    let backup = ["s1", "s2", "s3"].into_iter().find(|name| *name != primary).unwrap();
    let first = stage.broker.ask_at(backup, &publish("one"), None).await.unwrap();
    assert_eq!(seq(&first), 1);
    assert!(matches!(&first, Reply::Acked(ack) if ack.stored == 3 && ack.members == 3));
    loop {
        if let Event::Publication(record) = stage.next_event().await {
            assert_eq!((record.message.as_str(), record.seq), ("one", 1));
            break;
        }
    }

    // The reference goes, then the primary: the rest goes on, and repeats nothing.
    let Reply::Session { session, .. } = stage.broker.ask(&Request::Session, None).await else {
        panic!("no session");
    };
    let id = Some(RequestId { session, n: 1 });
    let before = stage.broker.ask(&publish("two"), id).await;
    stage.reference.take();
    servers.get_mut(primary.as_str()).unwrap().stop().unwrap();
    let died = Instant::now();
    let again = stage.broker.ask(&publish("two"), id).await;
    assert_eq!(seq(&again), seq(&before));
    assert_eq!(seq(&stage.broker.ask(&publish("three"), None).await), 3);
    println!("the next primary answered after {:?}", died.elapsed());

    let mut coordinator = None;
    loop {
        match stage.next_event().await {
            Event::Election { coordinator: name, .. } => coordinator = Some(name),
            Event::Publication(record) if record.seq == 3 => break,
            _ => {}
        }
    }
    assert!(coordinator.is_some_and(|name| name != primary));
}

/// A server's clock through the standard's `clock`, less what passed since the test began, ms.
async fn clock_of(address: &str) -> u64 {
    static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);
    let caller = Caller::connect(address).await.unwrap();
    assert!(caller.wait_connected(PATIENCE).await);
    let body = codec::encode_server_request(&ServerRequest::Clock, codec::Stamp::default());
    let answer = caller.call(vec![body], PATIENCE).await.unwrap();
    let passed_ms = u64::try_from(STARTED.elapsed().as_millis()).unwrap();
    match codec::decode_server_reply(&answer[0]).unwrap().0 {
        ServerReply::Clock { time } => time - passed_ms,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn wrong_clocks_are_set_right() {
    let mut stage = Stage::set().await;
    let _s1 = stage.start_server("s1", 0);
    stage.broker.status_when("the first serves", |s| roles(s, Role::Primary) == 1).await;
    let _s2 = stage.start_server("s2", 5_000);
    let _s3 = stage.start_server("s3", -3_600_000);
    stage.broker.status_when("all are active", |s| roles(s, Role::Backup) == 2).await;
    let joined = Instant::now();
    stage
        .broker
        .status_when("all clocks agree", |status| {
            let offsets: Vec<_> = status.members.iter().map(|m| m.clock_offset_ms).collect();
            offsets.len() == 3 && offsets.iter().all(|offset| offset.is_some_and(|ms| ms.abs() < 5))
        })
        .await;
    println!("clocks agreed after {:?}", joined.elapsed());
    // A correction that was just sent is followed over half a second.
    tokio::time::sleep(Duration::from_millis(600)).await;
    let mut shown = Vec::new();
    for member in stage.broker.status().await.members {
        shown.push(clock_of(&member.address).await);
    }
    let spread_ms = shown.iter().max().unwrap() - shown.iter().min().unwrap();
    println!("they differ by {spread_ms} ms");
    assert!(spread_ms < 100, "{shown:?}");
}

#[tokio::test]
async fn events_wait_for_a_proxy_that_is_away() {
    let mut stage = Stage::set().await;
    let door = Door::to(stage.proxy_ports.0).await;
    let proxies = [(door.endpoint.clone(), local(stage.proxy_ports.1))];
    let _s1 = stage.start_server_at(stage.broker.responder.endpoint(), &proxies, "s1", 0);
    stage.broker.ask(&Request::Channel { channel: "news".into() }, None).await;
    stage.broker.ask(&publish("one"), None).await;
    stage.until_seq(1).await;
    // The server hears it too, and knows that the event has passed.
    stage.until_marker().await;
    door.open.send_replace(false);
    stage.proxy.take();
    stage.broker.ask(&publish("two"), None).await;
    stage.broker.ask(&publish("three"), None).await;
    stage.proxy_again().await;
    door.open.send_replace(true);
    let seen = stage.until_seq(3).await;
    // The first one again, if the server had not heard its marker yet when the proxy went.
    assert!(seen.ends_with(&[2, 3]), "{seen:?}");
}

#[tokio::test]
async fn what_no_marker_vouches_for_comes_again() {
    let mut stage = Stage::set().await;
    let door = Door::to(stage.proxy_ports.0).await;
    let ear = Door::to(stage.proxy_ports.1).await;
    let proxies = [(door.endpoint.clone(), ear.endpoint.clone())];
    let _s1 = stage.start_server_at(stage.broker.responder.endpoint(), &proxies, "s1", 0);
    stage.broker.ask(&Request::Channel { channel: "news".into() }, None).await;
    stage.broker.ask(&publish("one"), None).await;
    stage.until_seq(1).await;
    stage.until_marker().await;
    // From here on the server publishes and does not hear its markers.
    ear.open.send_replace(false);
    stage.broker.ask(&publish("two"), None).await;
    stage.until_seq(2).await;
    door.open.send_replace(false);
    stage.proxy.take();
    stage.broker.ask(&publish("three"), None).await;
    stage.proxy_again().await;
    ear.open.send_replace(true);
    door.open.send_replace(true);
    assert_eq!(stage.until_seq(3).await, [2, 3]);
}

#[tokio::test]
async fn each_proxy_gets_everything_and_none_waits_for_another() {
    let mut stage = Stage::set().await;
    let (publishers, subscribers) = (free_port(), free_port());
    let second = start_proxy(publishers, subscribers).await;
    let subscriber = Subscriber::connect(&local(subscribers)).await.unwrap();
    subscriber.subscribe(b"news").await;
    // A third one takes connections and never says a word.
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mute = local(mute.local_addr().unwrap().port());
    let first = (local(stage.proxy_ports.0), local(stage.proxy_ports.1));
    let door = Door::to(publishers).await;
    let proxies = [(mute.clone(), mute), first, (door.endpoint.clone(), local(subscribers))];
    let _s1 = stage.start_server_at(stage.broker.responder.endpoint(), &proxies, "s1", 0);
    stage.broker.ask(&Request::Channel { channel: "news".into() }, None).await;
    assert!(subscriber.wait_connected(PATIENCE).await);
    let status = stage.broker.status_when("both proxies are connected", both_connected).await;
    assert_eq!(status.proxies.as_array().unwrap().len(), 3);
    for text in ["one", "two"] {
        stage.broker.ask(&publish(text), None).await;
    }
    assert_eq!(stage.until_seq(2).await, [1, 2]);
    assert_eq!(seqs(&subscriber, 2).await, [1, 2]);

    door.open.send_replace(false);
    drop(second);
    stage.broker.status_when("one is away", |status| !both_connected(status)).await;
    stage.broker.ask(&publish("three"), None).await;
    assert_eq!(stage.until_seq(3).await, [3]);

    let _second = start_proxy(publishers, subscribers).await;
    assert!(subscriber.wait_connected(PATIENCE).await);
    wait_hearing(&subscriber, publishers).await;
    door.open.send_replace(true);
    assert_eq!(seqs(&subscriber, 3).await.last(), Some(&3));
}

/// Whether the second and the third proxy are connected.
fn both_connected(status: &Status) -> bool {
    let proxies = status.proxies.as_array().unwrap();
    proxies[1..].iter().all(|proxy| proxy["connected"] == true.into())
}

#[tokio::test]
async fn servers_answer_behind_a_plain_pump_too() {
    let stage = Stage::set().await;
    let pump = PlainPump::bind("tcp://127.0.0.1:0", "tcp://127.0.0.1:0").await.unwrap();
    let [front, back] = pump.endpoints().map(str::to_owned);
    let (_stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(pump.run(async { drop(stopped.await) }));
    // The request is there before the server: it waits in the server, not in the client's hands.
    let proxies = [(local(stage.proxy_ports.0), local(stage.proxy_ports.1))];
    let _s1 = stage.start_server_at(&back, &proxies, "s1", 0);
    let client = Caller::connect(&front).await.unwrap();
    assert!(client.wait_connected(PATIENCE).await);
    for (request, expected) in [
        (Request::Login { user: "ann".into() }, Reply::Done),
        (Request::Users, Reply::Users(vec!["ann".into()])),
    ] {
        let incoming = Incoming { request, clock: 0, id: None };
        let body = codec::encode_request(&incoming, codec::Stamp::default());
        let answer = client.call(vec![body], PATIENCE).await.unwrap();
        assert_eq!(codec::decode_reply(&answer[0]).unwrap().1, expected);
    }
}

#[tokio::test]
async fn hostile_messages_on_a_servers_port_do_no_harm() {
    let mut stage = Stage::set().await;
    let _s1 = stage.start_server("s1", 0);
    let address = stage.broker.status_when("one serves", |s| roles(s, Role::Primary) == 1).await;
    let address = address.members[0].address.clone();
    let caller = Caller::connect(&address).await.unwrap();
    assert!(caller.wait_connected(PATIENCE).await);
    let payloads: [&'static [u8]; 5] =
        [b"", b"\0", &[0xff; 64], &[0x91; 5000], b"\x81\xa7service\xa5clock"];
    let mut pending = Vec::new();
    for payload in payloads.map(Bytes::from_static) {
        for kind in 0..=u8::MAX {
            let frames = vec![Bytes::from(vec![kind]), payload.clone()];
            pending.push(caller.start(frames).unwrap());
        }
        pending.push(caller.start(vec![payload.clone()]).unwrap());
        pending.push(caller.start(vec![payload.clone(); 3]).unwrap());
        pending.push(caller.start(vec![payload.clone(), payload]).unwrap());
    }
    let now_ms = clock_of(&address).await;
    assert!(now_ms > 0);
    let login = Request::Login { user: "ann".into() };
    assert_eq!(stage.broker.ask(&login, None).await, Reply::Done);
}

#[tokio::test]
async fn what_prevents_a_start_is_told_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = ServerConfig::local("s1", folder.path().join("s1"), 1);
    config.endpoint = local(taken.local_addr().unwrap().port());
    let said = run_server(config.clone(), async {}).await.unwrap_err().to_string();
    assert!(said.contains("in use") && !said.contains('\n'), "{said}");

    config.endpoint = "tcp://127.0.0.1:0".into();
    std::fs::write(folder.path().join("file"), b"").unwrap();
    config.data_dir = folder.path().join("file");
    let said = run_server(config, async {}).await.unwrap_err().to_string();
    assert!(said.contains("data folder") && !said.contains('\n'), "{said}");
}
