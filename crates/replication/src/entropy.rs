//! Where randomness comes from: the system, or in a simulation a seed.

use std::cell::Cell;

/// A source of random numbers.
pub trait Entropy: Send + Sync + 'static {
    /// The next one, of all 64-bit numbers.
    fn number(&self) -> u64;
}

/// The system's.
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn number(&self) -> u64 {
        rand::random()
    }
}

/// A number that identifies something: not 0, and below 2^53, so that every JSON reader shows it
/// exactly.
pub fn id(entropy: &dyn Entropy) -> u64 {
    const IDS: u64 = (1 << 53) - 1;
    1 + entropy.number() % IDS
}

thread_local! {
    /// The state of this thread's seeded source; none where the system's serves.
    static ENGINE_SEED: Cell<Option<u64>> = const { Cell::new(None) };
}

/// From now on engines on this thread, which ask no [`Entropy`], draw from this seed.
pub fn seed_engines(seed: u64) {
    ENGINE_SEED.set(Some(seed));
}

/// The seed of the engine's next source: drawn from this thread's seed, or the system's.
pub fn engine_seed() -> u64 {
    match ENGINE_SEED.get() {
        Some(seed) => {
            ENGINE_SEED.set(Some(seed.wrapping_add(1)));
            seed
        }
        None => rand::random(),
    }
}
