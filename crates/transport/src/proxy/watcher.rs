//! Who subscribes to what at the proxy.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use omq_tokio::{MonitorEvent, MonitorRecvError, Socket};
use recado_protocol::marker::PROXY_FACTS_TOPIC;
use tokio::sync::Notify;

use super::MAX_SUBSCRIPTIONS;
use super::recall::Recall;
use crate::metrics::ProxyMetrics;

/// What the proxy's parts share.
#[derive(Default)]
pub struct Shared {
    recall: Mutex<Recall>,
    /// How many subscriptions there are to the proxy's facts.
    pub listeners: AtomicUsize,
    /// Somebody new subscribed to them, or there is something new to tell.
    pub news: Notify,
}

impl Shared {
    /// What passed in the first seconds.
    pub fn recall(&self) -> MutexGuard<'_, Recall> {
        self.recall.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's subscriptions, as far as they matter.
#[derive(Default)]
struct Subscriptions {
    all: usize,
    facts: usize,
}

/// Follows subscriptions: disconnects whoever asks for more topics than anybody needs, tells
/// [`Recall`] and notes who listens to the proxy's facts. Ends with the socket.
pub async fn watch(subscribers: &Socket, shared: &Shared, metrics: &ProxyMetrics) {
    while let Ok((mut monitor, peers)) = subscribers.monitor_with_subscriptions().await {
        let mut counts: HashMap<u64, Subscriptions> = HashMap::new();
        for peer in peers {
            let counted = counts.entry(peer.peer.connection_id).or_default();
            counted.all = peer.prefixes.len();
            counted.facts = peer.prefixes.iter().filter(|prefix| is_facts(prefix)).count();
        }
        let over = counts.iter().filter(|(_, counted)| counted.all > MAX_SUBSCRIPTIONS);
        for connection in over.map(|(&connection, _)| connection).collect::<Vec<_>>() {
            refuse(subscribers, connection, metrics).await;
        }
        note_listeners(shared, &counts);
        loop {
            match monitor.recv().await {
                Ok(MonitorEvent::SubscribeReceived { connection_id, prefix }) => {
                    shared.recall().subscribed(&prefix);
                    let counted = counts.entry(connection_id).or_default();
                    counted.all += 1;
                    if is_facts(&prefix) {
                        counted.facts += 1;
                        note_listeners(shared, &counts);
                        shared.news.notify_one();
                    } else if counted.all > MAX_SUBSCRIPTIONS {
                        counts.remove(&connection_id);
                        refuse(subscribers, connection_id, metrics).await;
                    }
                }
                Ok(MonitorEvent::UnsubscribeReceived { connection_id, prefix }) => {
                    if let Some(counted) = counts.get_mut(&connection_id) {
                        counted.all = counted.all.saturating_sub(1);
                        if is_facts(&prefix) {
                            counted.facts = counted.facts.saturating_sub(1);
                            note_listeners(shared, &counts);
                        }
                    }
                }
                Ok(MonitorEvent::Disconnected { peer, .. }) => {
                    let gone = counts.remove(&peer.connection_id);
                    if gone.is_some_and(|gone| gone.facts > 0) {
                        note_listeners(shared, &counts);
                    }
                }
                Ok(_) => {}
                Err(MonitorRecvError::Lagged(_)) => {
                    // Anybody may have subscribed unseen. Count anew from what the socket knows.
                    shared.recall().subscribed(&Bytes::new());
                    shared.news.notify_one();
                    break;
                }
                Err(_) => return,
            }
        }
    }
}

fn is_facts(prefix: &[u8]) -> bool {
    prefix == PROXY_FACTS_TOPIC
}

fn note_listeners(shared: &Shared, counts: &HashMap<u64, Subscriptions>) {
    let listeners = counts.values().map(|counted| counted.facts).sum();
    shared.listeners.store(listeners, Relaxed);
}

/// Closes the connection of a subscriber that asks for too much.
async fn refuse(subscribers: &Socket, connection: u64, metrics: &ProxyMetrics) {
    metrics.refused_subscribers.inc();
    tracing::warn!(connection, "a subscriber with too many topics is disconnected");
    // Fails only when it is gone already.
    let _ = subscribers.disconnect_peer(connection).await;
}
