//! Events through nothing but a proxy, as fast as it passes them on: any XSUB–XPUB proxy will do,
//! so that two of them can be compared.
//!
//! Publishers don't run away from their subscribers: nobody is more than [`MAX_AHEAD_EVENTS`] ahead
//! of the slowest one. Without that every publisher outruns every subscriber, and what is measured
//! is how much a proxy throws away.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use recado_transport::Publisher;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::fan_out::{Audience, FanOutReport, probe};
use super::{BenchConfig, BenchError, ClientError, Window};

/// How far a publisher may be ahead of its slowest subscriber. Half of what our proxy keeps.
const MAX_AHEAD_EVENTS: u64 = 8 * 1024;

/// How many events are sent between two looks at the subscribers.
const BURST_EVENTS: u64 = 64;

/// How long a publisher waits for a subscriber that hears nothing more: what is missing then is
/// lost, and must not hold up the rest.
const STALL: Duration = Duration::from_millis(500);

/// The number of an event: its body's first bytes.
const SEQ_BYTES: usize = size_of::<u64>();

/// Publishes by as many publishers as the configuration has clients; one report a round.
///
/// # Errors
/// When there is no proxy, or subscriptions have no effect.
pub async fn run_proxy(
    config: &BenchConfig,
    publishers_at: &str,
    subscribers_at: &str,
    subscribers: usize,
) -> Result<Vec<FanOutReport>, BenchError> {
    let mut publishers = Vec::new();
    for topic in 0..config.clients.max(1) {
        publishers.push(Source::connect(publishers_at, topic, config.size_bytes).await?);
    }
    let topics = publishers.iter().map(|source| source.name.clone()).collect();
    let audience = Audience::gather(&subscribers_at.into(), subscribers, topics, read_seq).await?;
    let audience = Arc::new(audience);
    for source in &mut publishers {
        // The first number, again and again.
        let event = source.event(1);
        // Without a proxy nobody hears it, which shows.
        let publish = async || {
            _ = source.publisher.publish(source.name.clone(), event.clone()).await;
        };
        probe(&audience, source.topic, publish).await?;
        source.sent = 1;
    }
    audience.forget();
    let mut reports = Vec::with_capacity(config.rounds);
    for _ in 0..config.rounds.max(1) {
        let window = config.window_from(Instant::now());
        let mut running: JoinSet<(Source, u64)> = JoinSet::new();
        for source in publishers.drain(..) {
            running.spawn(source.run(window, audience.clone()));
        }
        let deliveries = audience.count(window).await;
        let mut published = 0;
        while let Some(done) = running.join_next().await {
            let (source, count) = done.map_err(|error| {
                BenchError::Setup(format!("a publisher ended early: {error}; please report this"))
            })?;
            published += count;
            publishers.push(source);
        }
        publishers.sort_unstable_by_key(|source| source.topic);
        let reached: Vec<u64> = publishers.iter().map(|source| source.sent).collect();
        let (lost, repeated) = audience.settle(&reached).await;
        let deliveries_per_s = deliveries as f64 / window.length().as_secs_f64();
        reports.push(FanOutReport { deliveries, deliveries_per_s, published, lost, repeated });
    }
    Ok(reports)
}

/// One publisher.
struct Source {
    publisher: Publisher,
    topic: usize,
    name: Bytes,
    size_bytes: usize,
    /// The last number that was sent.
    sent: u64,
}

impl Source {
    async fn connect(
        publishers_at: &str,
        topic: usize,
        size_bytes: usize,
    ) -> Result<Source, BenchError> {
        let publisher =
            Publisher::connect(publishers_at, "bench").await.map_err(ClientError::from)?;
        let name = Bytes::from(format!("bench-topic-{}", topic + 1));
        Ok(Source { publisher, topic, name, size_bytes, sent: 0 })
    }

    fn event(&self, seq: u64) -> Bytes {
        let mut body = BytesMut::zeroed(self.size_bytes.max(SEQ_BYTES));
        body[..SEQ_BYTES].copy_from_slice(&seq.to_be_bytes());
        body.freeze()
    }

    /// Publishes until the window ends; how many were sent within it.
    async fn run(mut self, window: Window, audience: Arc<Audience>) -> (Source, u64) {
        let mut counted = 0;
        // What counts as received by all, also if it is lost.
        let mut floor = 0;
        let mut moved = Instant::now();
        loop {
            let now = Instant::now();
            if now >= window.end {
                return (self, counted);
            }
            let slowest = audience.slowest(self.topic);
            if slowest > floor {
                floor = slowest;
                moved = now;
            }
            if self.sent.saturating_sub(floor) + BURST_EVENTS > MAX_AHEAD_EVENTS {
                if moved.elapsed() > STALL {
                    floor = self.sent;
                    moved = now;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
                continue;
            }
            for _ in 0..BURST_EVENTS {
                let event = self.event(self.sent + 1);
                if self.publisher.publish(self.name.clone(), event).await.is_err() {
                    // The proxy is away for a moment; what it had shows as lost.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    break;
                }
                self.sent += 1;
                counted += u64::from(window.has(now));
            }
            // Subscribers may share this thread.
            tokio::task::yield_now().await;
        }
    }
}

fn read_seq(_topic: &[u8], body: &[u8]) -> Option<u64> {
    body.first_chunk::<SEQ_BYTES>().map(|seq| u64::from_be_bytes(*seq))
}
