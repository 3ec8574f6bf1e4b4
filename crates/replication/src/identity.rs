//! Who this data folder is: a node id, given once, and the cluster that it belongs to.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

#[cfg(feature = "planted")]
use recado_chat::planted::{self, Bug};
use serde::{Deserialize, Serialize};

use crate::entropy::{Entropy, id};
use crate::replica::StartError;

/// The format that this version writes.
const FORMAT: u32 = 3;
/// Its name within a server's data folder.
pub const IDENTITY_FILE: &str = "identity";

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
    /// What the others can do without this node; none when format 1 did not say.
    #[serde(default)]
    pub standing: Option<Standing>,
    /// What the folder is being made; none since format 3 when it is whole.
    #[serde(default)]
    pub renewal: Option<Renewal>,
}

/// The node and the cluster that a folder becomes. As long as this stands in it, its store and its
/// log may be the old ones or the new ones, and nobody may take part with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewal {
    /// The new node id.
    pub node: u64,
    /// The new cluster.
    pub cluster: u64,
}

/// Whether others hold what this node holds, by the newest membership that was applied here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// That membership's log position; none before the first.
    pub membership: Option<u64>,
    /// Whether this node is the only voter: then nobody else needs to have anything.
    pub only_voter: bool,
}

impl Identity {
    /// A new node, that holds no data yet but may belong to a cluster.
    pub fn fresh(cluster: Option<u64>, entropy: &dyn Entropy) -> Identity {
        let standing = Some(Standing::default());
        Identity { node: id(entropy), cluster, has_log: false, standing, renewal: None }
    }

    /// Reads the folder's identity, or gives it one.
    ///
    /// # Errors
    /// As [`Identity::read`] and [`Identity::save`]; also when a [`Renewal`] was interrupted.
    pub fn open(dir: &Path, entropy: &dyn Entropy) -> Result<Identity, StartError> {
        if let Some(identity) = Identity::read(dir)? {
            return match identity.renewal {
                None => Ok(identity),
                Some(_) => Err(StartError::Failed(format!(
                    "{0} was being made a new cluster, which was interrupted; run `recado rescue \
                     {0} --new-cluster` again, which finishes it",
                    dir.display()
                ))),
            };
        }
        let identity = Identity::fresh(None, entropy);
        #[cfg(feature = "planted")]
        let identity = planted_again(identity, dir);
        identity.save(dir)?;
        Ok(identity)
    }

