//! What a server shows to those who watch it.

use std::sync::Arc;
use std::time::Duration;

use recado_metrics::count;
use recado_protocol::reply::Scrub;
use recado_replication::{Replica, View};
use recado_watch::{BEAT_INTERVAL_MS, Vitals};
use tokio::time::{MissedTickBehavior, interval};

use crate::broker_link::BrokerLink;
use crate::clocks::Clocks;
use crate::cluster::Node;
use crate::facts::Facts;

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
        loop {
            beats.tick().await;
            self.vitals.beat();
            let reference_answers = self.facts.reference.borrow().connected;
            let seen = view.borrow().clone();
            let mut missing = missing(&seen, reference_answers);
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
        reasons
            .push("it knows no primary: too few servers run, or they are choosing one".to_owned());
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
        }
    }

    #[test]
    fn an_active_server_with_a_primary_is_ready_without_a_reference_too() {
        assert!(missing(&view(Some(2), Some(true)), false).is_empty());
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
