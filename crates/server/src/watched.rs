//! What a server shows to those who watch it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use recado_metrics::count;
use recado_protocol::reply::Scrub;
use recado_replication::{Replica, View};
use recado_watch::{BEAT_INTERVAL_MS, Vitals};
use tokio::time::{MissedTickBehavior, interval};

use crate::broker_link::BrokerLink;
use crate::clocks::Clocks;
use crate::cluster::Node;
use crate::facts::Facts;
use crate::status;

/// For how long a server without a primary says nothing about it.
const FIRST_WARNING: Duration = Duration::from_secs(3);
/// The longest time from one warning to the next; it doubles up to there.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// The part that shows it. It runs where the others do, so when it turns, they can.
pub struct Watched {
    /// Whose view of the cluster it is.
    pub replica: Replica,
    /// What the other parts know.
    pub facts: Arc<Facts>,
    /// This server's clocks.
    pub clocks: Arc<Clocks>,
    /// The ways to the brokers.
    pub brokers: Vec<Arc<BrokerLink<Node>>>,
    /// Where it is shown.
    pub vitals: Vitals,
}

impl Watched {
    /// Shows what there is to show, for ever.
    pub async fn run(self) {
        self.vitals.serves();
        let mut beats = interval(Duration::from_millis(BEAT_INTERVAL_MS));
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let view = self.replica.view();
        let mut alone = Alone::new(Instant::now());
        loop {
            beats.tick().await;
            self.vitals.beat();
            let reference_answers = self.facts.reference.borrow().connected;
            let seen = view.borrow().clone();
            let mut missing = missing(&seen, reference_answers);
            let now = Instant::now();
            if let Some(since) = alone.look(seen.primary.is_some(), now) {
                let seconds = now.duration_since(since).as_secs();
                tracing::warn!("no primary for {seconds} s: {}", missing.join("; "));
            }
            if self.replica.disk_hangs() {
                missing.push("its disk has not answered for a second or longer".to_owned());
            }
            self.vitals.lacks(missing);
            self.measure(&seen, reference_answers);
        }
    }

    /// What is a state and no event is looked at here.
    fn measure(&self, view: &View, reference_answers: bool) {
        let metrics = &self.facts.metrics;
        let brokers = self.brokers.iter().filter(|broker| broker.link.connected()).count();
        metrics.connected_brokers.set(count(brokers));
        let proxies = self.facts.proxies();
        let connected = proxies.iter().filter(|proxy| proxy.door.connected);
        metrics.connected_proxies.set(count(connected.clone().count()));
        metrics.live_proxies.set(count(connected.clone().filter(|proxy| proxy.live).count()));
        metrics
            .unpassed_positions
            .set(count(connected.map(|proxy| proxy.behind).max().unwrap_or(0)));
        metrics.connected_reference.set(reference_answers.into());
        let behind = view.applied.saturating_sub(self.replica.published());
        metrics.unpublished_positions.set(if view.is_primary { count(behind) } else { 0 });
        if let Some(offset_ms) = self.facts.offsets.borrow().get(&view.node) {
            metrics.clock_offset_seconds.set(*offset_ms as f64 / 1000.0);
        }
        let (ended_ms, left_rows) = self.replica.scrubbed();
        self.facts.scrub.send_replace(Scrub { ended_ms, left_rows });
        metrics.clock_correction_seconds.set(self.clocks.correction_us() as f64 / 1e6);
        metrics.host_clock_offset_seconds.set(self.clocks.host_offset_us() as f64 / 1e6);
    }
}

/// When to say that nobody leads: after a moment, and then again and again, each time later.
#[derive(Debug)]
struct Alone {
    since: Instant,
    due: Instant,
    pause: Duration,
}

impl Alone {
    fn new(now: Instant) -> Alone {
        Alone { since: now, due: now + FIRST_WARNING, pause: FIRST_WARNING }
    }

