//! How many requests a second the broker passes: `throughput [connections] [in flight on each]`.
//!
//! Broker, servers that answer at once, and clients are threads of one process.

// A measurement fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use recado_broker::{Broker, BrokerConfig};
use recado_protocol::backend::{READY_INTERVAL_MS, ToBroker};
use recado_protocol::codec::{self, Stamp};
use recado_protocol::reply::Scrub;
use recado_protocol::{Incoming, Reply, Request};
use recado_transport::{BackendLink, Caller, FromBroker};

const SERVERS: usize = 3;
const CREDIT: u32 = 256;
const SECONDS: u64 = 5;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<usize>().unwrap());
    let connections = arguments.next().unwrap_or(8);
    let in_flight = arguments.next().unwrap_or(32);
    let (sender, receiver) = std::sync::mpsc::channel();
    on_thread(async move {
        let any = || "tcp://127.0.0.1:0".to_owned();
        let broker = Broker::bind(BrokerConfig::new(any(), any())).await.unwrap();
        sender.send(broker.endpoints().map(str::to_owned)).unwrap();
        broker.run(std::future::pending()).await.unwrap();
    });
    let [front, back] = receiver.recv().unwrap();
    for n in 0..SERVERS {
        on_thread(serve(back.clone(), n));
    }
    let answered = Arc::new(AtomicU64::new(0));
    let clients = {
        let answered = answered.clone();
        on_thread(async move {
            let mut tasks = Vec::new();
            for _ in 0..connections {
                let caller = Caller::connect(&front).await.unwrap();
                caller.wait_connected(Duration::from_secs(10)).await;
                for _ in 0..in_flight {
                    tasks.push(tokio::spawn(ask(caller.clone(), answered.clone())));
                }
            }
            for task in tasks {
                task.await.unwrap();
            }
        })
    };
    std::thread::sleep(Duration::from_secs(1));
    let (before, started) = (answered.load(Relaxed), Instant::now());
    std::thread::sleep(Duration::from_secs(SECONDS));
    let count = answered.load(Relaxed) - before;
    let rate = u128::from(count) * 1000 / started.elapsed().as_millis();
    println!("{connections} connections with {in_flight} in flight: {rate} requests/s");
    drop(clients);
    std::process::exit(0);
}

/// Runs on a thread with a runtime of its own, as a process would.
fn on_thread(future: impl Future<Output = ()> + Send + 'static) -> std::thread::JoinHandle<()> {
    std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(future);
    })
}

async fn serve(back: String, n: usize) {
    let link = BackendLink::connect(&back).await.unwrap();
    link.wait_connected(Duration::from_secs(10)).await;
    let stamp = Stamp::default();
    let name = format!("server-{n}");
    let (primary, http) = (n == 0, None);
    let (credit, scrub) = (CREDIT, Scrub::default());
    let ready =
        ToBroker::Ready { name, boot: 1, credit, primary, serving: true, http, scrub, why: None };
    let mut ticks = tokio::time::interval(Duration::from_millis(READY_INTERVAL_MS));
    loop {
        let requests = tokio::select! {
            requests = link.receive(256) => requests.unwrap(),
            _ = ticks.tick() => {
                link.send(codec::encode_to_broker(&ready, stamp), None).unwrap();
                continue;
            }
        };
        for request in requests {
            let FromBroker::Dealt { header, body } = request else { continue };
            // What the broker tells of itself is no request.
            let Ok((header, _)) = codec::decode_to_server(&header) else { continue };
            let (service, reply) = match codec::peek_service(&body) {
                Some("session") => ("session", Reply::Session { session: header.n, window: 1024 }),
                _ => ("login", Reply::Done),
            };
            let done = codec::encode_to_broker(&ToBroker::Done { n: header.n }, stamp);
            link.send(done, Some(codec::encode_reply(service, &reply, stamp))).unwrap();
        }
    }
}

async fn ask(caller: Caller, answered: Arc<AtomicU64>) {
    let request =
        Request::Publish { user: "ana".into(), channel: "news".into(), message: "x".repeat(200) };
    let incoming = Incoming { request, clock: 1, id: None };
    let body: Bytes = codec::encode_request(&incoming, Stamp::default());
    loop {
        caller.call(vec![body.clone()], Duration::from_secs(10)).await.unwrap();
        answered.fetch_add(1, Relaxed);
    }
}
