//! What was measured, and what it comes to. The same arithmetic as in the client's own bench
//! (`crates/client/src/bench/figures.rs`), which has the tests: change both.

use std::time::Duration;

use serde_json::{Value, json};

/// The answers and errors within the window of measurement.
#[derive(Default)]
pub struct Samples {
    /// When each answer came, µs since the window began.
    at_us: Vec<u64>,
    /// How long each took, µs.
    latency_us: Vec<u64>,
    errors: u64,
    first_error: Option<String>,
}

impl Samples {
    pub fn answer(&mut self, at: Duration, latency: Duration) {
        self.at_us.push(micros(at));
        self.latency_us.push(micros(latency));
    }

    pub fn error(&mut self, why: &str) {
        self.errors += 1;
        self.first_error.get_or_insert_with(|| why.to_owned());
    }

    pub fn add(&mut self, mut other: Samples) {
        self.at_us.append(&mut other.at_us);
        self.latency_us.append(&mut other.latency_us);
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
    }

    pub fn report(mut self, window: Duration) -> Value {
        self.latency_us.sort_unstable();
        self.at_us.sort_unstable();
        json!({
            "acks_per_s": self.latency_us.len() as f64 / window.as_secs_f64(),
            "p50_ms": ms(percentile(&self.latency_us, 500)),
            "p99_ms": ms(percentile(&self.latency_us, 990)),
            "max_ms": ms(percentile(&self.latency_us, 1000)),
            "longest_gap_ms": ms(longest_gap(&self.at_us, micros(window))),
            "errors": self.errors,
            "first_error": self.first_error,
        })
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn ms(us: u64) -> f64 {
    us as f64 / 1000.0
}

/// The smallest value that so many per mille of all values do not exceed; 0 of none.
fn percentile(sorted: &[u64], per_mille: usize) -> u64 {
    let rank = (sorted.len() * per_mille).div_ceil(1000);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

/// The longest stretch without an answer, the window's two ends counted as if one came.
fn longest_gap(sorted: &[u64], window_us: u64) -> u64 {
    let mut last = 0;
    let mut longest = 0;
    for at in sorted.iter().copied().chain([window_us]) {
        longest = longest.max(at.saturating_sub(last));
        last = at;
    }
    longest
}
