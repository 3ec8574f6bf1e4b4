//! Bugs of a server's publisher, which the simulation replaces: caught on a real server, broker and
//! proxy in this process, over real sockets.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use recado_broker::{Broker, BrokerConfig};
use recado_chat::planted::{self, Bug};
use recado_client::{Client, ClientConfig, ClientError};
use recado_drill::check::{Findings, Promise, check};
use recado_drill::history::{
    Ack, Delivery, End, FinalRow, History, Name, Outcome, Row, Source, Topic,
};
use recado_protocol::marker::OWN_TOPICS;
use recado_protocol::message::{HistoryOf, HistoryQuery};
use recado_protocol::{Event, Record, codec};
use recado_server::{Proxy, ReferenceConfig, ServerConfig, run_reference, run_server};
use recado_transport::{EventProxy, Subscriber};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// So many clients write at the same time, each so many messages.
const CLIENTS: u32 = 6;
const MESSAGES: u32 = 40;
const CHANNEL: &str = "geral";
const PATIENCE: Duration = Duration::from_secs(30);

/// A role on a thread and runtime of its own, as the binary has it.
struct Role {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Role {
    /// The role runs with the bug, if there is one.
    fn start<R: Future<Output = ()>>(
        bug: Option<Bug>,
        role: impl FnOnce(oneshot::Receiver<()>) -> R + Send + 'static,
    ) -> Role {
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let _planted = bug.map(planted::plant_here);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(role(stopped));
        });
        Role { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn free_port() -> String {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!("tcp://127.0.0.1:{port}")
}

async fn until_dropped(stopped: oneshot::Receiver<()>) {
    drop(stopped.await);
}

/// The reference and one server, which has the bug.
fn start(folder: &Path, bug: Option<Bug>, broker: &str, proxy: [&str; 2]) -> [Role; 2] {
    let reference = free_port();
    let mut config = ReferenceConfig::new(reference.clone(), folder.join("reference"));
    config.witness = false;
    let first = Role::start(None, |stopped| async {
        run_reference(config, until_dropped(stopped)).await.unwrap();
    });
    let mut config = ServerConfig::local("s1", folder.join("s1"), 1);
    config.endpoint = "tcp://127.0.0.1:0".into();
    config.brokers = vec![broker.to_owned()];
    let [publishers, subscribers] = proxy.map(str::to_owned);
    config.proxies = vec![Proxy { publishers, subscribers }];
    config.reference = reference;
    let second = Role::start(bug, |stopped| async {
        run_server(config, until_dropped(stopped)).await.unwrap();
    });
    [second, first]
}

/// What the clients and the subscriber share.
#[derive(Clone)]
struct Recorder {
    started: Instant,
    history: Arc<Mutex<History>>,
}

impl Recorder {
    fn at_us(&self) -> u64 {
        self.started.elapsed().as_micros() as u64
    }

    fn with<T>(&self, note: impl FnOnce(&mut History, u64) -> T) -> T {
        note(&mut self.history.lock().unwrap(), self.at_us())
    }
}

fn user(client: u32) -> String {
    format!("u{client}")
}

/// Every third message goes to the next client, the others to the channel.
async fn write(number: u32, client: Client, recorder: Recorder) {
    let from = user(number);
    for message in 0..MESSAGES {
        let to = user((number + 1) % CLIENTS);
        let private = message % 3 == 0;
        let topic = if private { Topic::inbox(&to) } else { Topic::channel(CHANNEL) };
        let text = format!("{message} of {from}");
        let words = (topic, Name::from(&*from), Name::from(&*text));
        let write = recorder.with(|history, at_us| history.send(number, None, words, at_us));
        let answer = if private {
            client.message(&from, &to, &text).await
        } else {
            client.publish(&from, CHANNEL, &text).await
        };
        recorder.with(|history, at_us| {
            let outcome = match answer {
                Ok(ack) => Outcome::Acked(Ack {
                    at_us,
                    seq: ack.seq,
                    message_id: ack.id.as_ref().try_into().ok(),
                    stored: ack.stored,
                    members: ack.members,
                }),
                Err(ClientError::Unavailable { .. } | ClientError::Refused(_)) => {
                    Outcome::Refused { at_us, code: "refused".into() }
                }
                Err(_) => Outcome::Unknown,
            };
            history.ended(write, outcome);
        });
    }
}

fn topic_of(record: &Record) -> Topic {
    if record.private { Topic::inbox(&record.to) } else { Topic::channel(&record.to) }
}

fn row_of(record: &Record) -> Row {
    let Record { seq, from, message, .. } = record;
    Row { seq: *seq, from: from.as_str().into(), text: message.as_str().into() }
}

/// The event, whatever topic it came on: a client would refuse it on a wrong one.
fn decode(body: &[u8]) -> Event {
    let users = (0..CLIENTS).map(user);
    let mut topics = users.chain([CHANNEL.to_owned(), Event::SERVERS_TOPIC.to_owned()]);
    topics.find_map(|topic| codec::decode_event(topic.as_bytes(), body).ok()).unwrap()
}

/// Listens to everything.
async fn listen(subscriber: Subscriber, recorder: Recorder) {
    while let Some((frame, body)) = subscriber.receive().await {
        if frame.first() == Some(&OWN_TOPICS) {
            continue;
        }
        let (Event::Publication(record) | Event::Private(record)) = decode(&body) else { continue };
        let frame = std::str::from_utf8(&frame).unwrap();
        recorder.with(|history, at_us| {
            history.deliveries.push(Delivery {
                subscriber: 1,
                topic: topic_of(&record),
                frame: Some(frame.into()),
                row: row_of(&record),
                at_us,
                source: Source::Live,
            });
        });
    }
}

async fn final_rows(client: &Client, topic: &Topic) -> Vec<FinalRow> {
    let mut rows: Vec<FinalRow> = Vec::new();
    loop {
        let name = topic.name().to_string();
        let of = if topic.is_private() { HistoryOf::Inbox(name) } else { HistoryOf::Channel(name) };
        let after = Some(rows.last().map_or(0, |row| row.row.seq));
        let query = HistoryQuery { of, after, before: None, limit: 1000 };
        let page = client.history(query).await.unwrap();
        rows.extend(page.messages.iter().map(|record| FinalRow {
            row: row_of(record),
            message_id: record.id.as_ref().try_into().unwrap(),
            timestamp_ms: record.timestamp,
        }));
        if page.messages.is_empty() {
            return rows;
        }
    }
}

async fn drill(bug: Option<Bug>) -> History {
    let folder = tempfile::tempdir().unwrap();
    let any = "tcp://127.0.0.1:0".to_owned();
    let broker = Broker::bind(BrokerConfig::new(any.clone(), any.clone())).await.unwrap();
    let [front, back] = broker.endpoints().map(str::to_owned);
    let proxy = EventProxy::bind(&any, &any).await.unwrap();
    let [publishers, subscribers] = proxy.endpoints().map(str::to_owned);
    let mut parts = JoinSet::new();
    parts.spawn(async move { drop(broker.run(std::future::pending()).await) });
    parts.spawn(proxy.run(std::future::pending()));
    let _roles = start(folder.path(), bug, &back, [&publishers, &subscribers]);
    let recorder = Recorder { started: Instant::now(), history: Arc::default() };
    let subscriber = Subscriber::connect(&subscribers).await.unwrap();
    subscriber.subscribe(b"").await;
    parts.spawn(listen(subscriber, recorder.clone()));
    let client = Client::connect(ClientConfig::new(&front, &subscribers)).await.unwrap();
    client.create_channel(CHANNEL).await.unwrap();
    for number in 0..CLIENTS {
        client.login(&user(number)).await.unwrap();
    }
    let mut writers = JoinSet::new();
    for number in 0..CLIENTS {
        let client = Client::connect(ClientConfig::new(&front, &subscribers)).await.unwrap();
        writers.spawn(write(number, client, recorder.clone()));
    }
    writers.join_all().await;
    all_delivered(&recorder).await;
    let mut end = End { at_us: recorder.at_us(), ..End::default() };
    let inboxes = (0..CLIENTS).map(|number| Topic::inbox(&user(number)));
    for topic in inboxes.chain([Topic::channel(CHANNEL)]) {
        let rows = final_rows(&client, &topic).await;
        end.topics.insert(topic, rows);
    }
    recorder.with(|history, _| {
        history.end = Some(end);
        std::mem::take(history)
    })
}

/// Waits until the subscriber has everything: nothing is lost here.
async fn all_delivered(recorder: &Recorder) {
    let begun = Instant::now();
    let missing = || {
        recorder.with(|history, _| {
            let mut texts: Vec<&Name> = history.deliveries.iter().map(|d| &d.row.text).collect();
            texts.sort();
            texts.dedup();
            (CLIENTS * MESSAGES) as usize - texts.len()
        })
    };
    while missing() > 0 {
        assert!(begun.elapsed() < PATIENCE, "{} messages were never published", missing());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn judge(bug: Option<Bug>) -> Findings {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let findings = check(&runtime.block_on(drill(bug)));
    runtime.shutdown_background();
    findings
}

#[test]
fn without_planted_bugs_all_holds() {
    let findings = judge(None);
    assert_eq!(findings.broken(), [], "{findings:#?}");
    assert_eq!(findings.not_checked(), [Promise::P6, Promise::P7]);
}

#[test]
fn a_planted_event_on_its_senders_topic_is_caught() {
    let findings = judge(Some(Bug::WrongTopic));
    assert_eq!(findings.broken(), [Promise::P8], "{findings:#?}");
}

#[test]
fn a_planted_event_before_its_commit_is_caught() {
    let findings = judge(Some(Bug::PublishBeforeCommit));
    assert!(findings.broken().contains(&Promise::P5), "{findings:#?}");
}
