//! The loop around the dispatcher: sockets, clock and time.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use recado_protocol::backend::{BrokerFacts, ConnectedServer};
use recado_protocol::{Incoming, Reply, Request, codec};
use recado_transport::{Connections, Io, PlainPump, Responder, UnreadLimits};
use recado_watch::{BEAT_INTERVAL_MS, Vitals};
use tokio::time::Instant;

use crate::clock::Clock;
use crate::{Action, BrokerError, Connected, Dispatcher, Lack, Limits, Metrics, Myself};

/// How often the dispatcher has a look at the time while requests are held …
const TURN_INTERVAL: Duration = Duration::from_millis(10);
/// … and while none are: then nobody waits for what time brings.
const IDLE_INTERVAL: Duration = Duration::from_millis(BEAT_INTERVAL_MS);
/// How many messages are taken from a socket at once.
const BATCH: usize = 256;
/// How long the last answers have to get out of the socket.
const FAREWELL: Duration = Duration::from_millis(100);
/// Servers are trusted to read; what they leave unread is bounded by what the broker holds.
const TO_SERVERS: UnreadLimits =
    UnreadLimits { peer_bytes: 64 * 1024 * 1024, all_bytes: 256 * 1024 * 1024 };

/// How a broker is set up.
#[derive(Clone, Debug)]
pub struct BrokerConfig {
    /// Where clients connect.
    pub front: String,
    /// Where servers connect.
    pub back: String,
    /// Only pump bytes between a ROUTER and a DEALER, as the standard has it.
    pub plain: bool,
    /// What is held at the most, and for how long.
    pub limits: Limits,
    /// Where its pages are (`host:port`), to be shown to others.
    pub http: Option<String>,
    /// What it shows to those who watch it.
    pub vitals: Vitals,
    /// What it counts and measures.
    pub metrics: Metrics,
}

impl BrokerConfig {
    /// A dealing broker at these end points, with the usual limits, whom nobody watches.
    pub fn new(front: impl Into<String>, back: impl Into<String>) -> BrokerConfig {
        BrokerConfig {
            front: front.into(),
            back: back.into(),
            plain: false,
            limits: Limits::default(),
            http: None,
            vitals: Vitals::default(),
            metrics: Metrics::default(),
        }
    }
}

/// A broker whose ports are bound.
pub struct Broker(Mode);

enum Mode {
    Plain(Box<PlainPump>, Vitals),
    Dealing(Box<Dealing>),
}

impl Broker {
    /// Binds both ports.
    pub async fn bind(config: BrokerConfig) -> Result<Broker, BrokerError> {
        if config.plain {
            let pump = PlainPump::bind(&config.front, &config.back).await?;
            return Ok(Broker(Mode::Plain(Box::new(pump), config.vitals)));
        }
        let front =
            Responder::bind_with(&config.front, Io::Threads, UnreadLimits::default()).await?;
        let back = Responder::bind_with(&config.back, Io::Threads, TO_SERVERS).await?;
        Ok(Broker(Mode::Dealing(Box::new(Dealing::new(front, back, config)))))
    }

    /// Where clients and servers connect, with the real ports.
    pub fn endpoints(&self) -> [&str; 2] {
        match &self.0 {
            Mode::Plain(pump, _) => pump.endpoints(),
            Mode::Dealing(dealing) => [dealing.front.endpoint(), dealing.back.endpoint()],
        }
    }

    /// Serves until `shutdown` ends; then every request that is held is answered.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), BrokerError> {
        match self.0 {
            Mode::Plain(pump, vitals) => {
                let connections = pump.connections();
                tokio::select! {
                    () = pump.run(shutdown) => {}
                    () = watch_plain(&connections, &vitals) => {}
                }
            }
            Mode::Dealing(dealing) => dealing.run(shutdown).await,
        }
        Ok(())
    }
}

/// A pump knows nothing of its servers but whether any is connected.
async fn watch_plain(connections: &Connections, vitals: &Vitals) {
    vitals.serves();
    let mut beats = tokio::time::interval(Duration::from_millis(BEAT_INTERVAL_MS));
    loop {
        beats.tick().await;
        vitals.beat();
        let alone = connections.servers() == 0;
        vitals.lacks(if alone { vec![Lack::NoServer.to_string()] } else { Vec::new() });
    }
}

struct Dealing {
    front: Responder,
    back: Responder,
    dispatcher: Dispatcher,
    clock: Clock,
    started: Instant,
    http: Option<String>,
    vitals: Vitals,
    /// When it was looked last at what is missing.
    looked_ms: u64,
}

