//! The log of a folder, read without changing anything: neither is a torn tail cut, nor is a file
//! begun.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use raft_log::{RaftLogAction, WALRecord};

use crate::log::check_format;
use crate::log_codec::DiskPayload;
use crate::replica::StartError;
use crate::tail::{self, Finding, Record};
use crate::types::{EntryPayload, LogId, Vote};

/// What a log comes to.
#[derive(Debug, Default)]
pub struct Records {
    files: Vec<PathBuf>,
    /// Where the entries behind the wanted position stand, by index.
    places: BTreeMap<u64, Place>,
    /// Behind which index they were remembered.
    pub behind: Option<u64>,
    /// The vote that this node gave last.
    pub vote: Option<Vote>,
    /// The last entry.
    pub last: Option<LogId>,
    /// The last one that is known to be committed.
    pub committed: Option<LogId>,
    /// The last one that was removed at the front.
    pub purged: Option<LogId>,
    /// How many records there are, of all kinds.
    pub count: u64,
    /// The bytes behind the last whole record, if a power cut left any.
    pub torn: Option<String>,
    /// Why what follows can't be read, in a sentence.
    pub damage: Option<String>,
}

/// An entry in a file.
#[derive(Clone, Copy, Debug)]
struct Place {
    term: u64,
    file: usize,
    offset: usize,
}

fn id(term: u64, index: u64) -> LogId {
    openraft::LogId { leader_id: term.into(), index }
}

impl Records {
    /// Reads the log in this folder, and remembers where the entries behind this index are; of all
    /// if there is none. A damaged one is read up to the damage.
    ///
    /// # Errors
    /// The folder can't be read, or a newer version wrote the log.
    pub fn read(dir: &Path, behind: Option<u64>) -> Result<Records, StartError> {
        let failed = |error: io::Error| {
            StartError::Failed(format!("can't read the log in {}: {error}", dir.display()))
        };
        check_format(dir, tail::format(dir).map_err(failed)?.as_deref())?;
        let mut records = Records { behind, ..Records::default() };
        for (_, path) in tail::files(dir).map_err(failed)? {
            let whole = records.walk(&path).map_err(failed)?;
            records.files.push(path);
            if !whole {
                break;
            }
        }
        match tail::inspect(dir).map_err(failed)? {
            Finding::Whole => {}
            Finding::Torn { path, whole_bytes } => {
                records.torn = Some(format!("{} behind {whole_bytes} bytes", path.display()));
            }
            Finding::Damaged(what) => records.damage = Some(what),
        }
        Ok(records)
    }

    /// Takes in a file's records, and says whether all of them could be read.
    fn walk(&mut self, path: &Path) -> io::Result<bool> {
        let bytes = fs::read(path)?;
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let offset = bytes.len() - rest.len();
            let Ok(record) = read_record(&mut rest) else { return Ok(false) };
            self.count += 1;
            self.take(record, offset);
        }
        Ok(true)
    }

    fn take(&mut self, record: Record, offset: usize) {
        match record {
            WALRecord::Action(RaftLogAction::SaveVote(vote)) => self.vote = Some(vote.0),
            WALRecord::Action(RaftLogAction::Append((term, index), _)) => {
                if Some(index) > self.behind {
                    let file = self.files.len();
                    self.places.insert(index, Place { term, file, offset });
                }
                self.last = Some(id(term, index));
            }
            WALRecord::Action(RaftLogAction::Commit((term, index))) => {
                self.committed = Some(id(term, index));
            }
            WALRecord::Action(RaftLogAction::TruncateAfter(last)) => {
                let last = last.map(|(term, index)| id(term, index));
                self.places.split_off(&last.map_or(0, |last| last.index + 1));
                self.last = last;
            }
            WALRecord::Action(RaftLogAction::PurgeUpto((term, index))) => {
                self.places = self.places.split_off(&(index + 1));
                self.purged = Some(id(term, index));
                self.last = self.last.max(self.purged);
            }
            WALRecord::Checkpoint(state) => {
                let of = |id_: Option<&(u64, u64)>| id_.map(|(term, index)| id(*term, *index));
                self.vote = state.vote().map(|vote| vote.0);
                self.last = of(state.last());
                self.committed = of(state.committed());
                self.purged = of(state.purged());
            }
        }
    }

    /// The entries that were remembered, in order.
    pub fn entries(&self) -> Entries<'_> {
        Entries { records: self, next: 0, open: None }
    }
}

fn read_record(rest: &mut &[u8]) -> io::Result<Record> {
    raft_log::codeq::Decode::decode(rest)
}

/// Reads entries, a file at a time.
pub struct Entries<'r> {
    records: &'r Records,
    next: u64,
    open: Option<(usize, Vec<u8>)>,
}

impl Entries<'_> {
    fn read(&mut self, index: u64, place: Place) -> io::Result<(LogId, EntryPayload)> {
        let path = &self.records.files[place.file];
        let bytes = match self.open.take() {
            Some((file, bytes)) if file == place.file => bytes,
            _ => fs::read(path)?,
        };
        let read = read_record(&mut bytes.get(place.offset..).unwrap_or_default());
        self.open = Some((place.file, bytes));
        match read? {
            WALRecord::Action(RaftLogAction::Append(_, DiskPayload::Known(payload))) => {
                Ok((id(place.term, index), payload))
            }
            WALRecord::Action(RaftLogAction::Append(_, DiskPayload::Unknown { tag, .. })) => {
                Err(io::Error::other(format!(
                    "its entry {index} is of a kind ({tag}) that this version of recado does not \
                     know; use the version that wrote it"
                )))
            }
            _ => Err(io::Error::other(format!("its entry {index} changed meanwhile"))),
        }
    }
}

impl Iterator for Entries<'_> {
    type Item = io::Result<(LogId, EntryPayload)>;

    fn next(&mut self) -> Option<Self::Item> {
        let (&index, &place) = self.records.places.range(self.next..).next()?;
        self.next = index + 1;
        Some(self.read(index, place))
    }
}
