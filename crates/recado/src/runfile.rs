//! Who runs here: `<data-dir>/run/<role or name>.json`, there while the process is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// What a running process says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFile {
    /// Its process id.
    pub pid: u32,
    /// What it listens on, by purpose.
    pub endpoints: BTreeMap<String, String>,
    /// Where its pages are (`host:port`), as others find them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
}

/// A written run file; removed when this goes.
pub struct Running {
    path: PathBuf,
}

impl Running {
    /// Says that this process runs. Making the file also finds out, before anything else is
    /// done, whether the data folder can be written.
    ///
    /// # Errors
    /// When the folder or file can't be written.
    pub fn announce(
        data_dir: &Path,
        name: &str,
        endpoints: &[(&str, &str)],
        http: Option<&str>,
    ) -> Result<Running, Failure> {
        let path = path(data_dir, name);
        let owned = |(purpose, at): &(&str, &str)| ((*purpose).to_owned(), (*at).to_owned());
        let content = RunFile {
            pid: std::process::id(),
            endpoints: endpoints.iter().map(owned).collect(),
            http: http.map(str::to_owned),
        };
        let write = || {
            std::fs::create_dir_all(data_dir.join("run"))?;
            // First under another name: whoever reads sees all of it or nothing.
            let draft = path.with_extension(format!("{}.new", content.pid));
            std::fs::write(&draft, serde_json::to_vec_pretty(&content)?)?;
            std::fs::rename(&draft, &path)
        };
        write().map_err(|why| {
            Failure::Failed(format!(
                "can't use the data folder {}: {why}; make it writable, or choose another \
                 --data-dir",
                data_dir.display()
            ))
        })?;
        Ok(Running { path })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A process that took over the name has written its own.
        if read_path(&self.path).is_some_and(|found| found.pid == std::process::id()) {
            _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The run file of a role or server, if a process that is alive wrote it.
pub fn read(data_dir: &Path, name: &str) -> Option<RunFile> {
    read_path(&path(data_dir, name)).filter(|file| is_alive(file.pid))
}

fn read_path(path: &Path) -> Option<RunFile> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

fn path(data_dir: &Path, name: &str) -> PathBuf {
    data_dir.join("run").join(format!("{name}.json"))
}

/// Whether a process of this machine has this id.
pub fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| match rustix::process::test_kill_process(pid) {
        Ok(()) => true,
        // Alive, and somebody else's.
        Err(why) => why == rustix::io::Errno::PERM,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_file_is_there_as_long_as_its_process() {
        let dir = tempfile::tempdir().unwrap();
        let ports = [("xsub", "tcp://a:1")];
        let running = Running::announce(dir.path(), "proxy", &ports, Some("a:2")).unwrap();
        let found = read(dir.path(), "proxy").unwrap();
        assert_eq!(found.pid, std::process::id());
        assert_eq!(found.endpoints["xsub"], "tcp://a:1");
        assert_eq!(found.http.as_deref(), Some("a:2"));
        drop(running);
        assert_eq!(read(dir.path(), "proxy"), None);
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let Err(failure) = Running::announce(file.path(), "proxy", &[], None) else {
            panic!("taken")
        };
        let line = failure.to_string();
        assert!(line.contains(&file.path().display().to_string()) && line.contains("--data-dir"));
    }

    #[test]
    fn the_dead_do_not_run() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("run")).unwrap();
        let text = format!(r#"{{"pid": {}, "endpoints": {{}}}}"#, i32::MAX);
        std::fs::write(dir.path().join("run/proxy.json"), text).unwrap();
        assert_eq!(read(dir.path(), "proxy"), None);
    }

    #[test]
    fn a_run_file_without_pages_is_read() {
        let file: RunFile = serde_json::from_str(r#"{"pid": 1, "endpoints": {}}"#).unwrap();
        assert_eq!(file.http, None);
    }
}
