//! What is broken when: a schedule out of a seed.

use rand::RngExt;
use rand::rngs::SmallRng;

use crate::wire::Cut;

/// Whom a fault hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Whoever is primary then.
    Primary,
    /// Some other running server.
    Backup,
    /// This one.
    Server(usize),
}

/// Something that is broken, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The process dies, with its machine if `power`, and starts again.
    Kill { who: Who, power: bool, down_ms: u64 },
    /// All servers die at once.
    KillAll { power: bool, down_ms: u64 },
    /// The machine dies in the middle of a sync.
    KillInSync { who: Who, syncs: u32, down_ms: u64 },
    /// The server comes back with an empty disk.
    Wipe { who: Who, down_ms: u64 },
    /// The process is stopped and goes on later.
    Stop { who: Who, for_ms: u64 },
    /// The server is cut off from all others and from the reference.
    Isolate { who: Who, cut: Cut, for_ms: u64 },
    /// One direction of one link.
    CutOneWay { from: Who, to: Who, cut: Cut, for_ms: u64 },
    /// Cut off and not, again and again.
    Flap { who: Who, cut: Cut, times: u32, period_ms: u64 },
    /// The disk needs long for everything.
    SlowDisk { who: Who, for_ms: u64 },
    /// All messages to and from the server need long.
    SlowLinks { who: Who, delay_ms: u64, for_ms: u64 },
    /// The wall clock jumps.
    JumpClock { who: Who, by_ms: i64 },
    /// The reference's process is away, and the witness with it.
    Reference { power: bool, for_ms: u64 },
    /// Events get lost on their way to subscribers, so many of a thousand.
    LoseEvents { per_mille: u64, for_ms: u64 },
    /// Clients' requests and the replies to them get lost, so many of a thousand.
    LoseRequests { per_mille: u64, for_ms: u64 },
    /// One more server.
    Add,
}

/// A fault and its time, ms.
pub type Planned = (u64, Fault);

/// The schedule of a run: faults between `from_ms` and `to_ms`.
pub fn schedule(dice: &mut SmallRng, (from_ms, to_ms): (u64, u64)) -> Vec<Planned> {
    let mut plan = Vec::new();
    // Some runs are busy, some quiet.
    let pause_ms = [300, 800, 1500, 3000][dice.random_range(0..4usize)];
    // Most runs have only some kinds of faults: they meet more often with one another then.
    let kinds: Vec<u32> = (0..KINDS).filter(|_| dice.random_bool(0.5)).collect();
    let mut at_ms = from_ms;
    loop {
        at_ms += dice.random_range(1..=2 * pause_ms);
        if at_ms >= to_ms {
            return plan;
        }
        let kind = match kinds.as_slice() {
            [] => dice.random_range(0..KINDS),
            some => some[dice.random_range(0..some.len())],
        };
        plan.push((at_ms, fault(dice, kind)));
    }
}

const KINDS: u32 = 15;

fn who(dice: &mut SmallRng) -> Who {
    match dice.random_range(0..10) {
        0..5 => Who::Primary,
        5..8 => Who::Backup,
        _ => Who::Server(dice.random_range(0..3)),
    }
}

fn cut(dice: &mut SmallRng) -> Cut {
    if dice.random_bool(0.5) { Cut::Hold } else { Cut::Reset }
}

/// Mostly short, now and then long.
fn while_ms(dice: &mut SmallRng) -> u64 {
    match dice.random_range(0..10) {
        0..4 => dice.random_range(20..400),
        4..8 => dice.random_range(300..1500),
        _ => dice.random_range(1500..7000),
    }
}

fn fault(dice: &mut SmallRng, kind: u32) -> Fault {
    let (who, for_ms) = (who(dice), while_ms(dice));
    match kind {
        0 => Fault::Kill { who, power: dice.random(), down_ms: for_ms },
        1 => Fault::KillAll { power: dice.random(), down_ms: for_ms },
        2 => Fault::KillInSync { who, syncs: dice.random_range(1..20), down_ms: for_ms },
        3 => Fault::Wipe { who, down_ms: for_ms },
        4 | 5 => Fault::Stop { who, for_ms },
        6 => Fault::Isolate { who, cut: cut(dice), for_ms },
        7 => {
            let to = if who == Who::Primary { Who::Backup } else { Who::Primary };
            Fault::CutOneWay { from: who, to, cut: cut(dice), for_ms }
        }
        8 => {
            let (times, period_ms) = (dice.random_range(2..10), dice.random_range(20..500));
            Fault::Flap { who, cut: cut(dice), times, period_ms }
        }
        9 => Fault::SlowDisk { who, for_ms },
        10 => Fault::SlowLinks { who, delay_ms: dice.random_range(5..250), for_ms },
        11 => {
            let hour_ms = 3_600_000;
            Fault::JumpClock { who, by_ms: dice.random_range(-hour_ms..=hour_ms) }
        }
        12 => Fault::Reference { power: dice.random(), for_ms },
        13 if dice.random() => {
            Fault::LoseEvents { per_mille: dice.random_range(10..500), for_ms: 3 * for_ms }
        }
        13 => Fault::LoseRequests { per_mille: dice.random_range(10..300), for_ms: 3 * for_ms },
        _ => Fault::Add,
    }
}
