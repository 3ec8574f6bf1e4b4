//! Makes one server's folder the only member of a new generation of its cluster.
//!
//! The first step writes into the identity what the folder becomes; the last one makes it that.
//! Until the first one is on disk the folder is the old one. From then on no server starts in it,
//! and each step can be done again, so a second run finishes what a kill or a power cut left.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use openraft::storage::RaftLogStorage;
use recado_chat::{Command, LogEntry, MemberCommand, Stamp};
use recado_storage::{Logged, Store};

use super::look::{Holding, holding, look};
use super::records::Records;
use super::{
    LOG_FOLDER, NEXT_LOG_FOLDER, OLD_LOG_FOLDER, catch_up, failed, hold, identity, read_log,
    store_failed,
};
use crate::NodeId;
use crate::entropy::{SystemEntropy, id};
use crate::identity::{Identity, Renewal, Standing};
use crate::log::Log;
use crate::machine::{decode_marks, encode_marks};
use crate::replica::StartError;
use crate::snapshot::remove_leftovers;
use crate::types::{LogId, StoredMembership, Vote};

/// What is on disk when a step is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// What the folder becomes.
    Planned,
    /// The rows of the new generation.
    Rows,
    /// Its log, under another name.
    NextLog,
    /// The old log under another name, and none in its place.
    OldLogAside,
    /// The new log in its place.
    NewLog,
    /// The new identity: the folder is the new one.
    Identity,
}

/// What became of the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewed {
    /// What it holds; none when only leftovers of an earlier run were to be removed.
    pub holding: Option<Holding>,
    /// The new node id.
    pub node: NodeId,
    /// The new cluster.
    pub cluster: u64,
}

/// Makes the folder a cluster of its own, or finishes that. All nodes of before are removed for
/// good. `done` is called behind each step; an error of it ends the work there.
///
/// # Errors
/// A server works in the folder, it is damaged, or it can't be written; what was begun can be
/// finished later.
pub async fn renew(
    dir: &Path,
    mut done: impl FnMut(Step) -> io::Result<()>,
) -> Result<Renewed, StartError> {
    let mut done = |step| done(step).map_err(|error| failed(dir, "go on", error));
    let known = identity(dir)?.0;
    let plan = match known.and_then(|identity| identity.renewal) {
        Some(plan) => plan,
        None => {
            if let Some(identity) = known.filter(|_| dir.join(OLD_LOG_FOLDER).exists())
                && let Some(cluster) = identity.cluster
            {
                clean(dir).map_err(|error| failed(dir, "remove what is left", error))?;
                return Ok(Renewed { holding: None, node: identity.node, cluster });
            }
            plan(dir, known)?
        }
    };
    done(Step::Planned)?;
    let held = hold(dir)?;
    let store = Store::open(dir)?;
    let records = read_log(dir, &store)?;
    whole(&records)?;
    let last = renew_rows(dir, &store, &records, plan.node, known.map(|known| known.node))?;
    done(Step::Rows)?;
    let holding = holding(dir, &store, &records)?;
    drop(store);
    // The old one's lock goes with it to its new name.
    drop(held);
    renew_log(dir, last, vote(&records, last, plan.node), &mut done).await?;
    let standing = Some(Standing { membership: Some(last.index), only_voter: true });
    let new = Identity {
        node: plan.node,
        cluster: Some(plan.cluster),
        has_log: true,
        standing,
        renewal: None,
    };
    new.save(dir)?;
    done(Step::Identity)?;
    clean(dir).map_err(|error| failed(dir, "remove what is left", error))?;
    Ok(Renewed { holding: Some(holding), node: plan.node, cluster: plan.cluster })
}

/// Looks whether it can be done at all, and only then notes that it will.
fn plan(dir: &Path, known: Option<Identity>) -> Result<Renewal, StartError> {
    let looked = look(dir, dir)?;
    whole(&looked.records)?;
    if looked.holding.position == 0 {
        return Err(StartError::Failed(format!(
            "{} holds nothing of a cluster: no entry ever came to it",
            dir.display()
        )));
    }
    let plan = Renewal { node: id(&SystemEntropy), cluster: id(&SystemEntropy) };
    let known = known.unwrap_or_else(|| Identity::fresh(None, &SystemEntropy));
    Identity { renewal: Some(plan), ..known }.save(dir)?;
    Ok(plan)
}

/// A new generation begins with all of the log, or not at all.
fn whole(records: &Records) -> Result<(), StartError> {
    match &records.damage {
        None => Ok(()),
        Some(what) => Err(StartError::Damaged(format!(
            "{what}; no cluster is made of it: use another copy, or read with --export what can \
             still be read"
        ))),
    }
}

