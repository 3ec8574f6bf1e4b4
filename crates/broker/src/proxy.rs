//! The event proxy as a role.

use std::future::Future;
use std::time::Duration;

use recado_metrics::count;
use recado_transport::{Connections, EventProxy, ProxyMetrics};
use recado_watch::{BEAT_INTERVAL_MS, Vitals};

use crate::BrokerError;

/// How a proxy is set up.
#[derive(Clone, Debug)]
pub struct ProxyConfig {
    /// Where servers publish (XSUB).
    pub publishers: String,
    /// Where clients subscribe (XPUB).
    pub subscribers: String,
    /// Where its pages are (`host:port`), to be shown to others.
    pub http: Option<String>,
    /// What it shows to those who watch it.
    pub vitals: Vitals,
    /// What it counts and measures.
    pub metrics: ProxyMetrics,
}

/// Binds a proxy and runs it until `shutdown` ends.
pub async fn run_proxy(
    config: ProxyConfig,
    shutdown: impl Future<Output = ()>,
) -> Result<(), BrokerError> {
    let proxy = EventProxy::bind(&config.publishers, &config.subscribers).await?;
    let proxy = proxy.with_http(config.http);
    let [publishers, subscribers] = proxy.endpoints();
    tracing::info!(publishers, subscribers, "the proxy is ready");
    let proxy = proxy.measured(config.metrics.clone());
    let connections = proxy.connections();
    tokio::select! {
        () = proxy.run(shutdown) => {}
        () = watch(&connections, &config.vitals, &config.metrics) => {}
    }
    Ok(())
}

/// Shows that the thread turns, and whether anybody publishes; for ever.
async fn watch(connections: &Connections, vitals: &Vitals, metrics: &ProxyMetrics) {
    vitals.serves();
    let mut beats = tokio::time::interval(Duration::from_millis(BEAT_INTERVAL_MS));
    loop {
        beats.tick().await;
        vitals.beat();
        metrics.publishers.set(count(connections.servers()));
        metrics.subscribers.set(count(connections.clients()));
        let silent = connections.servers() == 0;
        let reason = "no server is connected to publish; start servers, or look at their --proxy";
        vitals.lacks(if silent { vec![reason.to_owned()] } else { Vec::new() });
    }
}
