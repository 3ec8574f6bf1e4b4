//! What passes a proxy for the cluster's own sake: markers, and what a proxy tells of itself.
//!
//! Both have topics that begin with [`OWN_TOPICS`], a byte that no name holds, so they reach
//! nobody who subscribes to a name. Who subscribes to everything passes over services that it
//! does not know.

use crate::backend::ConnectedServer;

/// The first byte of topics that are the cluster's own.
pub const OWN_TOPICS: u8 = 0x03;

/// The topic on which a proxy tells [`ProxyFacts`].
pub const PROXY_FACTS_TOPIC: &[u8] = b"\x03proxy";

/// The topic on which a server tells a proxy that it was connected to it before: the proxy is back,
/// and its subscribers come back too. The body is a marker with the number 0; a proxy of ours
/// keeps it to itself.
pub const PROXY_BACK_TOPIC: &[u8] = b"\x03back";

/// The topic of a server's markers, by the random number of its start: nobody else hears them.
pub fn marker_topic(boot: u64) -> String {
    format!("\u{3}marker {boot:016x}")
}

/// What a proxy tells of itself, while anybody subscribes to [`PROXY_FACTS_TOPIC`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyFacts {
    /// Its process id.
    pub pid: u32,
    /// Where it serves HTTP (`host:port`), if it does.
    pub http: Option<String>,
    /// How long it has been running, ms.
    pub uptime_ms: u64,
    /// How many publishers are connected.
    pub publishers: u64,
    /// How many subscribers are connected.
    pub subscribers: u64,
    /// The publishers that are servers, by the names that they give themselves.
    pub servers: Vec<ConnectedServer>,
}
