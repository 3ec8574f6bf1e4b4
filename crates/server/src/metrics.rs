//! What a server and a reference count and measure, for those who watch them.

use recado_metrics::{
    Counter, CounterByWord, Gauge, Histogram, OTHER, RealGauge, SECONDS, metrics,
};
use recado_protocol::Code;
use recado_protocol::services::{Link, names};

metrics! {
    /// A server's metrics; clones share them.
    pub struct Metrics {
        /// Its replica's.
        pub replica: recado_replication::Metrics,
        /// Clients' requests that reached this server, those that another one handed on too.
        pub(crate) requests: CounterByWord =
            CounterByWord::new("service", names(Link::Clients).chain([OTHER])),
        /// Requests that this server refused.
        pub(crate) refusals: CounterByWord = CounterByWord::new("code", Code::words()),
        /// Requests that went back to the broker, for another server to try.
        pub(crate) given_back: Counter,
        /// Requests that this backup handed on to the primary.
        pub(crate) handed_on: Counter,
        /// Time in which a reading request was answered here.
        pub(crate) read_seconds: Histogram = Histogram::new(SECONDS),
        /// Events that this server sent to a proxy, repeats included.
        pub(crate) published_events: Counter,
        /// Log positions whose events are sent again, because a connection to a proxy broke.
        pub(crate) rewound_positions: Counter,
        /// Attempts to publish that found the queue to a proxy full.
        pub(crate) blocked_publishes: Counter,
        /// Log positions that are not surely published yet; 0 on all but the primary.
        pub(crate) unpublished_positions: Gauge,
        /// Log positions that have not surely passed the connected proxy that is furthest behind; 0
        /// on all but the primary.
        pub(crate) unpassed_positions: Gauge,
        /// Proxies that this server is connected to.
        pub(crate) connected_proxies: Gauge,
        /// Proxies that pass on what this server sends them, as far as it knows.
        pub(crate) live_proxies: Gauge,
        /// Brokers that this server is connected to.
        pub(crate) connected_brokers: Gauge,
        /// 1 while the reference answers this server, else 0.
        pub(crate) connected_reference: Gauge,
        /// How far this server's clock was ahead of the cluster's average in the latest round.
        pub(crate) clock_offset_seconds: RealGauge,
        /// How much this server adds to the clock that it started with, by all rounds so far.
        pub(crate) clock_correction_seconds: RealGauge,
        /// How far the host's clock is ahead of the cluster's time now.
        pub(crate) host_clock_offset_seconds: RealGauge,
    }
}

metrics! {
    /// A reference's metrics; clones share them.
    pub struct ReferenceMetrics named "reference_" {
        /// Its replica's.
        pub replica: recado_replication::Metrics,
        /// Registrations, heartbeats and questions that the reference took.
        pub(crate) requests: Counter,
        /// Requests that the reference refused.
        pub(crate) refusals: CounterByWord = CounterByWord::new("code", Code::words()),
        /// Time in which ranks were brought to disk.
        pub(crate) save_seconds: Histogram = Histogram::new(SECONDS),
        /// Servers whose heartbeats come in time.
        pub(crate) listed_servers: Gauge,
    }
}
