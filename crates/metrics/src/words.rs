//! Counters for the values of one label. The values are known beforehand, so that nobody who sends
//! requests decides how many series there are, or what stands in them.

use std::fmt::Error;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

/// What every value that is not known counts as, where that is one of the words.
pub const OTHER: &str = "other";

type Labels = Vec<(&'static str, &'static str)>;

/// A counter for each of a few words; clones share them.
#[derive(Clone, Debug)]
pub struct CounterByWord {
    family: Family<Labels, Counter>,
    counters: Vec<(&'static str, Counter)>,
}

impl CounterByWord {
    /// Counters at 0, with the words as values of this label.
    pub fn new(label: &'static str, words: impl IntoIterator<Item = &'static str>) -> Self {
        let family = Family::<Labels, Counter>::default();
        let counter = |word| (word, family.get_or_create_owned(&vec![(label, word)]));
        let counters = words.into_iter().map(counter).collect();
        CounterByWord { family, counters }
    }

    /// Counts one. A word that is not known counts as [`OTHER`], or not at all.
    pub fn inc(&self, word: &str) {
        let find = |word: &str| self.counters.iter().find(|(known, _)| *known == word);
        if let Some((_, counter)) = find(word).or_else(|| find(OTHER)) {
            counter.inc();
        }
    }

    /// How many there were in all.
    pub fn sum(&self) -> u64 {
        self.counters.iter().map(|(_, counter)| counter.get()).sum()
    }
}

impl EncodeMetric for CounterByWord {
    fn encode(&self, encoder: MetricEncoder) -> Result<(), Error> {
        self.family.encode(encoder)
    }

    fn metric_type(&self) -> MetricType {
        self.family.metric_type()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_other() {
        let shown = |counters: &CounterByWord| {
            let counts = counters.counters.iter();
            counts.map(|(word, counter)| (*word, counter.get())).collect::<Vec<_>>()
        };
        let counters = CounterByWord::new("fruit", ["apple", OTHER]);
        for fruit in ["apple", "pear", "ana", "apple"] {
            counters.inc(fruit);
        }
        assert_eq!(shown(&counters), [("apple", 2), (OTHER, 2)]);
        let none = CounterByWord::new("fruit", ["apple"]);
        none.inc("pear");
        assert_eq!(shown(&none), [("apple", 0)]);
        assert_eq!((counters.sum(), none.sum()), (4, 0));
    }
}
