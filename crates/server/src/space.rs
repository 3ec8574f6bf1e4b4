//! Room on the disk: without it nobody starts, and nobody pretends to have stored anything.

use std::path::Path;
use std::time::Duration;

use recado_replication::clean_folder;
use recado_storage::{DAMAGE_NOTE, free_bytes};

use crate::reference::replica_folder;

/// A role with data starts only when so much is free on its disk: enough to mend and open what is
/// there, and for some thousand messages before it would have to stop again.
pub const RESERVE_BYTES: u64 = 16 * 1024 * 1024;

/// Between two looks.
const LOOK_MS: u64 = 200;

const MIB: u64 = 1024 * 1024;

/// Whether there is less room than the reserve. A file system that can't be asked has room: what
/// is wrong with it shows soon enough.
pub fn is_short(dir: &Path) -> bool {
    free_bytes(dir).is_ok_and(|free| free < RESERVE_BYTES)
}

/// Removes what interrupted snapshots left in the folder of a server, or of the reference, unless
/// somebody works on it. To be called before anything waits for room: this may be what takes it.
pub fn clean(folder: &Path) {
    for dir in [folder, &replica_folder(folder)].into_iter().filter(|dir| dir.is_dir()) {
        if let Err(why) = clean_folder(dir) {
            tracing::warn!("what a snapshot left in {} can't be removed: {why}", dir.display());
        }
    }
}

/// Whether the store of a server in this folder, or of the reference's replica, was found damaged
/// while it was in use. Who starts then gets everything from the others, if they have it.
pub fn is_noted_damaged(folder: &Path) -> bool {
    [folder, &replica_folder(folder)].into_iter().any(|dir| dir.join(DAMAGE_NOTE).exists())
}

/// Waits until there is room, or until `ended` says that it need not be any more. Says so in the
/// log at the beginning and at the end.
pub fn wait_for_room(dir: &Path, ended: impl Fn() -> bool) {
    if !is_short(dir) {
        return;
    }
    tracing::warn!(
        "the disk of {} is full: {} MiB are free, and {} MiB are needed to start; waiting for them",
        dir.display(),
        free_bytes(dir).unwrap_or_default() / MIB,
        RESERVE_BYTES / MIB
    );
    while is_short(dir) {
        if ended() {
            return;
        }
        std::thread::sleep(Duration::from_millis(LOOK_MS));
    }
    tracing::info!("there is room on the disk of {} again; starting", dir.display());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_snapshot_left_goes_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let left = ["snapshot-1.out", "snapshot-1.out.tmp", "snapshot-2.in", "snapshot-2.whole"];
        let kept = ["chat.redb", "identity", "snapshot-3.kept", "other.out"];
        for name in left.iter().chain(&kept) {
            std::fs::write(dir.path().join(name), b"x").unwrap();
        }
        clean(dir.path());
        for name in left {
            assert!(!dir.path().join(name).exists(), "{name}");
        }
        for name in kept {
            assert!(dir.path().join(name).exists(), "{name}");
        }
    }
}
