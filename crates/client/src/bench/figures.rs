//! What was measured, and what it comes to.

use std::time::Duration;

use super::BenchReport;

/// The acknowledgements and errors within the window of measurement.
#[derive(Debug, Default)]
pub(super) struct Samples {
    /// When each acknowledgement came, µs since the window began.
    at_us: Vec<u64>,
    /// How long each took, µs.
    latency_us: Vec<u64>,
    errors: u64,
    first_error: Option<String>,
}

impl Samples {
    pub(super) fn ack(&mut self, at: Duration, latency: Duration) {
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

    pub(super) fn report(mut self, window: Duration) -> BenchReport {
        self.latency_us.sort_unstable();
        self.at_us.sort_unstable();
        let acks = self.latency_us.len();
        BenchReport {
            acks: acks as u64,
            seconds: window.as_secs_f64(),
            acks_per_s: acks as f64 / window.as_secs_f64(),
            p50_ms: ms(percentile(&self.latency_us, 50)),
            p99_ms: ms(percentile(&self.latency_us, 99)),
            max_ms: ms(self.latency_us.last().copied().unwrap_or(0)),
            longest_gap_ms: ms(longest_gap(&self.at_us, micros(window))),
            errors: self.errors,
            first_error: self.first_error,
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn ms(us: u64) -> f64 {
    us as f64 / 1000.0
}

/// The smallest value that so many percent of all values do not exceed; 0 of none.
fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

/// The longest stretch without an acknowledgement, the window's two ends counted as if one came.
fn longest_gap(sorted: &[u64], window_us: u64) -> u64 {
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
        assert_eq!(percentile(&hundred, 50), 50);
        assert_eq!(percentile(&hundred, 99), 99);
        assert_eq!(percentile(&[7], 50), 7);
        assert_eq!(percentile(&[7], 99), 7);
        assert_eq!(percentile(&[1, 2, 3], 50), 2);
        assert_eq!(percentile(&[1, 2, 3], 99), 3);
        assert_eq!(percentile(&[], 99), 0);
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
        samples.ack(Duration::from_millis(1), Duration::from_micros(1500));
        samples.ack(Duration::from_millis(3), Duration::from_micros(2500));
        let mut more = Samples::default();
        more.error("timed out");
        samples.add(more);
        let report = samples.report(Duration::from_secs(2));
        assert_eq!((report.acks, report.acks_per_s, report.errors), (2, 1.0, 1));
        assert_eq!((report.p50_ms, report.p99_ms, report.max_ms), (1.5, 2.5, 2.5));
        assert_eq!(report.first_error.as_deref(), Some("timed out"));
    }
}
