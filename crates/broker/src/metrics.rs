//! What a broker counts and measures, for those who watch it.

use recado_metrics::{Counter, CounterByWord, Gauge, Histogram, OTHER, metrics};
use recado_protocol::Code;
use recado_protocol::services::{Link, names};

/// Upper bounds of the times of requests, s. The dispatcher's time comes in whole milliseconds.
const SECONDS: [f64; 11] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0];

metrics! {
    /// A broker's metrics; clones share them.
    pub struct Metrics named "broker_" {
        /// Clients' requests that came in.
        pub(crate) requests: CounterByWord =
            CounterByWord::new("service", names(Link::Clients).chain([OTHER])),
        /// Requests that the broker refused itself.
        pub(crate) refusals: CounterByWord = CounterByWord::new("code", Code::words()),
        /// Requests that were answered, by whomever.
        pub(crate) answers: Counter,
        /// Attempts after the first, with another server or the same one.
        pub(crate) retries: Counter,
        /// Time from a request's arrival to its answer, in whole milliseconds.
        pub(crate) request_seconds: Histogram = Histogram::new(SECONDS),
        /// Requests that no server has now.
        pub(crate) queued_requests: Gauge,
        /// Requests that a server has now.
        pub(crate) in_flight_requests: Gauge,
        /// Bytes of the requests that are held.
        pub(crate) held_bytes: Gauge,
        /// Servers that are heard of in time.
        pub(crate) servers: Gauge,
        /// Sessions under which the broker carries writes out.
        pub(crate) sessions: Gauge,
    }
}
