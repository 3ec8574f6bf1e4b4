//! Roles that keep data, on a disk that may be full or damaged.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use recado_server::space;

use crate::failure::Failure;
use crate::shutdown::Shutdown;

/// Runs a role on a data folder when there is room for it. When it stops because the disk is full, or
/// because it found damage while it ran, the whole process starts over, under its old number and
/// with all of its files closed. It waits for room then, or asks the others whether it may begin
/// anew: whoever supervises it has nothing to do, and it returns by itself. It does so once: damage
/// that was known when it started is for people to look at.
///
/// # Errors
/// Those of the role, while there is room.
pub fn with_room(
    dir: &Path,
    shutdown: &Shutdown,
    role: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    space::clean(dir);
    space::wait_for_room(dir, || shutdown.wanted());
    if shutdown.wanted() {
        return Ok(());
    }
    let known = space::is_noted_damaged(dir);
    let ended = role();
    match ended {
        Err(Failure::Failed(why)) if space::is_short(dir) && !shutdown.wanted() => {
            tracing::error!("{why}; the disk of {} is full", dir.display());
            Err(start_over(why))
        }
        Err(Failure::Failed(why))
            if !known && space::is_noted_damaged(dir) && !shutdown.wanted() =>
        {
            tracing::error!("{why}");
            Err(start_over(why))
        }
        ended => ended,
    }
}

/// Replaces this process by a new one of the same arguments; comes back only if it can't.
fn start_over(why: String) -> Failure {
    let Ok(program) = std::env::current_exe() else { return Failure::Failed(why) };
    let error = Command::new(program).args(std::env::args_os().skip(1)).exec();
    Failure::Failed(format!("{why}; and it can't be started over: {error}"))
}
