//! Which faults come when: everything by the seed.

use std::fmt::Write;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use crate::faults::{Kind, Planned};

/// The workload runs for so long before the first fault.
const FIRST_MS: u64 = 3000;
/// A fault comes so much later at the most than its turn is, as a share of the interval.
const JITTER: f64 = 0.25;

/// The schedule: one fault an interval, and every kind once before any comes again.
pub fn plan(seed: u64, kinds: &[Kind], duration: Duration, interval: Duration) -> Vec<Planned> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut planned = Vec::new();
    let mut left: Vec<Kind> = Vec::new();
    let mut turn = Duration::from_millis(FIRST_MS.min(millis(interval)));
    while turn < duration && !kinds.is_empty() {
        if left.is_empty() {
            left = kinds.to_vec();
            left.shuffle(&mut rng);
        }
        let Some(kind) = left.pop() else { break };
        let late = interval.mul_f64(rng.random_range(0.0..JITTER));
        let hold = hold(kind, duration, &mut rng);
        let before = planned.iter().filter(|fault: &&Planned| fault.kind == kind).count();
        planned.push(Planned {
            at: turn + late,
            kind,
            hold,
            pick: rng.random(),
            turn: u64::try_from(before).unwrap_or(0),
            alone: kinds.len() == 1,
        });
        turn += interval;
    }
    planned
}

/// Short times as likely as long ones: what matters happens at every scale.
fn hold(kind: Kind, duration: Duration, rng: &mut StdRng) -> Duration {
    let (shortest, longest) = kind.hold_ms();
    let longest = longest.min(millis(duration) / 4).max(shortest);
    let (low, high) = ((shortest as f64).ln(), (longest as f64).ln());
    let ms = rng.random_range(low..=high).exp();
    Duration::from_millis(ms.round() as u64)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The schedule for people.
pub fn table(planned: &[Planned]) -> String {
    let mut text = String::new();
    for fault in planned {
        // Writing to a string can't fail.
        _ = writeln!(
            text,
            "{:7.1} s  {:18} for {:.1} s",
            fault.at.as_secs_f64(),
            fault.kind.word(),
            fault.hold.as_secs_f64()
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTES: Duration = Duration::from_secs(300);
    const INTERVAL: Duration = Duration::from_secs(8);

    #[test]
    fn the_same_seed_gives_the_same_schedule() {
        let first = plan(7, Kind::ALL, MINUTES, INTERVAL);
        assert_eq!(first, plan(7, Kind::ALL, MINUTES, INTERVAL));
        assert_ne!(first, plan(8, Kind::ALL, MINUTES, INTERVAL));
    }

    #[test]
    fn every_kind_comes_before_any_comes_again() {
        let planned = plan(1, Kind::ALL, MINUTES, INTERVAL);
        let mut first: Vec<_> = planned[..Kind::ALL.len()].iter().map(|p| p.kind).collect();
        first.sort();
        assert_eq!(first, Kind::ALL);
    }

    #[test]
    fn faults_come_in_order_and_last_as_long_as_their_kind_may() {
        for seed in 0..50 {
            let planned = plan(seed, Kind::ALL, MINUTES, INTERVAL);
            assert!(planned.is_sorted_by_key(|fault| fault.at));
            for fault in planned {
                let (shortest, longest) = fault.kind.hold_ms();
                let ms = millis(fault.hold);
                assert!((shortest..=longest).contains(&ms), "{fault:?}");
            }
        }
    }

    #[test]
    fn a_short_drill_has_a_fault_too() {
        assert!(!plan(1, Kind::ALL, Duration::from_secs(5), INTERVAL).is_empty());
        assert!(plan(1, &[], MINUTES, INTERVAL).is_empty());
    }
}
