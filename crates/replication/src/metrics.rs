//! What a replica counts and measures, for those who watch it.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::view::View;

/// Upper bounds of the times of writes and disks, s.
const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];

/// The upper bounds of batches: 1, 2, 4 … 1024 entries.
const BATCH_BOUNDS: u16 = 11;

/// A replica's metrics; clones share them.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(crate) acked_writes: Counter,
    pub(crate) unknown_writes: Counter,
    pub(crate) ack_seconds: Histogram,
    pub(crate) batch_entries: Histogram,
    pub(crate) queued_writes: Gauge,
    pub(crate) held_acks: Gauge,
    pub(crate) log_sync_seconds: Histogram,
    pub(crate) store_flush_seconds: Histogram,
    pub(crate) elections: Counter,
    pub(crate) terms_led: Counter,
    pub(crate) drops: Counter,
    pub(crate) activations: Counter,
    pub(crate) snapshots_sent: Counter,
    pub(crate) snapshot_sent_bytes: Counter,
    pub(crate) snapshots_installed: Counter,
    primary: Gauge,
    knows_primary: Gauge,
    term: Gauge,
    applied: Gauge,
    servers: Gauge,
    active_servers: Gauge,
    live_servers: Gauge,
    catch_up: Gauge,
}

impl Default for Metrics {
    /// Metrics that nobody sees.
    fn default() -> Metrics {
        Metrics {
            acked_writes: Counter::default(),
            unknown_writes: Counter::default(),
            ack_seconds: Histogram::new(SECONDS),
            batch_entries: Histogram::new(exponential_buckets(1.0, 2.0, BATCH_BOUNDS)),
            queued_writes: Gauge::default(),
            held_acks: Gauge::default(),
            log_sync_seconds: Histogram::new(SECONDS),
            store_flush_seconds: Histogram::new(SECONDS),
            elections: Counter::default(),
            terms_led: Counter::default(),
            drops: Counter::default(),
            activations: Counter::default(),
            snapshots_sent: Counter::default(),
            snapshot_sent_bytes: Counter::default(),
            snapshots_installed: Counter::default(),
            primary: Gauge::default(),
            knows_primary: Gauge::default(),
            term: Gauge::default(),
            applied: Gauge::default(),
            servers: Gauge::default(),
            active_servers: Gauge::default(),
            live_servers: Gauge::default(),
            catch_up: Gauge::default(),
        }
    }
}

impl Metrics {
    /// New metrics that this registry shows.
    pub fn registered(registry: &mut Registry) -> Metrics {
        let all = Metrics::default();
        all.register_writes(registry);
        all.register_disk(registry);
        all.register_cluster(registry);
        all
    }

    fn register_writes(&self, to: &mut Registry) {
        to.register(
            "acked_writes",
            "Writes that this server acknowledged as the primary",
            self.acked_writes.clone(),
        );
        to.register(
            "unknown_writes",
            "Writes whose outcome this server could not tell, because it lost its place as primary",
            self.unknown_writes.clone(),
        );
        to.register_with_unit(
            "ack",
            "Time from a write's arrival at the primary to its acknowledgement",
            Unit::Seconds,
            self.ack_seconds.clone(),
        );
        to.register(
            "batch_entries",
            "Log entries that were proposed together",
            self.batch_entries.clone(),
        );
        to.register(
            "queued_writes",
            "Writes that wait for the next batch",
            self.queued_writes.clone(),
        );
        to.register(
            "held_acks",
            "Acknowledgements that wait until every active server has the write on disk",
            self.held_acks.clone(),
        );
    }

    fn register_disk(&self, to: &mut Registry) {
        to.register_with_unit(
            "log_sync",
            "Time from the append of a batch to the end of its fsync",
            Unit::Seconds,
            self.log_sync_seconds.clone(),
        );
        to.register_with_unit(
            "store_flush",
            "Time in which the store was brought to disk",
            Unit::Seconds,
            self.store_flush_seconds.clone(),
        );
        to.register(
            "snapshots_sent",
            "Snapshots that this server sent whole to another one",
            self.snapshots_sent.clone(),
        );
        to.register_with_unit(
            "snapshot_sent",
            "Bytes of snapshots that this server sent",
            Unit::Bytes,
            self.snapshot_sent_bytes.clone(),
        );
        to.register(
            "snapshots_installed",
            "Snapshots from another server that this one installed",
            self.snapshots_installed.clone(),
        );
    }

