//! A server's data folder: opened whole, or not at all.
//!
//! A node that lost something (a vote, an acknowledged entry, rows) must not take part under its
//! old node id. What is damaged is moved aside, and the server starts as a new node with nothing,
//! which the others bring level: once whoever leads has confirmed that they can, and never where
//! nobody else needs to have the data.
//!
//! Damaged is what does not fit its checksum, or is gone; of the store also what was found so while
//! it was in use, which a note beside it says. What can't be understood was written by
//! another version, or by a mistake: the server stops, and nothing is moved.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use recado_chat::Member;
use recado_storage::{
    DAMAGE_NOTE, OpenError, STORE_FILE, Store, StoreError, forget_cached, reread,
};

use crate::NodeId;
use crate::confirm::{Others, Reach};
use crate::entropy::Entropy;
use crate::identity::{IDENTITY_FILE, Identity};
use crate::log::{self, Log, NodeLog};
use crate::machine;
use crate::replica::StartError;
use crate::snapshot::remove_leftovers;
use crate::tail;

/// The folder of the log's files.
pub const LOG_FOLDER: &str = "log";
/// What is kept of damage begins so; a number follows.
const ASIDE_PREFIX: &str = "damaged-";

/// An opened data folder.
pub struct Folder {
    /// Who it is.
    pub identity: Identity,
    /// The log.
    pub log: Log,
    /// The rows.
    pub store: Store,
}

/// Opens the data folder of the server of this name; a damaged one is begun anew when the others
/// have it all.
pub async fn open(
    dir: &Path,
    name: &str,
    entropy: &dyn Entropy,
    others: &Others,
) -> Result<Folder, StartError> {
    match open_whole(dir, entropy).await {
        Err(StartError::Damaged(what)) => {
            begin_anew(dir, name, &what, entropy, others).await?;
            open_whole(dir, entropy).await
        }
        opened => opened,
    }
}

async fn open_whole(dir: &Path, entropy: &dyn Entropy) -> Result<Folder, StartError> {
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        StartError::Failed(format!("can't use {}: {what}: {error}", dir.display()))
    };
    let log_dir = dir.join(LOG_FOLDER);
    drop_the_cache(dir).map_err(|error| failed("it can't be read", &error))?;
    let holds_data = log_dir.exists() || dir.join(STORE_FILE).exists();
    if holds_data && Identity::read(dir)?.is_none() {
        let what = format!("the identity of the data in {} is gone", dir.display());
        return Err(StartError::Damaged(what));
    }
    let identity = Identity::open(dir, entropy)?;
    fs::create_dir_all(&log_dir).map_err(|error| failed("no log folder", &error))?;
    let log = Log::open(&log_dir).await?;
    let store = Store::open(dir).map_err(|error| match error {
        OpenError::Damaged { path, why } => {
            StartError::Damaged(format!("{} is damaged ({why})", path.display()))
        }
        other => StartError::Store(other),
    })?;
    // Both are new at the first start, and a file that no folder names is lost with the power.
    sync(dir).map_err(|error| failed("it can't be synced", &error))?;
    find_a_gap(dir, &identity, &log, &store)?;
    Ok(Folder { identity, log, store })
}

/// What is opened is what the disk has.
fn drop_the_cache(dir: &Path) -> io::Result<()> {
    reread(&dir.join(IDENTITY_FILE))?;
    // As long as the history; what is read of it is verified then.
    forget_cached(&dir.join(STORE_FILE))?;
    let Ok(log) = fs::read_dir(dir.join(LOG_FOLDER)) else { return Ok(()) };
    for entry in log {
        reread(&entry?.path())?;
    }
    Ok(())
}

/// A node that lost its log has forgotten whom it voted for and what it acknowledged; under the
/// same node id it could elect a stale primary. And the log is purged only behind what the store
/// has on disk: a store that is further back has lost what it had, and the log can't give it back.
pub fn find_a_gap(
    dir: &Path,
    identity: &Identity,
    log: &impl NodeLog,
    store: &Store,
) -> Result<(), StartError> {
    let dir = dir.display();
    let held = store.reader().and_then(|rows| rows.position());
    let held = held.map_err(|error| {
        let what = format!("can't read the store in {dir}: {error}");
        match error {
            StoreError::Damaged(_) => StartError::Damaged(what),
            StoreError::Failed(_) => StartError::Failed(what),
        }
    })?;
    if log.is_empty() && (held > 0 || identity.has_log) {
        return Err(StartError::Damaged(format!("the log in {dir} is gone")));
    }
    let purged = log.purged();
    if held < purged {
        return Err(StartError::Damaged(format!(
            "the store in {dir} has lost rows: it ends at {held}, the log begins behind {purged}"
        )));
    }
    Ok(())
}

