//! A folder that a process works in is its own as long as it lives: whoever comes second is told.
//!
//! The lock is on the folder itself, so it needs no file, leaves nothing behind, and goes with its
//! process, however that ends. Programs that this one starts don't get it, nor does what replaces
//! this one on a full disk: that takes it anew.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::failure::Failure;

/// A process that was killed a moment ago may still hold its folder for so long.
const DYING_MS: u64 = 1000;
/// Between two tries.
const TRY_EVERY_MS: u64 = 20;

/// A folder that this process holds; given back when this goes.
pub struct Held {
    _folder: Option<File>,
}

impl Held {
    /// Makes the folder if it is not there, and holds it.
    ///
    /// # Errors
    /// One sentence, when another process holds it (`in_use` says that one) or it can't be made.
    pub fn take(dir: &Path, in_use: impl FnOnce() -> String) -> Result<Held, Failure> {
        let folder = match std::fs::create_dir_all(dir).and_then(|()| File::open(dir)) {
            Ok(folder) => folder,
            // Whoever keeps data waits for room, and finds the folder in use later if it is.
            Err(why) if why.kind() == ErrorKind::StorageFull => return Ok(Held { _folder: None }),
            Err(why) => {
                return Err(Failure::Failed(format!(
                    "can't use the data folder {}: {why}; make it writable, or choose another \
                     --data-dir",
                    dir.display()
                )));
            }
        };
        let started = Instant::now();
        loop {
            match folder.try_lock() {
                Ok(()) => return Ok(Held { _folder: Some(folder) }),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(why)) => {
                    // Some network file systems lock no folders; the log and the rows inside have
                    // locks of their own.
                    tracing::debug!("{} can't be locked: {why}", dir.display());
                    return Ok(Held { _folder: None });
                }
            }
            if started.elapsed() >= Duration::from_millis(DYING_MS) {
                return Err(Failure::Failed(in_use()));
            }
            std::thread::sleep(Duration::from_millis(TRY_EVERY_MS));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_held_once_and_free_afterwards() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("a/b");
        let held = Held::take(&dir, String::new).unwrap();
        let Err(failure) = Held::take(&dir, || "in use".into()) else { panic!("held twice") };
        assert_eq!(failure.to_string(), "in use");
        drop(held);
        Held::take(&dir, String::new).unwrap();
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let Err(failure) = Held::take(file.path(), String::new) else { panic!("taken") };
        let line = failure.to_string();
        assert!(line.contains(&file.path().display().to_string()) && line.contains("--data-dir"));
    }
}
