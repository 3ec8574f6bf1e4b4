//! Who this data folder is: a node id, given once, and the cluster that it belongs to.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::entropy::{Entropy, id};
use crate::replica::StartError;

/// The format that this version writes.
const FORMAT: u32 = 1;
const FILE: &str = "identity";

/// The content of the identity file, behind a checksum (of all that follows) and the format, four
/// bytes each. Later formats keep that head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The node id.
    pub node: u64,
    /// The cluster whose data is here; none before it formed or joined one.
    pub cluster: Option<u64>,
    /// Whether the log has held something: then an empty one was lost.
    pub has_log: bool,
}

impl Identity {
    /// Reads the folder's identity, or gives it one.
    ///
    /// # Errors
    /// The folder can't be written, the file is damaged, or a newer version wrote it.
    pub fn open(dir: &Path, entropy: &dyn Entropy) -> Result<Identity, StartError> {
        let path = dir.join(FILE);
        match fs::read(&path) {
            Ok(bytes) => Identity::decode(&path, &bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let identity = Identity { node: id(entropy), cluster: None, has_log: false };
                identity.save(dir)?;
                Ok(identity)
            }
            Err(error) => Err(unusable(&path, &error)),
        }
    }

    fn decode(path: &Path, bytes: &[u8]) -> Result<Identity, StartError> {
        let damaged = || {
            StartError::Failed(format!(
                "{} is damaged; move this server's folder aside and start it empty, and it joins \
                 as a new node",
                path.display()
            ))
        };
        let (sum, body) = bytes.split_first_chunk::<4>().ok_or_else(damaged)?;
        if u32::from_be_bytes(*sum) != crc32fast::hash(body) {
            return Err(damaged());
        }
        let (format, body) = body.split_first_chunk::<4>().ok_or_else(damaged)?;
        let format = u32::from_be_bytes(*format);
        if format > FORMAT {
            return Err(StartError::Failed(format!(
                "{} was written by a newer version of recado (format {format}, this one knows \
                 {FORMAT}); run that version, or start with an empty data folder",
                path.display(),
            )));
        }
        rmp_serde::from_slice(body).map_err(|_| damaged())
    }

    /// Writes the identity durably: another name first, then a rename, then the folder.
    ///
    /// # Errors
    /// The folder can't be written.
    pub fn save(&self, dir: &Path) -> Result<(), StartError> {
        let path = dir.join(FILE);
        let write = || -> io::Result<()> {
            let mut body = FORMAT.to_be_bytes().to_vec();
            rmp_serde::encode::write(&mut body, self).map_err(io::Error::other)?;
            let next = dir.join("identity.next");
            let mut file = File::create(&next)?;
            file.write_all(&crc32fast::hash(&body).to_be_bytes())?;
            file.write_all(&body)?;
            file.sync_all()?;
            fs::rename(&next, &path)?;
            File::open(dir)?.sync_all()
        };
        write().map_err(|error| unusable(&path, &error))
    }
}

fn unusable(path: &Path, error: &io::Error) -> StartError {
    StartError::Failed(format!(
        "can't use {}: {error}; check the folder's owner, rights and free space",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SystemEntropy;

    #[test]
    fn an_identity_is_given_once() {
        let dir = tempfile::tempdir().unwrap();
        let first = Identity::open(dir.path(), &SystemEntropy).unwrap();
        assert_eq!(Identity::open(dir.path(), &SystemEntropy).unwrap(), first);
        let joined = Identity { cluster: Some(7), ..first };
        joined.save(dir.path()).unwrap();
        assert_eq!(Identity::open(dir.path(), &SystemEntropy).unwrap(), joined);
    }

    #[test]
    fn damage_and_newer_formats_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let identity = Identity::open(dir.path(), &SystemEntropy).unwrap();
        let path = dir.path().join(FILE);
        let mut bytes = fs::read(&path).unwrap();
        bytes[5] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert!(
            Identity::open(dir.path(), &SystemEntropy).unwrap_err().to_string().contains("damaged")
        );
        identity.save(dir.path()).unwrap();
        let newer = [&(FORMAT + 1).to_be_bytes()[..], b"whatever"].concat();
        fs::write(&path, [&crc32fast::hash(&newer).to_be_bytes()[..], &newer].concat()).unwrap();
        assert!(
            Identity::open(dir.path(), &SystemEntropy).unwrap_err().to_string().contains("newer")
        );
    }
}
