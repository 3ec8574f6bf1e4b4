//! Tells a torn tail of the log from damage.
//!
//! A kill or a power cut leaves the last write half done: the file ends within a record, or the
//! rest of it is zeros, from a sector's border on. That was never on disk, so nobody was told of
//! it, and it is cut off. Everything else that can't be read is damage, in the last record too:
//! it may have been acknowledged, or be the vote that this node gave.
//!
//! What has a good checksum and can't be understood is no damage: another version wrote it. Each
//! log names its format for that, and within a format that is known all kinds of records are: an
//! unknown one is a flipped bit.
//!
//! raft-log alone can't tell: it takes every early end for a torn tail, and a flipped bit in a
//! record's kind makes a whole record look like a longer one that was cut off.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use raft_log::chunked_wal;
use raft_log::codeq::Decode;
use raft_log::{RaftLogAction, RaftLogRecord, WALRecord};

use crate::log::LogTypes;
use crate::log_codec::{HEAD_BYTES, NORMAL, payload_bytes};

pub type Record = RaftLogRecord<LogTypes>;

/// What a power cut writes whole or not at all.
const SECTOR_BYTES: usize = 512;
/// The longest first record of a chunk file, and more than the head of any record.
const FIRST_BYTES: u64 = 4096;
/// Where a flipped bit can change how long a record seems to be: its kind, and the marks within a
/// checkpoint.
const SHAPE_BYTES: usize = 128;
/// The kind (4) in front of a record, its checksum (8) behind it.
const KIND_BYTES: usize = 4;
const SUM_BYTES: usize = 8;
/// The term and the index of an entry.
const ID_BYTES: usize = 16;
/// A checksum's own bytes that are never all zero but once in 2^32.
const ZEROS_BYTES: usize = 4;

/// How a log looks that can't be opened.
#[derive(Debug, PartialEq, Eq)]
pub enum Finding {
    /// Every record can be read, and no file is missing between two others.
    Whole,
    /// The last file is torn here.
    Torn {
        /// The file.
        path: PathBuf,
        /// What comes before is whole, bytes.
        whole_bytes: u64,
    },
    /// Something that was there can't be read any more.
    Damaged(String),
}

/// The log's files, in order: where each begins in the whole log, and its path.
pub fn files(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Ok(start) = chunked_wal::Config::parse_chunk_file_name(name) {
            files.push((start, path));
        }
    }
    files.sort();
    Ok(files)
}

/// Whether the newest file begins with a whole record: raft-log removes one that does not, with
/// all that is in it.
///
/// # Errors
/// The folder or the file can't be read.
pub fn begins_well(dir: &Path) -> io::Result<bool> {
    let Some((_, path)) = files(dir)?.pop() else { return Ok(true) };
    let mut bytes = Vec::new();
    File::open(path)?.take(FIRST_BYTES).read_to_end(&mut bytes)?;
    Ok(Record::decode(&bytes[..]).is_ok())
}

/// The format that the log names, in the words that stand there; none when it names none.
///
/// # Errors
/// The folder or a file can't be read.
pub fn format(dir: &Path) -> io::Result<Option<String>> {
    for (_, path) in files(dir)?.into_iter().rev() {
        let mut bytes = Vec::new();
        File::open(path)?.take(FIRST_BYTES).read_to_end(&mut bytes)?;
        let mut rest = &bytes[..];
        // Every file begins with what the log had come to. The first one began before the format
        // was noted, right behind.
        for _ in 0..2 {
            match Record::decode(&mut rest) {
                Ok(WALRecord::Checkpoint(state)) if state.user_data.is_some() => {
                    return Ok(state.user_data);
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }
    }
    Ok(None)
}

/// The last entry that any whole record tells of, term and index, before damage or behind it.
///
/// # Errors
/// The folder or a file can't be read.
pub fn last_entry(dir: &Path) -> io::Result<Option<(u64, u64)>> {
    let mut last = None;
    for (_, path) in files(dir)? {
        let bytes = fs::read(path)?;
        let mut rest = &bytes[..];
        while rest.len() >= KIND_BYTES {
            let here = rest;
            match may_begin(rest).then(|| Record::decode(&mut rest)) {
                Some(Ok(record)) => last = last.max(entry_of(record)),
                _ => rest = &here[1..],
            }
        }
    }
    Ok(last)
}

/// The last entry that is there by this record.
fn entry_of(record: Record) -> Option<(u64, u64)> {
    match record {
        WALRecord::Action(
            RaftLogAction::Append(id, _) | RaftLogAction::Commit(id) | RaftLogAction::PurgeUpto(id),
        ) => Some(id),
        WALRecord::Action(_) => None,
        WALRecord::Checkpoint(state) => state.last().copied(),
    }
}

/// Reads the whole log.
///
/// # Errors
/// The folder or a file can't be read.
pub fn inspect(dir: &Path) -> io::Result<Finding> {
    let files = files(dir)?;
    let mut expected = None;
    for (number, (start, path)) in files.iter().enumerate() {
        if expected.is_some_and(|expected| expected != *start) {
            let what = format!("a file of the log before {} is missing", path.display());
            return Ok(Finding::Damaged(what));
        }
        let bytes = fs::read(path)?;
        expected = Some(start + bytes.len() as u64);
        // A file is begun only when the one before it is on disk; without one before it there is
        // nothing from which the log could go on.
        let begun = number > 0 || *start == 0;
        match look(&bytes, begun, number + 1 == files.len()) {
            Look::Whole => {}
            Look::Torn { whole_bytes } => {
                return Ok(Finding::Torn { path: path.clone(), whole_bytes: whole_bytes as u64 });
            }
            Look::Damaged { whole_bytes } => {
                return Ok(Finding::Damaged(format!(
                    "the log is damaged in {}, {whole_bytes} bytes from its start",
                    path.display()
                )));
            }
        }
    }
    Ok(Finding::Whole)
}

/// How one file looks.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    Whole,
    Torn { whole_bytes: usize },
    Damaged { whole_bytes: usize },
}

/// Looks at the content of a file: whether it may be torn from its beginning on, and whether it is
/// the newest, which alone can be torn at all.
fn look(bytes: &[u8], begun: bool, newest: bool) -> Look {
    let (whole_bytes, error) = read_records(bytes);
    match error {
        None => Look::Whole,
        Some(error)
            if newest
                && (begun || whole_bytes > 0)
                && is_torn(bytes, whole_bytes, error.kind()) =>
        {
            Look::Torn { whole_bytes }
        }
        Some(_) => Look::Damaged { whole_bytes },
    }
}

/// Cuts a torn file; its record that is no record was never on disk as a whole.
///
/// # Errors
/// The file can't be written.
pub fn cut(path: &Path, whole_bytes: u64) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(whole_bytes)?;
    file.sync_all()
}

