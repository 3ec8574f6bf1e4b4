//! What goes wrong, as one sentence for people and an exit code.

use std::fmt;
use std::process::ExitCode;

/// The exit code of a process that is not to be started again as it was.
pub const FINAL_EXIT: u8 = 3;

/// Why a command ended without success. The text says what to do.
#[derive(Debug)]
pub enum Failure {
    /// The command line, a variable or the configuration file is wrong.
    Usage(String),
    /// It was asked well, and did not work.
    Failed(String),
    /// It will not work the next time either: whoever supervises it lets it be.
    Final(String),
}

impl Failure {
    /// A failure that is not the caller's spelling.
    pub fn failed(why: impl fmt::Display) -> Failure {
        Failure::Failed(why.to_string())
    }

    /// 1 for a failure, 2 for wrong usage, [`FINAL_EXIT`] for what is not to be tried again.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Failure::Failed(_) => ExitCode::from(1),
            Failure::Usage(_) => ExitCode::from(2),
            Failure::Final(_) => ExitCode::from(FINAL_EXIT),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Failure::Usage(text) | Failure::Failed(text) | Failure::Final(text)) = self;
        f.write_str(text)
    }
}
