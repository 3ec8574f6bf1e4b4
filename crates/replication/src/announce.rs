//! How a server becomes a member: it announces itself to the primary until the member table says
//! what it says of itself.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use recado_chat::members::Announcement;
use recado_chat::{Member, MemberCommand};
use serde::{Deserialize, Serialize};

use crate::NodeId;
use crate::addresses::Word;
use crate::bounds::{self, MAX_MEMBERS};
use crate::entropy::id;
use crate::meet;
use crate::network::{call, kind};
use crate::peer::Lane;
use crate::propose::Proposals;
use crate::replica::ProposeError;
use crate::shared::{Shared, lock};

/// How long an announcement may be on its way.
const ANNOUNCE_TIMEOUT: Duration = Duration::from_secs(2);
/// How often the member table is compared with what this server says of itself …
const CHECK_INTERVAL: Duration = Duration::from_millis(50);
/// … and as long as they agreed the last time: a change of either is looked at when it comes.
const SETTLED_INTERVAL: Duration = Duration::from_millis(500);
/// How long between two tries, so that the entry of the first can arrive.
const RETRY_INTERVAL: Duration = Duration::from_millis(250);
/// A namesake that was silent for so long is gone.
const NAMESAKE_SILENCE: Duration = Duration::from_secs(2);
/// After so long without a primary a server asks whether it is still a member.
const LONELINESS: Duration = Duration::from_secs(3);
/// So often a name is in use before that is worth a warning: longer than a namesake's silence takes.
const NAMESAKE_REFUSALS: u32 = 16;
/// A server with data that got no rank in this time announces itself without one.
const RANK_PATIENCE: Duration = Duration::from_millis(1500);

/// What the asked server says to an announcement.
#[derive(Debug, Serialize, Deserialize)]
pub enum Announced {
    /// It is in the log of this cluster.
    Welcome {
        /// The cluster's id.
        cluster: u64,
    },
    /// Ask this one.
    Ask {
        /// The primary.
        primary: NodeId,
        /// Where it is.
        address: String,
    },
    /// Nobody leads at the moment.
    Later,
    /// Another server of this name was there a moment ago.
    NameInUse,
    /// Another server of this name is there.
    NameTaken {
        /// Where it answers.
        address: String,
    },
    /// This node was removed.
    Removed,
    /// Never, for another reason.
    Refused(String),
}

/// The primary's side. Any server that knows that a node was removed says so.
pub async fn receive_announcement(shared: &Arc<Shared>, announcement: Announcement) -> Announced {
    let Some(cluster) = shared.cluster() else { return Announced::Later };
    if shared.is_removed(announcement.node) {
        return Announced::Removed;
    }
    let Some(term) = lock(&shared.gate).term() else { return redirect(shared).await };
    let known = shared.members().iter().any(|m| m.announced == announcement);
    if known {
        return Announced::Welcome { cluster };
    }
    // Before anything is done for it.
    if let Err(why) =
        bounds::announcement(&announcement).and_then(|()| place(shared, &announcement))
    {
        return Announced::Refused(why);
    }
    let Some(proposals) = shared.proposals.get() else { return Announced::Later };
    for rival in rivals(shared, &announcement) {
        if let Some(answer) = settle(shared, proposals, term, &rival, &announcement).await {
            return answer;
        }
    }
    shared.hear_address(announcement.node, &announcement.address, Word::Own);
    tracing::info!(server = %announcement.name, rank = announcement.rank, "a server announces itself");
    match proposals.change_members(MemberCommand::Announce(announcement)).await {
        Ok(committed) => match committed.outcome {
            recado_chat::Outcome::Refused(recado_chat::Refusal::Removed) => Announced::Removed,
            // A namesake was a moment quicker: the next try finds it in the table.
            recado_chat::Outcome::Refused(recado_chat::Refusal::NameTaken) => Announced::Later,
            recado_chat::Outcome::Refused(refusal) => Announced::Refused(format!("{refusal:?}")),
            _ => Announced::Welcome { cluster },
        },
        Err(ProposeError::OutOfBounds(why)) => Announced::Refused(why),
        Err(_) => Announced::Later,
    }
}

/// Whether there is room for one more server, unless it is known, or takes the place of another one.
fn place(shared: &Shared, announcement: &Announcement) -> Result<(), String> {
    let members = shared.members();
    let known =
        |m: &Member| m.announced.node == announcement.node || m.announced.name == announcement.name;
    if members.len() < MAX_MEMBERS || members.iter().any(known) {
        return Ok(());
    }
    Err(format!("the cluster has {MAX_MEMBERS} servers; remove those that won't come back"))
}

