//! What is asked of the file system itself: how much room it has, and what it really holds.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{Advice, fadvise, statvfs};

/// How many bytes can still be written to the file system that a path is on; the path's nearest
/// folder that exists counts.
///
/// # Errors
/// The file system can't be asked.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let there = path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
    let asked = if there == Path::new("") { Path::new(".") } else { there };
    let stat = statvfs(asked)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Reads a file from the disk, whatever the page cache holds of it.
///
/// After a failed fsync Linux takes the pages for clean: a process that starts later reads from
/// memory what the disk does not have, relies on it, and loses it with the power. So the pages are
/// dropped before the file is opened for good. It is read once through then, in order, since what
/// follows would read it page by page.
///
/// # Errors
/// The file can't be read. One that is not there is none.
pub fn reread(path: &Path) -> io::Result<()> {
    if let Some(mut file) = uncached(path)? {
        io::copy(&mut file, &mut io::sink())?;
    }
    Ok(())
}

/// The same for a file that is long and never read as a whole: its pages are dropped only.
///
/// # Errors
/// The file can't be opened. One that is not there is none.
pub fn forget_cached(path: &Path) -> io::Result<()> {
    uncached(path).map(drop)
}

/// A file of which the page cache holds nothing; none if it is not there.
fn uncached(path: &Path) -> io::Result<Option<File>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    fadvise(&file, 0, None, Advice::DontNeed)?;
    Ok(Some(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_not_there_yet_is_on_its_parents_file_system() {
        let dir = tempfile::tempdir().unwrap();
        assert!(free_bytes(dir.path()).unwrap() > 0);
        assert!(free_bytes(&dir.path().join("a/b")).unwrap() > 0);
    }

    #[test]
    fn what_is_reread_stays_what_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        reread(&path).unwrap();
        std::fs::write(&path, b"not yet synced").unwrap();
        reread(&path).unwrap();
        forget_cached(&path).unwrap();
        assert_eq!(std::fs::read(path).unwrap(), b"not yet synced");
    }
}