/// How many bytes of whole records there are, and why the next one is none.
fn read_records(bytes: &[u8]) -> (usize, Option<io::Error>) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let before = rest.len();
        if let Err(error) = Record::decode(&mut rest) {
            return (bytes.len() - before, Some(error));
        }
    }
    (bytes.len(), None)
}

/// Whether what follows the whole records can be what a cut power left of one write.
fn is_torn(file: &[u8], whole: usize, error: io::ErrorKind) -> bool {
    let tail = &file[whole..];
    let written = tail.len() - tail.iter().rev().take_while(|byte| **byte == 0).count();
    if written == 0 {
        return true;
    }
    if error == io::ErrorKind::UnexpectedEof {
        return length(tail).is_some_and(|length| length > tail.len() && is_entry(tail))
            || !(is_whole_but_for_a_bit(tail) || holds_a_record(&tail[1..]));
    }
    let zeros = (whole + written).next_multiple_of(SECTOR_BYTES);
    zeros + ZEROS_BYTES <= file.len()
        && length(tail).is_none_or(|length| whole + length > zeros)
        && !holds_a_record(&file[whole + 1..zeros])
}

/// Whether this begins as an entry whose length says itself that it is right.
fn is_entry(bytes: &[u8]) -> bool {
    bytes[..KIND_BYTES] == [0, 0, 0, 1]
        && bytes.get(KIND_BYTES + ID_BYTES).is_some_and(|tag| *tag >= NORMAL)
}

/// How long the record is that begins here; none when its head does not say.
fn length(bytes: &[u8]) -> Option<usize> {
    let (kind, body) = bytes.split_first_chunk::<KIND_BYTES>()?;
    let body = match u32::from_be_bytes(*kind) {
        0 => ID_BYTES + 1,
        1 => {
            let head = body.get(ID_BYTES..)?;
            if head.first() == Some(&0) {
                ID_BYTES + 1
            } else {
                ID_BYTES + HEAD_BYTES + payload_bytes(head.first_chunk()?)?
            }
        }
        2 | 4 => ID_BYTES,
        3 => 1 + usize::from(*body.first()? != 0) * ID_BYTES,
        _ => return None,
    };
    Some(KIND_BYTES + body + SUM_BYTES)
}

/// Whether another bit makes a whole record of it: then it was one.
fn is_whole_but_for_a_bit(tail: &[u8]) -> bool {
    let mut bytes = tail.to_vec();
    (0..tail.len().min(SHAPE_BYTES) * 8).any(|bit| {
        bytes[bit / 8] ^= 1 << (bit % 8);
        let whole = Record::decode(&bytes[..]).is_ok();
        bytes[bit / 8] ^= 1 << (bit % 8);
        whole
    })
}

/// Whether a whole record begins anywhere in it: nothing is written behind a torn one.
fn holds_a_record(bytes: &[u8]) -> bool {
    (0..bytes.len()).any(|at| may_begin(&bytes[at..]) && Record::decode(&bytes[at..]).is_ok())
}

fn may_begin(bytes: &[u8]) -> bool {
    matches!(bytes, [0, 0, 0, 0..=5, ..])
}

#[cfg(test)]
mod tests;
