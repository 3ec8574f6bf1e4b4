//! The arithmetic of a clock round (R. Gusella, S. Zatti, "The Accuracy of the Clock
//! Synchronization Achieved by TEMPO in Berkeley UNIX 4.3BSD", 1989): the primary reads all
//! clocks, averages those that agree, and tells each one how far it is off.

/// Clocks that differ by no more than this agree, however fast the answers were, ms.
const TOLERANCE_MS: i64 = 50;

/// One server's clock, as the primary read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The server's node id.
    pub server: u64,
    /// How far its corrected clock is ahead of the primary's corrected clock (negative: behind),
    /// half the round trip allowed for, ms. The primary itself reads 0.
    pub offset_ms: i64,
    /// How long the answer took, ms. The primary itself reads 0.
    pub round_trip_ms: u64,
}

/// What a server is to add to its corrected clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Correction {
    /// The server's node id.
    pub server: u64,
    /// How much, ms.
    pub adjust_ms: i64,
    /// Whether its clock disagreed with the rest: it is corrected, but was not averaged.
    pub outlier: bool,
}

/// The corrections that a round gives, in the order of the readings; the primary's own reading
/// (offset 0) is to be among them.
///
/// Two readings agree when they differ by no more than 50 ms or the mean of their round trips,
/// whichever is more: a reading's error is at most half its round trip. Around each reading stands
/// the group of those that agree with it; the largest group is averaged, and among equally large
/// ones that with the smallest offsets, so that the fewest clocks that people saw are moved.
/// When no group is more than half of all, nobody can say who is right: then the median is taken,
/// which for two servers is the middle between them.
pub fn corrections(readings: &[Reading]) -> Vec<Correction> {
    let group = largest_group(readings);
    let decided = group.len() * 2 > readings.len();
    let target = if decided { mean(&group) } else { median(readings) };
    let correct = |reading: &Reading| Correction {
        server: reading.server,
        adjust_ms: clamp(i128::from(target) - i128::from(reading.offset_ms)),
        outlier: decided && !group.contains(&reading.offset_ms),
    };
    readings.iter().map(correct).collect()
}

/// The offsets of the largest group of readings that agree with one of them.
fn largest_group(readings: &[Reading]) -> Vec<i64> {
    let mut best: Vec<i64> = Vec::new();
    for center in readings {
        let group: Vec<i64> =
            readings.iter().filter(|r| agree(center, r)).map(|r| r.offset_ms).collect();
        let nearer = || mean(&group).unsigned_abs() < mean(&best).unsigned_abs();
        if group.len() > best.len() || (group.len() == best.len() && nearer()) {
            best = group;
        }
    }
    best
}

fn agree(a: &Reading, b: &Reading) -> bool {
    let trips = (u128::from(a.round_trip_ms) + u128::from(b.round_trip_ms)) / 2;
    let tolerance = trips.max(TOLERANCE_MS.unsigned_abs().into());
    u128::from(a.offset_ms.abs_diff(b.offset_ms)) <= tolerance
}

/// The mean, rounded towards zero; 0 of nothing.
fn mean(offsets: &[i64]) -> i64 {
    let sum: i128 = offsets.iter().map(|&offset| i128::from(offset)).sum();
    clamp(sum / i128::try_from(offsets.len().max(1)).unwrap_or(1))
}

fn median(readings: &[Reading]) -> i64 {
    let mut offsets: Vec<i64> = readings.iter().map(|r| r.offset_ms).collect();
    offsets.sort_unstable();
    let middle = offsets.len() / 2;
    let from = if offsets.len().is_multiple_of(2) { middle.saturating_sub(1) } else { middle };
    mean(offsets.get(from..=middle).unwrap_or(&[]))
}

fn clamp(value: i128) -> i64 {
    value.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Server numbers from 1, the primary first; offsets in ms, round trips of 2 ms.
    fn round(offsets: &[i64]) -> Vec<(i64, bool)> {
        let readings: Vec<Reading> = offsets
            .iter()
            .zip(1..)
            .map(|(&offset_ms, server)| Reading { server, offset_ms, round_trip_ms: 2 })
            .collect();
        corrections(&readings).iter().map(|c| (c.adjust_ms, c.outlier)).collect()
    }

    #[test]
    fn all_equal_stay() {
        assert_eq!(round(&[0, 0, 0]), [(0, false); 3]);
    }

    #[test]
    fn close_ones_meet_in_their_mean() {
        assert_eq!(round(&[0, 30, -15]), [(5, false), (-25, false), (20, false)]);
    }

    #[test]
    fn one_outlier_of_three_is_corrected_but_not_averaged() {
        let expected = [(5, false), (-5, false), (-9_995, true)];
        assert_eq!(round(&[0, 10, 10_000]), expected);
    }

    #[test]
    fn a_skewed_primary_is_the_outlier() {
        let expected = [(-5_000, true), (10, false), (-10, false)];
        assert_eq!(round(&[0, -5_010, -4_990]), expected);
    }

    #[test]
    fn two_servers_meet_in_the_middle() {
        assert_eq!(round(&[0, 4_000]), [(2_000, false), (-2_000, false)]);
        assert_eq!(round(&[0, 20]), [(10, false), (-10, false)]);
    }

    #[test]
    fn three_that_all_disagree_take_the_median() {
        assert_eq!(round(&[0, 1_000, 60_000]), [(1_000, false), (0, false), (-59_000, false)]);
    }

    #[test]
    fn one_alone_stays_and_none_gives_none() {
        assert_eq!(round(&[0]), [(0, false)]);
        assert_eq!(round(&[]), []);
    }

    #[test]
    fn slow_answers_are_believed_less_exactly() {
        let reading =
            |server, offset_ms, round_trip_ms| Reading { server, offset_ms, round_trip_ms };
        let slow = [reading(1, 0, 0), reading(2, 150, 400), reading(3, 0, 1)];
        assert!(corrections(&slow).iter().all(|c| !c.outlier));
    }

    proptest! {
        #[test]
        fn all_end_at_the_same_time(
            offsets in proptest::collection::vec((any::<i32>(), 0u64..500), 1..9),
        ) {
            let readings: Vec<Reading> = offsets
                .iter()
                .zip(1..)
                .map(|(&(offset, round_trip_ms), server)| {
                    Reading { server, offset_ms: offset.into(), round_trip_ms }
                })
                .collect();
            let corrections = corrections(&readings);
            let ends: Vec<i64> = readings
                .iter()
                .zip(&corrections)
                .map(|(reading, correction)| reading.offset_ms + correction.adjust_ms)
                .collect();
            prop_assert!(ends.windows(2).all(|pair| pair[0] == pair[1]));
            let low = readings.iter().map(|r| r.offset_ms).min().unwrap();
            let high = readings.iter().map(|r| r.offset_ms).max().unwrap();
            prop_assert!((low..=high).contains(&ends[0]));
            prop_assert!(corrections.iter().filter(|c| c.outlier).count() * 2 < readings.len());
        }

        #[test]
        fn extremes_never_panic(
            offsets in proptest::collection::vec((any::<i64>(), any::<u64>()), 0..5),
        ) {
            let readings: Vec<Reading> = offsets
                .into_iter()
                .map(|(offset_ms, round_trip_ms)| Reading { server: 1, offset_ms, round_trip_ms })
                .collect();
            prop_assert_eq!(corrections(&readings).len(), readings.len());
        }
    }
}
