//! Everything that happens, as one number: two runs of a seed must have the same.

use std::collections::hash_map::DefaultHasher;
use std::fmt::{Arguments, Write};
use std::hash::Hasher;

/// A running hash over what happened; on request also the words themselves.
pub struct Trace {
    hasher: DefaultHasher,
    line: String,
    pub events: u64,
    words: Option<Vec<String>>,
}

impl Trace {
    /// With `words` the lines are kept, to compare two runs.
    pub fn new(words: bool) -> Trace {
        Trace {
            hasher: DefaultHasher::new(),
            line: String::new(),
            events: 0,
            words: words.then(Vec::new),
        }
    }

    pub fn note(&mut self, now_ms: u64, what: Arguments<'_>) {
        self.line.clear();
        // Writing to a string can't fail.
        let _ = write!(self.line, "{now_ms} {what}");
        self.hasher.write(self.line.as_bytes());
        self.events += 1;
        if let Some(words) = &mut self.words {
            words.push(self.line.clone());
        }
    }

    pub fn hash(&self) -> u64 {
        self.hasher.finish()
    }

    pub fn words(self) -> Vec<String> {
        self.words.unwrap_or_default()
    }
}
