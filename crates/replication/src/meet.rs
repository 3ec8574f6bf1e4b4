//! Finds out who answers where: whoever is connected to is asked once for its node id. The answer
//! also tells whether the node that asks was removed, so that an old data folder learns it from
//! anybody who knows, and at once.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::NodeId;
use crate::addresses::Step;
use crate::announce::name_taken;
use crate::identity::Identity;
use crate::network::{NO_CLUSTER, kind, seal, unseal, unseal_named, unseal_node};
use crate::peer::Lane;
use crate::shared::{Shared, lock};

/// How often connections are looked at …
const LOOK: Duration = Duration::from_millis(100);
/// … and as long as every node was met where it is looked for.
const SETTLED_LOOK: Duration = Duration::from_millis(500);
/// How many times it is tried to reach a copy; one that is stopped or gone does not answer.
const COPY_TRIES: u32 = 20;
/// How long an answer is waited for.
const ASK_TIMEOUT: Duration = Duration::from_secs(1);

/// Who answers at an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// Its name.
    pub name: String,
    /// The number of its start.
    pub boot: u64,
    /// Whether the node that asked was removed from the cluster, as far as this one knows.
    pub removed: bool,
    /// Whether it was by `recado rescue`, which made another cluster of one server's copy.
    #[serde(default)]
    pub earlier: bool,
}

/// The message that asks who is there, before this server takes part: its kind and body; none if it
/// can't be made. The data folder says who asks; an empty one is nobody yet.
pub fn question(dir: &Path) -> Option<(u8, Bytes)> {
    let identity = Identity::read(dir).ok().flatten();
    let cluster = identity.and_then(|identity| identity.cluster).unwrap_or(NO_CLUSTER);
    let asking = identity.map_or(NOBODY, |identity| identity.node);
    Some((kind::WHO, seal(cluster, NOBODY, &asking).ok()?))
}

/// The answer to [`question`]; none if it is none.
pub fn read_answer(body: &[u8]) -> Option<Who> {
    unseal(None, None, body)
}

/// No node.
const NOBODY: NodeId = 0;

/// Answers whoever asks. A node of another cluster is told nothing, unless it was a member here
/// before a new generation of the cluster began: then in its own cluster's name, since it
/// understands no other.
pub fn answer(shared: &Shared, body: &[u8]) -> Option<Bytes> {
    let (theirs, asking) = unseal_node(body)?;
    let mine = shared.cluster();
    let removed = shared.is_removed(asking);
    let earlier = theirs != NO_CLUSTER && mine.is_some_and(|mine| mine != theirs);
    if earlier && !removed {
        return None;
    }
    let boot = *shared.boot.borrow();
    let who = Who { name: shared.config.name.clone(), boot, removed, earlier };
    let cluster = if earlier { theirs } else { mine.unwrap_or(NO_CLUSTER) };
    seal(cluster, shared.node, &who).ok()
}

/// Asks the node, over the connection to where it is looked for, who is there.
pub async fn ask(shared: &Shared, node: NodeId) -> Option<(NodeId, Who)> {
    let cluster = shared.cluster();
    let body = seal(cluster.unwrap_or(NO_CLUSTER), node, &shared.node).ok()?;
    let pending = shared.transport.send(node, Lane::Control, kind::WHO, body).ok()?;
    let answer = tokio::time::timeout(ASK_TIMEOUT, pending).await.ok()?.ok()?;
    // Whoever lost its disk belongs to no cluster yet, and still is not the node that was there.
    unseal_named(cluster, &answer).or_else(|| unseal_named(Some(NO_CLUSTER), &answer))
}

/// Keeps at it until the replica stops.
pub async fn run(shared: Arc<Shared>) {
    tokio::spawn(end_as_a_copy(shared.clone()));
    let mut settled = false;
    loop {
        tokio::time::sleep(if settled { SETTLED_LOOK } else { LOOK }).await;
        let mut book = lock(&shared.addresses);
        let connection = |node| shared.transport.connection(node, Lane::Control);
        let steps = book.look(Instant::now(), connection);
        settled = book.is_settled();
        for step in steps {
            match step {
                Step::Move { node, address } => shared.transport.set_address(node, &address),
                Step::Ask { node, address } => {
                    tokio::spawn(meet(shared.clone(), node, address));
                }
            }
        }
    }
}

/// Ends the replica when another process runs on a copy of its folder: where this node was before
/// its start, the same node answers as another start.
async fn end_as_a_copy(shared: Arc<Shared>) {
    let boot = *shared.boot.borrow();
    let Some(before) = shared.my_row().map(|row| row.announced) else { return };
    if before.boot == boot || before.address == shared.config.address {
        return;
    }
    shared.transport.set_address(shared.node, &before.address);
    for _ in 0..COPY_TRIES {
        tokio::time::sleep(LOOK).await;
        let Some((node, who)) = ask(&shared, shared.node).await else { continue };
        if node == shared.node && who.boot != boot {
            shared.fail(name_taken(&before.name, &before.address));
        }
        return;
    }
}

async fn meet(shared: Arc<Shared>, node: NodeId, address: String) {
    let answer = ask(&shared, node).await;
    match &answer {
        Some((_, who)) if who.earlier => shared.fail_as_earlier(),
        Some((_, who)) if who.removed => shared.fail_as_removed(),
        _ => {}
    }
    let who = answer.map(|(other, _)| other);
    if who.is_some_and(|other| other != node) {
        tracing::debug!(node, %address, ?who, "another server answers where this one was");
    }
    let mut book = lock(&shared.addresses);
    for (node, address) in book.answered(node, &address, who, Instant::now()) {
        shared.transport.set_address(node, &address);
    }
}
