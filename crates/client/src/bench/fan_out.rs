//! Messages to many subscribers: how many arrive, and how many do not.
//!
//! Subscribers take what the proxy gives them and repair nothing: what is lost is to be seen here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use recado_protocol::Event;
use recado_protocol::codec::decode_event;
use recado_transport::{AnyOf, Subscriber};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::load::LoadClient;
use super::{BenchConfig, BenchError, CONNECT_TIMEOUT, Crowd, Window};

/// How often something is published until every subscriber heard of it.
const PROBE_INTERVAL: Duration = Duration::from_millis(50);

/// How long subscriptions may take to reach the publishers.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long what is still on its way after a round may take to arrive.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(5);

/// How many events a subscriber takes before others get their turn.
const TURN_EVENTS: usize = 256;

/// What was measured in one round.
#[derive(Clone, Debug, PartialEq)]
pub struct FanOutReport {
    /// Events that arrived within the window, all subscribers together.
    pub deliveries: u64,
    /// Deliveries per second.
    pub deliveries_per_s: f64,
    /// Messages that were published within the window (acknowledged, if through the cluster).
    pub published: u64,
    /// Events of this round, its warm-up included, that never arrived, all subscribers together.
    pub lost: u64,
    /// Events that arrived a second time.
    pub repeated: u64,
}

/// Finds the number of an event in its topic and body.
pub(super) type ReadSeq = fn(&[u8], &[u8]) -> Option<u64>;

/// What one subscriber heard. Numbers of a topic go up by one, so that a jump is a loss.
struct Heard {
    /// By topic, the highest number; 0 before the first.
    newest: Vec<AtomicU64>,
    lost: AtomicU64,
    repeated: AtomicU64,
    deliveries: AtomicU64,
}

/// All subscribers of a load.
pub(super) struct Audience {
    heard: Vec<Arc<Heard>>,
    /// Whether deliveries count now.
    counting: Arc<AtomicBool>,
    _listeners: JoinSet<()>,
}

impl Audience {
    /// Connects so many subscribers to the proxies, each to all topics.
    pub(super) async fn gather(
        proxies: &AnyOf,
        subscribers: usize,
        topics: Vec<Bytes>,
        read: ReadSeq,
    ) -> Result<Audience, BenchError> {
        let topics: Arc<[Bytes]> = topics.into();
        let counting = Arc::new(AtomicBool::new(false));
        let mut heard = Vec::with_capacity(subscribers);
        let mut listeners = JoinSet::new();
        for number in 0..subscribers.max(1) {
            let subscriber = Subscriber::connect(proxies.starting_at(number)).await;
            let subscriber = subscriber.map_err(super::ClientError::from)?;
            if !subscriber.wait_connected(CONNECT_TIMEOUT).await {
                return Err(BenchError::Setup(format!(
                    "no proxy answers at {proxies}; start it, or say where it is with --proxy"
                )));
            }
            for topic in topics.iter() {
                subscriber.subscribe(topic).await;
            }
            let mine = Arc::new(Heard {
                newest: topics.iter().map(|_| AtomicU64::new(0)).collect(),
                lost: AtomicU64::new(0),
                repeated: AtomicU64::new(0),
                deliveries: AtomicU64::new(0),
            });
            heard.push(Arc::clone(&mine));
            let (topics, counting) = (Arc::clone(&topics), Arc::clone(&counting));
            listeners.spawn(listen(subscriber, topics, read, mine, counting));
        }
        Ok(Audience { heard, counting, _listeners: listeners })
    }

    /// Forgets what was lost and repeated so far.
    pub(super) fn forget(&self) {
        for heard in &self.heard {
            heard.lost.store(0, Relaxed);
            heard.repeated.store(0, Relaxed);
        }
    }

    /// The number that every subscriber has reached in a topic.
    pub(super) fn slowest(&self, topic: usize) -> u64 {
        self.heard.iter().map(|heard| heard.newest[topic].load(Relaxed)).min().unwrap_or(0)
    }

    /// Counts deliveries within the window, and returns when it is over.
    pub(super) async fn count(&self, window: Window) -> u64 {
        let sum = || self.heard.iter().map(|heard| heard.deliveries.load(Relaxed)).sum::<u64>();
        tokio::time::sleep_until(window.begin).await;
        let before = sum();
        self.counting.store(true, Relaxed);
        tokio::time::sleep_until(window.end).await;
        self.counting.store(false, Relaxed);
        sum() - before
    }

    /// Waits for what is still on its way to these numbers, one for each topic, and returns how
    /// many events were lost and repeated since the last call.
    pub(super) async fn settle(&self, reached: &[u64]) -> (u64, u64) {
        let deadline = Instant::now() + SETTLE_TIMEOUT;
        let all_there =
            || reached.iter().enumerate().all(|(topic, seq)| self.slowest(topic) >= *seq);
        while !all_there() && Instant::now() < deadline {
            tokio::time::sleep(PROBE_INTERVAL).await;
        }
        let (mut lost, mut repeated) = (0, 0);
        for heard in &self.heard {
            for (newest, seq) in heard.newest.iter().zip(reached) {
                // Counted as lost now; what still comes of it is late, and no jump either.
                lost += seq.saturating_sub(newest.fetch_max(*seq, Relaxed));
            }
            lost += heard.lost.swap(0, Relaxed);
            repeated += heard.repeated.swap(0, Relaxed);
        }
        (lost, repeated)
    }
}

