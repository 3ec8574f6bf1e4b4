//! Why a role could not start, or had to stop: one sentence each, ready to be printed.

use std::path::{Path, PathBuf};

/// Why a server could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The data folder can't be made or written.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A port is taken, or an end point makes no sense.
    #[error(transparent)]
    Socket(#[from] recado_transport::OpenError),
    /// The data can't be opened.
    #[error(transparent)]
    Start(#[from] recado_replication::StartError),
    /// Another server of its name runs.
    #[error("{0}")]
    NameTaken(String),
    /// The cluster removed it.
    #[error("{0}")]
    Removed(String),
    /// It ran, and had to stop so as not to promise what it can't keep.
    #[error("the server had to stop: {0}")]
    Stopped(String),
}

/// Why the reference could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ReferenceError {
    /// The data folder can't be made or written.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The port is taken, or the end point makes no sense.
    #[error(transparent)]
    Socket(#[from] recado_transport::OpenError),
    /// No thread for the replica.
    #[error("can't start the reference's replica: {0}; free some memory or raise the limits")]
    Thread(std::io::Error),
    /// It ran, and had to stop so as not to promise what it can't keep.
    #[error("the reference had to stop: {0}")]
    Stopped(String),
    /// The file with the ranks was not written by this program, or was changed since.
    #[error("{path} is damaged ({why}); restore it from a backup, or remove it while no server runs and start all servers after the reference", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The file with the ranks comes from a newer version.
    #[error("{path} was written by a newer version of recado (format {found}, this one knows {known}); run that version", path = path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The format that it has.
        found: u32,
        /// The newest format that this program can read.
        known: u32,
    },
    /// The ranks can't be stored; a rank that might be forgotten must not be given.
    #[error("can't store ranks in {path}: {why}", path = path.display())]
    Unstorable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        why: std::io::Error,
    },
}

/// A data folder that can't be used.
#[derive(Debug, thiserror::Error)]
#[error("can't use the data folder {path}: {why}; make it writable, or choose another --data-dir", path = path.display())]
pub struct FolderError {
    /// The folder.
    pub path: PathBuf,
    /// What the system says.
    pub why: std::io::Error,
}

/// Makes the folder if it is not there, and finds out now, rather than at the first write,
/// whether it can be written to.
pub(crate) fn prepare_folder(path: &Path) -> Result<(), FolderError> {
    let probe = path.join(".writable");
    std::fs::create_dir_all(path)
        .and_then(|()| std::fs::write(&probe, b""))
        .and_then(|()| std::fs::remove_file(&probe))
        .map_err(|why| FolderError { path: path.to_owned(), why })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_made_with_its_parents() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("a/b");
        prepare_folder(&path).unwrap();
        assert!(path.is_dir());
        assert_eq!(std::fs::read_dir(&path).unwrap().count(), 0);
    }

    #[test]
    fn a_file_in_the_way_is_named_with_what_to_do() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("taken");
        std::fs::write(&path, b"x").unwrap();
        let said = prepare_folder(&path).unwrap_err().to_string();
        assert!(said.contains("taken") && said.contains("--data-dir"), "{said}");
    }
}
