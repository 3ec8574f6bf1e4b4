//! Rounds of Berkeley's algorithm, on the primary: ask all servers for their clocks, average
//! them, and tell each by how much it is off.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use recado_chat::clock::{Correction, Reading, corrections};
use recado_protocol::codec;
use recado_protocol::server::{ServerReply, ServerRequest};
use recado_replication::{Lane, NodeId, PeerTransport, Replica, View};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use crate::clocks::Clocks;
use crate::cluster::Leadership;
use crate::facts::Facts;
use crate::frames::{self, ADJUST, Adjust};
use crate::links::Links;

/// Between two rounds at the least; a correction is followed faster than that, so a round never
/// measures a clock that is still being moved.
const MIN_INTERVAL_MS: u64 = 1000;

/// Between two rounds at the most.
const MAX_INTERVAL_MS: u64 = 30_000;

/// A clock this near to the average needs no further round.
const CLOSE_MS: u64 = 5;

/// Corrections below this are the noise of measuring in whole milliseconds.
const NOISE_MS: u64 = 2;

/// How often each server is asked in a round; the answer that came fastest counts.
const SAMPLES: usize = 3;

/// How long one answer is waited for.
const SAMPLE_TIMEOUT_MS: u64 = 300;

/// The part that keeps the rounds.
pub struct ClockRounds {
    /// The way to the other servers.
    pub links: Links,
    /// Who they are.
    pub replica: Replica,
    /// Whether this server is the primary.
    pub leadership: watch::Receiver<Leadership>,
    /// This server's clocks.
    pub clocks: Arc<Clocks>,
    /// Counts requests, and takes the offsets.
    pub facts: Arc<Facts>,
}

impl ClockRounds {
    /// Keeps rounds whenever this server is the primary, for ever.
    pub async fn run(self) {
        let mut leadership = self.leadership.clone();
        while leadership.wait_for(|now| now.is_primary).await.is_ok() {
            let started = Instant::now();
            self.facts.restart_count();
            let term = leadership.borrow_and_update().term;
            let settled = self.round(term).await;
            let earliest = started + Duration::from_millis(MIN_INTERVAL_MS);
            sleep_until(earliest).await;
            if settled {
                self.until_due(&mut leadership, started).await;
            }
        }
    }

    /// Waits for what makes a round due: enough requests, time, or a change among the servers.
    async fn until_due(&self, leadership: &mut watch::Receiver<Leadership>, last: Instant) {
        tokio::select! {
            () = sleep_until(last + Duration::from_millis(MAX_INTERVAL_MS)) => {}
            () = self.facts.enough_requests() => {}
            _ = leadership.changed() => {}
        }
    }

    /// One round; whether all clocks were measured and found close to each other.
    async fn round(&self, term: u64) -> bool {
        let view = self.replica.view().borrow().clone();
        let others: Vec<NodeId> = view
            .members
            .iter()
            .filter(|row| row.alive)
            .map(|row| row.member.announced.node)
            .filter(|node| *node != view.node)
            .collect();
        if others.is_empty() {
            self.facts.offsets.send_replace(Arc::new([(view.node, 0)].into()));
            return true;
        }
        let measured = join_all(others.iter().map(|node| self.measure(*node))).await;
        let all = measured.iter().all(Option::is_some);
        let own = Reading { server: view.node, offset_ms: 0, round_trip_ms: 0 };
        let readings: Vec<Reading> = measured.into_iter().flatten().chain([own]).collect();
        let corrections = corrections(&readings);
        tracing::debug!(?corrections, "clock round");
        // The correction takes a clock to the average, so it is the offset turned round.
        let offsets: BTreeMap<NodeId, i64> =
            corrections.iter().map(|c| (c.server, c.adjust_ms.saturating_neg())).collect();
        self.facts.offsets.send_replace(Arc::new(offsets));
        for correction in &corrections {
            self.correct(&view, term, correction).await;
        }
        all && corrections.iter().all(|c| c.adjust_ms.unsigned_abs() < CLOSE_MS)
    }

    /// How far a server's clock is ahead of this one's.
    async fn measure(&self, node: NodeId) -> Option<Reading> {
        let mut best: Option<(Duration, i64)> = None;
        for _ in 0..SAMPLES {
            if let Some(sample) = self.sample(node).await
                && best.is_none_or(|best| sample.0 < best.0)
            {
                best = Some(sample);
            }
        }
        let (round_trip, offset_us) = best?;
        Some(Reading {
            server: node,
            // To the nearest millisecond: cutting off would bend all clocks in one direction.
            offset_ms: offset_us.saturating_add(500).div_euclid(1000),
            round_trip_ms: u64::try_from(round_trip.as_millis()).unwrap_or(u64::MAX),
        })
    }

