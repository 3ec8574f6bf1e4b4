//! The broker's logical clock and its time stamps.

use std::time::{SystemTime, UNIX_EPOCH};

use recado_protocol::codec::Stamp;

/// Counts what the broker sends itself and has seen.
#[derive(Debug, Default)]
pub(crate) struct Clock(u64);

impl Clock {
    /// A message came in with this value.
    pub(crate) fn seen(&mut self, clock: u64) {
        self.0 = self.0.max(clock).saturating_add(1);
    }

    /// The stamp of a message that goes out.
    pub(crate) fn stamp(&mut self) -> Stamp {
        self.0 = self.0.saturating_add(1);
        // A clock before 1970 is stamped as 1970: nobody relies on the broker's.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let timestamp = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        Stamp { timestamp, clock: self.0 }
    }
}