/// Who may run under the same name, or even with a copy of the same folder. Most often it is what
/// the server that announces itself was before it was started again.
fn rivals(shared: &Shared, announcement: &Announcement) -> Vec<Announcement> {
    let this_start = announcement.node == shared.node && announcement.boot == *shared.boot.borrow();
    let is_rival = |other: &&Announcement| match other.node == announcement.node {
        true => !this_start && other.boot != announcement.boot,
        false => other.name == announcement.name,
    };
    shared.members().iter().map(|row| &row.announced).filter(is_rival).cloned().collect()
}

/// Two live servers can't share a name: the one that is there already stays. A server that lost
/// its disk comes back under its name as another node: the old node is taken out for good.
async fn settle(
    shared: &Arc<Shared>,
    proposals: &Proposals,
    term: u64,
    rival: &Announcement,
    announcement: &Announcement,
) -> Option<Announced> {
    let heard = was_heard(shared, rival);
    if rival.node == shared.node || (heard && answers(shared, rival).await) {
        return Some(Announced::NameTaken { address: rival.address.clone() });
    }
    if rival.node == announcement.node {
        return None;
    }
    // What earlier primaries removed is all known here once an entry of this term is applied.
    let applied = shared.applied.borrow().is_some_and(|id| id.leader_id.term == term);
    if !applied {
        return Some(Announced::Later);
    }
    if heard {
        return Some(Announced::NameInUse);
    }
    tracing::warn!(server = %rival.name, old = rival.node, new = announcement.node,
        "a server is back with another data folder; its old node is removed");
    match proposals.change_members(MemberCommand::Remove { node: rival.node }).await {
        Ok(_) => None,
        Err(_) => Some(Announced::Later),
    }
}

/// Whether a server is there or was a moment ago. One that stands still keeps its connections for a
/// while, and its place with them.
fn was_heard(shared: &Shared, server: &Announcement) -> bool {
    let connection = shared.transport.connection(server.node, Lane::Control);
    if lock(&shared.addresses).was_met(server.node, connection) {
        return true;
    }
    // Who was not heard of in a young term may only not have answered yet.
    let gate = lock(&shared.gate);
    let heard = gate.heard(server.node).max(gate.since());
    heard.is_none_or(|at| at.elapsed() < NAMESAKE_SILENCE)
}

/// Whether the same start of a server answers where it is looked for. Having been heard of is not
/// enough: it may have been killed a moment ago.
async fn answers(shared: &Shared, server: &Announcement) -> bool {
    let answer = meet::ask(shared, server.node).await;
    answer.is_some_and(|(node, who)| node == server.node && who.boot == server.boot)
}

async fn redirect(shared: &Shared) -> Announced {
    let Some(engine) = shared.engine() else { return Announced::Later };
    let Some(primary) = engine.current_leader().await else { return Announced::Later };
    match shared.members().iter().find(|m| m.announced.node == primary) {
        Some(row) if primary != shared.node => {
            Announced::Ask { primary, address: row.announced.address.clone() }
        }
        _ => Announced::Later,
    }
}