/// Removes what interrupted snapshots left in a folder, unless a replica works on it.
///
/// # Errors
/// A file can't be removed, or the folder can't be read.
pub fn clean_folder(dir: &Path) -> io::Result<()> {
    let log_dir = dir.join(LOG_FOLDER);
    let held = log_dir.is_dir().then(|| log::hold(&log_dir)).transpose();
    // Whoever is refused the folder hears of it where it is opened.
    if held.is_err() {
        return Ok(());
    }
    remove_leftovers(dir)
}

/// Moves what is damaged aside and makes the folder a new node's, of the same cluster.
async fn begin_anew(
    dir: &Path,
    name: &str,
    what: &str,
    entropy: &dyn Entropy,
    others: &Others,
) -> Result<(), StartError> {
    let failed = |error: io::Error| {
        StartError::Failed(format!(
            "{what}, and its files in {} can't be moved aside: {error}",
            dir.display()
        ))
    };
    let log_dir = dir.join(LOG_FOLDER);
    // Nobody else may be using what is moved.
    let _held = if log_dir.exists() { Some(log::hold(&log_dir)?) } else { None };
    let identity = match Identity::read(dir) {
        Err(StartError::Damaged(_)) => None,
        read => read?,
    };
    let by_identity = identity.and_then(|identity| identity.standing);
    let rows = left_rows(dir);
    let alone = || rows.as_ref().is_none_or(|rows| rows.held_alone(name));
    if by_identity.map_or_else(alone, |standing| standing.only_voter) {
        return Err(StartError::Failed(format!(
            "{what}, and this server may be the only one that holds the cluster's newest data; it \
             does not start without it: restore {dir} from a backup, or remove it on purpose, \
             which loses what only it has",
            dir = dir.display()
        )));
    }
    let cluster = identity.and_then(|identity| identity.cluster);
    let entry = tail::last_entry(&log_dir).ok().flatten();
    let reach = entry.map(|(term, index)| Reach { term, index });
    let reach = reach.max(rows.as_ref().map(|rows| rows.reach)).unwrap_or_default();
    tracing::warn!("{what}; asking the others whether they have everything that it held");
    let members = rows.map(|rows| rows.members).unwrap_or_default();
    let known: Vec<(NodeId, String)> =
        members.into_iter().map(|m| (m.announced.node, m.announced.address)).collect();
    others.hold(cluster, reach, &known).await.map_err(|why| {
        StartError::Failed(format!(
            "{what}, and {why}; nothing was moved: start the reference and the other servers, \
             then this one again, or restore {} from a backup",
            dir.display()
        ))
    })?;
    if let Some(identity) = identity {
        // If this is interrupted, the next start misses the log.
        Identity { has_log: true, ..identity }.save(dir)?;
    }
    let aside = make_aside(dir).map_err(failed)?;
    move_aside(dir, &aside).map_err(failed)?;
    // The last step, and one at once: until here the old identity tells that something is amiss.
    Identity::fresh(cluster, entropy).save(dir)?;
    tracing::warn!(
        "{what}; its files are kept in {}, and this server starts anew, as another node, and gets \
         everything from the others",
        aside.display()
    );
    Ok(())
}

/// What rows that can be read tell, in a folder that is damaged elsewhere.
struct LeftRows {
    voters: Vec<NodeId>,
    members: Vec<Member>,
    reach: Reach,
}

fn left_rows(dir: &Path) -> Option<LeftRows> {
    if !dir.join(STORE_FILE).exists() {
        return None;
    }
    let store = Store::open_damaged(dir).ok()?;
    let (applied, membership) = machine::decode_marks(&store.marks().ok()?).ok()?;
    let reach =
        applied.map_or(Reach::default(), |id| Reach { term: id.leader_id.term, index: id.index });
    let members = store.reader().and_then(|rows| rows.members()).unwrap_or_default();
    let voters = membership.membership().voter_ids().collect();
    Some(LeftRows { voters, members, reach })
}

impl LeftRows {
    /// Whether they can't rule out that the server of this name was the only voter.
    fn held_alone(&self, name: &str) -> bool {
        let [only] = self.voters[..] else { return self.voters.is_empty() };
        let mine = self.members.iter().find(|member| member.announced.name == name);
        mine.is_none_or(|member| member.announced.node == only)
    }
}

/// A folder that was not there before.
fn make_aside(dir: &Path) -> io::Result<PathBuf> {
    let mut number = 1u64;
    loop {
        let aside = dir.join(format!("{ASIDE_PREFIX}{number}"));
        match fs::create_dir(&aside) {
            Ok(()) => return Ok(aside),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
        }
    }
}

fn move_aside(dir: &Path, aside: &Path) -> io::Result<()> {
    for name in [LOG_FOLDER, STORE_FILE, DAMAGE_NOTE] {
        match fs::rename(dir.join(name), aside.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    // A copy: the original goes in the moment in which the new one takes its place.
    let kept = aside.join(IDENTITY_FILE);
    match fs::copy(dir.join(IDENTITY_FILE), &kept) {
        Ok(_) => File::open(kept)?.sync_all()?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    sync(aside)?;
    sync(dir)
}

fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
