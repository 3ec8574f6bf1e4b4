//! What is made from the command line's definition: completions for shells, and manual pages.

use std::path::Path;

use clap_complete::Shell;
use clap_mangen::Man;

use crate::cli;
use crate::failure::Failure;

/// The completions for a shell.
pub fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut cli::definition(), cli::NAME, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// The manual page of the program itself.
///
/// # Errors
/// When it can't be made.
pub fn page() -> Result<String, Failure> {
    let mut page = Vec::new();
    let made = Man::new(in_full(cli::definition())).render(&mut page);
    made.map_err(|why| Failure::Failed(format!("can't make the manual page: {why}")))?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

/// Writes a manual page for the program and one for each command, and gives their number.
///
/// # Errors
/// One sentence that names the folder.
pub fn pages(folder: &Path) -> Result<usize, Failure> {
    let wrong = |why: std::io::Error| {
        let folder = folder.display();
        Failure::Failed(format!(
            "can't write manual pages to {folder}: {why}; name a folder that you may write to"
        ))
    };
    std::fs::create_dir_all(folder).map_err(wrong)?;
    let app = in_full(cli::definition());
    let number = count(&app);
    clap_mangen::generate_to(app, folder).map_err(wrong)?;
    Ok(number)
}

/// With the help of rare options too, which a manual page would name without a word.
fn in_full(command: clap::Command) -> clap::Command {
    command.mut_args(|arg| arg.hide_short_help(false)).mut_subcommands(in_full)
}

/// How many commands there are, with the program itself.
fn count(command: &clap::Command) -> usize {
    1 + command.get_subcommands().map(count).sum::<usize>()
}
