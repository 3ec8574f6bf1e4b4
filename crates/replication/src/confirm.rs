//! Nobody discards a copy before whoever leads has confirmed that the cluster has what it held.
//!
//! Whoever leads, and is followed by a majority without the one that asks, has every entry that was
//! committed. So what was acknowledged is not lost with the damaged copy. Where nobody leads, the
//! damaged copy may be one of the last: it stays as it is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use openraft::async_runtime::WatchReceiver;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::NodeId;
use crate::network::{NO_CLUSTER, kind, seal, unseal_named, unseal_newcomer};
use crate::peer::{Lane, PeerTransport};
use crate::reads::Reads;
use crate::replica::Peer;
use crate::shared::Shared;

/// How long a damaged server asks. Who starts it anew asks again: this only says when somebody
/// should read why it does not come up.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two rounds of questions.
const PAUSE: Duration = Duration::from_millis(100);
/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// No node: who asks takes no part.
const NOBODY: NodeId = 0;

/// What a damaged copy may have held: the last entry, term first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reach {
    /// Its term.
    pub term: u64,
    /// Its position.
    pub index: u64,
}

/// What the asked server says.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Held {
    /// It leads, and the cluster has at least that.
    All,
    /// It leads, and the cluster has only this.
    Less(Reach),
    /// It does not lead, as far as it can prove.
    NotPrimary,
}

/// Whom a damaged server asks, and how.
pub struct Others {
    /// The connections.
    pub transport: Arc<dyn PeerTransport>,
    /// The servers that the reference lists.
    pub listed: watch::Receiver<Vec<Peer>>,
}

/// Why nobody confirmed, in a clause.
pub type Unconfirmed = String;

impl Others {
    /// Asks until whoever leads confirms that the cluster has at least this. `known` are servers
    /// that the damaged folder itself tells of.
    ///
    /// # Errors
    /// Nobody confirmed it in time.
    pub async fn hold(
        &self,
        cluster: Option<u64>,
        reach: Reach,
        known: &[(NodeId, String)],
    ) -> Result<(), Unconfirmed> {
        let begun = Instant::now();
        let mut connected = BTreeMap::new();
        let mut less = None;
        while begun.elapsed() < PATIENCE {
            let listed = self.listed.borrow().clone();
            let listed = listed.into_iter().map(|peer| (peer.node, peer.address));
            // What the reference says is newer.
            let all: BTreeMap<NodeId, String> = known.iter().cloned().chain(listed).collect();
            for (node, address) in &all {
                if connected.get(node) != Some(address) {
                    self.transport.set_address(*node, address);
                    connected.insert(*node, address.clone());
                }
            }
            let mut answers: FuturesUnordered<_> =
                all.keys().map(|node| self.ask(*node, cluster, reach, known)).collect();
            // In their own order: who is dead must not hold up who leads.
            while let Some(answer) = answers.next().await {
                match answer {
                    Some(Held::All) => return Ok(()),
                    Some(Held::Less(has)) => less = less.max(Some(has)),
                    Some(Held::NotPrimary) | None => {}
                }
            }
            sleep(PAUSE).await;
        }
        Err(match less {
            Some(has) => format!(
                "the primary has less than this server had, which had got to position {} and not \
                 only to {}",
                reach.index, has.index
            ),
            None => format!(
                "no primary confirmed within {} s that the others have what it held",
                PATIENCE.as_secs()
            ),
        })
    }

    async fn ask(
        &self,
        node: NodeId,
        cluster: Option<u64>,
        reach: Reach,
        known: &[(NodeId, String)],
    ) -> Option<Held> {
        let body = seal(cluster.unwrap_or(NO_CLUSTER), NOBODY, &reach).ok()?;
        let pending = self.transport.send(node, Lane::Control, kind::HOLD, body).ok()?;
        let answer = timeout(ANSWER_TIMEOUT, pending).await.ok()?.ok()?;
        let (who, held) = unseal_named(cluster, &answer)?;
        // A folder that does not know its cluster knows its members by their numbers, which are
        // random: somebody else answers for another cluster.
        (cluster.is_some() || known.iter().any(|(member, _)| *member == who)).then_some(held)
    }
}

/// Answers a damaged server.
pub async fn answer(shared: &Shared, reads: &Reads, body: &[u8]) -> Option<impl Serialize + use<>> {
    let reach: Reach = unseal_newcomer(shared.cluster(), body)?;
    let engine = shared.engine()?;
    // A majority follows this one now, and who asks is not among them: it takes no part.
    if !engine.is_leader() || reads.confirm().await.is_none() {
        return Some(Held::NotPrimary);
    }
    let last = engine.data_metrics().borrow_watched().last_log;
    let has =
        last.map_or(Reach::default(), |id| Reach { term: id.leader_id.term, index: id.index });
    Some(if has >= reach { Held::All } else { Held::Less(has) })
}
