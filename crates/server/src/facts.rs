//! What the parts of a server know and others show: who answers to them, how far clocks are off,
//! how many requests came.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use recado_protocol::backend::BrokerFacts;
use recado_protocol::marker::ProxyFacts;
use recado_protocol::reply::Scrub;
use recado_replication::NodeId;
use tokio::sync::{Notify, watch};

use crate::lock::lock;
use crate::metrics::Metrics;

/// After so many client requests a clock round is due.
pub const REQUESTS_PER_ROUND: u64 = 10;

/// What is known of the reference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReferenceFacts {
    /// Whether its last answer is fresh.
    pub connected: bool,
    /// Its process id, once it told it.
    pub pid: Option<u32>,
    /// Where it serves HTTP, once it told it.
    pub http: Option<String>,
}

/// A broker or a proxy, as this server sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door<T> {
    /// Where it is looked for: a broker's port for servers, a proxy's for publishers.
    pub address: String,
    /// Whether it is connected.
    pub connected: bool,
    /// Since when it is, or is not: ms since the Unix epoch, by this machine's clock.
    pub since_ms: u64,
    /// What it told over this connection.
    pub told: Option<T>,
}

impl<T> Door<T> {
    /// Not connected yet.
    fn new(address: &str) -> Door<T> {
        Door { address: address.to_owned(), connected: false, since_ms: now_ms(), told: None }
    }

    /// Notes whether it is connected; true if that is new. What it told belongs to the connection.
    fn note(&mut self, connected: bool) -> bool {
        if self.connected == connected {
            return false;
        }
        *self = Door { connected, ..Door::new(&self.address) };
        true
    }

    fn told(&mut self, told: T) {
        self.told = self.connected.then_some(told);
    }
}

/// A proxy, and what passes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyView {
    /// Where it is, and what it told.
    pub door: Door<ProxyFacts>,
    /// Whether it passes on what it is sent, as far as this server knows; only a primary sends.
    pub live: bool,
    /// How many log positions have not surely passed it; only a primary knows.
    pub behind: u64,
}

/// Offsets from the cluster's average in the latest round, ms.
pub type Offsets = Arc<BTreeMap<NodeId, i64>>;

/// Facts for `status` and for the clock rounds; each has one part that writes it.
pub struct Facts {
    /// Where the reference is looked for.
    pub reference_address: String,
    /// Written by the registration.
    pub reference: watch::Sender<ReferenceFacts>,
    /// Written by the publisher: the proxies, in the order of the configuration.
    proxies: Mutex<Vec<ProxyView>>,
    /// Written by the links: the brokers, in the order of the configuration.
    brokers: Mutex<Vec<Door<BrokerFacts>>>,
    /// Written by whoever measured: the primary's round, or on a backup the primary's message.
    pub offsets: watch::Sender<Offsets>,
    /// Written by the part that is watched.
    pub scrub: watch::Sender<Scrub>,
    /// What all parts count and measure.
    pub metrics: Metrics,
    requests: AtomicU64,
    round_due: Notify,
}

impl Facts {
    /// Nothing known yet.
    pub fn new(reference_address: &str, brokers: &[String], proxies: &[String]) -> Facts {
        let proxy =
            |address: &String| ProxyView { door: Door::new(address), live: false, behind: 0 };
        Facts {
            reference_address: reference_address.to_owned(),
            reference: watch::Sender::default(),
            proxies: Mutex::new(proxies.iter().map(proxy).collect()),
            brokers: Mutex::new(brokers.iter().map(|address| Door::new(address)).collect()),
            offsets: watch::Sender::default(),
            scrub: watch::Sender::default(),
            metrics: Metrics::default(),
            requests: AtomicU64::default(),
            round_due: Notify::new(),
        }
    }

    /// With these metrics in place of some that nobody sees.
    pub fn measured(self, metrics: Metrics) -> Facts {
        Facts { metrics, ..self }
    }

    /// The brokers, as this server sees them.
    pub fn brokers(&self) -> Vec<Door<BrokerFacts>> {
        lock(&self.brokers).clone()
    }

    /// Whether a broker is connected.
    pub fn broker_is(&self, number: usize, connected: bool) {
        if let Some(broker) = lock(&self.brokers).get_mut(number) {
            broker.note(connected);
        }
    }

    /// A broker told how it is.
    pub fn broker_told(&self, number: usize, told: BrokerFacts) {
        if let Some(broker) = lock(&self.brokers).get_mut(number) {
            broker.told(told);
        }
    }

    /// The proxies, as this server sees them.
    pub fn proxies(&self) -> Vec<ProxyView> {
        lock(&self.proxies).clone()
    }

    /// Whether a proxy is connected, and passes on what it is sent, as far as is known; and how many
    /// log positions have not surely passed it.
    pub fn proxy_is(&self, number: usize, connected: bool, live: bool, behind: u64) {
        let mut proxies = lock(&self.proxies);
        let Some(proxy) = proxies.get_mut(number) else { return };
        let is_new = proxy.door.note(connected);
        let address = proxy.door.address.as_str();
        if is_new && connected {
            tracing::info!(proxy = address, "the proxy is connected");
        } else if is_new {
            tracing::warn!(proxy = address, "the proxy is away");
        } else if proxy.live && !live {
            tracing::warn!(proxy = address, "the proxy passes nothing on");
        } else if live && !proxy.live {
            tracing::info!(proxy = address, "the proxy passes events on again");
        }
        (proxy.live, proxy.behind) = (live, behind);
    }

    /// A proxy told how it is.
    pub fn proxy_told(&self, number: usize, told: ProxyFacts) {
        if let Some(proxy) = lock(&self.proxies).get_mut(number) {
            proxy.door.told(told);
        }
    }

    /// Counts a client's request.
    pub fn count_request(&self) {
        if self.requests.fetch_add(1, Ordering::Relaxed) + 1 == REQUESTS_PER_ROUND {
            self.round_due.notify_one();
        }
    }

    /// Waits until enough requests came since the last [`Facts::restart_count`].
    pub async fn enough_requests(&self) {
        while self.requests.load(Ordering::Relaxed) < REQUESTS_PER_ROUND {
            self.round_due.notified().await;
        }
    }

    /// A round starts: count anew.
    pub fn restart_count(&self) {
        self.requests.store(0, Ordering::Relaxed);
    }
}

/// This machine's time; before 1970 it is 1970.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn ten_requests_are_enough_and_are_counted_anew() {
        let facts = Facts::new("", &[], &[]);
        for _ in 0..REQUESTS_PER_ROUND - 1 {
            facts.count_request();
        }
        assert_eq!(facts.enough_requests().now_or_never(), None);
        facts.count_request();
        assert_eq!(facts.enough_requests().now_or_never(), Some(()));
        facts.restart_count();
        assert_eq!(facts.enough_requests().now_or_never(), None);
    }
}
