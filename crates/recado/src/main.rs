//! `recado`: every role of the messaging system, and the tools around it, in one binary.

mod address;
mod cli;
mod command;
mod config;
mod failure;
mod logging;
mod options;
mod ports;
mod runfile;
mod shutdown;
mod up;

use std::io::Write;
use std::process::ExitCode;

use crate::failure::Failure;

fn main() -> ExitCode {
    let line = cli::read();
    match config::load(line.flags, line.config) {
        Ok(settings) => {
            println!("{settings:?}");
            ExitCode::SUCCESS
        }
        Err(failure) => report(&failure),
    }
}

fn report(failure: &Failure) -> ExitCode {
    // A closed standard error is no reason to panic.
    _ = writeln!(std::io::stderr(), "recado: {failure}");
    failure.exit_code()
}
