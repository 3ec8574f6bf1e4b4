//! How regularly a peer is heard, and which silence is no accident any more.
//!
//! An accrual failure detector after Hayashibara, Défago, Yared and Katayama, "The φ accrual
//! failure detector" (SRDS 2004): intervals are taken to be normally distributed, and φ is how many
//! powers of ten stand against the next message being merely late. Two things differ. The samples
//! are the longest interval of each half second, since under load thousands of messages come in a
//! row and hide the pauses that count. And the limit has bounds: below the least nobody is accused
//! however regular, above the most nobody is excused however irregular.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// One sample is the longest interval of so long.
const BLOCK: Duration = Duration::from_millis(500);
/// So many samples are kept: those of the last minute.
const SAMPLES: usize = 120;
/// With fewer samples a peer is hardly known.
const MIN_SAMPLES: usize = 5;
/// A deviation below this part of the mean is luck.
const MIN_DEVIATION: f64 = 0.25;
/// How many standard deviations above the mean correspond to φ = 8, one error in 10^8.
const DEVIATIONS: f64 = 5.61;

/// Between which limits silence is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Nobody is accused before.
    pub least: Duration,
    /// Nobody is excused after.
    pub most: Duration,
}

/// When one peer was heard.
#[derive(Clone, Debug, Default)]
pub struct Rhythm {
    last: Option<Instant>,
    block: Option<(Instant, Duration)>,
    longest: VecDeque<Duration>,
}

impl Rhythm {
    /// The peer is heard now.
    pub fn heard(&mut self, now: Instant) {
        let interval = self.last.map_or(Duration::ZERO, |last| now.duration_since(last));
        self.last = self.last.max(Some(now));
        let (begun, longest) = self.block.get_or_insert((now, Duration::ZERO));
        *longest = interval.max(*longest);
        if now.duration_since(*begun) >= BLOCK {
            self.longest.push_back(*longest);
            self.block = None;
            if self.longest.len() > SAMPLES {
                self.longest.pop_front();
            }
        }
    }

    /// When it was heard last.
    pub fn last(&self) -> Option<Instant> {
        self.last
    }

    /// How long a silence is no accident any more.
    pub fn limit(&self, bounds: Bounds) -> Duration {
        // Longer intervals were a fault, and nothing to get used to.
        let usual = |interval: &&Duration| **interval <= bounds.most;
        let samples = || self.longest.iter().filter(usual).map(Duration::as_secs_f64);
        let count = samples().count();
        if count < MIN_SAMPLES {
            return bounds.most;
        }
        let mean = samples().sum::<f64>() / count as f64;
        let variance = samples().map(|s| (s - mean).powi(2)).sum::<f64>() / count as f64;
        let deviation = variance.sqrt().max(MIN_DEVIATION * mean);
        let limit = Duration::from_secs_f64(mean + DEVIATIONS * deviation);
        limit.clamp(bounds.least, bounds.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds =
        Bounds { least: Duration::from_millis(500), most: Duration::from_millis(1200) };

    /// Heard after each of these intervals (ms), over and over, for so many seconds.
    fn heard(intervals_ms: &[u64], seconds: u64) -> Rhythm {
        let (mut rhythm, start) = (Rhythm::default(), Instant::now());
        let mut now = start;
        for interval in intervals_ms.iter().cycle() {
            now += Duration::from_millis(*interval);
            rhythm.heard(now);
            if now.duration_since(start) > Duration::from_secs(seconds) {
                break;
            }
        }
        rhythm
    }

    #[test]
    fn a_regular_peer_is_judged_by_the_least() {
        assert_eq!(heard(&[75], 10).limit(BOUNDS), BOUNDS.least);
        assert_eq!(heard(&[1, 2, 1, 75], 10).limit(BOUNDS), BOUNDS.least);
    }

    #[test]
    fn an_irregular_peer_gets_more_patience_but_not_without_end() {
        let irregular = heard(&[1, 1, 1, 80, 1, 1, 150, 1, 280], 30).limit(BOUNDS);
        assert!(irregular > BOUNDS.least && irregular < BOUNDS.most, "{irregular:?}");
        assert_eq!(heard(&[10, 900], 60).limit(BOUNDS), BOUNDS.most);
    }

    #[test]
    fn a_peer_that_is_hardly_known_gets_the_most() {
        assert_eq!(Rhythm::default().limit(BOUNDS), BOUNDS.most);
        assert_eq!(heard(&[75], 1).limit(BOUNDS), BOUNDS.most);
    }

    #[test]
    fn an_outage_teaches_nothing() {
        let mut rhythm = heard(&[75], 10);
        let mut now = rhythm.last().unwrap() + Duration::from_secs(20);
        for _ in 0..10 {
            rhythm.heard(now);
            now += Duration::from_millis(75);
        }
        assert_eq!(rhythm.limit(BOUNDS), BOUNDS.least);
    }

    #[test]
    fn what_was_a_minute_ago_is_forgotten() {
        let mut rhythm = heard(&[10, 600], 60);
        assert_eq!(rhythm.limit(BOUNDS), BOUNDS.most);
        let mut now = rhythm.last().unwrap();
        for _ in 0..1000 {
            now += Duration::from_millis(75);
            rhythm.heard(now);
        }
        assert_eq!(rhythm.limit(BOUNDS), BOUNDS.least);
    }
}
