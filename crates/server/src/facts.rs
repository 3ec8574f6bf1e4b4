//! What the parts of a server know and others show: who answers to them, how far clocks are off,
//! how many requests came.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use recado_replication::NodeId;
use tokio::sync::{Notify, watch};

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

/// Offsets from the cluster's average in the latest round, ms.
pub type Offsets = Arc<BTreeMap<NodeId, i64>>;

/// Facts for `status` and for the clock rounds; each has one part that writes it.
pub struct Facts {
    /// Where the reference is looked for.
    pub reference_address: String,
    /// Where the proxy is looked for.
    pub proxy_address: String,
    /// Written by the registration.
    pub reference: watch::Sender<ReferenceFacts>,
    /// Written by the publisher: whether the proxy is connected.
    pub proxy_connected: AtomicBool,
    /// Written by whoever measured: the primary's round, or on a backup the primary's message.
    pub offsets: watch::Sender<Offsets>,
    requests: AtomicU64,
    round_due: Notify,
}

impl Facts {
    /// Nothing known yet.
    pub fn new(reference_address: &str, proxy_address: &str) -> Facts {
        Facts {
            reference_address: reference_address.to_owned(),
            proxy_address: proxy_address.to_owned(),
            reference: watch::Sender::default(),
            proxy_connected: AtomicBool::default(),
            offsets: watch::Sender::default(),
            requests: AtomicU64::default(),
            round_due: Notify::new(),
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

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn ten_requests_are_enough_and_are_counted_anew() {
        let facts = Facts::new("", "");
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