/// Keeps this server's row in the member table true.
pub async fn run(shared: Arc<Shared>) {
    let mut without_rank_since = tokio::time::Instant::now();
    let mut asked: Option<NodeId> = None;
    let mut refusals = 0;
    let mut members = shared.members.subscribe();
    let mut rank = shared.rank.subscribe();
    let mut settled = false;
    loop {
        let pause = if settled { SETTLED_INTERVAL } else { CHECK_INTERVAL };
        tokio::select! {
            // One order always, for the sake of replayed simulations.
            biased;
            _ = members.changed() => {}
            _ = rank.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
        settled = false;
        remember_the_log(&shared);
        let patience_over = without_rank_since.elapsed() > RANK_PATIENCE;
        let Some(wanted) = wanted(&shared, patience_over) else { continue };
        let known = shared.my_row().is_some_and(|row| row.announced == wanted);
        if known && !is_lonely(&shared) {
            settled = true;
            continue;
        }
        if was_dropped(&shared, &wanted) {
            // A new start in all but name: the reference gives a new rank to a new boot number.
            without_rank_since = tokio::time::Instant::now();
            shared.rank.send_replace(None);
            shared.boot.send_replace(id(shared.entropy.as_ref()));
            continue;
        }
        asked = announce(&shared, &wanted, asked, &mut refusals).await;
        tokio::time::sleep(RETRY_INTERVAL).await;
    }
}

/// Whether nobody has led this server for long: who was removed while it was cut off hears of
/// nothing any more, that included, and must ask.
fn is_lonely(shared: &Shared) -> bool {
    lock(&shared.gate).term().is_none() && lock(&shared.quiet).elapsed() > LONELINESS
}

/// Once something was applied, the log exists, and an empty one at a later start was lost.
fn remember_the_log(shared: &Shared) {
    let mut identity = lock(&shared.identity);
    if !identity.has_log && shared.applied.borrow().is_some() {
        identity.has_log = true;
        if let Err(error) = identity.save(&shared.config.dir) {
            shared.fail(error.to_string());
        }
    }
}

/// What this server says of itself; none as long as it waits for its rank.
fn wanted(shared: &Shared, patience_over: bool) -> Option<Announcement> {
    let rank = *shared.rank.borrow();
    if !shared.config.witness && rank.is_none() && !(patience_over && shared.cluster().is_some()) {
        return None;
    }
    Some(Announcement {
        node: shared.node,
        name: shared.config.name.clone(),
        address: shared.config.address.clone(),
        rank: rank.unwrap_or(0),
        boot: *shared.boot.borrow(),
        pid: shared.config.pid,
        witness: shared.config.witness,
    })
}

/// Whether the cluster dropped this server while it was running: its row has lost its rank.
fn was_dropped(shared: &Shared, wanted: &Announcement) -> bool {
    wanted.rank != 0
        && shared.my_row().is_some_and(|row| {
            row.announced.boot == wanted.boot && row.announced.rank == 0 && !row.active
        })
}

/// One try. Gives whom to ask next.
async fn announce(
    shared: &Arc<Shared>,
    wanted: &Announcement,
    asked: Option<NodeId>,
    refusals: &mut u32,
) -> Option<NodeId> {
    let answer = if lock(&shared.gate).term().is_some() {
        receive_announcement(shared, wanted.clone()).await
    } else {
        let target = choose_target(shared, asked).await?;
        let answer = call(shared, target, Lane::Control, kind::ANNOUNCE, wanted, ANNOUNCE_TIMEOUT);
        match answer.await {
            Ok(answer) => answer,
            Err(why) => {
                tracing::debug!(target, why, "an announcement got no answer");
                return None;
            }
        }
    };
    match answer {
        Announced::Welcome { cluster } => {
            join(shared, cluster);
            None
        }
        // What this node was before its start; soon another one will lead.
        Announced::Ask { primary, .. } if primary == shared.node => None,
        Announced::Ask { primary, address } => {
            shared.hear_address(primary, &address, Word::Of(0));
            Some(primary)
        }
        Announced::Later => None,
        Announced::NameInUse => {
            *refusals += 1;
            // Who was rebuilt, or came back with another disk, always waits for a while.
            if *refusals == NAMESAKE_REFUSALS {
                tracing::warn!(
                    name = %wanted.name,
                    "another server of this name was there a moment ago; waiting for it to be \
                     gone. If it is meant to run, give this one another --name"
                );
            }
            None
        }
        Announced::NameTaken { address } => {
            shared.fail(name_taken(&wanted.name, &address));
            None
        }
        Announced::Removed => {
            shared.fail_as_removed();
            None
        }
        Announced::Refused(why) => {
            shared.fail(format!(
                "the cluster refuses this server: {why}; start it with another --name, or with an \
                 empty data folder"
            ));
            None
        }
    }
}

/// What is said to the second of two servers with one name.
pub fn name_taken(name: &str, address: &str) -> String {
    format!(
        "another server named {name} runs at {address}; give this one another --name, or stop \
         that one first"
    )
}

/// What is said to a server whose node was removed.
pub fn was_removed(dir: &Path) -> String {
    format!(
        "this server was removed from the cluster; to let it take part again, as a new one, \
         remove {} and start it",
        dir.display()
    )
}

/// What is said to a server whose folder is from before a new generation of its cluster began.
pub fn of_an_earlier_generation(dir: &Path) -> String {
    format!(
        "{0} belongs to an earlier generation of the cluster, from before `recado rescue` made a \
         new one of another server's copy; to let this server take part again, as a new one, \
         remove {0} and start it",
        dir.display()
    )
}

/// The primary if it is known, else any listed server, another one each time.
async fn choose_target(shared: &Shared, asked: Option<NodeId>) -> Option<NodeId> {
    if asked.is_some() {
        return asked;
    }
    if let Some(engine) = shared.engine()
        && let Some(primary) = engine.current_leader().await
        && primary != shared.node
    {
        return Some(primary);
    }
    let listed: Vec<NodeId> = lock(&shared.peers).keys().copied().collect();
    let rows: Vec<NodeId> = shared.members().iter().map(|m| m.announced.node).collect();
    let others: Vec<NodeId> =
        listed.into_iter().chain(rows).filter(|node| *node != shared.node).collect();
    if others.is_empty() {
        return None;
    }
    others.get(shared.entropy.number() as usize % others.len()).copied()
}

/// Remembers the cluster that took this server in.
fn join(shared: &Shared, cluster: u64) {
    let mut identity = lock(&shared.identity);
    match identity.cluster {
        None => {
            identity.cluster = Some(cluster);
            if let Err(error) = identity.save(&shared.config.dir) {
                shared.fail(error.to_string());
            }
        }
        Some(mine) if mine != cluster => {
            shared.fail(format!(
                "this data folder belongs to another cluster ({mine:x}, not {cluster:x}); start \
                 with an empty one"
            ));
        }
        Some(_) => {}
    }
}
