//! How a drill ended, after everything was healed and had time to settle.

use std::collections::BTreeMap;

use super::{Name, Row, Topic};

/// A row of the final history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalRow {
    /// The message.
    pub row: Row,
    /// Its public id.
    pub message_id: [u8; 16],
    /// When the primary stored it, ms since the Unix epoch.
    pub timestamp_ms: u64,
}

/// The state of a server, or of the reference's replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The server's name.
    pub server: Name,
    /// The last log position that it applied. Whoever ends a drill waits until all are level; who
    /// does not get there is written down where it is.
    pub position: u64,
    /// The hash over all its rows.
    pub hash: [u8; 32],
    /// Whether it was active.
    pub active: bool,
}

/// The end of a drill.
#[derive(Clone, Debug, Default)]
pub struct End {
    /// When it was read.
    pub at_us: u64,
    /// Every replica that took part at the end, the reference's too.
    pub states: Vec<State>,
    /// Servers that should have been back by then, and were not.
    pub missing: Vec<Name>,
    /// The whole history of every topic, oldest first, as one server tells it. What other servers
    /// tell are [reads](super::Read).
    pub topics: BTreeMap<Topic, Vec<FinalRow>>,
}
