//! Metrics, each declared once.
//!
//! [`metrics!`] makes a struct out of rows: a field's name is the metric's name, its doc comment is
//! the help that scrapers see, and its unit is the name's last word. Every crate that counts has one
//! such struct; a role registers those that it uses, and whoever serves them reads the registry.

mod words;

pub use prometheus_client::metrics::counter::Counter;
pub use prometheus_client::metrics::gauge::Gauge;
pub use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
pub use prometheus_client::registry::Registry;
pub use words::{CounterByWord, OTHER};

use std::sync::atomic::AtomicU64;

use prometheus_client::registry::{Metric, Unit};

/// A gauge that shows fractions.
pub type RealGauge = Gauge<f64, AtomicU64>;

/// The prefix of our own metrics.
pub const PREFIX: &str = "recado";

/// Upper bounds of times from half a millisecond to ten seconds, s: for answers and for disks.
pub const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];

/// The names' last words that are units.
const UNITS: [(&str, Unit); 2] = [("_seconds", Unit::Seconds), ("_bytes", Unit::Bytes)];

/// A number as gauges take it.
pub fn count(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// What a registry can show: a metric, or a group of them.
pub trait Shown {
    /// Shows it under this name; the metrics of a group have names of their own.
    fn show(&self, registry: &mut Registry, name: &str, help: &str);
}

impl<M: Metric + Clone> Shown for M {
    fn show(&self, registry: &mut Registry, name: &str, help: &str) {
        // The registry writes the unit and the full stop itself.
        let help = help.trim().trim_end_matches('.');
        let unit = UNITS.into_iter().find_map(|(end, unit)| Some((name.strip_suffix(end)?, unit)));
        match unit {
            Some((base, unit)) => registry.register_with_unit(base, help, unit, self.clone()),
            None => registry.register(name, help, self.clone()),
        }
    }
}

/// Declares a struct of metrics, a row each: help, visibility, name and type, and behind `=` the
/// value where the type has no default. The word behind `named` stands before each name.
///
/// ```
/// recado_metrics::metrics! {
///     /// What an orchard counts.
///     pub struct Orchard named "orchard_" {
///         /// Apples that fell.
///         pub apples: recado_metrics::Counter,
///         /// Time from the blossom to the fall.
///         pub fall_seconds: recado_metrics::Histogram = recado_metrics::Histogram::new([1e6, 1e7]),
///     }
/// }
/// let orchard = Orchard::registered(&mut recado_metrics::Registry::default());
/// orchard.apples.inc(); // recado_orchard_apples_total
/// ```
#[macro_export]
macro_rules! metrics {
    (
        $(#[doc = $about:literal])+
        pub struct $Group:ident $(named $prefix:literal)? {
            $($(#[doc = $help:literal])+ $vis:vis $name:ident: $Kind:ty $(= $new:expr)?,)+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug)]
        pub struct $Group {
            $($(#[doc = $help])+ $vis $name: $Kind,)+
        }

        impl Default for $Group {
            /// Metrics that nobody sees.
            fn default() -> Self {
                $Group { $($name: $crate::metrics!(@new $Kind $(= $new)?),)+ }
            }
        }

        impl $Group {
            /// New metrics that this registry shows.
            pub fn registered(registry: &mut $crate::Registry) -> Self {
                let all = Self::default();
                let ours = registry.sub_registry_with_prefix($crate::PREFIX);
                $crate::Shown::show(&all, ours, "", "");
                all
            }
        }

        impl $crate::Shown for $Group {
            fn show(&self, registry: &mut $crate::Registry, _: &str, _: &str) {
                let prefix = concat!("" $(, $prefix)?);
                $({
                    let name = [prefix, stringify!($name)].concat();
                    $crate::Shown::show(&self.$name, registry, &name, concat!($($help),+));
                })+
            }
        }
    };
    (@new $Kind:ty) => { <$Kind as Default>::default() };
    (@new $Kind:ty = $new:expr) => { $new };
}
