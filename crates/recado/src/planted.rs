//! Bugs on purpose, in a build for tests: loud, so that nobody takes it for the real thing.

use recado_server::bugs;

use crate::failure::Failure;

/// Plants the bug that the variable names, if it names one, and says what build this is.
///
/// # Errors
/// There is no such bug.
pub fn plant() -> Result<(), Failure> {
    tracing::warn!("this build has planted bugs, for tests of the drill; don't keep data with it");
    if let Some(bug) = bugs::plant_from_environment().map_err(Failure::Usage)? {
        tracing::warn!(bug = bug.word(), "a bug is planted: promises will be broken");
    }
    Ok(())
}
