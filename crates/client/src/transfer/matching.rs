//! Which rows of the files the cluster has already.
//!
//! The rule: rows with the same content are counted. When the cluster has such a row three times
//! and the files four times, the fourth is missing and the first three are known. Users and
//! channels are known by their names alone.

use std::collections::HashMap;

use recado_protocol::ImportRow;
use sha2::{Digest, Sha256};

/// Stands for a row's content; short, as there is one for each row of the cluster.
type Key = [u8; 16];

/// What the cluster has.
#[derive(Debug, Default)]
pub(super) struct Stored {
    counts: HashMap<Key, u32>,
}

impl Stored {
    /// Counts a row of the cluster.
    pub(super) fn add(&mut self, row: &ImportRow) {
        *self.counts.entry(key(row)).or_default() += 1;
    }

    /// Whether the cluster has this row; asked once for each row of the files, in their order.
    pub(super) fn take(&mut self, row: &ImportRow) -> bool {
        match self.counts.get_mut(&key(row)) {
            Some(_) if is_name(row) => true,
            Some(count) if *count > 0 => {
                *count -= 1;
                true
            }
            _ => false,
        }
    }
}

fn is_name(row: &ImportRow) -> bool {
    matches!(row, ImportRow::User { .. } | ImportRow::Channel { .. })
}

fn key(row: &ImportRow) -> Key {
    let (tag, texts, numbers) = match row {
        ImportRow::User { user, .. } => (0, [user.as_str(), "", ""], [0, 0]),
        ImportRow::Channel { channel } => (1, [channel.as_str(), "", ""], [0, 0]),
        ImportRow::Publication { user, channel, message, timestamp, clock } => {
            (2, [user.as_str(), channel, message], [*timestamp, *clock])
        }
        ImportRow::Private { src, dst, message, timestamp, clock } => {
            (3, [src.as_str(), dst, message], [*timestamp, *clock])
        }
    };
    let mut hash = Sha256::new();
    hash.update([tag]);
    for text in texts {
        // With its length in front, no text can reach into the next one.
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    }
    for number in numbers {
        hash.update(number.to_be_bytes());
    }
    let digest = hash.finalize();
    let mut key = Key::default();
    let length = key.len();
    key.copy_from_slice(&digest[..length]);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publication(message: &str, timestamp: u64) -> ImportRow {
        ImportRow::Publication {
            user: "ana".into(),
            channel: "general".into(),
            message: message.into(),
            timestamp,
            clock: 1,
        }
    }

    #[test]
    fn equal_rows_are_counted() {
        let mut stored = Stored::default();
        stored.add(&publication("hi", 5));
        stored.add(&publication("hi", 5));
        let taken: Vec<_> = (0..3).map(|_| stored.take(&publication("hi", 5))).collect();
        assert_eq!(taken, [true, true, false]);
        assert!(!stored.take(&publication("hi", 6)), "another time is another message");
    }

    #[test]
    fn a_user_is_known_by_name_whatever_its_times() {
        let mut stored = Stored::default();
        stored.add(&ImportRow::User { user: "ana".into(), login_ms: 1, seen_ms: 1, created_ms: 1 });
        let other = ImportRow::User { user: "ana".into(), login_ms: 2, seen_ms: 2, created_ms: 2 };
        assert!(stored.take(&other) && stored.take(&other));
        assert!(!stored.take(&ImportRow::Channel { channel: "ana".into() }));
    }

    #[test]
    fn fields_do_not_run_into_each_other() {
        let row = |user: &str, channel: &str| ImportRow::Publication {
            user: user.into(),
            channel: channel.into(),
            message: String::new(),
            timestamp: 0,
            clock: 0,
        };
        assert_ne!(key(&row("ab", "c")), key(&row("a", "bc")));
    }
}
