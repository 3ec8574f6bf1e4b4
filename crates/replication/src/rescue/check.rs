//! Looks at everything in a folder, and changes nothing.

use std::fs;
use std::path::Path;

use recado_storage::{DAMAGE_NOTE, STORE_FILE, Scrub, ScrubStep, Store, StoreError};

use super::look::look;
use super::{LOG_FOLDER, NEXT_LOG_FOLDER, OLD_LOG_FOLDER, failed, hold, identity};
use crate::identity::IDENTITY_FILE;
use crate::replica::StartError;

/// So many rows are summed at a time.
const STEP_ROWS: usize = 10_000;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether it is as it should be.
    pub well: bool,
    /// What was found, in a sentence.
    pub what: String,
}

/// Reads everything in a folder, and says what was found: identity, log, rows, and what belongs to
/// nothing. Room for what the log adds to the store is taken in `scratch`.
///
/// # Errors
/// A server works in the folder, or it can't be read.
pub fn check(dir: &Path, scratch: &Path) -> Result<Vec<Finding>, StartError> {
    drop(hold(dir)?);
    let mut findings = vec![check_identity(dir)?];
    let looked = look(dir, scratch);
    match &looked {
        Ok(looked) => {
            let holding = &looked.holding;
            findings.push(check_log(&looked.records, looked.damage.as_deref()));
            let reader = looked.store.reader();
            let reader = reader.map_err(|error| failed(dir, "read the store", error))?;
            let mut verified = reader.verify();
            verified.findings.extend(check_sums(&looked.store).err().map(|e| e.to_string()));
            let well = verified.findings.is_empty();
            let mut what = format!(
                "store: {} rows, {} messages, up to position {} in term {}",
                verified.rows, verified.messages, holding.position, holding.term
            );
            for finding in &verified.findings {
                what = format!("{what}; {finding}");
            }
            findings.push(Finding { well, what });
        }
        Err(error) => findings.push(Finding { well: false, what: error.to_string() }),
    }
    findings.push(check_leftovers(dir)?);
    Ok(findings)
}

/// Compares the sums of all rows with those that were kept up with each change.
fn check_sums(store: &Store) -> Result<(), StoreError> {
    let mut scrub = Scrub::begin(store)?;
    while let ScrubStep::More { .. } = scrub.step(STEP_ROWS)? {}
    Ok(())
}

fn check_identity(dir: &Path) -> Result<Finding, StartError> {
    let (identity, damage) = identity(dir)?;
    let Some(identity) = identity else {
        return Ok(Finding { well: false, what: damage.unwrap_or_default() });
    };
    let cluster = match identity.cluster {
        Some(cluster) => format!("of cluster {cluster:x}"),
        None => "of no cluster yet".to_owned(),
    };
    let mut what = format!("identity: node {} {cluster}", identity.node);
    if identity.standing.is_some_and(|standing| standing.only_voter) {
        what.push_str(", the only voter");
    }
    let well = identity.renewal.is_none();
    if !well {
        what.push_str("; it was being made a new cluster: run --new-cluster again to finish");
    }
    Ok(Finding { well, what })
}

fn check_log(records: &super::records::Records, damage: Option<&str>) -> Finding {
    let (Some(last), None) = (records.last, damage) else {
        let what = damage.map_or("log: there is none, or it is empty".to_owned(), str::to_owned);
        return Finding { well: false, what };
    };
    let first = records.purged.map_or(0, |purged| purged.index + 1);
    let mut what = format!("log: {} records", records.count);
    if first <= last.index {
        what = format!("{what}, entries {first} to {}", last.index);
    }
    if let Some(torn) = &records.torn {
        what = format!("{what}; a torn end in {torn}, of which nobody was told");
    }
    Finding { well: true, what }
}

/// Files that belong to nothing, or tell of something that went wrong.
fn check_leftovers(dir: &Path) -> Result<Finding, StartError> {
    let known = [IDENTITY_FILE, STORE_FILE, LOG_FOLDER];
    let entries = fs::read_dir(dir).and_then(|entries| {
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names.collect::<std::io::Result<Vec<String>>>()
    });
    let mut others = entries.map_err(|error| failed(dir, "look around", error))?;
    others.retain(|name| !known.contains(&name.as_str()));
    others.sort();
    let amiss = [OLD_LOG_FOLDER, NEXT_LOG_FOLDER, DAMAGE_NOTE];
    let amiss = |name: &String| amiss.contains(&name.as_str());
    let what = match others.is_empty() {
        true => "nothing else is there".to_owned(),
        false => format!("beside these: {}", others.join(", ")),
    };
    Ok(Finding { well: !others.iter().any(amiss), what })
}
