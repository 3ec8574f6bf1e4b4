//! What was measured, and what it comes to.

use std::time::Duration;

use super::BenchReport;

/// The answers and errors within the window of measurement.
#[derive(Debug, Default)]
pub(super) struct Samples {
    /// When each answer came, µs since the window began.
    at_us: Vec<u64>,
    /// How long each took, µs.
    latency_us: Vec<u64>,
    errors: u64,
    first_error: Option<String>,
}

impl Samples {
    pub(super) fn answer(&mut self, at: Duration, latency: Duration) {
        self.at_us.push(micros(at));
        self.latency_us.push(micros(latency));
    }

    pub(super) fn error(&mut self, why: &str) {
        self.errors += 1;
        self.first_error.get_or_insert_with(|| why.to_owned());
    }

    pub(super) fn add(&mut self, mut other: Samples) {
        self.at_us.append(&mut other.at_us);
        self.latency_us.append(&mut other.latency_us);
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
    }

    /// When each answer came, µs since the window began, in order.
    pub(super) fn times_us(&self) -> Vec<u64> {
        let mut times = self.at_us.clone();
        times.sort_unstable();
        times
    }

    pub(super) fn report(mut self, window: Duration) -> BenchReport {
        self.latency_us.sort_unstable();
        self.at_us.sort_unstable();
        let answers = self.latency_us.len();
        let latency = |per_mille| ms(percentile(&self.latency_us, per_mille));
        BenchReport {
            answers: answers as u64,
            seconds: window.as_secs_f64(),
            per_s: answers as f64 / window.as_secs_f64(),
            p50_ms: latency(500),
            p90_ms: latency(900),
            p99_ms: latency(990),
            p999_ms: latency(999),
            max_ms: latency(1000),
            longest_gap_ms: ms(longest_gap(&self.at_us, micros(window))),
            errors: self.errors,
            first_error: self.first_error,
        }
    }
}

/// A figure over several rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The smallest.
    pub min: f64,
    /// The middle one; of an even number the mean of the two in the middle.
    pub median: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// The spread of these values; all 0 without any.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Spread {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_unstable_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(0.0);
        let upper = values.len() / 2;
        let lower = upper - usize::from(values.len().is_multiple_of(2) && upper > 0);
        Spread {
            min: at(0),
            median: f64::midpoint(at(lower), at(upper)),
            max: at(values.len().saturating_sub(1)),
        }
    }
}

pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

pub(super) fn ms(us: u64) -> f64 {
    us as f64 / 1000.0
}

/// The smallest value that so many per mille of all values do not exceed; 0 of none.
fn percentile(sorted: &[u64], per_mille: usize) -> u64 {
    let rank = (sorted.len() * per_mille).div_ceil(1000);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

/// The longest stretch without an answer, the window's two ends counted as if one came.
pub(super) fn longest_gap(sorted: &[u64], window_us: u64) -> u64 {
    let mut last = 0;
    let mut longest = 0;
    for at in sorted.iter().copied().chain([window_us]) {
        longest = longest.max(at.saturating_sub(last));
        last = at;
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_exact() {
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!(percentile(&hundred, 500), 50);
        assert_eq!(percentile(&hundred, 990), 99);
        assert_eq!(percentile(&hundred, 999), 100);
        assert_eq!(percentile(&[7], 500), 7);
        assert_eq!(percentile(&[7], 990), 7);
        assert_eq!(percentile(&[1, 2, 3], 500), 2);
        assert_eq!(percentile(&[1, 2, 3], 990), 3);
        assert_eq!(percentile(&[], 990), 0);
    }

    #[test]
    fn a_gap_at_either_end_counts() {
        assert_eq!(longest_gap(&[300, 400], 1000), 600);
        assert_eq!(longest_gap(&[700, 900], 1000), 700);
        assert_eq!(longest_gap(&[100, 800, 900], 1000), 700);
        assert_eq!(longest_gap(&[], 1000), 1000);
    }

    #[test]
    fn the_rate_is_over_the_window() {
        let mut samples = Samples::default();
        samples.answer(Duration::from_millis(1), Duration::from_micros(1500));
        samples.answer(Duration::from_millis(3), Duration::from_micros(2500));
        let mut more = Samples::default();
        more.error("timed out");
        samples.add(more);
        let report = samples.report(Duration::from_secs(2));
        assert_eq!((report.answers, report.per_s, report.errors), (2, 1.0, 1));
        assert_eq!((report.p50_ms, report.p99_ms, report.max_ms), (1.5, 2.5, 2.5));
        assert_eq!(report.first_error.as_deref(), Some("timed out"));
    }

    #[test]
    fn a_spread_has_its_median_in_the_middle() {
        let spread = |values: &[f64]| Spread::of(values.iter().copied());
        assert_eq!(spread(&[3.0, 1.0, 9.0]), Spread { min: 1.0, median: 3.0, max: 9.0 });
        assert_eq!(spread(&[4.0, 1.0, 2.0, 9.0]), Spread { min: 1.0, median: 3.0, max: 9.0 });
        assert_eq!(spread(&[5.0]), Spread { min: 5.0, median: 5.0, max: 5.0 });
        assert_eq!(spread(&[]), Spread { min: 0.0, median: 0.0, max: 0.0 });
    }
}
