//! Publishes what the log stored, while this server is the primary.
//!
//! The store itself is the queue: a cursor moves through it, and where the proxy is missing the
//! cursor stays. Sending is not arriving, so only what was sent a while ago over a connection
//! that still stands counts as published; the rest is sent again, by this primary after a lost
//! connection, by the next one after a fail-over. Subscribers tell repeats by `seq`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use recado_protocol::{Event, codec};
use recado_replication::Replica;
use recado_storage::StoreError;
use recado_transport::Publisher;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::clocks::Clocks;
use crate::cluster::Leadership;
use crate::config::{PUBLISH_PAGE_ROWS, PUBLISHED_AFTER_MS};
use crate::facts::Facts;
use crate::service::record;

/// How often the connection is looked at, and what was sent is counted as published.
const TICK_MS: u64 = 50;

/// How far the events are.
#[derive(Debug)]
struct Progress {
    /// Sent up to this position.
    cursor: u64,
    /// Published up to this position, surely enough.
    settled: u64,
    /// What is on its way: positions, each with the time (ms) at which its slot began.
    on_the_way: VecDeque<(u64, u64)>,
}

impl Progress {
    fn from(watermark: u64) -> Progress {
        Progress { cursor: watermark, settled: watermark, on_the_way: VecDeque::new() }
    }

    /// Everything up to this position was sent. Marks share slots of time, so that their number
    /// does not grow with the rate.
    fn sent(&mut self, position: u64, now_ms: u64) {
        self.cursor = self.cursor.max(position);
        match self.on_the_way.back_mut() {
            Some((newest, began_ms)) if now_ms < *began_ms + TICK_MS => *newest = self.cursor,
            _ => self.on_the_way.push_back((self.cursor, now_ms)),
        }
    }

    /// What has become certain by now, if anything new has.
    fn settle(&mut self, now_ms: u64) -> Option<u64> {
        let mut settled = None;
        while let Some((position, began_ms)) = self.on_the_way.front().copied()
            && began_ms + TICK_MS + PUBLISHED_AFTER_MS <= now_ms
        {
            self.on_the_way.pop_front();
            self.settled = position;
            settled = Some(position);
        }
        settled
    }

    /// The connection broke: what is not settled goes again.
    fn rewind(&mut self) {
        self.cursor = self.settled;
        self.on_the_way.clear();
    }
}

/// The part that publishes.
pub struct EventPublisher {
    /// The way to the proxy.
    pub publisher: Publisher,
    /// Where the events are.
    pub replica: Replica,
    /// Whether this server is the primary.
    pub leadership: watch::Receiver<Leadership>,
    /// For the stamps of elections.
    pub clocks: Arc<Clocks>,
    /// Where the proxy's state is noted.
    pub facts: Arc<Facts>,
    /// This server's name.
    pub name: String,
}

