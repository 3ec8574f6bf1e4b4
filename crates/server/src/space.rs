//! Room on the disk: without it nobody starts, and nobody pretends to have stored anything.

use std::path::Path;
use std::time::Duration;

use recado_storage::free_bytes;

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
