//! What is shown of a role from before it opens anything: which metrics each has, and the start of
//! the thread that shows them.

use std::path::Path;

use recado_broker::ProxyMetrics;
use recado_server::ReferenceMetrics;
use recado_watch::{Folder, Registry, Vitals};

use crate::address;
use crate::failure::Failure;
use crate::options::Settings;
use crate::shutdown::Shutdown;

/// Metrics that are registered before the role starts.
#[derive(Default)]
pub struct Shown(Registry);

impl Shown {
    /// A broker's.
    pub fn broker(&mut self) -> recado_broker::Metrics {
        recado_broker::Metrics::registered(&mut self.0)
    }

    /// A proxy's.
    pub fn proxy(&mut self) -> ProxyMetrics {
        ProxyMetrics::registered(&mut self.0)
    }

    /// A reference's, which keeps its data here.
    pub fn reference(&mut self, data_dir: &Path) -> ReferenceMetrics {
        self.folder(data_dir);
        ReferenceMetrics::registered(&mut self.0)
    }

    /// A server's, which keeps its data here.
    pub fn server(&mut self, data_dir: &Path) -> recado_server::Metrics {
        self.folder(data_dir);
        recado_server::Metrics::registered(&mut self.0)
    }

    fn folder(&mut self, data_dir: &Path) {
        self.0.register_collector(Box::new(Folder(data_dir.to_owned())));
    }

    /// What every role has; the registry is complete then.
    fn complete(mut self, vitals: &Vitals) -> Registry {
        recado_watch::register(&mut self.0, vitals, env!("CARGO_PKG_VERSION"));
        self.0
    }

    /// Starts to show the role, where --http says, and to systemd if that wants to be told.
    ///
    /// # Errors
    /// One sentence when the address can't be listened on.
    pub fn start(self, settings: &Settings, shutdown: &Shutdown) -> Result<Vitals, Failure> {
        let vitals = Vitals::default();
        let registry = self.complete(&vitals);
        let http = settings.http.as_deref().map(address::http).transpose();
        let bound = http.map_err(Failure::Usage)?.map(|(host, port)| {
            address::host_port(if host == "*" { "0.0.0.0" } else { host }, port)
        });
        let stopping = shutdown.clone().wait();
        recado_watch::start(bound.as_deref(), vitals.clone(), registry, stopping)
            .map_err(Failure::failed)?;
        Ok(vitals)
    }
}

#[cfg(test)]
mod tests;
