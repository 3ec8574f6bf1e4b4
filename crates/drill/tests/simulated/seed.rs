//! All chance in a run comes from its seed. What happens on one link, disk or client does not move
//! the dice of another.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use recado_replication::Entropy;

/// The number that belongs to this occasion.
pub fn draw(seed: u64, occasion: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    seed.hash(&mut hasher);
    occasion.hash(&mut hasher);
    hasher.finish()
}

/// Dice of one's own.
pub fn dice(seed: u64, whose: impl Hash) -> SmallRng {
    SmallRng::seed_from_u64(draw(seed, whose))
}

/// A server's randomness.
pub struct SeededEntropy(pub Mutex<SmallRng>);

impl Entropy for SeededEntropy {
    fn number(&self) -> u64 {
        self.0.lock().unwrap().next_u64()
    }
}
