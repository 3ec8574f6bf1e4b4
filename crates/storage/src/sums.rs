//! A hash of all rows that is kept up with each change, so that it costs next to nothing and servers
//! can compare it at any position.
//!
//! It is the sum, modulo 2^128, of a fingerprint of each row: the additive one of the incremental
//! hashes of Bellare and Micciancio ("A New Paradigm for Collision-Free Hashing", 1997; AdHash).
//! Rows may be added, changed and removed in any order. A fingerprint is XXH3, which nobody forges
//! by accident. This finds what went wrong by itself; against somebody who looks for two states of
//! one sum it would need longer, cryptographic fingerprints.

use std::fmt;

use twox_hash::{XxHash3_64, XxHash3_128};

/// The sums of the fingerprints of all rows. Servers that applied the same log up to the same
/// position have the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Of the tables whose rows are only ever added.
    pub(crate) history: u128,
    /// Of the others.
    pub(crate) rest: u128,
}

impl Sums {
    /// How many bytes they have.
    pub const BYTES: usize = 32;

    /// A row of the table of this number comes to be.
    pub(crate) fn add(&mut self, table: u8, key: &[u8], value: &[u8]) {
        let sum = self.of(table);
        *sum = sum.wrapping_add(fingerprint(table, key, value));
    }

    /// A row goes.
    pub(crate) fn subtract(&mut self, table: u8, key: &[u8], value: &[u8]) {
        let sum = self.of(table);
        *sum = sum.wrapping_sub(fingerprint(table, key, value));
    }

    fn of(&mut self, table: u8) -> &mut u128 {
        if is_history(table) { &mut self.history } else { &mut self.rest }
    }

    /// As they are stored and sent.
    pub fn to_bytes(self) -> [u8; Sums::BYTES] {
        let mut bytes = [0; Sums::BYTES];
        let (history, rest) = bytes.split_at_mut(Sums::BYTES / 2);
        history.copy_from_slice(&self.history.to_le_bytes());
        rest.copy_from_slice(&self.rest.to_le_bytes());
        bytes
    }

    /// The sums of these bytes.
    pub fn from_bytes(bytes: [u8; Sums::BYTES]) -> Sums {
        let half = |from: usize| {
            let mut half = [0; Sums::BYTES / 2];
            half.copy_from_slice(&bytes[from..from + Sums::BYTES / 2]);
            u128::from_le_bytes(half)
        };
        Sums { history: half(0), rest: half(Sums::BYTES / 2) }
    }
}

impl fmt::Display for Sums {
    /// The sum of all rows, in hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.history.wrapping_add(self.rest))
    }
}

/// Whether rows of this table are only ever added, each by the entry at a position that it names:
/// logins, messages, their index and conversations.
pub(crate) fn is_history(table: u8) -> bool {
    matches!(table, 5 | 7 | 8 | 9)
}

/// The fingerprint of one row.
fn fingerprint(table: u8, key: &[u8], value: &[u8]) -> u128 {
    let seed = XxHash3_64::oneshot_with_seed(u64::from(table), key);
    XxHash3_128::oneshot_with_seed(seed, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_of_a_row_counts_and_the_order_does_not() {
        let sum = |rows: &[(u8, &[u8], &[u8])]| {
            let mut sums = Sums::default();
            rows.iter().for_each(|(table, key, value)| sums.add(*table, key, value));
            sums
        };
        let one = sum(&[(1, b"k", b"v")]);
        for other in [(2, &b"k"[..], &b"v"[..]), (1, b"l", b"v"), (1, b"k", b"w"), (1, b"kv", b"")]
        {
            assert_ne!(one, sum(&[other]));
        }
        let (a, b): ((u8, &[u8], &[u8]), _) = ((1, b"a", b"1"), (7, &b"b"[..], &b"2"[..]));
        assert_eq!(sum(&[a, b]), sum(&[b, a]));
        let mut back = sum(&[a, b]);
        back.subtract(b.0, b.1, b.2);
        assert_eq!(back, sum(&[a]));
        assert_eq!(Sums::from_bytes(back.to_bytes()), back);
    }
}
