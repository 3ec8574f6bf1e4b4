//! What a server and a reference count and measure, for those who watch them.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Unit;
use recado_protocol::Code;
use recado_protocol::services::{Link, SERVICES};
use recado_watch::{CounterByWord, OTHER, PREFIX, Registry, SECONDS};

/// A server's metrics; clones share them.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Its replica's.
    pub replica: recado_replication::Metrics,
    pub(crate) requests: CounterByWord,
    pub(crate) refusals: CounterByWord,
    pub(crate) given_back: Counter,
    pub(crate) handed_on: Counter,
    pub(crate) read_seconds: Histogram,
    pub(crate) published_events: Counter,
    pub(crate) rewound_positions: Counter,
    pub(crate) unpublished_positions: Gauge,
    pub(crate) proxies: Gauge,
    pub(crate) brokers: Gauge,
    pub(crate) reference: Gauge,
    pub(crate) clock_offset: Gauge<f64, AtomicU64>,
}

impl Default for Metrics {
    /// Metrics that nobody sees.
    fn default() -> Metrics {
        let services = SERVICES.iter().filter(|service| service.link == Link::Clients);
        let services = services.map(|service| service.name).chain([OTHER]);
        Metrics {
            replica: recado_replication::Metrics::default(),
            requests: CounterByWord::new("service", services),
            refusals: CounterByWord::new("code", Code::ALL.iter().map(|code| code.as_str())),
            given_back: Counter::default(),
            handed_on: Counter::default(),
            read_seconds: Histogram::new(SECONDS),
            published_events: Counter::default(),
            rewound_positions: Counter::default(),
            unpublished_positions: Gauge::default(),
            proxies: Gauge::default(),
            brokers: Gauge::default(),
            reference: Gauge::default(),
            clock_offset: Gauge::default(),
        }
    }
}

impl Metrics {
    /// New metrics that this registry shows.
    pub fn registered(registry: &mut Registry) -> Metrics {
        let to = registry.sub_registry_with_prefix(PREFIX);
        let replica = recado_replication::Metrics::registered(to);
        let all = Metrics { replica, ..Metrics::default() };
        all.register_requests(to);
        all.register_others(to);
        all
    }

    fn register_requests(&self, to: &mut Registry) {
        self.requests.register(
            to,
            "requests",
            "Clients' requests that reached this server, those that another one handed on too",
        );
        self.refusals.register(to, "refusals", "Requests that this server refused");
        to.register(
            "given_back",
            "Requests that went back to the broker, for another server to try",
            self.given_back.clone(),
        );
        to.register(
            "handed_on",
            "Requests that this backup handed on to the primary",
            self.handed_on.clone(),
        );
        to.register_with_unit(
            "read",
            "Time in which a reading request was answered here",
            Unit::Seconds,
            self.read_seconds.clone(),
        );
    }

    fn register_others(&self, to: &mut Registry) {
        to.register(
            "published_events",
            "Events that this server sent to a proxy, repeats included",
            self.published_events.clone(),
        );
        to.register(
            "rewound_positions",
            "Log positions whose events are sent again, because a connection to a proxy broke",
            self.rewound_positions.clone(),
        );
        for (name, help, gauge) in [
            (
                "unpublished_positions",
                "Log positions that are not surely published yet; 0 on all but the primary",
                &self.unpublished_positions,
            ),
            ("connected_proxies", "Proxies that this server is connected to", &self.proxies),
            ("connected_brokers", "Brokers that this server is connected to", &self.brokers),
            (
                "connected_reference",
                "1 while the reference answers this server, else 0",
                &self.reference,
            ),
        ] {
            to.register(name, help, gauge.clone());
        }
        to.register_with_unit(
            "clock_offset",
            "How far this server's clock was ahead of the cluster's average in the latest round",
            Unit::Seconds,
            self.clock_offset.clone(),
        );
    }
}

/// A reference's metrics; clones share them.
#[derive(Clone, Debug)]
pub struct ReferenceMetrics {
    /// Its replica's.
    pub replica: recado_replication::Metrics,
    pub(crate) requests: Counter,
    pub(crate) save_seconds: Histogram,
    pub(crate) listed: Gauge,
}

impl Default for ReferenceMetrics {
    /// Metrics that nobody sees.
    fn default() -> ReferenceMetrics {
        ReferenceMetrics {
            replica: recado_replication::Metrics::default(),
            requests: Counter::default(),
            save_seconds: Histogram::new(SECONDS),
            listed: Gauge::default(),
        }
    }
}

impl ReferenceMetrics {
    /// New metrics that this registry shows.
    pub fn registered(registry: &mut Registry) -> ReferenceMetrics {
        let to = registry.sub_registry_with_prefix(PREFIX);
        let replica = recado_replication::Metrics::registered(to);
        let all = ReferenceMetrics { replica, ..ReferenceMetrics::default() };
        to.register(
            "reference_requests",
            "Registrations, heartbeats and questions that the reference took",
            all.requests.clone(),
        );
        to.register_with_unit(
            "reference_save",
            "Time in which ranks were brought to disk",
            Unit::Seconds,
            all.save_seconds.clone(),
        );
        to.register(
            "reference_listed_servers",
            "Servers whose heartbeats come in time",
            all.listed.clone(),
        );
        all
    }
}
