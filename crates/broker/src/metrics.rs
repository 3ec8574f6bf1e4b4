//! What a broker counts and measures, for those who watch it.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Unit;
use recado_protocol::Code;
use recado_protocol::services::{Link, SERVICES};
use recado_watch::{CounterByWord, OTHER, PREFIX, Registry};

/// Upper bounds of the times of requests, s. The dispatcher's time comes in whole milliseconds.
const SECONDS: [f64; 11] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0];

/// A broker's metrics; clones share them.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(crate) requests: CounterByWord,
    pub(crate) refusals: CounterByWord,
    pub(crate) answers: Counter,
    pub(crate) retries: Counter,
    pub(crate) request_seconds: Histogram,
    pub(crate) queued: Gauge,
    pub(crate) in_flight: Gauge,
    pub(crate) held_bytes: Gauge,
    pub(crate) servers: Gauge,
    pub(crate) sessions: Gauge,
}

impl Default for Metrics {
    /// Metrics that nobody sees.
    fn default() -> Metrics {
        let services = SERVICES.iter().filter(|service| service.link == Link::Clients);
        let services = services.map(|service| service.name).chain([OTHER]);
        Metrics {
            requests: CounterByWord::new("service", services),
            refusals: CounterByWord::new("code", Code::ALL.iter().map(|code| code.as_str())),
            answers: Counter::default(),
            retries: Counter::default(),
            request_seconds: Histogram::new(SECONDS),
            queued: Gauge::default(),
            in_flight: Gauge::default(),
            held_bytes: Gauge::default(),
            servers: Gauge::default(),
            sessions: Gauge::default(),
        }
    }
}

impl Metrics {
    /// New metrics that this registry shows.
    pub fn registered(registry: &mut Registry) -> Metrics {
        let to = registry.sub_registry_with_prefix(PREFIX);
        let all = Metrics::default();
        all.requests.register(to, "broker_requests", "Clients' requests that came in");
        all.refusals.register(to, "broker_refusals", "Requests that the broker refused itself");
        for (name, help, counter) in [
            ("broker_answers", "Requests that were answered, by whomever", &all.answers),
            (
                "broker_retries",
                "Attempts after the first, with another server or the same one",
                &all.retries,
            ),
        ] {
            to.register(name, help, counter.clone());
        }
        to.register_with_unit(
            "broker_request",
            "Time from a request's arrival to its answer, in whole milliseconds",
            Unit::Seconds,
            all.request_seconds.clone(),
        );
        for (name, help, gauge) in [
            ("broker_queued_requests", "Requests that no server has now", &all.queued),
            ("broker_in_flight_requests", "Requests that a server has now", &all.in_flight),
            ("broker_servers", "Servers that are heard of in time", &all.servers),
            (
                "broker_sessions",
                "Sessions under which the broker carries writes out",
                &all.sessions,
            ),
        ] {
            to.register(name, help, gauge.clone());
        }
        to.register_with_unit(
            "broker_held",
            "Bytes of the requests that are held",
            Unit::Bytes,
            all.held_bytes.clone(),
        );
        all
    }
}
