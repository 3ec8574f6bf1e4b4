//! Load for the systems that Recado is compared with: clients that each write, wait for the
//! answer, and write again, as `recado bench` does. What is counted, and how, is the same there:
//! answers within the window of measurement, latencies as exact percentiles over all of them.

mod etcd;
mod figures;
mod nats;

use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::{Parser, ValueEnum};
use figures::Samples;
use tokio::task::JoinSet;

/// The pause after an error, so that a dead cluster is not counted in millions of errors.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(10);

/// How many subjects or keys the load is spread over at the most.
const MAX_TOPICS: usize = 16;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Clone, Copy, ValueEnum)]
enum Peer {
    /// Publish to a JetStream stream with three replicas on disk.
    Nats,
    /// Print the name of the server that leads the stream.
    NatsLeader,
    /// Put values.
    Etcd,
}

/// Load for the systems that Recado is compared with.
#[derive(Parser)]
struct Options {
    /// Whom.
    peer: Peer,
    /// HOST:PORT of all servers.
    #[arg(long, value_delimiter = ',')]
    servers: Vec<String>,
    /// How many clients, each with one request in flight.
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// Over how many connections [default: one for each client].
    #[arg(long)]
    connections: Option<usize>,
    /// How long is measured, s.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// How long the load runs before, s.
    #[arg(long, default_value_t = 1)]
    warm_up: u64,
    /// Length of each message, bytes.
    #[arg(long, default_value_t = 200)]
    size: usize,
    /// How long one answer is waited for, ms.
    #[arg(long, default_value_t = 5000)]
    timeout_ms: u64,
}

/// One client of a peer.
trait Writer: Clone + Send + 'static {
    fn write(
        &self,
        topic: usize,
        message: Bytes,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
}

fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build()?.block_on(run(&options))
}

async fn run(options: &Options) -> Result<(), Failure> {
    let connections = options.connections.unwrap_or(options.clients).clamp(1, options.clients);
    match options.peer {
        Peer::NatsLeader => println!("{}", nats::leader(&options.servers).await?),
        Peer::Nats => measure(options, nats::connect(options, connections).await?).await,
        Peer::Etcd => measure(options, etcd::connect(options, connections).await?).await,
    }
    Ok(())
}

async fn measure<W: Writer>(options: &Options, writers: Vec<W>) {
    let begin = Instant::now() + Duration::from_secs(options.warm_up);
    let end = begin + Duration::from_secs(options.seconds.max(1));
    let mut running = JoinSet::new();
    for number in 0..options.clients {
        let writer = writers[number % writers.len()].clone();
        running.spawn(write_until(writer, number % MAX_TOPICS, options.size, begin, end));
    }
    let mut samples = Samples::default();
    while let Some(done) = running.join_next().await {
        match done {
            Ok(more) => samples.add(more),
            Err(error) => samples.error(&format!("a client ended early: {error}")),
        }
    }
    println!("{}", samples.report(end - begin));
}

async fn write_until<W: Writer>(
    writer: W,
    topic: usize,
    size: usize,
    begin: Instant,
    end: Instant,
) -> Samples {
    let mut samples = Samples::default();
    let mut number: u64 = 0;
    loop {
        let sent = Instant::now();
        if sent >= end {
            return samples;
        }
        number += 1;
        let mut message = format!("{number} ").into_bytes();
        message.resize(size.max(1), b'x');
        let answer = tokio::time::timeout_at(end.into(), writer.write(topic, message.into()));
        // What is still unanswered at the end does not count.
        let Ok(answer) = answer.await else { return samples };
        let answered = Instant::now();
        let counts = answered >= begin && answered < end;
        match answer {
            Ok(()) if counts => samples.answer(answered - begin, answered - sent),
            Ok(()) => {}
            Err(why) => {
                if counts {
                    samples.error(&why.to_string());
                }
                tokio::time::sleep(PAUSE_AFTER_ERROR).await;
            }
        }
    }
}
