//! What a replica counts and measures, for those who watch it.

use recado_metrics::{
    Counter, Gauge, Histogram, RealGauge, SECONDS, count, exponential_buckets, metrics,
};

use crate::view::View;

/// The upper bounds of batches: 1, 2, 4 … 1024 entries.
const BATCH_BOUNDS: u16 = 11;

metrics! {
    /// A replica's metrics; clones share them.
    pub struct Metrics {
        /// Writes that this server acknowledged as the primary.
        pub(crate) acked_writes: Counter,
        /// Writes whose outcome this server could not tell, because it lost its place as primary.
        pub(crate) unknown_writes: Counter,
        /// Time from a write's arrival at the primary to its acknowledgement.
        pub(crate) ack_seconds: Histogram = Histogram::new(SECONDS),
        /// Log entries that were proposed together.
        pub(crate) batch_entries: Histogram =
            Histogram::new(exponential_buckets(1.0, 2.0, BATCH_BOUNDS)),
        /// Writes that wait for the next batch.
        pub(crate) queued_writes: Gauge,
        /// Acknowledgements that wait until every active server has the write on disk.
        pub(crate) held_acks: Gauge,
        /// Time from the append of a batch to the end of its fsync.
        pub(crate) log_sync_seconds: Histogram = Histogram::new(SECONDS),
        /// Time in which the store was brought to disk.
        pub(crate) store_flush_seconds: Histogram = Histogram::new(SECONDS),
        /// Rows that were read in the background, to find what is damaged.
        pub(crate) scrubbed_rows: Counter,
        /// Rows that are still to be read in the background before all were; 0 between two times.
        pub(crate) scrub_left_rows: Gauge,
        /// How often all rows were read in the background and nothing was damaged.
        pub(crate) scrub_passes: Counter,
        /// When all rows had been read in the background last, seconds since the Unix epoch; 0 before.
        pub(crate) scrub_end_seconds: RealGauge,
        /// 1 once something in the store was found damaged, else 0.
        pub(crate) store_damaged: Gauge,
        /// Snapshots that this server sent whole to another one.
        pub snapshots_sent: Counter,
        /// Bytes of snapshots that this server sent.
        pub(crate) snapshot_sent_bytes: Counter,
        /// Snapshots from another server that this one installed.
        pub(crate) snapshots_installed: Counter,
        /// Bytes of log on disk, for servers that come back.
        pub(crate) kept_log_bytes: Gauge,
        /// Log entries on disk, for servers that come back.
        pub(crate) kept_log_entries: Gauge,
        /// Position behind which the log begins: who has applied less is sent a snapshot.
        pub purged_position: Gauge,
        /// Elections that this server asked for.
        pub(crate) elections: Counter,
        /// Terms in which this server came to lead.
        pub(crate) terms_led: Counter,
        /// Backups that this server dropped as the primary.
        pub(crate) drops: Counter,
        /// Backups that this server dropped because their disk was slow beside the others'.
        pub(crate) slow_drops: Counter,
        /// Times that this server gave the lead up because its own disk hung or was slow.
        pub(crate) disk_handovers: Counter,
        /// 1 while a sync of the log has waited for the disk for a second or longer, else 0.
        pub(crate) disk_hangs: Gauge,
        /// Backups that caught up and that this server made active as the primary.
        pub(crate) activations: Counter,
        /// 1 while this server is the primary, else 0.
        primary: Gauge,
        /// 1 while this server knows a primary or is it, else 0.
        primary_known: Gauge,
        /// The election term.
        term: Gauge,
        /// The last log position that this server shows.
        applied_position: Gauge,
        /// Servers of the cluster, the dead ones included.
        member_servers: Gauge,
        /// Servers that every acknowledgement waits for.
        active_servers: Gauge,
        /// Servers that the primary heard of lately; 0 on all others.
        live_servers: Gauge,
        /// Log entries that the live server furthest behind lacks; 0 on all but the primary.
        catch_up_entries: Gauge,
    }
}

impl Metrics {
    /// The cluster as this replica sees it.
    pub(crate) fn show(&self, view: &View) {
        self.primary.set(view.is_primary.into());
        self.primary_known.set(view.primary.is_some().into());
        self.term.set(count(view.term));
        self.applied_position.set(count(view.applied));
        self.member_servers.set(count(view.members.len()));
        self.active_servers.set(count(view.members.iter().filter(|m| m.member.active).count()));
        // Only the primary hears of all.
        let live = view.members.iter().filter(|m| m.alive && view.is_primary);
        self.live_servers.set(count(live.clone().count()));
        let lag = live.map(|m| view.applied.saturating_sub(m.matched.unwrap_or(0))).max();
        self.catch_up_entries.set(count(lag.unwrap_or(0)));
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
        MemberView { member, voter: active, matched: Some(matched), why: None, alive }
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
            min_copies: 1,
            joint: false,
            lacks: None,
        };
        let metrics = Metrics::default();
        metrics.show(&view);
        let shown = |gauge: &Gauge| gauge.get();
        assert_eq!(shown(&metrics.active_servers), 2);
        assert_eq!(shown(&metrics.live_servers), 2);
        assert_eq!(shown(&metrics.catch_up_entries), 60);
        view.is_primary = false;
        metrics.show(&view);
        assert_eq!((shown(&metrics.live_servers), shown(&metrics.catch_up_entries)), (0, 0));
        assert_eq!((shown(&metrics.primary), shown(&metrics.primary_known)), (0, 1));
    }
}
