//! What the two roles are told at start, and the limits they keep.

use std::collections::BTreeMap;
use std::path::PathBuf;

use recado_protocol::limits::DEFAULT_MESSAGE_BYTES;
use recado_replication::{Sizes, Timing};
use recado_watch::Vitals;

use crate::metrics::{Metrics, ReferenceMetrics};

/// How many requests one broker may have waiting at this server at a time.
pub const CREDIT_REQUESTS: u32 = 512;

/// How many requests are taken from a socket at a time.
pub const BATCH_REQUESTS: usize = 256;

/// How many requests that other servers forwarded may be under way here at a time.
pub const MAX_FORWARDED_REQUESTS: usize = 4096;

/// How long a backup waits for the primary's answer to a forwarded request.
pub const FORWARD_TIMEOUT_MS: u64 = 4000;

/// How long a request from a plain pump, which tries nobody else, is tried here.
pub const PLAIN_TIMEOUT_MS: u64 = 5000;

/// How long a server pauses before it tries such a request again.
pub const PLAIN_PAUSE_MS: u64 = 50;

/// Between two heartbeats to the reference.
pub const HEARTBEAT_INTERVAL_MS: u64 = 250;

/// How many heartbeats may be without an answer before a new one waits for the next turn.
pub const MAX_PENDING_HEARTBEATS: usize = 8;

/// How long an answer of the reference is waited for.
pub const REFERENCE_TIMEOUT_MS: u64 = 2000;

/// How long a start waits for the reference, to ask who else bears the server's name.
pub const NAMESAKE_WAIT_MS: u64 = 300;

/// How often a server that is starting asks the reference who else is there.
pub const LIST_INTERVAL_MS: u64 = 250;

/// How many messages are read from the store at a time for publishing.
pub const PUBLISH_PAGE_ROWS: usize = 256;

/// A page of history up to this size is read on the runtime's own thread, a larger one elsewhere.
pub const INLINE_HISTORY_ROWS: usize = 50;

/// Who a server is, where it keeps its data, and whom it talks to.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Its name: unique, and the same at every start.
    pub name: String,
    /// Its data folder; made if it is not there.
    pub data_dir: PathBuf,
    /// Where it listens for other servers (`tcp://host:port`; port 0 takes a free one).
    pub endpoint: String,
    /// Where other servers reach it; none when that is where it listens.
    pub advertise: Option<String>,
    /// Other servers' addresses that are reached from here at another one.
    pub routes: BTreeMap<String, String>,
    /// The brokers' ports for servers.
    pub brokers: Vec<String>,
    /// The proxies; events go to all of them.
    pub proxies: Vec<Proxy>,
    /// The reference.
    pub reference: String,
    /// Added to the system's clock, ms; for tests of the clock's correction.
    pub clock_offset_ms: i64,
    /// The longest text of one message.
    pub message_limit_bytes: usize,
    /// How many servers must be active for writes to be taken; none leaves it as the cluster has it.
    pub min_copies: Option<u32>,
    /// Time-outs of replication.
    pub timing: Timing,
    /// How much of the log is kept.
    pub sizes: Sizes,
    /// Where its pages are (`host:port`), to be shown to others.
    pub http: Option<String>,
    /// What it shows to those who watch it.
    pub vitals: Vitals,
    /// What it counts and measures.
    pub metrics: Metrics,
}

/// A proxy, as a server reaches it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Its port for publishers (XSUB).
    pub publishers: String,
    /// Its port for subscribers (XPUB).
    pub subscribers: String,
}

impl ServerConfig {
    /// A server with the standard's end points on this machine; `number` counts from 1.
    pub fn local(name: impl Into<String>, data_dir: impl Into<PathBuf>, number: u16) -> Self {
        ServerConfig {
            name: name.into(),
            data_dir: data_dir.into(),
            endpoint: format!("tcp://127.0.0.1:{}", 5559u16.saturating_add(number)),
            advertise: None,
            routes: BTreeMap::new(),
            brokers: vec!["tcp://127.0.0.1:5556".into()],
            proxies: vec![Proxy {
                publishers: "tcp://127.0.0.1:5557".into(),
                subscribers: "tcp://127.0.0.1:5558".into(),
            }],
            reference: "tcp://127.0.0.1:5559".into(),
            clock_offset_ms: 0,
            message_limit_bytes: DEFAULT_MESSAGE_BYTES,
            min_copies: None,
            timing: Timing::default(),
            sizes: Sizes::default(),
            http: None,
            vitals: Vitals::default(),
            metrics: Metrics::default(),
        }
    }
}

/// The name of the reference's replica; no server may have it.
pub const WITNESS_NAME: &str = "reference";

/// Where the reference listens and keeps its ranks.
#[derive(Clone, Debug)]
pub struct ReferenceConfig {
    /// Where it listens for servers (`tcp://host:port`; port 0 takes a free one).
    pub endpoint: String,
    /// Its data folder; made if it is not there.
    pub data_dir: PathBuf,
    /// Whether it keeps a replica too, which votes when the servers are even in number.
    pub witness: bool,
    /// Servers' addresses that are reached from here at another one.
    pub routes: BTreeMap<String, String>,
    /// The servers' time-outs of replication.
    pub timing: Timing,
    /// How much of the replica's log is kept.
    pub sizes: Sizes,
    /// Where its pages are (`host:port`), to be shown to others.
    pub http: Option<String>,
    /// What it shows to those who watch it.
    pub vitals: Vitals,
    /// What it counts and measures.
    pub metrics: ReferenceMetrics,
}

impl ReferenceConfig {
    /// A reference with a replica and the servers' default time-outs.
    pub fn new(endpoint: impl Into<String>, data_dir: impl Into<PathBuf>) -> Self {
        let (endpoint, data_dir) = (endpoint.into(), data_dir.into());
        ReferenceConfig {
            endpoint,
            data_dir,
            witness: true,
            routes: BTreeMap::new(),
            timing: Timing::default(),
            sizes: Sizes::default(),
            http: None,
            vitals: Vitals::default(),
            metrics: ReferenceMetrics::default(),
        }
    }
}
