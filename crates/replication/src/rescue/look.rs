//! Looks into a folder, with its whole log applied, and changes nothing in it.

use std::path::Path;

use recado_storage::{Overlay, STORE_FILE, Store};

use super::records::Records;
use super::{catch_up, failed, hold, read_log, store_failed};
use crate::machine::decode_marks;
use crate::replica::StartError;

/// What a folder holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The position of its last entry.
    pub position: u64,
    /// That entry's term.
    pub term: u64,
    /// How many of its entries are not known to be committed: some of them may never have been
    /// acknowledged, and the cluster may have decided otherwise.
    pub uncertain: u64,
    /// When the newest message was stored, ms since the Unix epoch; none without messages.
    pub newest_ms: Option<u64>,
    /// The servers that belonged to the cluster, by name.
    pub members: Vec<String>,
}

/// A folder's rows, as they are with the whole log applied.
pub struct Look {
    /// The rows. What is written to them reaches no file.
    pub store: Store,
    /// What they amount to.
    pub holding: Holding,
    /// Why the log ends before its end, in a sentence; none when it could be read whole.
    pub damage: Option<String>,
    pub(super) records: Records,
    _held: Option<Box<dyn std::any::Any>>,
}

/// Opens a folder for reading. Room for what the log adds to the store is taken in `scratch`.
///
/// # Errors
/// A server works in the folder, the store or the log can't be read, or a newer version wrote
/// them; the log's damage alone is no error.
pub fn look(dir: &Path, scratch: &Path) -> Result<Look, StartError> {
    let held = hold(dir)?;
    let held: Option<Box<dyn std::any::Any>> = held.map(|held| Box::new(held) as _);
    let medium = Overlay::over(&dir.join(STORE_FILE), scratch)
        .map_err(|error| failed(dir, "read the store", error))?;
    let store = Store::open_on(Box::new(medium), dir)?;
    let records = read_log(dir, &store)?;
    catch_up(dir, &store, &records)?;
    let holding = holding(dir, &store, &records)?;
    let damage = records.damage.clone();
    Ok(Look { store, holding, damage, records, _held: held })
}

/// What a store holds that was brought to the end of its log.
pub(super) fn holding(dir: &Path, store: &Store, records: &Records) -> Result<Holding, StartError> {
    let marks = store.marks().map_err(store_failed(dir))?;
    let (applied, _) =
        decode_marks(&marks).map_err(|error| failed(dir, "read the marks", error))?;
    let reader = store.reader().map_err(store_failed(dir))?;
    let members = reader.members().map_err(store_failed(dir))?;
    let position = applied.map_or(0, |id| id.index);
    // What the store had before was committed, and so is what was removed from the log.
    let certain = records.committed.max(records.purged).map_or(0, |id| id.index);
    let certain = certain.max(records.behind.unwrap_or(0));
    let mut members: Vec<String> = members
        .into_iter()
        .filter(|member| !member.announced.witness)
        .map(|member| member.announced.name)
        .collect();
    members.sort();
    Ok(Holding {
        position,
        term: applied.map_or(0, |id| id.leader_id.term),
        uncertain: position.saturating_sub(certain),
        newest_ms: reader.newest_time_ms().map_err(store_failed(dir))?,
        members,
    })
}