    /// Reads the folder's identity; none when it has none.
    ///
    /// # Errors
    /// The file can't be read, is damaged, or a newer version wrote it.
    pub fn read(dir: &Path) -> Result<Option<Identity>, StartError> {
        let path = dir.join(IDENTITY_FILE);
        match fs::read(&path) {
            Ok(bytes) => Identity::decode(&path, &bytes).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unusable(&path, &error)),
        }
    }

    /// Notes who votes, by the membership at this log position. Says whether that is news which
    /// must be on disk before anything is acknowledged under it.
    pub fn note_voters(&mut self, membership: u64, only_voter: bool) -> bool {
        let known = self.standing.unwrap_or_default();
        // After a start, older ones come by again.
        if self.standing.is_some() && known.membership > Some(membership) {
            return false;
        }
        let news = self.standing.is_none() || known.only_voter != only_voter;
        if news {
            self.standing = Some(Standing { membership: Some(membership), only_voter });
        }
        news
    }

    fn decode(path: &Path, bytes: &[u8]) -> Result<Identity, StartError> {
        let damaged = || StartError::Damaged(format!("{} is damaged", path.display()));
        let (sum, body) = bytes.split_first_chunk::<4>().ok_or_else(damaged)?;
        if u32::from_be_bytes(*sum) != crc32fast::hash(body) {
            return Err(damaged());
        }
        // What fits its checksum is as it was written: if it can't be understood, that is no damage.
        let not_understood = || {
            StartError::Failed(format!(
                "{} is whole, but this version of recado can't make sense of it; run the version \
                 that wrote it, nothing was changed",
                path.display()
            ))
        };
        let (format, body) = body.split_first_chunk::<4>().ok_or_else(not_understood)?;
        let format = u32::from_be_bytes(*format);
        if format > FORMAT {
            return Err(StartError::Failed(format!(
                "{} was written by a newer version of recado (format {format}, this one knows \
                 {FORMAT}); run that version, or start with an empty data folder",
                path.display(),
            )));
        }
        rmp_serde::from_slice(body).map_err(|_| not_understood())
    }

    /// Writes the identity durably: another name first, then a rename, then the folder.
    ///
    /// # Errors
    /// The folder can't be written.
    pub fn save(&self, dir: &Path) -> Result<(), StartError> {
        let path = dir.join(IDENTITY_FILE);
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

/// The node id that the folder always gets: nobody remembers that it was emptied.
#[cfg(feature = "planted")]
fn planted_again(fresh: Identity, dir: &Path) -> Identity {
    let name = dir.file_name().unwrap_or_default();
    let again = 1 + u64::from(crc32fast::hash(name.as_encoded_bytes()));
    Identity { node: if planted::on(Bug::NodeAgain) { again } else { fresh.node }, ..fresh }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SystemEntropy;

    #[test]
    fn an_identity_stays() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Identity::read(dir.path()).unwrap(), None);
        let first = Identity::fresh(None, &SystemEntropy);
        first.save(dir.path()).unwrap();
        assert_eq!(Identity::read(dir.path()).unwrap(), Some(first));
        let joined = Identity { cluster: Some(7), ..first };
        joined.save(dir.path()).unwrap();
        assert_eq!(Identity::read(dir.path()).unwrap(), Some(joined));
    }

    #[test]
    fn every_flipped_bit_is_damage_and_a_newer_format_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let identity = Identity::fresh(Some(3), &SystemEntropy);
        identity.save(dir.path()).unwrap();
        let path = dir.path().join(IDENTITY_FILE);
        let whole = fs::read(&path).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &bytes).unwrap();
            let error = Identity::read(dir.path()).unwrap_err();
            assert!(matches!(error, StartError::Damaged(_)), "bit {bit}: {error}");
        }
        let newer = [&(FORMAT + 1).to_be_bytes()[..], b"whatever"].concat();
        fs::write(&path, [&crc32fast::hash(&newer).to_be_bytes()[..], &newer].concat()).unwrap();
        let error = Identity::read(dir.path()).unwrap_err();
        assert!(matches!(error, StartError::Failed(_)), "{error}");
        assert!(error.to_string().contains("newer"), "{error}");
    }

    #[test]
    fn what_fits_its_checksum_is_no_damage() {
        let dir = tempfile::tempdir().unwrap();
        for body in [&b""[..], b"abc", &[&FORMAT.to_be_bytes()[..], b"not an identity"].concat()] {
            let bytes = [&crc32fast::hash(body).to_be_bytes()[..], body].concat();
            fs::write(dir.path().join(IDENTITY_FILE), bytes).unwrap();
            let error = Identity::read(dir.path()).unwrap_err();
            assert!(matches!(error, StartError::Failed(_)), "{body:?}: {error}");
            assert!(error.to_string().contains("can't make sense"), "{error}");
        }
    }

    #[test]
    fn format_1_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let mut body = 1u32.to_be_bytes().to_vec();
        rmp_serde::encode::write(&mut body, &(5u64, Some(6u64), true)).unwrap();
        let bytes = [&crc32fast::hash(&body).to_be_bytes()[..], &body].concat();
        fs::write(dir.path().join(IDENTITY_FILE), bytes).unwrap();
        let old =
            Identity { node: 5, cluster: Some(6), has_log: true, standing: None, renewal: None };
        assert_eq!(Identity::read(dir.path()).unwrap(), Some(old));
    }

    #[test]
    fn what_is_replayed_says_nothing_new() {
        let mut identity = Identity::fresh(None, &SystemEntropy);
        assert!(identity.note_voters(0, true));
        assert!(!identity.note_voters(0, true));
        assert!(identity.note_voters(9, false));
        assert!(!identity.note_voters(0, true), "an older membership comes by again");
        assert_eq!(identity.standing.map(|s| s.only_voter), Some(false));
    }
}
