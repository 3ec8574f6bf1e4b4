//! The load generator: clients that each publish, wait for the acknowledgement, and publish again.
//!
//! What is counted: a reply that was decoded and says that the message is stored, arriving within
//! the window of measurement. Nothing is repeated; whatever else comes is an error and counted as
//! one. Publishing carries request ids, as every client of ours does.

mod figures;
mod load;

use std::time::Duration;

use recado_protocol::{Code, Reply, Request};
use recado_transport::Caller;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::error::ClientError;
use crate::session::{Client, ClientConfig};

use figures::Samples;
use load::LoadClient;

/// How many channels the load is spread over at the most.
const MAX_CHANNELS: usize = 16;

/// How long every connection may take to stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What to measure.
#[derive(Clone, Debug)]
pub struct BenchConfig {
    /// The broker, `tcp://host:5555`.
    pub broker: String,
    /// How many clients, each with one request in flight.
    pub clients: usize,
    /// How long is measured, seconds.
    pub seconds: u64,
    /// How long the load runs before the measurement starts, seconds.
    pub warm_up_seconds: u64,
    /// The length of each message's text, bytes.
    pub size_bytes: usize,
    /// Over how many connections; none: one for each client.
    pub connections: Option<usize>,
}

impl BenchConfig {
    /// 64 clients with 200-byte messages for 10 s after 1 s of warm-up.
    pub fn new(broker: impl Into<String>) -> BenchConfig {
        BenchConfig {
            broker: broker.into(),
            clients: 64,
            seconds: 10,
            warm_up_seconds: 1,
            size_bytes: 200,
            connections: None,
        }
    }
}

/// What was measured. Latencies are exact percentiles (nearest rank) over all acknowledgements
/// within the window, each from before the request was encoded until its reply was decoded.
#[derive(Clone, Debug, PartialEq)]
pub struct BenchReport {
    /// Acknowledgements within the window.
    pub acks: u64,
    /// The window, seconds.
    pub seconds: f64,
    /// Acknowledgements per second.
    pub acks_per_s: f64,
    /// The median latency, ms.
    pub p50_ms: f64,
    /// The 99th percentile, ms.
    pub p99_ms: f64,
    /// The longest latency, ms.
    pub max_ms: f64,
    /// The longest time within the window without any acknowledgement, ms.
    pub longest_gap_ms: f64,
    /// Requests within the window that brought anything but an acknowledgement.
    pub errors: u64,
    /// What the first of them was.
    pub first_error: Option<String>,
}

/// Runs the load and measures it.
///
/// # Errors
/// When the load can't be set up: no connection, or the cluster refuses a channel or a session.
pub async fn run_bench(config: BenchConfig) -> Result<BenchReport, ClientError> {
    let clients = config.clients.max(1);
    let channels = make_channels(&config, clients.min(MAX_CHANNELS)).await?;
    let callers = connect(&config, config.connections.unwrap_or(clients).clamp(1, clients)).await?;
    let mut ready = JoinSet::new();
    for number in 0..clients {
        let caller = callers[number % callers.len()].clone();
        let channel = channels[number % channels.len()].clone();
        let size_bytes = config.size_bytes;
        ready.spawn(async move { LoadClient::open(caller, channel, number, size_bytes).await });
    }
    let mut loads = Vec::with_capacity(clients);
    while let Some(opened) = ready.join_next().await {
        loads.push(opened.map_err(|error| ClientError::BadReply(error.to_string()))??);
    }
    let begin = Instant::now() + Duration::from_secs(config.warm_up_seconds);
    let end = begin + Duration::from_secs(config.seconds.max(1));
    let mut running = JoinSet::new();
    for load in loads {
        running.spawn(load.run(begin, end));
    }
    let mut samples = Samples::default();
    while let Some(done) = running.join_next().await {
        match done {
            Ok(more) => samples.add(more),
            Err(error) => samples.error(&format!("a client ended early: {error}")),
        }
    }
    for caller in &callers {
        caller.close().await;
    }
    Ok(samples.report(end - begin))
}

/// Channels for the load. Their names are the same in every run: channels are for ever, and a
/// list that grows with each measurement would be no use to those who chat.
async fn make_channels(config: &BenchConfig, count: usize) -> Result<Vec<String>, ClientError> {
    let client = Client::connect(ClientConfig::new(&config.broker, "")).await?;
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
    for _ in 0..count {
        callers.push(Caller::connect(&config.broker).await?);
    }
    let started = Instant::now();
    for caller in &callers {
        if !caller.wait_connected(CONNECT_TIMEOUT.saturating_sub(started.elapsed())).await {
            let waited_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            return Err(ClientError::Unavailable { waited_ms });
        }
    }
    Ok(callers)
}

/// Whether a reply to `session` means that the server knows none (a standard server).
fn no_sessions(reply: &Reply) -> bool {
    matches!(reply, Reply::Refused(refusal)
        if !matches!(refusal.code, Code::Unavailable | Code::Unknown))
}

/// A request to publish.
fn publish(user: &str, channel: &str, message: String) -> Request {
    Request::Publish { user: user.to_owned(), channel: channel.to_owned(), message }
}
