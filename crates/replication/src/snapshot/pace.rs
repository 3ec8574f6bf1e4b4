//! How much of the time is spent on a transfer. A bandwidth would be too much for one machine and
//! too little for another; a share leaves the rest to who writes and waits, however busy it is.

use std::time::{Duration, Instant};

use super::Files;

/// The longest rest: whoever was held up for long did not work all of the time.
const MAX_REST: Duration = Duration::from_millis(250);

/// Work that rests after each piece.
pub struct Share {
    files: Files,
    /// One part of work, and so many of rest.
    rest: u32,
    begun: Instant,
}

impl Share {
    /// Works one part of the time and rests for `rest` more.
    pub fn new(files: Files, rest: u32) -> Share {
        Share { files, rest, begun: Instant::now() }
    }

    /// A piece is done; the thread rests before the next. Not in a simulation, where nobody else
    /// could use the time.
    pub fn rest(&mut self) {
        if self.files == Files::Threads {
            std::thread::sleep(rest(self.begun.elapsed(), self.rest));
        }
        self.begun = Instant::now();
    }
}

/// How long to rest after work that took so long.
pub fn rest(took: Duration, parts: u32) -> Duration {
    took.saturating_mul(parts).min(MAX_REST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_is_in_proportion_and_has_an_end() {
        assert_eq!(rest(Duration::from_millis(10), 3), Duration::from_millis(30));
        assert_eq!(rest(Duration::from_secs(9), 3), MAX_REST);
    }
}
