//! Between broker and server, on port 5556: a header frame of ours, then the untouched body.

use crate::message::RequestId;
use crate::reply::Scrub;

/// From a server to the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToBroker {
    /// I am here and take up to `credit` requests at a time; sent at connect and every
    /// [`READY_INTERVAL_MS`] as a sign of life.
    Ready {
        /// The server's name.
        name: String,
        /// A random number of this start.
        boot: u64,
        /// How many requests it takes at a time.
        credit: u32,
        /// Whether it is the primary.
        primary: bool,
        /// Whether it can answer at all (it is part of a cluster that has a primary).
        serving: bool,
        /// Where it serves HTTP (`host:port`), if it does; for `status`.
        http: Option<String>,
        /// How the check of its rows stands; for `status`.
        scrub: Scrub,
        /// Why it can't answer, in a sentence without its stop, if it knows.
        why: Option<String>,
    },
    /// The reply to request `n` is the body frame.
    Done {
        /// The broker's number of the attempt.
        n: u64,
    },
    /// Request `n` was not answered: try another server. `uncertain` when it may take effect.
    Again {
        /// The broker's number of the attempt.
        n: u64,
        /// Whether it may still take effect, or has.
        uncertain: bool,
    },
    /// I am leaving: send nothing more.
    Bye,
}

/// From the broker to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToServer {
    /// The broker's number for this attempt.
    pub n: u64,
    /// The id under which a write without one of its own is carried out.
    pub id: Option<RequestId>,
}

/// What a broker tells its servers of itself, so that any server can show it in `status`. It comes
/// in a header with an empty body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerFacts {
    /// Where it listens for clients (`tcp://host:port`).
    pub address: String,
    /// Its process id.
    pub pid: u32,
    /// Where it serves HTTP (`host:port`), if it does.
    pub http: Option<String>,
    /// How long it has been running, ms.
    pub uptime_ms: u64,
    /// How many clients are connected.
    pub clients: u64,
    /// The servers that are connected.
    pub servers: Vec<ConnectedServer>,
}

/// A server, as its broker sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectedServer {
    /// Its name.
    pub name: String,
    /// Since when: ms since the Unix epoch, by the broker's clock.
    pub since: u64,
}

/// How often a broker tells [`BrokerFacts`]; when a server comes it tells them at once.
pub const FACTS_INTERVAL_MS: u64 = 1000;

/// How often a server says [`ToBroker::Ready`].
pub const READY_INTERVAL_MS: u64 = 200;
