//! What the workload did and saw, written down by all of its clients.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::history::{History, Outcome};

/// Clones write into the same history.
#[derive(Clone)]
pub struct Recorder {
    shared: Arc<Shared>,
}

struct Shared {
    started: Instant,
    history: Mutex<History>,
    acks: AtomicU64,
    unknown: AtomicU64,
    deliveries: AtomicU64,
    filled: AtomicU64,
    next_number: AtomicU64,
}

/// Counts so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Acknowledgements.
    pub acks: u64,
    /// Attempts of which nobody knows.
    pub unknown: u64,
    /// Messages that subscribers got.
    pub deliveries: u64,
    /// Of those, fetched from the history.
    pub filled: u64,
}

impl Recorder {
    /// An empty history whose time begins now.
    pub fn start() -> Recorder {
        let shared = Shared {
            started: Instant::now(),
            history: Mutex::default(),
            acks: AtomicU64::new(0),
            unknown: AtomicU64::new(0),
            deliveries: AtomicU64::new(0),
            filled: AtomicU64::new(0),
            next_number: AtomicU64::new(1),
        };
        Recorder { shared: Arc::new(shared) }
    }

    /// Since the start, µs.
    pub fn now_us(&self) -> u64 {
        u64::try_from(self.shared.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// A number that no other client or subscription has.
    pub fn number(&self) -> u32 {
        u32::try_from(self.shared.next_number.fetch_add(1, Relaxed)).unwrap_or(u32::MAX)
    }

    /// The history, for a moment: never held over an await.
    pub fn history(&self) -> MutexGuard<'_, History> {
        self.shared.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes how a write's last attempt ended.
    pub fn ended(&self, write: usize, outcome: Outcome) {
        match &outcome {
            Outcome::Acked(_) => _ = self.shared.acks.fetch_add(1, Relaxed),
            Outcome::Refused { .. } => {}
            Outcome::Unknown => _ = self.shared.unknown.fetch_add(1, Relaxed),
        }
        self.history().ended(write, outcome);
    }

    /// Counts a delivery.
    pub fn delivered(&self) {
        self.shared.deliveries.fetch_add(1, Relaxed);
    }

    /// Counts messages that came from the history.
    pub fn filled(&self, count: u64) {
        self.shared.filled.fetch_add(count, Relaxed);
    }

    /// Counts so far.
    pub fn counts(&self) -> Counts {
        let shared = &self.shared;
        Counts {
            acks: shared.acks.load(Relaxed),
            unknown: shared.unknown.load(Relaxed),
            deliveries: shared.deliveries.load(Relaxed),
            filled: shared.filled.load(Relaxed),
        }
    }
}
