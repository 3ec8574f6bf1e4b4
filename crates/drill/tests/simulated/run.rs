//! One seed, from an empty folder to a verdict.

use std::cell::Cell;
use std::sync::Once;

use rand::RngExt;
use rand::rngs::SmallRng;
use recado_drill::check::{Promise, Verdict, check};

use crate::faults::{Planned, schedule};
use crate::seed::dice;
use crate::trace::Trace;
use crate::world::{Times, World};

/// Faults begin when the cluster has formed.
const QUIET_MS: u64 = 1500;

/// So long after the last fault all must be well.
const PATIENCE_MS: u64 = 120_000;

/// What came of a run.
pub struct Run {
    pub trace: u64,
    pub words: Vec<String>,
    pub acks: u64,
    pub simulated_ms: u64,
    /// The promises of which something was seen.
    pub checked: Vec<Promise>,
    /// The whole story, if a promise was broken or the cluster did not recover.
    pub failure: Option<String>,
}

thread_local! {
    /// Panics on this thread; those of a server's tasks go no further, and would end its process.
    static PANICS: Cell<u32> = const { Cell::new(0) };
}

fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.set(PANICS.get() + 1);
            before(panic);
        }));
    });
    PANICS.set(0);
}

/// What makes the faults between two times, ms.
pub type Schedule = fn(&mut SmallRng, (u64, u64)) -> Vec<Planned>;

/// How one seed goes: the world at its end, what was done to it, and why it did not come to a good
/// end, if so. After `patience_ms` behind the last fault it must have.
pub fn play(
    seed: u64,
    schedule: Schedule,
    words: bool,
    patience_ms: u64,
) -> (World, Vec<Planned>, Result<(), String>) {
    let mut dice = dice(seed, "run");
    let faults_end_ms = QUIET_MS + dice.random_range(4_000..12_000);
    let times = Times {
        faults_end_ms,
        load_end_ms: faults_end_ms + 2_000,
        patience_ms: faults_end_ms + patience_ms,
    };
    let plan = schedule(&mut dice, (QUIET_MS, faults_end_ms));
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(seed, folder.path(), plan.clone(), Trace::new(words));
    let result = world.run(3, times);
    (world, plan, result)
}

pub fn run(seed: u64, words: bool) -> Run {
    count_panics();
    let (world, plan, result) = play(seed, schedule, words, PATIENCE_MS);
    let findings = check(&world.history);
    let mut complaints = String::new();
    if let Err(why) = result {
        complaints.push_str(&why);
    }
    for promise in findings.broken() {
        if let Verdict::Broken { times, excerpt } = findings.of(promise) {
            complaints.push_str(&format!("{promise} broken {times} times: {}\n", excerpt.what));
            for line in &excerpt.lines {
                complaints.push_str(&format!("    {:>10?} µs {}\n", line.at_us, line.text));
            }
        }
    }
    for (at_ms, name, why) in &world.stopped {
        complaints.push_str(&format!("{name} had to stop at {at_ms} ms: {why}\n"));
    }
    if PANICS.get() > 0 {
        complaints.push_str(&format!("{} tasks panicked; see above\n", PANICS.get()));
    }
    let log = std::env::var_os("RECADO_SIM_LOG").is_some();
    let failure = (!complaints.is_empty()).then(|| {
        let story = if log { world.log.join("\n") } else { format!("{plan:?}") };
        format!(
            "seed {seed} failed\n{complaints}{story}\nreplay: RECADO_SIM_FIRST={seed} \
             RECADO_SIM_SEEDS=1 RECADO_SIM_LOG=1 cargo test -p recado-drill --test simulated -- \
             --nocapture many_seeds\n"
        )
    });
    let not_checked = findings.not_checked();
    let checked = Promise::ALL.iter().filter(|p| !not_checked.contains(p)).copied().collect();
    let acks = world.history.writes.iter().filter(|write| write.first_ack().is_some()).count();
    Run {
        trace: world.trace.hash(),
        acks: acks as u64,
        simulated_ms: world.history.end.as_ref().map_or(0, |end| end.at_us / 1000),
        words: world.trace.words(),
        checked,
        failure,
    }
}