    /// Since when nobody leads, whenever that is to be said.
    fn look(&mut self, led: bool, now: Instant) -> Option<Instant> {
        if led {
            *self = Alone::new(now);
        }
        if now < self.due {
            return None;
        }
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        self.due = now + self.pause;
        Some(self.since)
    }
}

/// Why the server is of no use to the cluster now.
fn missing(view: &View, reference_answers: bool) -> Vec<String> {
    let mut reasons = Vec::new();
    let own = view.member(view.node);
    if own.is_none() && !reference_answers {
        reasons.push(
            "the reference, which gives it its rank, does not answer; start it, or look at \
             --reference"
                .to_owned(),
        );
    } else if own.is_none() {
        reasons.push("the cluster has not taken it in yet".to_owned());
    }
    if view.primary.is_none() {
        let why = status::why(view);
        let why = why.unwrap_or_else(|| "too few servers run, or they are choosing one".to_owned());
        reasons.push(format!("it knows no primary: {why}"));
    }
    if own.is_some_and(|own| !own.member.active) {
        reasons.push("it is not active: it is being brought level with the primary".to_owned());
    }
    reasons
}

#[cfg(test)]
mod tests {
    use recado_chat::Member;
    use recado_chat::members::Announcement;
    use recado_replication::MemberView;

    use super::*;

    fn view(primary: Option<u64>, active: Option<bool>) -> View {
        let announced = Announcement {
            node: 1,
            name: "s1".into(),
            address: "tcp://a:1".into(),
            rank: 1,
            boot: 1,
            pid: 1,
            witness: false,
        };
        let own = active.map(|active| Member { announced, active });
        let row =
            |member| MemberView { member, voter: true, matched: None, why: None, alive: true };
        View {
            node: 1,
            term: 1,
            primary,
            is_primary: false,
            applied: 0,
            members: own.into_iter().map(row).collect(),
            witness: None,
            min_copies: 1,
            joint: false,
            lacks: None,
        }
    }

    #[test]
    fn an_active_server_with_a_primary_is_ready_without_a_reference_too() {
        assert!(missing(&view(Some(2), Some(true)), false).is_empty());
    }

    #[test]
    fn that_nobody_leads_is_said_after_a_moment_and_ever_more_rarely() {
        let start = Instant::now();
        let at = |second: u64| start + Duration::from_secs(second);
        let mut alone = Alone::new(start);
        assert_eq!(alone.look(true, at(50)), None);
        let said: Vec<u64> =
            (51..150).filter(|second| alone.look(false, at(*second)).is_some()).collect();
        assert_eq!(said, [53, 59, 71, 95, 143]);
        assert_eq!(alone.look(false, at(191)), None);
        assert_eq!(alone.look(false, at(2000)), Some(at(50)));
        assert_eq!(alone.look(true, at(2001)), None);
    }

    #[test]
    fn who_is_missing_is_named() {
        let lacks = recado_replication::quorum::Lacks {
            voters: 3,
            needed: 2,
            answering: 1,
            missing: Vec::new(),
        };
        let view = View { lacks: Some(lacks), ..view(None, Some(true)) };
        let reasons = missing(&view, true);
        assert!(reasons[0].contains("2 of the 3") && reasons[0].contains("rescue"), "{reasons:?}");
    }

    #[test]
    fn all_that_is_missing_is_said() {
        let first = |reasons: Vec<String>| reasons.first().cloned().unwrap_or_default();
        assert!(first(missing(&view(None, Some(true)), true)).contains("no primary"));
        assert!(first(missing(&view(Some(2), Some(false)), true)).contains("not active"));
        assert!(first(missing(&view(Some(2), None), true)).contains("taken it in"));
        let alone = missing(&view(None, None), false);
        assert_eq!(alone.len(), 2, "{alone:?}");
        assert!(alone[0].contains("--reference"), "{alone:?}");
    }
}
