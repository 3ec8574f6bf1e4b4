//! The snapshots that are on their way from this node, for those who must know of them: the log
//! behind a snapshot is kept for its receiver, and a receiver that installs one lives.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use crate::NodeId;
use crate::shared::lock;

/// All of them, by receiver.
#[derive(Clone, Default)]
pub struct Transfers(Arc<Mutex<BTreeMap<NodeId, Outgoing>>>);

/// One that is on its way.
struct Outgoing {
    transfer: u64,
    position: u64,
    heard: Option<Instant>,
    overtaken: bool,
}

impl Transfers {
    /// One begins. It is on its way until what comes back is dropped.
    pub fn begin(&self, target: NodeId, transfer: u64, position: u64) -> Ongoing {
        let outgoing = Outgoing { transfer, position, heard: None, overtaken: false };
        lock(&self.0).insert(target, outgoing);
        Ongoing { transfers: self.clone(), target, transfer }
    }

    /// The position of the snapshot that is on its way to this node: what it needs of the log
    /// begins behind that.
    pub fn position(&self, target: NodeId) -> Option<u64> {
        lock(&self.0).get(&target).map(|outgoing| outgoing.position)
    }

    /// Whether the receiver of one answered within this time.
    pub fn answers(&self, target: NodeId, now: Instant, within: Duration) -> bool {
        let heard = lock(&self.0).get(&target).and_then(|outgoing| outgoing.heard);
        heard.is_some_and(|at| now.duration_since(at) < within)
    }

    /// The log is about to go up to this position: the receivers of older snapshots could not go
    /// on from there. Gives those that did not know yet.
    pub fn overtake(&self, upto: u64) -> Vec<NodeId> {
        let mut all = lock(&self.0);
        let overtaken = all.iter_mut().filter(|(_, one)| one.position < upto && !one.overtaken);
        overtaken
            .map(|(target, one)| {
                one.overtaken = true;
                *target
            })
            .collect()
    }
}

/// A snapshot that is on its way.
pub struct Ongoing {
    transfers: Transfers,
    target: NodeId,
    /// Its number.
    pub transfer: u64,
}

impl Ongoing {
    /// Its receiver answered.
    pub fn heard(&self) {
        self.change(|outgoing| outgoing.heard = Some(Instant::now()));
    }

    /// Whether it is in vain, because the log behind it is gone.
    pub fn is_overtaken(&self) -> bool {
        let mut overtaken = false;
        self.change(|outgoing| overtaken = outgoing.overtaken);
        overtaken
    }

    fn change(&self, change: impl FnOnce(&mut Outgoing)) {
        let mut all = lock(&self.transfers.0);
        // The engine may have begun another one to the same node before it ended this one.
        all.get_mut(&self.target).filter(|one| one.transfer == self.transfer).map(change);
    }
}

impl Drop for Ongoing {
    fn drop(&mut self) {
        let mut all = lock(&self.transfers.0);
        if all.get(&self.target).is_some_and(|one| one.transfer == self.transfer) {
            all.remove(&self.target);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_older_snapshots_are_overtaken_and_once() {
        let transfers = Transfers::default();
        let (old, new) = (transfers.begin(1, 10, 100), transfers.begin(2, 11, 200));
        assert_eq!(transfers.overtake(100), []);
        assert_eq!(transfers.overtake(150), [1]);
        assert_eq!(transfers.overtake(160), []);
        assert!(old.is_overtaken() && !new.is_overtaken());
        drop(old);
        assert_eq!((transfers.position(1), transfers.position(2)), (None, Some(200)));
    }

    #[test]
    fn the_end_of_an_earlier_one_leaves_a_later_one_to_the_same_node_alone() {
        let transfers = Transfers::default();
        let first = transfers.begin(1, 10, 100);
        let second = transfers.begin(1, 11, 200);
        drop(first);
        assert_eq!(transfers.position(1), Some(200));
        drop(second);
        assert_eq!(transfers.position(1), None);
    }
}
