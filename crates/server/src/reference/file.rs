//! The reference's file: what it must not forget, replaced whole at every change.
//!
//! `RECADORF`, the format (4 bytes), a checksum of format and payload (4 bytes), then
//! the payload as JSON; later formats keep this head. Written under
//! another name, made durable, renamed, and the folder made durable: whatever dies in between,
//! the file is the old one or the new one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::ReferenceError;

const MAGIC: &[u8; 8] = b"RECADORF";
const FORMAT: u32 = 1;
const HEAD_BYTES: usize = MAGIC.len() + 8;

/// A file with one durable value.
#[derive(Clone, Debug)]
pub struct DurableFile {
    folder: PathBuf,
    path: PathBuf,
}

impl DurableFile {
    /// The file of this name in this folder, which exists.
    pub fn new(folder: &Path, name: &str) -> DurableFile {
        DurableFile { folder: folder.to_owned(), path: folder.join(name) }
    }

    /// The value; none when nothing was ever stored.
    ///
    /// # Errors
    /// A damaged file, or one of a newer version, is refused: what it held can't be guessed.
    pub fn load<T: DeserializeOwned>(&self) -> Result<Option<T>, ReferenceError> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.damaged(error.to_string())),
        };
        let payload = self.payload(&bytes)?;
        match serde_json::from_slice(payload) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(self.damaged(error.to_string())),
        }
    }

    fn payload<'a>(&self, bytes: &'a [u8]) -> Result<&'a [u8], ReferenceError> {
        let Some((head, payload)) = bytes.split_at_checked(HEAD_BYTES) else {
            return Err(self.damaged("it is too short"));
        };
        if !head.starts_with(MAGIC) {
            return Err(self.damaged("it does not begin as it should"));
        }
        let number =
            |at: usize| head[at..at + 4].iter().fold(0u32, |sum, byte| sum << 8 | u32::from(*byte));
        let found = number(MAGIC.len());
        if number(MAGIC.len() + 4) != checksum(found, payload) {
            return Err(self.damaged("its checksum is wrong"));
        }
        if found != FORMAT {
            return Err(ReferenceError::Newer { path: self.path.clone(), found, known: FORMAT });
        }
        Ok(payload)
    }

    fn damaged(&self, why: impl Into<String>) -> ReferenceError {
        ReferenceError::Damaged { path: self.path.clone(), why: why.into() }
    }

    /// Stores a value; when this returns, it survives a loss of power.
    ///
    /// # Errors
    /// After one nothing is known about the disk any more: stop.
    pub fn save<T: Serialize>(&self, value: &T) -> Result<(), ReferenceError> {
        self.write(value).map_err(|why| self.unstorable(why))
    }

    /// The error that the file can't be stored.
    pub fn unstorable(&self, why: io::Error) -> ReferenceError {
        ReferenceError::Unstorable { path: self.path.clone(), why }
    }

    fn write<T: Serialize>(&self, value: &T) -> io::Result<()> {
        let payload = serde_json::to_vec(value)?;
        let temporary = self.path.with_extension("new");
        let mut file = File::create(&temporary)?;
        file.write_all(MAGIC)?;
        file.write_all(&FORMAT.to_be_bytes())?;
        file.write_all(&checksum(FORMAT, &payload).to_be_bytes())?;
        file.write_all(&payload)?;
        file.sync_all()?;
        fs::rename(&temporary, &self.path)?;
        File::open(&self.folder)?.sync_all()
    }
}

fn checksum(format: u32, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&format.to_be_bytes());
    hasher.update(payload);
    hasher.finalize()
}

/// Reads bytes as this file, and once more with a head that fits them.
#[cfg(feature = "fuzzing")]
pub fn feed(folder: &Path, bytes: &[u8]) {
    use recado_chat::registry::{Limits, Persistent, Registry};

    let file = DurableFile::new(folder, "fuzzed");
    let sum = checksum(FORMAT, bytes).to_be_bytes();
    for bytes in [bytes.to_vec(), [MAGIC, &FORMAT.to_be_bytes()[..], &sum, bytes].concat()] {
        if fs::write(&file.path, bytes).is_ok()
            && let Ok(Some(kept)) = file.load::<Persistent>()
        {
            // What is read can be lived with.
            _ = Registry::new(kept, Limits::default(), 0).list();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> (tempfile::TempDir, DurableFile) {
        let temp = tempfile::tempdir().unwrap();
        let file = DurableFile::new(temp.path(), "ranks");
        (temp, file)
    }

    #[test]
    fn what_was_stored_comes_back_and_nothing_else_lies_around() {
        let (temp, file) = file();
        assert_eq!(file.load::<Vec<u64>>().unwrap(), None);
        file.save(&vec![1u64, 2]).unwrap();
        file.save(&vec![3u64]).unwrap();
        assert_eq!(file.load::<Vec<u64>>().unwrap(), Some(vec![3]));
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1);
    }

    #[test]
    fn every_flipped_bit_and_every_missing_byte_is_noticed() {
        let (_temp, file) = file();
        file.save(&vec![1u64, 2]).unwrap();
        let good = fs::read(&file.path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&file.path, &bad).unwrap();
            assert!(file.load::<Vec<u64>>().is_err(), "bit flipped in byte {at}");
            fs::write(&file.path, &good[..at]).unwrap();
            assert!(file.load::<Vec<u64>>().is_err(), "cut off at byte {at}");
        }
    }

    #[test]
    fn a_half_written_new_file_does_not_matter() {
        let (temp, file) = file();
        file.save(&vec![1u64]).unwrap();
        fs::write(temp.path().join("ranks.new"), b"half").unwrap();
        assert_eq!(file.load::<Vec<u64>>().unwrap(), Some(vec![1]));
        file.save(&vec![2u64]).unwrap();
        assert_eq!(file.load::<Vec<u64>>().unwrap(), Some(vec![2]));
    }

    #[test]
    fn a_newer_format_is_told_from_damage() {
        let (_temp, file) = file();
        let mut bytes = MAGIC.to_vec();
        bytes.extend(2u32.to_be_bytes());
        bytes.extend(checksum(2, b"whatever").to_be_bytes());
        bytes.extend(b"whatever");
        fs::write(&file.path, bytes).unwrap();
        let error = file.load::<u64>().unwrap_err();
        assert!(matches!(error, ReferenceError::Newer { found: 2, known: 1, .. }), "{error}");
    }
}