impl Dealing {
    fn new(front: Responder, back: Responder, config: BrokerConfig) -> Dealing {
        let BrokerConfig { limits, http, vitals, metrics, .. } = config;
        let mut clock = Clock::default();
        let request = Incoming { request: Request::Session, clock: 0, id: None };
        let session_body = codec::encode_request(&request, clock.stamp());
        // Small enough to be counted on from for ever, in every language's integers.
        let first_attempt = rand::random::<u64>() >> 16;
        let myself = Myself { pid: std::process::id(), http: http.clone() };
        let dispatcher = Dispatcher::new(limits, myself, first_attempt, session_body);
        let dispatcher = dispatcher.measured(metrics);
        let started = Instant::now();
        Dealing { front, back, dispatcher, clock, started, http, vitals, looked_ms: 0 }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    async fn run(mut self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        let mut next_turn = pin!(tokio::time::sleep(TURN_INTERVAL));
        self.vitals.serves();
        loop {
            // Not in a fixed order: under load none of these may wait for another.
            tokio::select! {
                () = &mut shutdown => break,
                requests = self.front.receive(BATCH) => {
                    let Some(requests) = requests else { break };
                    let now = self.now();
                    if self.dispatcher.held() == 0 {
                        // It may not have looked for a while who is still there.
                        self.dispatcher.turn(now);
                    }
                    for request in requests {
                        self.dispatcher.request(request.envelope, request.body, now);
                    }
                }
                messages = self.back.receive(BATCH) => {
                    let Some(messages) = messages else { break };
                    for message in messages {
                        self.server_says(&message.envelope.identity(), message.body);
                    }
                }
                gone = self.back.gone() => {
                    let Some(gone) = gone else { break };
                    self.dispatcher.server_gone(&gone);
                }
                () = &mut next_turn => {}
            }
            self.dispatcher.turn(self.now());
            self.act();
            self.show();
            let idle = self.dispatcher.held() == 0;
            let next = Instant::now() + if idle { IDLE_INTERVAL } else { TURN_INTERVAL };
            if next_turn.is_elapsed() || next < next_turn.deadline() {
                next_turn.as_mut().reset(next);
            }
        }
        self.dispatcher.end(self.now());
        if self.act() > 0 {
            tokio::time::sleep(FAREWELL).await;
        }
        self.front.close().await;
        self.back.close().await;
    }

    /// Shows those who watch that the loop turns, and what is missing.
    fn show(&mut self) {
        let now = self.now();
        if now < self.looked_ms + BEAT_INTERVAL_MS && self.looked_ms > 0 {
            return;
        }
        self.looked_ms = now.max(1);
        self.vitals.beat();
        self.dispatcher.measure();
        let lack = self.dispatcher.lacks();
        self.vitals.lacks(lack.iter().map(Lack::to_string).collect());
    }

    fn server_says(&mut self, identity: &Bytes, body: Vec<Bytes>) {
        let mut frames = body.into_iter();
        let Some(header) = frames.next() else { return };
        match codec::decode_to_broker(&header) {
            Ok((said, clock)) => {
                self.clock.seen(clock);
                self.dispatcher.server_says(identity, said, frames.next(), self.now());
            }
            Err(error) => tracing::debug!(%error, "a server's header is unreadable"),
        }
    }

    /// Tells servers how the broker is.
    fn tell(&mut self, to: Vec<Bytes>, servers: Vec<Connected>) {
        let now = self.now();
        let stamp = self.clock.stamp();
        let since = |server: Connected| ConnectedServer {
            name: server.name,
            since: stamp.timestamp.saturating_sub(now.saturating_sub(server.since_ms)),
        };
        let facts = BrokerFacts {
            address: self.front.endpoint().to_owned(),
            pid: std::process::id(),
            http: self.http.clone(),
            uptime_ms: now,
            clients: self.front.connections() as u64,
            servers: servers.into_iter().map(since).collect(),
        };
        let header = codec::encode_broker_facts(&facts, stamp);
        for server in to {
            self.back.send_to(&server, vec![Bytes::new(), header.clone(), Bytes::new()]);
        }
    }

    /// Does what the dispatcher decided, and says how much that was.
    fn act(&mut self) -> usize {
        let actions = self.dispatcher.actions();
        let count = actions.len();
        for action in actions {
            match action {
                Action::Deal { server, header, body } => {
                    let header = codec::encode_to_server(&header, self.clock.stamp());
                    self.back.send_to(&server, vec![Bytes::new(), header, body]);
                }
                Action::Reply { to, body } => self.front.send(&to, vec![body]),
                Action::Refuse { to, service, refusal } => {
                    let reply = Reply::Refused(refusal);
                    let body = codec::encode_reply(&service, &reply, self.clock.stamp());
                    self.front.send(&to, vec![body]);
                }
                Action::Tell { to, servers } => self.tell(to, servers),
                Action::Status { to, status } => {
                    let reply = Reply::Status(status);
                    let body = codec::encode_reply("status", &reply, self.clock.stamp());
                    self.front.send(&to, vec![body]);
                }
            }
        }
        count
    }
}

/// Binds a broker and runs it until `shutdown` ends.
pub async fn run_broker(
    config: BrokerConfig,
    shutdown: impl Future<Output = ()>,
) -> Result<(), BrokerError> {
    let broker = Broker::bind(config).await?;
    let [front, back] = broker.endpoints();
    tracing::info!(front, back, "the broker is ready");
    broker.run(shutdown).await
}
