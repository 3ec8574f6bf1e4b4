//! The event proxy as a role.

use std::future::Future;

use recado_transport::EventProxy;

use crate::BrokerError;

/// How a proxy is set up.
#[derive(Clone, Debug)]
pub struct ProxyConfig {
    /// Where servers publish (XSUB).
    pub publishers: String,
    /// Where clients subscribe (XPUB).
    pub subscribers: String,
    /// Where this role serves HTTP (`host:port`), if it does; for `status`.
    pub http: Option<String>,
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
    proxy.run(shutdown).await;
    Ok(())
}
