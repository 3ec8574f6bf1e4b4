//! What a proxy counts, for those who watch it.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// A proxy's metrics; clones share them.
#[derive(Clone, Debug, Default)]
pub struct ProxyMetrics {
    pub(crate) events: Counter,
    pub(crate) event_bytes: Counter,
    pub(crate) malformed: Counter,
    pub(crate) waits: Counter,
    pub(crate) refused_subscribers: Counter,
    /// Servers that are connected to publish; written by whoever looks.
    pub publishers: Gauge,
    /// Subscribers that are connected; written by whoever looks.
    pub subscribers: Gauge,
}

impl ProxyMetrics {
    /// New metrics that this registry shows.
    pub fn registered(to: &mut Registry) -> ProxyMetrics {
        let all = ProxyMetrics::default();
        to.register("proxy_events", "Events that were passed on", all.events.clone());
        to.register_with_unit(
            "proxy_event",
            "Bytes of the events that were passed on",
            Unit::Bytes,
            all.event_bytes.clone(),
        );
        to.register(
            "proxy_malformed_events",
            "Events of another shape, which were dropped",
            all.malformed.clone(),
        );
        to.register(
            "proxy_waits",
            "Events that had to wait, because subscribers take them more slowly than they come",
            all.waits.clone(),
        );
        to.register(
            "proxy_refused_subscribers",
            "Subscribers that were disconnected for too many topics",
            all.refused_subscribers.clone(),
        );
        to.register(
            "proxy_publishers",
            "Servers that are connected to publish",
            all.publishers.clone(),
        );
        to.register("proxy_subscribers", "Connected subscribers", all.subscribers.clone());
        all
    }
}
