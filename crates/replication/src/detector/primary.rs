//! The primary, as a backup hears it.

use std::time::Duration;

use tokio::time::Instant;

use crate::NodeId;
use crate::detector::{Bounds, Rhythm};

/// Who was heard last as the primary, and how.
#[derive(Clone, Debug, Default)]
pub struct HeardPrimary {
    node: Option<NodeId>,
    /// This server's own connection to it, by number, while it was heard.
    connection: Option<u64>,
    rhythm: Rhythm,
}

impl HeardPrimary {
    /// A node was heard as the primary, while this connection to it stood.
    pub fn heard(&mut self, node: NodeId, connection: Option<u64>, now: Instant) {
        if self.node.replace(node) != Some(node) {
            *self = HeardPrimary { node: Some(node), ..HeardPrimary::default() };
        }
        self.connection = connection.or(self.connection);
        self.rhythm.heard(now);
    }

    /// After how much silence it is gone; none when it can't be alive: nobody was heard since this
    /// process started, or the connection to it ended, which `connection` tells by its number.
    pub fn limit(
        &self,
        connection: impl Fn(NodeId) -> Option<u64>,
        bounds: Bounds,
    ) -> Option<Duration> {
        let now = connection(self.node?)?;
        let stands = self.connection.is_none_or(|before| before == now);
        stands.then(|| self.rhythm.limit(bounds))
    }

    /// How long after it was heard last it still counts as the primary.
    pub fn known_for(&self, bounds: Bounds) -> Duration {
        2 * self.rhythm.limit(bounds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds =
        Bounds { least: Duration::from_millis(500), most: Duration::from_millis(1200) };

    fn regular(node: NodeId, connection: Option<u64>) -> HeardPrimary {
        let (mut primary, start) = (HeardPrimary::default(), Instant::now());
        for n in 0..100 {
            primary.heard(node, connection, start + n * Duration::from_millis(75));
        }
        primary
    }

    #[test]
    fn who_was_never_heard_or_whose_connection_ended_is_not_waited_for() {
        assert_eq!(HeardPrimary::default().limit(|_| Some(1), BOUNDS), None);
        let primary = regular(7, Some(1));
        assert_eq!(primary.limit(|_| Some(1), BOUNDS), Some(BOUNDS.least));
        assert_eq!(primary.limit(|_| None, BOUNDS), None);
        assert_eq!(primary.limit(|_| Some(2), BOUNDS), None, "another process answers there");
    }

    #[test]
    fn a_connection_that_came_later_has_not_ended() {
        let primary = regular(7, None);
        assert_eq!(primary.limit(|_| Some(1), BOUNDS), Some(BOUNDS.least));
    }

    #[test]
    fn another_primary_is_known_anew() {
        let mut primary = regular(7, Some(1));
        primary.heard(8, Some(3), Instant::now());
        assert_eq!(primary.limit(|_| Some(3), BOUNDS), Some(BOUNDS.most));
    }
}
