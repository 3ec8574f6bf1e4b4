//! What the drill's clients do: write unique messages, read, and listen, all at the same time.

mod asker;
mod cast;
mod readers;
mod record;
mod subscribers;
mod writers;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use recado_client::{Client, ClientConfig, ClientError};
use tokio::task::JoinSet;

use crate::history::{History, Topic};
pub use asker::{Answer, Asker};
pub use cast::Cast;
pub use readers::{history_of, row};
pub use record::Recorder;

/// Clients of the library, which repeat by themselves.
const SESSION_WRITERS: u32 = 4;
/// Clients that repeat on purpose, also what was acknowledged.
const REPEATING_WRITERS: u32 = 3;
/// Standard clients without request ids.
const PLAIN_WRITERS: u32 = 2;
/// Clients that read.
const READERS: u32 = 4;

/// How long one request of the library's clients is tried.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often the subscribers are looked at in the end.
const SETTLE_LOOK: Duration = Duration::from_millis(50);

/// What faults tell the workload.
#[derive(Default)]
pub struct Wishes {
    /// Writers stop.
    pub quiet: AtomicBool,
    /// The slow subscribers read nothing.
    pub slow: AtomicBool,
    /// So many more subscribers shall join in mid-stream.
    pub late: AtomicU64,
}

/// Where the drill's clients connect to.
#[derive(Clone, Debug)]
pub struct Doors {
    /// The brokers.
    pub brokers: Vec<String>,
    /// The proxies.
    pub proxies: Vec<String>,
}

impl Doors {
    /// The one broker of a client that knows one only.
    fn broker(&self, client: u32) -> &str {
        let index = usize::try_from(client).unwrap_or(0) % self.brokers.len().max(1);
        self.brokers.get(index).map_or("", String::as_str)
    }

    /// A client of the library, which knows all of them.
    ///
    /// # Errors
    /// When an address can't be used at all.
    pub async fn client(&self, patience: Duration) -> Result<Client, ClientError> {
        let mut config = ClientConfig::new(self.brokers.clone(), self.proxies.clone());
        config.patience = patience;
        Client::connect(config).await
    }
}

/// The clients; they end with this.
pub struct Workload {
    /// What they do and see.
    pub recorder: Recorder,
    /// What they are told.
    pub wishes: Arc<Wishes>,
    /// What they write to.
    pub topics: Arc<[Topic]>,
    tasks: Tasks,
    positions: subscribers::Positions,
}

#[derive(Default)]
struct Tasks {
    writers: JoinSet<()>,
    readers: JoinSet<()>,
    listeners: JoinSet<()>,
}

/// What each client of the workload has.
#[derive(Clone)]
struct Desk {
    doors: Doors,
    recorder: Recorder,
    wishes: Arc<Wishes>,
    topics: Arc<[Topic]>,
    /// Between the beginnings of two writes of one client.
    pace: Duration,
    seed: u64,
}

impl Desk {
    fn rng(&self, client: u32) -> StdRng {
        StdRng::seed_from_u64(self.seed ^ (u64::from(client) << 32))
    }

    fn pick<'a>(&'a self, rng: &mut StdRng) -> &'a Topic {
        &self.topics[rng.random_range(0..self.topics.len())]
    }

    fn quiet(&self) -> bool {
        self.wishes.quiet.load(Relaxed)
    }

    /// A client of the library.
    async fn client(&self) -> Result<Client, ClientError> {
        self.doors.client(PATIENCE).await
    }
}

impl Workload {
    /// Makes users and channels, and starts all clients. On a cluster that is `shared` with others
    /// they have names of their own.
    ///
    /// # Errors
    /// When the cluster does not take users and channels.
    pub async fn start(
        doors: Doors,
        rate: u32,
        seed: u64,
        shared: bool,
    ) -> Result<Workload, ClientError> {
        let writers_count = SESSION_WRITERS + REPEATING_WRITERS + PLAIN_WRITERS;
        let client = doors.client(PATIENCE).await?;
        let cast = if shared { Cast::apart(&client, seed).await? } else { Cast::default() };
        cast.enter(&client, writers_count).await?;
        client.close().await;
        let desk = Desk {
            recorder: Recorder::start(),
            wishes: Arc::default(),
            topics: cast.topics().into(),
            pace: Duration::from_secs_f64(f64::from(writers_count) / f64::from(rate.max(1))),
            doors,
            seed,
        };
        let positions = subscribers::Positions::default();
        let mut tasks = Tasks::default();
        subscribers::start(&desk, &positions, &mut tasks.listeners).await?;
        for number in 0..READERS {
            let reader = readers::Reader::connect(&desk, number).await?;
            tasks.readers.spawn(reader.run());
        }
        for number in 0..writers_count {
            let messages = writers::Messages::new(&desk, number, &cast.writer(number));
            if number < SESSION_WRITERS {
                desk.recorder.history().movers.insert(messages.client());
                let client = desk.client().await?;
                tasks.writers.spawn(writers::by_session(messages, client));
            } else if number < SESSION_WRITERS + REPEATING_WRITERS {
                let asker = Asker::connect(desk.doors.broker(number)).await?;
                tasks.writers.spawn(writers::repeating(messages, asker));
            } else {
                let asker = Asker::connect(desk.doors.broker(number)).await?;
                tasks.writers.spawn(writers::plainly(messages, asker));
            }
        }
        let Desk { recorder, wishes, topics, .. } = desk;
        Ok(Workload { recorder, wishes, topics, tasks, positions })
    }

    /// Lets the writers finish what they began; whoever takes longer is stopped, and what he
    /// waited for stays unknown.
    pub async fn stop_writers(&mut self, patience: Duration) {
        self.wishes.quiet.store(true, Relaxed);
        let ended = async { while self.tasks.writers.join_next().await.is_some() {} };
        _ = tokio::time::timeout(patience, ended).await;
        self.tasks.writers.shutdown().await;
        self.tasks.readers.shutdown().await;
    }

    /// Waits until every subscriber that listens for good has everything up to these numbers;
    /// says who lacks what if they don't get there.
    pub async fn settle(&self, newest: &BTreeMap<Topic, u64>, patience: Duration) -> Vec<String> {
        self.wishes.slow.store(false, Relaxed);
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            let lacking = self.positions.lacking(newest);
            if lacking.is_empty() || tokio::time::Instant::now() >= deadline {
                return lacking;
            }
            tokio::time::sleep(SETTLE_LOOK).await;
        }
    }

    /// Stops everybody and gives what was recorded.
    pub async fn finish(mut self) -> History {
        self.tasks.writers.shutdown().await;
        self.tasks.readers.shutdown().await;
        self.tasks.listeners.shutdown().await;
        std::mem::take(&mut *self.recorder.history())
    }
}
