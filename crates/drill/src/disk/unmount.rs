//! Taking away what is mounted, also where nobody answers for it any more.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::statvfs;
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};

use super::mount::SOURCE;

/// Unmounts a folder at once; whoever still has a file open there keeps it.
pub fn now(folder: &Path) {
    if unmount(folder, UnmountFlags::DETACH).is_ok() {
        return;
    }
    // Without the right to do it there is a program that has it, where it could be mounted.
    for program in ["fusermount3", "fusermount"] {
        let mut command = Command::new(program);
        command.args(["-u", "-q", "-z", "--"]).arg(folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if command.status().is_ok_and(|status| status.success()) {
            return;
        }
    }
}

/// Unmounts what drills left behind whose disks are gone.
pub fn stale() {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    for folder in ours(&mounts) {
        if statvfs(&folder).is_err_and(|error| error == Errno::NOTCONN) {
            now(&folder);
        }
    }
}

/// The folders at which our disks are mounted. The kernel writes blanks in paths as octal numbers.
fn ours(mounts: &str) -> Vec<PathBuf> {
    let ours = mounts.lines().filter(|line| {
        let behind = line.split_once(" - ").map_or("", |(_, behind)| behind);
        behind.split(' ').nth(1) == Some(SOURCE)
    });
    ours.filter_map(|line| line.split(' ').nth(4))
        .map(|path| PathBuf::from(path.replace("\\040", " ")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_mounts_are_found() {
        let mounts = "29 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
            41 29 0:35 / /tmp/a\\040b/server-1 rw,noatime shared:1 - fuse recado-drill-disk rw\n\
            42 29 0:36 / /mnt rw - fuse other rw\n";
        assert_eq!(ours(mounts), [PathBuf::from("/tmp/a b/server-1")]);
    }
}