    /// One question: the round trip, and the offset if both ways took the same time.
    async fn sample(&self, node: NodeId) -> Option<(Duration, i64)> {
        let request =
            codec::encode_server_request(&ServerRequest::Clock, self.clocks.stamp_message());
        let asked = Instant::now();
        let answer = self.links.send_standard(node, request).ok()?;
        let body = timeout(Duration::from_millis(SAMPLE_TIMEOUT_MS), answer).await.ok()?.ok()?;
        let round_trip = asked.elapsed();
        let now_us = self.clocks.now_us();
        let (reply, stamp) = codec::decode_server_reply(&body).ok()?;
        self.clocks.observe_trusted(stamp.clock);
        let ServerReply::Clock { time } = reply else {
            return None;
        };
        Some((round_trip, offset_us(time, now_us, round_trip)))
    }

    /// Tells a server by how much it is off, or follows its own part.
    async fn correct(&self, view: &View, term: u64, correction: &Correction) {
        let Correction { server, adjust_ms, outlier } = *correction;
        if adjust_ms.unsigned_abs() >= CLOSE_MS {
            let name = view.member(server).map_or("?", |row| row.member.announced.name.as_str());
            tracing::info!(server = name, adjust_ms, outlier, "correcting a clock");
        }
        if server == view.node {
            self.clocks.adjust(worth_it(adjust_ms));
        } else {
            self.tell(server, term, adjust_ms.saturating_neg(), worth_it(adjust_ms)).await;
        }
    }

    async fn tell(&self, node: NodeId, term: u64, offset_ms: i64, delta_ms: i64) {
        let request = ServerRequest::ClockAdjust { delta_ms };
        let body = codec::encode_server_request(&request, self.clocks.stamp_message());
        let own = self.replica.node();
        let payload = Adjust { node: own, term, offset_ms, body }.encode();
        let payload = frames::seal(self.replica.cluster(), &payload);
        let Ok(answer) = self.links.send(node, Lane::Control, ADJUST, payload) else {
            return;
        };
        // Whether it was followed shows in the next round.
        let heard = timeout(Duration::from_millis(SAMPLE_TIMEOUT_MS), answer).await;
        if let Ok(Ok(body)) = heard
            && let Ok((reply, stamp)) = codec::decode_server_reply(&body)
        {
            self.clocks.observe_trusted(stamp.clock);
            if let ServerReply::Refused(refusal) = reply {
                tracing::debug!(node, %refusal, "a correction was refused");
            }
        }
    }
}

/// How far a clock that showed `time_ms` in the middle of the round trip is ahead of ours, which
/// shows `now_us` at its end. The other clock told whole milliseconds: half of one is added.
fn offset_us(time_ms: u64, now_us: i64, round_trip: Duration) -> i64 {
    let time_us = i64::try_from(time_ms).unwrap_or(i64::MAX).saturating_mul(1000);
    let half_us = i64::try_from(round_trip.as_micros() / 2).unwrap_or(i64::MAX);
    time_us.saturating_add(500).saturating_sub(now_us.saturating_sub(half_us))
}

/// What is really corrected, of what the average asks for.
fn worth_it(adjust_ms: i64) -> i64 {
    if adjust_ms.unsigned_abs() < NOISE_MS { 0 } else { adjust_ms }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_the_round_trip_is_allowed_for() {
        // Asked at 1000 ms, answered with 1004 (on average 1004.5) in the middle, heard at
        // 1010 ms: in the middle our clock showed 1005.
        assert_eq!(offset_us(1004, 1_010_000, Duration::from_millis(10)), -500);
        assert_eq!(offset_us(5000, 1_010_000, Duration::from_millis(10)), 3_995_500);
        assert!(offset_us(u64::MAX, 0, Duration::ZERO) > 0);
    }

    #[test]
    fn noise_is_not_corrected() {
        assert_eq!([0, 1, -1].map(worth_it), [0, 0, 0]);
        assert_eq!([2, -2, i64::MIN].map(worth_it), [2, -2, i64::MIN]);
    }
}
