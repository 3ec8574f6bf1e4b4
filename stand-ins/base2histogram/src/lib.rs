//! A stand-in for the crate of this name, which openraft records its runtime statistics with.
//!
//! Recado does not turn these statistics on and never reads them: it measures with metrics of its
//! own. Yet the engine makes the histograms in any case, and the real crate then fills tables of
//! 20 MB in every process that runs a replica. This one has the few names that the engine needs,
//! and counts samples without keeping them. Once openraft makes no histograms without its
//! `runtime-stats` feature, this crate and its `[patch]` entry can go.

use std::fmt;
use std::marker::PhantomData;

/// A histogram that knows how many samples it was given, and nothing else of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram<T = ()> {
    samples: u64,
    slots: PhantomData<T>,
}

impl<T> Histogram<T> {
    /// An empty histogram.
    #[must_use]
    pub fn new() -> Histogram<T> {
        Histogram { samples: 0, slots: PhantomData }
    }

    /// Counts a sample and forgets its value.
    pub fn record(&mut self, _value: u64) {
        self.samples += 1;
    }

    /// Counts so many samples of one value, and forgets it.
    pub fn record_n(&mut self, _value: u64, count: u64) {
        self.samples += count;
    }

    /// How many samples there were.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.samples
    }

    /// The number of samples; all percentiles are 0.
    #[must_use]
    pub fn percentile_stats(&self) -> PercentileStats {
        PercentileStats { samples: self.samples, ..PercentileStats::default() }
    }
}

/// What the engine shows of a histogram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PercentileStats {
    /// How many samples there were.
    pub samples: u64,
    /// Always 0, as are all that follow.
    pub p0_1: u64,
    /// Always 0.
    pub p1: u64,
    /// Always 0.
    pub p5: u64,
    /// Always 0.
    pub p10: u64,
    /// Always 0.
    pub p50: u64,
    /// Always 0.
    pub p90: u64,
    /// Always 0.
    pub p99: u64,
    /// Always 0.
    pub p99_9: u64,
}

impl fmt::Display for PercentileStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} samples", self.samples)
    }
}

/// The engine's picture of several histograms; empty here.
#[derive(Clone, Debug, Default)]
pub struct AsciiChart;

impl AsciiChart {
    /// An empty picture.
    #[must_use]
    pub fn new() -> AsciiChart {
        AsciiChart
    }

    /// The same picture.
    #[must_use]
    pub fn add(self, _name: &str, _histogram: Histogram) -> AsciiChart {
        self
    }

    /// The picture with all details.
    #[must_use]
    pub fn detailed(&self) -> impl fmt::Display {
        "no statistics are kept"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_counted_and_not_kept() {
        let mut histogram = Histogram::<()>::new();
        histogram.record(7);
        histogram.record_n(u64::MAX, 2);
        assert_eq!(histogram.total(), 3);
        assert_eq!(histogram.percentile_stats().to_string(), "3 samples");
        assert!(size_of::<Histogram>() <= 8);
    }
}