impl EventPublisher {
    /// Publishes whenever this server is the primary, for ever.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn run(self) -> Result<(), StoreError> {
        let mut ticks = interval(Duration::from_millis(TICK_MS));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut leadership = self.leadership.clone();
        loop {
            let now = *leadership.borrow_and_update();
            // Either wait fails only when the replica is gone, and this part with it.
            let goes_on = if now.is_primary {
                tokio::select! {
                    biased;
                    ended = leadership.wait_for(|new| !new.is_primary || new.term != now.term) => {
                        ended.is_ok()
                    }
                    result = self.reign() => return result,
                }
            } else {
                tokio::select! {
                    begun = leadership.wait_for(|new| new.is_primary) => begun.is_ok(),
                    // For `status`, which every server answers.
                    _ = ticks.tick() => {
                        self.connected();
                        true
                    }
                }
            };
            if !goes_on {
                return Ok(());
            }
        }
    }

    /// Publishes as the primary; dropped in the middle when that ends.
    async fn reign(&self) -> Result<(), StoreError> {
        let mut progress = Progress::from(self.replica.store().reader()?.watermark()?);
        let mut applied = self.replica.applied();
        let started = Instant::now();
        let now_ms = || u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut ticks = interval(Duration::from_millis(TICK_MS));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut announced = false;
        let mut was_connected = false;
        loop {
            let connected = self.connected();
            if connected && !announced {
                self.announce().await;
                announced = true;
            }
            if connected {
                let upto = *applied.borrow_and_update();
                self.publish_up_to(upto, &mut progress, now_ms).await?;
                if let Some(position) = progress.settle(now_ms()) {
                    self.replica.set_published(position);
                }
            } else if was_connected {
                tracing::warn!(from = progress.settled, "the proxy is away; events wait for it");
                let again = progress.cursor.saturating_sub(progress.settled);
                self.facts.metrics.rewound_positions.inc_by(again);
                progress.rewind();
            }
            was_connected = connected;
            tokio::select! {
                _ = ticks.tick() => {}
                changed = applied.changed(), if connected => {
                    if changed.is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn connected(&self) -> bool {
        let connected = self.publisher.connected();
        self.facts.proxy_connected.store(connected, Ordering::Relaxed);
        connected
    }

    async fn announce(&self) {
        let stamp = self.clocks.stamp_message();
        let event = Event::Election {
            coordinator: self.name.clone(),
            timestamp: stamp.timestamp,
            clock: stamp.clock,
        };
        self.publish(&event).await;
    }

    async fn publish_up_to(
        &self,
        applied: u64,
        progress: &mut Progress,
        now_ms: impl Fn() -> u64,
    ) -> Result<(), StoreError> {
        while progress.cursor < applied {
            let reader = self.replica.store().reader()?;
            let page = reader.publishable(progress.cursor, applied, PUBLISH_PAGE_ROWS)?;
            for stored in page.messages {
                let record = record(stored);
                let private = record.private;
                let event =
                    if private { Event::Private(record) } else { Event::Publication(record) };
                if !self.publish(&event).await {
                    return Ok(());
                }
            }
            progress.sent(page.through, now_ms());
        }
        Ok(())
    }

    /// Whether it left.
    async fn publish(&self, event: &Event) -> bool {
        #[cfg(not(feature = "planted"))]
        let topic = event.topic();
        #[cfg(feature = "planted")]
        let topic = crate::planted::topic(event);
        let topic = Bytes::copy_from_slice(topic.as_bytes());
        let sent = self.publisher.publish(topic, codec::encode_event(event)).await.is_ok();
        self.facts.metrics.published_events.inc_by(sent.into());
        sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_sent_a_while_ago_is_published() {
        let mut progress = Progress::from(3);
        progress.sent(5, 0);
        progress.sent(7, 200);
        assert_eq!(progress.settle(PUBLISHED_AFTER_MS), None);
        assert_eq!(progress.settle(PUBLISHED_AFTER_MS + TICK_MS), Some(5));
        assert_eq!(progress.settle(PUBLISHED_AFTER_MS + TICK_MS), None);
        assert_eq!(progress.settle(PUBLISHED_AFTER_MS + TICK_MS + 200), Some(7));
    }

    #[test]
    fn a_broken_connection_sends_again_what_is_not_settled() {
        let mut progress = Progress::from(0);
        progress.sent(5, 0);
        progress.sent(9, PUBLISHED_AFTER_MS);
        progress.settle(PUBLISHED_AFTER_MS + TICK_MS);
        progress.rewind();
        assert_eq!(progress.cursor, 5);
        assert_eq!(progress.settle(u64::MAX), None);
    }

    #[test]
    fn marks_of_one_moment_share_a_slot_and_wait_for_the_last_of_them() {
        let mut progress = Progress::from(0);
        for position in 1..1000 {
            progress.sent(position, position % TICK_MS);
        }
        assert_eq!(progress.on_the_way.len(), 1);
        assert_eq!(progress.settle(PUBLISHED_AFTER_MS), None);
        assert_eq!(progress.settle(PUBLISHED_AFTER_MS + TICK_MS + 1), Some(999));
    }
}
