//! The signs of life of a role.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// How often a role's loop says at the least that it turns, ms.
pub const BEAT_INTERVAL_MS: u64 = 1000;

/// A loop that has not turned for so long hangs, ms. A machine that is short of processor time
/// delays a loop by a second or two, and nobody should be killed for that.
pub const HUNG_AFTER_MS: u64 = 10_000;

/// How far a role is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It opens its ports and its data.
    #[default]
    Starting,
    /// It takes part.
    Serving,
    /// It was told to stop.
    Stopping,
}

/// What a role says of itself; clones share it. The role writes, the watching thread reads.
#[derive(Clone, Debug)]
pub struct Vitals(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    born: Instant,
    /// When the loop turned last, ms after `born`; 0 before it did.
    beat_ms: AtomicU64,
    phase: watch::Sender<Phase>,
    lacks: Mutex<Vec<String>>,
}

impl Default for Vitals {
    fn default() -> Vitals {
        Vitals(Arc::new(Inner {
            born: Instant::now(),
            beat_ms: AtomicU64::new(0),
            phase: watch::Sender::default(),
            lacks: Mutex::default(),
        }))
    }
}

impl Vitals {
    /// The role's own loop turns. To be called by that loop, every [`BEAT_INTERVAL_MS`] at least.
    pub fn beat(&self) {
        self.0.beat_ms.store(self.age_ms().max(1), Ordering::Relaxed);
    }

    /// The role takes part from now on: its ports are bound, its data is open.
    pub fn serves(&self) {
        self.beat();
        self.0.phase.send_if_modified(|phase| {
            *phase == Phase::Starting && std::mem::replace(phase, Phase::Serving) != *phase
        });
    }

    /// The role was told to stop.
    pub fn stops(&self) {
        self.0.phase.send_replace(Phase::Stopping);
    }

    /// What is missing now for the role to be of use, a sentence each, for people; nothing when
    /// all is well.
    pub fn lacks(&self, reasons: Vec<String>) {
        *lock(&self.0.lacks) = reasons;
    }

    /// Why the role is not ready; empty when it is.
    pub fn missing(&self) -> Vec<String> {
        if let Some(silence) = self.hangs() {
            return vec![hang(silence)];
        }
        match *self.0.phase.borrow() {
            Phase::Starting => vec!["it is still starting".to_owned()],
            Phase::Stopping => vec!["it is stopping".to_owned()],
            Phase::Serving => lock(&self.0.lacks).clone(),
        }
    }

    /// For how long the loop has not turned, if that is too long. Before its first turn a role
    /// opens its data, which may take as long as it likes.
    pub fn hangs(&self) -> Option<Duration> {
        let beat = self.0.beat_ms.load(Ordering::Relaxed);
        let silence = self.age_ms().saturating_sub(beat);
        (beat > 0 && silence > HUNG_AFTER_MS).then(|| Duration::from_millis(silence))
    }

    pub(crate) fn phase(&self) -> watch::Receiver<Phase> {
        self.0.phase.subscribe()
    }

    fn age_ms(&self) -> u64 {
        u64::try_from(self.0.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// The sentence for a loop that hangs.
pub(crate) fn hang(silence: Duration) -> String {
    format!("its loop has not turned for {} s", silence.as_secs())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A role whose loop turned for the last time so long ago.
    fn silent_for(silence: Duration) -> Vitals {
        let born = Instant::now().checked_sub(silence).unwrap();
        let vitals = Vitals(Arc::new(Inner {
            born,
            beat_ms: AtomicU64::new(1),
            phase: watch::Sender::new(Phase::Serving),
            lacks: Mutex::default(),
        }));
        vitals.lacks(vec!["bread".into()]);
        vitals
    }

    #[test]
    fn a_role_is_ready_when_it_serves_and_nothing_is_missing() {
        let vitals = Vitals::default();
        assert_eq!(vitals.missing(), ["it is still starting"]);
        vitals.lacks(vec!["bread".into()]);
        vitals.serves();
        assert_eq!(vitals.missing(), ["bread"]);
        vitals.lacks(Vec::new());
        assert!(vitals.missing().is_empty());
        vitals.stops();
        vitals.serves();
        assert_eq!(vitals.missing(), ["it is stopping"]);
    }

    #[test]
    fn only_a_loop_that_turned_once_can_hang() {
        assert_eq!(Vitals::default().hangs(), None);
        let limit = Duration::from_millis(HUNG_AFTER_MS);
        let vitals = silent_for(limit * 2);
        assert!(vitals.hangs().is_some_and(|silence| silence >= limit));
        assert_eq!(vitals.missing(), ["its loop has not turned for 19 s"]);
        vitals.beat();
        assert_eq!(vitals.missing(), ["bread"]);
        assert_eq!(silent_for(limit / 2).hangs(), None);
    }
}
