//! What every role has: its version, and whether it is ready.

use std::fmt::Error;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;

use crate::{Registry, Vitals};

/// Whether it is ready, when somebody asks.
#[derive(Debug)]
struct Ready(Vitals);

impl Collector for Ready {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), Error> {
        let help = "1 when the role is ready, else 0; /readyz says what is missing.";
        let into = encoder.encode_descriptor("ready", help, None, MetricType::Gauge)?;
        ConstGauge::new(i64::from(self.0.missing().is_empty())).encode(into)
    }
}

/// Registers what every role has.
pub fn register(registry: &mut Registry, vitals: &Vitals, version: &'static str) {
    registry.register_collector(Box::new(crate::Process));
    let ours = registry.sub_registry_with_prefix(recado_metrics::PREFIX);
    ours.register("build", "The program that runs", Info::new(vec![("version", version)]));
    ours.register_collector(Box::new(Ready(vitals.clone())));
}
