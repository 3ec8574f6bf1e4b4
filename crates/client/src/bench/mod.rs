//! The load generator.
//!
//! | what | how |
//! |---|---|
//! | [`run_writes`] | clients that each publish, wait for the acknowledgement, and publish again |
//! | [`run_latency`] | messages at a fixed rate, whatever the cluster does |
//! | [`run_fan_out`] | messages through the cluster, each to many subscribers |
//! | [`run_proxy`] | events through nothing but a proxy, any standard one |
//! | [`run_reads`] | clients that each ask for a page, wait for it, and ask again |
//! | [`run_fail_over`] | the longest time without an acknowledgement while a primary dies |
//!
//! What is counted: a reply that was decoded and is what was wanted, arriving within the window of
//! measurement. Nothing is repeated; whatever else comes is an error and counted as one.
//! Publishing carries request ids, as every client of ours does.

mod closed;
mod fail_over;
mod fan_out;
mod figures;
mod load;
mod open;
mod proxy;

use std::time::Duration;

use recado_protocol::{Code, Reply};
use recado_transport::{AnyOf, Caller};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::error::ClientError;
use crate::session::{Client, ClientConfig};

pub use closed::{ReadReport, run_reads, run_writes};
pub use fail_over::{FailOverReport, run_fail_over};
pub use fan_out::{FanOutReport, run_fan_out};
pub use figures::Spread;
pub use open::{LatencyReport, run_latency};
pub use proxy::run_proxy;

use load::LoadClient;

/// How many channels the load is spread over at the most.
const MAX_CHANNELS: usize = 16;

/// How long every connection may take to stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The load, and how long it is measured.
#[derive(Clone, Debug)]
pub struct BenchConfig {
    /// The brokers, `tcp://host:5555`; the connections spread over them.
    pub brokers: AnyOf,
    /// How many clients, each with one request in flight.
    pub clients: usize,
    /// How long is measured in each round, seconds.
    pub seconds: u64,
    /// How long the load runs before each measurement starts, seconds.
    pub warm_up_seconds: u64,
    /// How many rounds; their figures are told apart.
    pub rounds: usize,
    /// The length of each message's text, bytes.
    pub size_bytes: usize,
    /// Over how many connections; none: one for each client.
    pub connections: Option<usize>,
}

impl BenchConfig {
    /// One round of 64 clients with 200-byte messages for 10 s after 1 s of warm-up.
    pub fn new(brokers: impl Into<AnyOf>) -> BenchConfig {
        BenchConfig {
            brokers: brokers.into(),
            clients: 64,
            seconds: 10,
            warm_up_seconds: 1,
            rounds: 1,
            size_bytes: 200,
            connections: None,
        }
    }

    /// When is measured if the load starts then.
    fn window_from(&self, start: Instant) -> Window {
        let begin = start + Duration::from_secs(self.warm_up_seconds);
        Window { begin, end: begin + Duration::from_secs(self.seconds.max(1)) }
    }
}

/// What was measured in one round. Latencies are exact percentiles (nearest rank) over all answers
/// within the window, each from before the request was encoded until its reply was decoded.
#[derive(Clone, Debug, PartialEq)]
pub struct BenchReport {
    /// Answers within the window: acknowledgements, or pages.
    pub answers: u64,
    /// The window, seconds.
    pub seconds: f64,
    /// Answers per second.
    pub per_s: f64,
    /// The median latency, ms.
    pub p50_ms: f64,
    /// The 90th percentile, ms.
    pub p90_ms: f64,
    /// The 99th percentile, ms.
    pub p99_ms: f64,
    /// The 99.9th percentile, ms.
    pub p999_ms: f64,
    /// The longest latency, ms.
    pub max_ms: f64,
    /// The longest time within the window without any answer, ms.
    pub longest_gap_ms: f64,
    /// Requests within the window that brought anything but the wanted answer.
    pub errors: u64,
    /// What the first of them was.
    pub first_error: Option<String>,
}

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The cluster could not be reached, or refused what the load needs.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Something else is missing; the sentence says what to do.
    #[error("{0}")]
    Setup(String),
}

/// When is measured.
#[derive(Clone, Copy, Debug)]
struct Window {
    begin: Instant,
    end: Instant,
}

impl Window {
    fn has(&self, time: Instant) -> bool {
        time >= self.begin && time < self.end
    }

    fn length(&self) -> Duration {
        self.end - self.begin
    }
}

/// The clients of a load, with the connections that they share.
struct Crowd {
    clients: Vec<LoadClient>,
    callers: Vec<Caller>,
}

impl Crowd {
    /// Makes the channels, connects, and opens the sessions.
    async fn gather(config: &BenchConfig) -> Result<Crowd, ClientError> {
        let clients = config.clients.max(1);
        let channels = make_channels(config, clients.min(MAX_CHANNELS)).await?;
        let connections = config.connections.unwrap_or(clients).clamp(1, clients);
        let callers = connect(config, connections).await?;
        let mut ready = JoinSet::new();
        for number in 0..clients {
            let caller = callers[number % callers.len()].clone();
            let channel = channels[number % channels.len()].clone();
            let size_bytes = config.size_bytes;
            ready.spawn(async move { LoadClient::open(caller, channel, number, size_bytes).await });
        }
        let mut clients = Vec::with_capacity(clients);
        while let Some(opened) = ready.join_next().await {
            clients.push(opened.map_err(|error| ClientError::BadReply(error.to_string()))??);
        }
        Ok(Crowd { clients, callers })
    }

    async fn leave(self) {
        for caller in &self.callers {
            caller.close().await;
        }
    }
}

/// Channels for the load. Their names are the same in every run: channels are for ever, and a
/// list that grows with each measurement would be no use to those who chat.
async fn make_channels(config: &BenchConfig, count: usize) -> Result<Vec<String>, ClientError> {
    let client = Client::connect(ClientConfig::new(&config.brokers, "")).await?;
    let mut channels = Vec::with_capacity(count);
    for number in 0..count {
        let channel = format!("bench-channel-{}", number + 1);
        match client.create_channel(&channel).await {
            Err(error) if error.code() != Some(Code::ChannelExists) => return Err(error),
            _ => {}
        }
        channels.push(channel);
    }
    client.close().await;
    Ok(channels)
}

async fn connect(config: &BenchConfig, count: usize) -> Result<Vec<Caller>, ClientError> {
    let mut callers = Vec::with_capacity(count);
    for number in 0..count {
        callers.push(Caller::connect(config.brokers.starting_at(number)).await?);
    }
    let started = Instant::now();
    for caller in &callers {
        if !caller.wait_connected(CONNECT_TIMEOUT.saturating_sub(started.elapsed())).await {
            let waited_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            return Err(ClientError::Unavailable { waited_ms, why: None });
        }
    }
    Ok(callers)
}

/// Whether a reply to `session` means that the server knows none (a standard server).
fn no_sessions(reply: &Reply) -> bool {
    matches!(reply, Reply::Refused(refusal)
        if !matches!(refusal.code, Code::Unavailable | Code::Unknown))
}
