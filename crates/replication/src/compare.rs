//! Servers compare the sums of their rows behind the same positions. Whoever applied the same log has
//! the same sums; who has others made a mistake that no checksum tells.
//!
//! Every server asks all the others now and then, and judges itself alone: it goes when most of the
//! active servers agree on other sums than its own. Where all of them told theirs and as many agree
//! on either, the primary's are the right ones, since what it has is what readers saw. So of two
//! copies that differ the backup goes, and it can't be known which one was right. Who did not tell
//! might have been one more for either side, so then nobody goes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use recado_storage::{Checkpoint, Store, Sums};
use tokio::time::sleep;

use crate::NodeId;
use crate::network::{call, kind};
use crate::peer::Lane;
use crate::shared::Shared;

/// So many checkpoints are told, the newest: servers that keep pace share some of them.
const TOLD_CHECKPOINTS: usize = 16;
/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// A checkpoint as it is told: the position, and the sums.
type Told = (u64, [u8; Sums::BYTES]);

/// What a server answers who asks: its newest checkpoints.
pub fn answer(shared: &Shared) -> Vec<Told> {
    shared.store.get().map(newest).unwrap_or_default()
}

fn newest(store: &Store) -> Vec<Told> {
    let told = |checkpoint: &Checkpoint| (checkpoint.position, checkpoint.sums.to_bytes());
    store.checkpoints().iter().rev().take(TOLD_CHECKPOINTS).map(told).collect()
}

/// Compares, as long as nothing differs.
pub async fn run(shared: Arc<Shared>, store: Store) {
    let pause = Duration::from_millis(shared.config.timing.compare_ms);
    let mut compared = 0;
    loop {
        sleep(pause).await;
        let mine = newest(&store);
        // Nobody is asked as long as nothing is written.
        let Some((newest, _)) = mine.first().copied().filter(|(at, _)| *at > compared) else {
            continue;
        };
        let others = ask_all(&shared).await;
        if others.iter().all(|(_, told)| told.iter().all(|(position, _)| *position < newest)) {
            continue;
        }
        compared = newest;
        let primary = shared.view.borrow().primary;
        let members = shared.members();
        let active = members.iter().filter(|m| m.active).map(|m| m.announced.node).collect();
        if let Some(odd) = judge(shared.node, &mine, &others, &active, primary) {
            store.condemn(&odd.to_string());
            return;
        }
    }
}

/// What all the others tell, who answer.
async fn ask_all(shared: &Arc<Shared>) -> Vec<(NodeId, Vec<Told>)> {
    let members = shared.members();
    let others = members.iter().map(|m| m.announced.node).filter(|node| *node != shared.node);
    let asked = others.map(async |node| {
        let told = call(shared, node, Lane::Control, kind::CHECKPOINTS, &(), ANSWER_TIMEOUT).await;
        Some((node, told.ok()?))
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// A server that has other sums than the rest.
#[derive(Debug, PartialEq, Eq)]
struct Odd {
    position: u64,
    mine: Sums,
    theirs: Sums,
}

impl std::fmt::Display for Odd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Odd { position, mine, theirs } = self;
        write!(
            f,
            "its rows at position {position} sum up to {mine}, and those of others to {theirs}"
        )
    }
}

/// Whether this server's rows are the wrong ones, by the newest position at which any differ.
fn judge(
    me: NodeId,
    mine: &[Told],
    others: &[(NodeId, Vec<Told>)],
    active: &BTreeSet<NodeId>,
    primary: Option<NodeId>,
) -> Option<Odd> {
    mine.iter().find_map(|(position, own)| {
        let mut groups: BTreeMap<&[u8; Sums::BYTES], Vec<NodeId>> = BTreeMap::new();
        groups.entry(own).or_default().push(me);
        for (node, told) in others {
            for (_, sums) in told.iter().filter(|(at, _)| at == position).take(1) {
                groups.entry(sums).or_default().push(*node);
            }
        }
        let counted =
            |nodes: &Vec<NodeId>| nodes.iter().filter(|node| active.contains(node)).count();
        let most = |nodes: &Vec<NodeId>| 2 * counted(nodes) > active.len();
        let all_told = groups.values().map(counted).sum::<usize>() == active.len();
        // More copies count more; of as many, those of the primary.
        let weight =
            |nodes: &Vec<NodeId>| (counted(nodes), primary.is_some_and(|p| nodes.contains(&p)));
        let own_weight = groups.get(own).map(weight)?;
        let outweighs =
            |nodes: &Vec<NodeId>| most(nodes) || (all_told && weight(nodes) > own_weight);
        let (theirs, _) = groups.iter().find(|(sums, nodes)| **sums != own && outweighs(nodes))?;
        let (mine, theirs) = (Sums::from_bytes(*own), Sums::from_bytes(**theirs));
        Some(Odd { position: *position, mine, theirs })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(position: u64, sum: u8) -> Told {
        (position, [sum; Sums::BYTES])
    }

    #[test]
    fn fewer_copies_go_and_of_as_many_those_without_the_primary() {
        let goes = |mine: u8, others: &[(NodeId, u8)], primary| {
            let others: Vec<_> =
                others.iter().map(|(node, sum)| (*node, vec![told(8, *sum)])).collect();
            let active = others.iter().map(|(node, _)| *node).chain([1]).collect();
            judge(1, &[told(8, mine)], &others, &active, primary).is_some()
        };
        assert!(!goes(5, &[], None));
        assert!(!goes(5, &[(2, 5), (3, 5)], Some(2)));
        // Two copies that differ.
        assert!(goes(5, &[(2, 6)], Some(2)));
        assert!(!goes(5, &[(2, 6)], Some(1)));
        assert!(!goes(5, &[(2, 6)], None), "nobody knows which");
        // Of three, the primary may be the odd one.
        assert!(goes(5, &[(2, 6), (3, 6)], Some(1)));
        assert!(!goes(5, &[(2, 5), (3, 6)], Some(3)));
        assert!(goes(5, &[(2, 6), (3, 6)], Some(3)));
    }

    #[test]
    fn only_the_same_positions_are_compared() {
        let others = [(2, vec![told(8, 1), told(4, 7)]), (3, vec![told(12, 9)])];
        let active = [1, 2].into();
        let mine = [told(12, 9), told(8, 1), told(4, 7)];
        assert_eq!(judge(1, &mine, &others, &active, Some(2)), None);
        let mine = [told(16, 3), told(8, 2)];
        let odd = judge(1, &mine, &others, &active, Some(2)).map(|odd| odd.position);
        assert_eq!(odd, Some(8));
    }

    #[test]
    fn where_somebody_did_not_tell_no_tie_is_broken() {
        let active = [1, 2, 3].into();
        // The primary is the odd one, and 3, which has the same as 1, tells nothing of position 8.
        let others = [(2, vec![told(8, 6), told(4, 6)]), (3, vec![told(4, 5)])];
        let mine = [told(8, 5), told(4, 5)];
        assert_eq!(judge(1, &mine, &others, &active, Some(2)), None);
        // Most of them agree, whoever is silent.
        let others = [(2, vec![told(8, 6)]), (3, vec![told(8, 6)])];
        let odd = judge(1, &[told(8, 5)], &others, &[1, 2, 3].into(), Some(1));
        assert_eq!(odd.map(|odd| odd.position), Some(8));
    }
}