async fn listen(
    subscriber: Subscriber,
    topics: Arc<[Bytes]>,
    read: ReadSeq,
    heard: Arc<Heard>,
    counting: Arc<AtomicBool>,
) {
    let mut turn = 0;
    while let Some((topic, body)) = subscriber.receive().await {
        let at = topics.iter().position(|name| *name == topic);
        if let (Some(at), Some(seq)) = (at, read(&topic, &body)) {
            heard.take(at, seq, counting.load(Relaxed));
        }
        turn += 1;
        if turn % TURN_EVENTS == 0 {
            tokio::task::yield_now().await;
        }
    }
}

impl Heard {
    fn take(&self, topic: usize, seq: u64, counts: bool) {
        let newest = self.newest[topic].fetch_max(seq, Relaxed);
        if newest != 0 && seq <= newest {
            self.repeated.fetch_add(1, Relaxed);
            return;
        }
        if newest != 0 {
            self.lost.fetch_add(seq - newest - 1, Relaxed);
        }
        self.deliveries.fetch_add(u64::from(counts), Relaxed);
    }
}

/// Publishes, by as many clients as the configuration has, to many subscribers at the proxies; one
/// report a round.
///
/// # Errors
/// When the load can't be set up: no broker, no proxy, or subscriptions that have no effect.
pub async fn run_fan_out(
    config: &BenchConfig,
    proxies: &AnyOf,
    subscribers: usize,
) -> Result<Vec<FanOutReport>, BenchError> {
    let mut crowd = Crowd::gather(config).await?;
    let mut topics: Vec<Bytes> = Vec::new();
    for client in &crowd.clients {
        let topic = Bytes::copy_from_slice(client.channel().as_bytes());
        if !topics.contains(&topic) {
            topics.push(topic);
        }
    }
    let audience = Audience::gather(proxies, subscribers, topics.clone(), read_seq).await?;
    let topic_of = |client: &LoadClient| {
        topics.iter().position(|topic| topic == client.channel()).unwrap_or_default()
    };
    for client in &mut crowd.clients {
        // What fails is tried again.
        probe(&audience, topic_of(client), async || _ = client.publish().await).await?;
    }
    audience.forget();
    let mut reports = Vec::with_capacity(config.rounds);
    for _ in 0..config.rounds.max(1) {
        let window = config.window_from(Instant::now());
        let mut running: JoinSet<(LoadClient, u64, u64)> = JoinSet::new();
        for client in crowd.clients.drain(..) {
            running.spawn(publish_until(client, window));
        }
        let deliveries = audience.count(window).await;
        let mut published = 0;
        let mut reached = vec![0; topics.len()];
        while let Some(done) = running.join_next().await {
            let (client, acks, newest) = done.map_err(|error| {
                BenchError::Setup(format!("a client ended early: {error}; please report this"))
            })?;
            let topic = topic_of(&client);
            reached[topic] = newest.max(reached[topic]);
            published += acks;
            crowd.clients.push(client);
        }
        let (lost, repeated) = audience.settle(&reached).await;
        let deliveries_per_s = deliveries as f64 / window.length().as_secs_f64();
        reports.push(FanOutReport { deliveries, deliveries_per_s, published, lost, repeated });
    }
    crowd.leave().await;
    Ok(reports)
}

/// Waits until every subscriber has heard what `publish` sends on this topic.
pub(super) async fn probe(
    audience: &Audience,
    topic: usize,
    mut publish: impl AsyncFnMut(),
) -> Result<(), BenchError> {
    let deadline = Instant::now() + SUBSCRIBE_TIMEOUT;
    while audience.slowest(topic) == 0 {
        if Instant::now() >= deadline {
            return Err(BenchError::Setup(format!(
                "within {} s not every subscriber heard what was published; look at the proxy's \
                 log",
                SUBSCRIBE_TIMEOUT.as_secs()
            )));
        }
        publish().await;
        tokio::time::sleep(PROBE_INTERVAL).await;
    }
    Ok(())
}

/// One publisher: how many acknowledgements came within the window, and the highest number that
/// was acknowledged at all.
async fn publish_until(mut client: LoadClient, window: Window) -> (LoadClient, u64, u64) {
    let (mut acks, mut newest) = (0, 0);
    while let Ok(answer) = tokio::time::timeout_at(window.end, client.publish()).await {
        match answer {
            Ok(ack) => {
                newest = ack.seq.max(newest);
                acks += u64::from(window.has(Instant::now()));
            }
            Err(_) => tokio::time::sleep(PROBE_INTERVAL).await,
        }
    }
    (client, acks, newest)
}

fn read_seq(topic: &[u8], body: &[u8]) -> Option<u64> {
    match decode_event(topic, body) {
        Ok(Event::Publication(record)) => Some(record.seq),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jumps_are_losses_and_steps_back_are_repeats() {
        let heard = Heard {
            newest: vec![AtomicU64::new(0), AtomicU64::new(0)],
            lost: AtomicU64::new(0),
            repeated: AtomicU64::new(0),
            deliveries: AtomicU64::new(0),
        };
        // What was before the subscription is no loss; topics are apart.
        for (topic, seq) in [(0, 7), (0, 8), (1, 40), (0, 11), (0, 8), (1, 41)] {
            heard.take(topic, seq, true);
        }
        assert_eq!(heard.lost.load(Relaxed), 2);
        assert_eq!(heard.repeated.load(Relaxed), 1);
        assert_eq!(heard.deliveries.load(Relaxed), 5);
    }
}
