//! The deterministic drill: the production code of replication, storage and chat, over a simulated
//! network, on simulated disks and clocks, with faults out of a seed. What clients and subscribers
//! saw is judged by the drill's checkers.
//!
//! One seed is one run. A plain `cargo test` runs the first hundred; more with
//!
//! ```text
//! RECADO_SIM_SEEDS=5000 RECADO_SIM_FIRST=1 \
//!     cargo test -p recado-drill --release --test simulated -- --nocapture many_seeds
//! ```
//!
//! and a failing one alone, with all that happened, with `RECADO_SIM_FIRST=… RECADO_SIM_SEEDS=1`
//! and `RECADO_SIM_LOG=1`. `RUST_LOG=recado_replication=debug` shows what the servers log, each
//! with its name and the simulated time.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod activity;
mod client;
mod disk;
mod faults;
#[cfg(feature = "planted")]
mod planted;
mod proxy;
mod publisher;
mod reference;
mod run;
mod seed;
mod server;
mod service;
mod subscriber;
mod trace;
mod wire;
mod world;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use recado_drill::check::Promise;

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

/// Shows what servers log, if somebody asks for it.
fn show_logs() {
    if std::env::var_os("RUST_LOG").is_some() {
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        // The other test may have been first.
        let _ = tracing_subscriber::fmt().with_env_filter(filter).without_time().try_init();
    }
}

#[test]
fn many_seeds() {
    show_logs();
    let first = number("RECADO_SIM_FIRST", 1);
    let seeds = number("RECADO_SIM_SEEDS", 100);
    let threads = number("RECADO_SIM_THREADS", 2);
    let started = Instant::now();
    let next = AtomicU64::new(first);
    let (acks, simulated_ms, failed) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let checked = Mutex::new(BTreeSet::new());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds {
                        return;
                    }
                    let run = run::run(seed, false);
                    acks.fetch_add(run.acks, Ordering::Relaxed);
                    simulated_ms.fetch_add(run.simulated_ms, Ordering::Relaxed);
                    checked.lock().unwrap().extend(run.checked);
                    if let Some(failure) = &run.failure {
                        failed.fetch_add(1, Ordering::Relaxed);
                        eprintln!("{failure}");
                    }
                }
            });
        }
    });
    eprintln!(
        "{seeds} seeds from {first}: {} failed, {} acknowledgements, {} s simulated in {} s",
        failed.load(Ordering::Relaxed),
        acks.load(Ordering::Relaxed),
        simulated_ms.load(Ordering::Relaxed) / 1000,
        started.elapsed().as_secs(),
    );
    assert_eq!(failed.load(Ordering::Relaxed), 0, "seeds failed; see above");
    let all: BTreeSet<Promise> = Promise::ALL.iter().copied().collect();
    assert_eq!(*checked.lock().unwrap(), all, "a promise was never checked");
}

/// Seeds that found something, with what it was.
#[test]
fn seeds_that_found_bugs_stay_quiet() {
    show_logs();
    let found = [
        (52, "what a proxy was still catching up with was lost when all servers died"),
        (79, "a witness won in the middle of a change of voters and never gave way"),
        (101, "a wiped server answered under its old node id, and the engine panicked"),
        (270, "the same with nothing else broken"),
    ];
    for (seed, what) in found {
        if let Some(failure) = run::run(seed, false).failure {
            panic!("{what}, again:\n{failure}");
        }
    }
}

#[test]
fn a_seed_replays_exactly() {
    show_logs();
    let first = number("RECADO_SIM_FIRST", 1);
    for seed in first..first + number("RECADO_SIM_REPLAYS", 5) {
        let (one, two) = (run::run(seed, true), run::run(seed, true));
        let differs = one.words.iter().zip(&two.words).position(|(a, b)| a != b);
        if let Some(line) = differs {
            let from = line.saturating_sub(5);
            for at in from..(line + 3).min(one.words.len()).min(two.words.len()) {
                eprintln!("one {:.300}\ntwo {:.300}", one.words[at], two.words[at]);
            }
            panic!("seed {seed} differs in event {line} of {}", one.words.len());
        }
        assert_eq!((one.trace, one.words.len()), (two.trace, two.words.len()), "seed {seed}");
    }
}
