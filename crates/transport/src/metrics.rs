//! What a proxy counts, for those who watch it.

use recado_metrics::{Counter, Gauge, metrics};

metrics! {
    /// A proxy's metrics; clones share them.
    pub struct ProxyMetrics named "proxy_" {
        /// Events that were passed on.
        pub(crate) events: Counter,
        /// Bytes of the events that were passed on.
        pub(crate) event_bytes: Counter,
        /// Events of another shape, which were dropped.
        pub(crate) malformed_events: Counter,
        /// Events that had to wait, because subscribers take them more slowly than they come.
        pub(crate) waits: Counter,
        /// Subscribers that were disconnected for too many topics.
        pub(crate) refused_subscribers: Counter,
        /// Servers that are connected to publish.
        pub publishers: Gauge,
        /// Connected subscribers.
        pub subscribers: Gauge,
    }
}
