//! How long one disk took lately, second by second.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// One mean is taken over so long.
const SPAN: Duration = Duration::from_secs(1);
/// So many means are kept.
const KEPT: usize = 6;
/// What is longer ago says nothing of now. A disk that takes almost a second for each sync fills
/// only every second span.
const HORIZON: Duration = Duration::from_secs(12);

/// The delays of one disk.
#[derive(Clone, Debug, Default)]
pub struct Delays {
    spans: VecDeque<Sum>,
}

#[derive(Clone, Copy, Debug)]
struct Sum {
    begun: Instant,
    total: Duration,
    count: u32,
}

impl Delays {
    /// One sync took so long.
    pub fn took(&mut self, delay: Duration, now: Instant) {
        match self.spans.back_mut() {
            Some(sum) if now.saturating_duration_since(sum.begun) < SPAN => {
                sum.total += delay;
                sum.count += 1;
            }
            _ => {
                self.spans.push_back(Sum { begun: now, total: delay, count: 1 });
                if self.spans.len() > KEPT {
                    self.spans.pop_front();
                }
            }
        }
    }

    /// The mean delays of the last seconds in which anything was synced, the newest first. The
    /// second that has only begun counts too.
    pub fn means(&self, now: Instant) -> impl Iterator<Item = Duration> {
        let lately = move |sum: &&Sum| now.saturating_duration_since(sum.begun) < HORIZON;
        self.spans.iter().rev().filter(lately).map(|sum| sum.total / sum.count)
    }

    /// The mean over all of them; none when nothing was synced lately.
    pub fn mean(&self, now: Instant) -> Option<Duration> {
        let (total, count) = self.means(now).fold((Duration::ZERO, 0), |(t, n), m| (t + m, n + 1));
        (count > 0).then(|| total / count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_taken_second_by_second_and_forgotten() {
        let (mut delays, start) = (Delays::default(), Instant::now());
        assert_eq!(delays.mean(start), None);
        for n in 0..30 {
            let now = start + n * SPAN / 10;
            delays.took(Duration::from_millis(if n < 10 { 100 } else { 4 }), now);
        }
        let now = start + 3 * SPAN;
        let means: Vec<u128> = delays.means(now).map(|mean| mean.as_millis()).collect();
        assert_eq!(means, [4, 4, 100]);
        assert_eq!(delays.mean(now), Some(Duration::from_millis(36)));
        assert_eq!(delays.mean(start + 20 * SPAN), None);
    }
}
