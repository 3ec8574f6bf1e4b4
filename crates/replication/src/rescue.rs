//! What is done with one server's folder when too few of the others are left to go on.
//!
//! The log of a folder may hold more than its store, which is not on disk at each entry, and more
//! than is known to be committed. One copy alone can't tell whether an entry that it holds was
//! acknowledged. So all of them are applied: what was acknowledged is among them.

mod check;
mod look;
mod records;
mod renew;

use std::io;
use std::path::Path;

use recado_storage::{Logged, Store, StoreError};

use crate::folder::LOG_FOLDER;
use crate::identity::Identity;
use crate::log;
use crate::machine::{decode_marks, encode_marks};
use crate::replica::StartError;
use crate::types::{EntryPayload, LogId};
use records::Records;

pub use check::{Finding, check};
pub use look::{Holding, Look, look};
pub use renew::{Renewed, Step, renew};

/// The log of before, until a new one is in its place and everything else is on disk.
const OLD_LOG_FOLDER: &str = "log.old";
/// The new log, until it is whole.
const NEXT_LOG_FOLDER: &str = "log.next";
/// So many entries are applied at a time, …
const BATCH_ENTRIES: usize = 4096;
/// … or so many bytes of them.
const BATCH_BYTES: usize = 8 * 1024 * 1024;

fn failed(dir: &Path, what: &str, error: impl std::fmt::Display) -> StartError {
    StartError::Failed(format!("can't {what} in {}: {error}", dir.display()))
}

fn store_failed(dir: &Path) -> impl Fn(StoreError) -> StartError {
    move |error| failed(dir, "use the store", error)
}

/// Whether the folder holds anything of a server.
fn holds_data(dir: &Path) -> bool {
    [LOG_FOLDER, OLD_LOG_FOLDER, recado_storage::STORE_FILE]
        .iter()
        .any(|name| dir.join(name).exists())
}

/// Refuses a folder that is none of a server's, or that one works in.
fn hold(dir: &Path) -> Result<Option<impl Sized + use<>>, StartError> {
    if !holds_data(dir) {
        return Err(StartError::Failed(format!(
            "{} holds no data of a server; name the folder of one server, such as \
             recado-data/server-1",
            dir.display()
        )));
    }
    // Where no server ever was there is no lock, and none is made.
    let log_dir = dir.join(LOG_FOLDER);
    log_dir.join("LOCK").exists().then(|| log::hold(&log_dir)).transpose()
}

/// The folder's log: the old one as long as a new one takes its place.
fn read_log(dir: &Path, store: &Store) -> Result<Records, StartError> {
    let marks = store.marks().map_err(store_failed(dir))?;
    let (applied, _) =
        decode_marks(&marks).map_err(|error| failed(dir, "read the marks", error))?;
    let behind = applied.map(|id| id.index);
    let renewing = identity(dir)?.0.is_some_and(|identity| identity.renewal.is_some());
    let old = dir.join(OLD_LOG_FOLDER);
    let log = if renewing && old.is_dir() { old } else { dir.join(LOG_FOLDER) };
    if log.is_dir() { Records::read(&log, behind) } else { Ok(Records::default()) }
}

/// Removes what a finished [`renew`] could not remove any more, in a folder that is whole.
pub(crate) fn remove_leftovers(dir: &Path) -> io::Result<()> {
    for name in [OLD_LOG_FOLDER, NEXT_LOG_FOLDER] {
        match std::fs::remove_dir_all(dir.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Brings a store to the end of the log, all entries included.
fn catch_up(dir: &Path, store: &Store, records: &Records) -> Result<(), StartError> {
    let unreadable = |error: io::Error| failed(dir, "read the log", error);
    let marks = store.marks().map_err(store_failed(dir))?;
    let (mut applied, mut membership) = decode_marks(&marks).map_err(unreadable)?;
    let begins = applied.map_or(0, |id| id.index + 1);
    if let Some(purged) = records.purged.filter(|purged| purged.index >= begins) {
        return Err(StartError::Damaged(format!(
            "the store in {} has lost rows: the next would be {begins}, and the log begins behind \
             {}",
            dir.display(),
            purged.index
        )));
    }
    let (mut batch, mut bytes) = (Vec::new(), 0);
    let mut entries = records.entries().peekable();
    while let Some(entry) = entries.next() {
        let (id, payload) = entry.map_err(unreadable)?;
        follows(dir, applied, id)?;
        applied = Some(id);
        let entry = match payload {
            EntryPayload::Blank => None,
            EntryPayload::Normal(payload) => {
                bytes += payload.0.len();
                let entry = recado_chat::LogEntry::decode(&payload.0);
                Some(entry.map_err(|error| failed(dir, "read the log", error))?)
            }
            EntryPayload::Membership(new) => {
                membership = crate::types::StoredMembership::new(Some(id), new);
                None
            }
        };
        batch.push(Logged { position: id.index, entry });
        if batch.len() >= BATCH_ENTRIES || bytes >= BATCH_BYTES || entries.peek().is_none() {
            let marks = encode_marks(applied.as_ref(), &membership).map_err(unreadable)?;
            store.apply(&batch, &marks).map_err(store_failed(dir))?;
            (batch, bytes) = (Vec::new(), 0);
        }
    }
    Ok(())
}

/// Whether an entry is the one behind the last.
fn follows(dir: &Path, last: Option<LogId>, id: LogId) -> Result<(), StartError> {
    let expected = last.map_or(0, |last| last.index + 1);
    if id.index == expected {
        return Ok(());
    }
    Err(StartError::Damaged(format!(
        "the log in {} goes on at {} and not at {expected}",
        dir.display(),
        id.index
    )))
}

/// The folder's identity; a damaged one tells nothing, and what is wrong with it.
fn identity(dir: &Path) -> Result<(Option<Identity>, Option<String>), StartError> {
    match Identity::read(dir) {
        Ok(Some(identity)) => Ok((Some(identity), None)),
        Ok(None) => Ok((None, Some(format!("the identity in {} is gone", dir.display())))),
        Err(StartError::Damaged(what)) => Ok((None, Some(what))),
        Err(other) => Err(other),
    }
}

#[cfg(test)]
mod tests;