    fn register_cluster(&self, to: &mut Registry) {
        for (name, help, counter) in [
            ("elections", "Elections that this server asked for", &self.elections),
            ("terms_led", "Terms in which this server came to lead", &self.terms_led),
            ("drops", "Backups that this server dropped as the primary", &self.drops),
            (
                "activations",
                "Backups that caught up and that this server made active as the primary",
                &self.activations,
            ),
        ] {
            to.register(name, help, counter.clone());
        }
        for (name, help, gauge) in [
            ("primary", "1 while this server is the primary, else 0", &self.primary),
            (
                "primary_known",
                "1 while this server knows a primary or is it, else 0",
                &self.knows_primary,
            ),
            ("term", "The election term", &self.term),
            ("applied_position", "The last log position that this server shows", &self.applied),
            ("member_servers", "Servers of the cluster, the dead ones included", &self.servers),
            (
                "active_servers",
                "Servers that every acknowledgement waits for",
                &self.active_servers,
            ),
            (
                "live_servers",
                "Servers that the primary heard of lately; 0 on all others",
                &self.live_servers,
            ),
            (
                "catch_up_entries",
                "Log entries that the live server furthest behind lacks; 0 on all but the primary",
                &self.catch_up,
            ),
        ] {
            to.register(name, help, gauge.clone());
        }
    }

    /// The cluster as this replica sees it.
    pub(crate) fn show(&self, view: &View) {
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.primary.set(view.is_primary.into());
        self.knows_primary.set(view.primary.is_some().into());
        self.term.set(i64::try_from(view.term).unwrap_or(i64::MAX));
        self.applied.set(i64::try_from(view.applied).unwrap_or(i64::MAX));
        self.servers.set(count(view.members.len()));
        self.active_servers.set(count(view.members.iter().filter(|m| m.member.active).count()));
        // Only the primary hears of all.
        let live = view.members.iter().filter(|m| m.alive && view.is_primary);
        self.live_servers.set(count(live.clone().count()));
        let lag = live.map(|m| view.applied.saturating_sub(m.matched.unwrap_or(0))).max();
        self.catch_up.set(i64::try_from(lag.unwrap_or(0)).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use recado_chat::Member;
    use recado_chat::members::Announcement;

    use super::*;
    use crate::view::MemberView;

    fn row(node: u64, active: bool, alive: bool, matched: u64) -> MemberView {
        let announced = Announcement {
            node,
            name: format!("s{node}"),
            address: String::new(),
            rank: node,
            boot: 1,
            pid: 1,
            witness: false,
        };
        let member = Member { announced, active };
        MemberView { member, voter: active, matched: Some(matched), alive }
    }

    #[test]
    fn only_the_primary_tells_who_is_behind() {
        let mut view = View {
            node: 1,
            term: 3,
            primary: Some(1),
            is_primary: true,
            applied: 100,
            members: vec![row(1, true, true, 100), row(2, false, true, 40), row(3, true, false, 0)],
            witness: None,
            joint: false,
        };
        let metrics = Metrics::default();
        metrics.show(&view);
        let shown = |gauge: &Gauge| gauge.get();
        assert_eq!(shown(&metrics.active_servers), 2);
        assert_eq!(shown(&metrics.live_servers), 2);
        assert_eq!(shown(&metrics.catch_up), 60);
        view.is_primary = false;
        metrics.show(&view);
        assert_eq!((shown(&metrics.live_servers), shown(&metrics.catch_up)), (0, 0));
        assert_eq!((shown(&metrics.primary), shown(&metrics.knows_primary)), (0, 1));
    }
}