/// Applies the whole log, and then, in one durable transaction, removes every node of before and
/// makes this one the only voter. Gives the last entry that the store has applied.
fn renew_rows(
    dir: &Path,
    store: &Store,
    records: &Records,
    node: NodeId,
    own: Option<NodeId>,
) -> Result<LogId, StartError> {
    let unreadable = |error: io::Error| failed(dir, "read the marks", error);
    let marks = || store.marks().map_err(store_failed(dir));
    let (applied, membership) = decode_marks(&marks()?).map_err(unreadable)?;
    if membership.membership().voter_ids().eq([node]) {
        // The transaction was the last thing in the store.
        store.flush().map_err(store_failed(dir))?;
        return applied.ok_or_else(|| failed(dir, "read the marks", "they are empty"));
    }
    catch_up(dir, store, records)?;
    let (applied, membership) = decode_marks(&marks()?).map_err(unreadable)?;
    let reader = store.reader().map_err(store_failed(dir))?;
    let members = reader.members().map_err(store_failed(dir))?;
    let mut nodes: Vec<NodeId> = members.iter().map(|member| member.announced.node).collect();
    nodes.extend(membership.membership().nodes().map(|(node, _)| *node));
    nodes.extend(own);
    nodes.sort_unstable();
    nodes.dedup();
    let stamp = Stamp {
        time_ms: reader.newest_time_ms().map_err(store_failed(dir))?.unwrap_or(0),
        clock: reader.newest_clock().map_err(store_failed(dir))?,
    };
    let published = reader.watermark().map_err(store_failed(dir))?;
    let term = term(records, applied);
    let first = applied.map_or(0, |id| id.index + 1);
    let removals = nodes.into_iter().zip(first..).map(|(node, position)| {
        let command = Command::Member(MemberCommand::Remove { node });
        Logged { position, entry: Some(LogEntry { stamp, origin: None, published, command }) }
    });
    let batch: Vec<Logged> = removals.collect();
    let Some(last) = batch.last().map(|logged| logged.position) else {
        return Err(failed(dir, "renew the members", "there are none"));
    };
    let last = openraft::LogId { leader_id: term.into(), index: last };
    let alone = openraft::Membership::new_with_defaults(vec![[node].into()], []);
    let alone = StoredMembership::new(Some(last), alone);
    let marks = encode_marks(Some(&last), &alone).map_err(unreadable)?;
    store.apply(&batch, &marks).map_err(store_failed(dir))?;
    store.flush().map_err(store_failed(dir))?;
    Ok(last)
}

/// The highest term that this node ever heard of: the new generation's go on from there.
fn term(records: &Records, applied: Option<LogId>) -> u64 {
    let voted = records.vote.map_or(0, |vote| vote.leader_id.term);
    let entry = |id: Option<LogId>| id.map_or(0, |id| id.leader_id.term);
    voted.max(entry(records.last)).max(entry(applied))
}

fn vote(records: &Records, last: LogId, node: NodeId) -> Vote {
    Vote::new(term(records, Some(last)), node)
}

/// Puts an empty log, which begins behind the rows, in the place of the old one.
async fn renew_log(
    dir: &Path,
    last: LogId,
    vote: Vote,
    done: &mut impl FnMut(Step) -> Result<(), StartError>,
) -> Result<(), StartError> {
    let [log, old, next] = [LOG_FOLDER, OLD_LOG_FOLDER, NEXT_LOG_FOLDER].map(|name| dir.join(name));
    let unwritable = |error: io::Error| failed(dir, "write a new log", error);
    // Both are there when the new one is in its place.
    if !(old.exists() && log.exists()) {
        remove(&next).map_err(unwritable)?;
        fs::create_dir(&next).map_err(unwritable)?;
        let mut new = Log::open(&next).await?;
        new.purge(last).await.map_err(unwritable)?;
        // Waits for the disk, and so takes along all that was written before.
        new.save_vote(&vote).await.map_err(unwritable)?;
        drop(new);
        sync(&next).and_then(|()| sync(dir)).map_err(unwritable)?;
        done(Step::NextLog)?;
        if log.exists() {
            fs::rename(&log, &old).and_then(|()| sync(dir)).map_err(unwritable)?;
            done(Step::OldLogAside)?;
        }
        fs::rename(&next, &log).and_then(|()| sync(dir)).map_err(unwritable)?;
    }
    done(Step::NewLog)
}

/// What the old folder leaves.
fn clean(dir: &Path) -> io::Result<()> {
    super::remove_leftovers(dir)?;
    remove_leftovers(dir)?;
    sync(dir)
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
