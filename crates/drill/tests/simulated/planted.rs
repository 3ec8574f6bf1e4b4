//! The checkers are proved by bugs that are planted in the code that runs here: each is caught, by
//! the promise that it breaks, within a bounded number of seeds; and what catches it is the bug,
//! since the same seed passes without it.

use std::time::Instant;

use rand::RngExt;
use rand::rngs::SmallRng;
use recado_chat::planted::{Bug, plant_here};
use recado_drill::check::{Promise, Verdict, check};

use crate::faults::{Fault, Planned, Who, schedule};
use crate::run::{Schedule, play};
use crate::wire::Cut;

/// So many seeds are tried.
const SEEDS: u64 = 240;
/// A cluster with a bug may never be well again: it is not waited for as long as a sound one.
const PATIENCE_MS: u64 = 20_000;

/// Finds the first seed whose findings break the promise, and sees that it passes without the bug.
fn catch(bug: Bug, promise: Promise, faults: Schedule) {
    let started = Instant::now();
    for seed in 1..=SEEDS {
        let broken = {
            let _planted = plant_here(bug);
            let (world, ..) = play(seed, faults, false, PATIENCE_MS);
            check(&world.history)
        };
        if let Verdict::Broken { excerpt, .. } = broken.of(promise) {
            eprintln!(
                "{}: {promise} in seed {seed}, after {} ms: {}",
                bug.word(),
                started.elapsed().as_millis(),
                excerpt.what
            );
            let (world, _, well) = play(seed, faults, false, 6 * PATIENCE_MS);
            assert_eq!(well, Ok(()), "seed {seed} without the bug");
            assert_eq!(check(&world.history).broken(), [], "seed {seed} without the bug");
            return;
        }
    }
    panic!("{} was not caught by {promise} in {SEEDS} seeds", bug.word());
}

/// The power fails for all, while their disks are slow.
fn power_cuts(dice: &mut SmallRng, (from_ms, to_ms): (u64, u64)) -> Vec<Planned> {
    let mut plan = Vec::new();
    let mut at_ms = from_ms;
    while at_ms < to_ms {
        for server in 0..3 {
            plan.push((at_ms, Fault::SlowDisk { who: Who::Server(server), for_ms: 2000 }));
        }
        at_ms += dice.random_range(1000..2000);
        plan.push((at_ms, Fault::KillAll { power: true, down_ms: 100 }));
        at_ms += 1500;
    }
    plan
}

/// All start anew, and two of three never hear each other.
fn rivals(dice: &mut SmallRng, (from_ms, to_ms): (u64, u64)) -> Vec<Planned> {
    let mut plan = Vec::new();
    let mut at_ms = from_ms;
    while at_ms < to_ms {
        let [one, other, _] = three(dice);
        apart(&mut plan, at_ms, [one, other], 3500);
        plan.push((at_ms + 1, Fault::KillAll { power: false, down_ms: 20 }));
        at_ms += 4000;
    }
    plan
}

/// The first primary dies. While the second's disk and the third's are slow to write down that the
/// second won, their power fails; the second stays away, and the first is back before the third
/// would stand for election itself.
fn forgotten_votes(dice: &mut SmallRng, (from_ms, _): (u64, u64)) -> Vec<Planned> {
    let [first, second, third] = [0, 1, 2].map(Who::Server);
    let cut_ms = from_ms + dice.random_range(300..500);
    vec![
        (from_ms, Fault::SlowDisk { who: second, for_ms: 3000 }),
        (from_ms, Fault::SlowDisk { who: third, for_ms: 3000 }),
        (from_ms, Fault::Kill { who: first, power: false, down_ms: cut_ms - from_ms + 20 }),
        (cut_ms, Fault::Kill { who: second, power: true, down_ms: 3000 }),
        (cut_ms, Fault::Kill { who: third, power: true, down_ms: 20 }),
    ]
}

/// The three servers, in any order.
fn three(dice: &mut SmallRng) -> [Who; 3] {
    let first = dice.random_range(0..3);
    [first, (first + 1) % 3, (first + 2) % 3].map(Who::Server)
}

/// Two servers don't hear each other.
fn apart(plan: &mut Vec<Planned>, at_ms: u64, [one, other]: [Who; 2], for_ms: u64) {
    for (from, to) in [(one, other), (other, one)] {
        plan.push((at_ms, Fault::CutOneWay { from, to, cut: Cut::Reset, for_ms }));
    }
}

macro_rules! caught {
    ($($name:ident: $bug:ident breaks $promise:ident under $faults:ident;)+) => {
        $(
            #[test]
            fn $name() {
                catch(Bug::$bug, Promise::$promise, $faults);
            }
        )+
    };
}

caught! {
    ack_before_quorum: AckBeforeQuorum breaks P1 under schedule;
    ack_before_fsync: AckBeforeFsync breaks P1 under power_cuts;
    ack_skips_gate: AckSkipsGate breaks P1 under schedule;
    repeat_skips_gate: RepeatSkipsGate breaks P1 under schedule;
    no_dedup: NoDedup breaks P2 under schedule;
    dedup_differs: DedupDiffers breaks P7 under schedule;
    stale_backup: StaleBackup breaks P5 under schedule;
    stale_primary: StalePrimary breaks P5 under schedule;
    rank_again: RankAgain breaks P6 under schedule;
    node_again: NodeAgain breaks P6 under schedule;
    vote_before_fsync: VoteBeforeFsync breaks P6 under forgotten_votes;
    vote_twice: VoteTwice breaks P6 under rivals;
    clock_in_apply: ClockInApply breaks P7 under schedule;
    snapshot_without_sessions: SnapshotWithoutSessions breaks P7 under schedule;
    lost_private: LostPrivate breaks P1 under schedule;
}
