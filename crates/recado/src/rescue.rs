//! `rescue`: what is done with one server's folder when too few of the others are left.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use bytes::Bytes;
use recado_client::transfer::{self, Source, TransferError};
use recado_protocol::ImportRow;
use recado_protocol::limits::MAX_PAGE_ROWS;
use recado_protocol::message::ExportTable;
use recado_server::rescue::{self, Copy, Holding};

use crate::cli::Rescue;
use crate::failure::Failure;
use crate::hold::Held;
use crate::print;
use crate::roles::block_on;

/// Does what is wanted.
///
/// # Errors
/// One sentence.
pub fn run(wanted: &Rescue) -> Result<ExitCode, Failure> {
    let folder = &wanted.folder;
    let shown = folder.display();
    if !folder.is_dir() {
        return Err(Failure::Failed(format!(
            "there is no folder {shown}; name the folder of one server, such as recado-data/server-1"
        )));
    }
    let in_use = || format!("{shown} is in use by another process; stop that server first");
    let _held = Held::take(folder, in_use)?;
    match &wanted.export {
        Some(dir) => export(folder, dir),
        None if wanted.check => check(folder),
        None => new_cluster(folder, wanted.yes),
    }
}

/// Rows of a copy.
struct Rows<'c>(&'c Copy);

impl Source for Rows<'_> {
    async fn page(
        &self,
        table: ExportTable,
        after: Option<Bytes>,
    ) -> Result<(Vec<ImportRow>, Option<Bytes>), TransferError> {
        self.0.page(table, after.as_deref(), MAX_PAGE_ROWS).map_err(TransferError::Source)
    }
}

fn export(folder: &Path, dir: &Path) -> Result<ExitCode, Failure> {
    std::fs::create_dir_all(dir).map_err(|why| {
        Failure::Failed(format!("can't make the folder {}: {why}", dir.display()))
    })?;
    let copy = Copy::open(folder, dir).map_err(Failure::failed)?;
    let rows = Rows(&copy);
    let report = block_on(async { transfer::export(&rows, dir).await.map_err(Failure::failed) })?;
    print(&format!(
        "{} users, {} channels, {} private messages and {} publications are in {}\n{}",
        report.users,
        report.channels,
        report.messages,
        report.publications,
        dir.display(),
        describe(copy.holding())
    ));
    match copy.damage() {
        None => Ok(ExitCode::SUCCESS),
        Some(damage) => {
            Err(Failure::Failed(format!("{damage}; what stands behind that is not in these files")))
        }
    }
}

/// How far a copy goes, in lines.
fn describe(holding: &Holding) -> String {
    let Holding { position, term, uncertain, newest_ms, .. } = holding;
    let newest = newest_ms.map_or_else(
        || "there are no messages".to_owned(),
        |ms| format!("the newest message is of {}", recado_terminal::utc(ms)),
    );
    let mut text = format!("everything up to position {position} in term {term}; {newest}\n");
    if *uncertain > 0 {
        text.push_str(&format!(
            "the last {uncertain} entries are not known to be committed: this copy alone can't \
             tell whether they were acknowledged, so they are in it\n"
        ));
    }
    text
}

fn check(folder: &Path) -> Result<ExitCode, Failure> {
    let scratch = std::env::temp_dir();
    let findings = rescue::check(folder, &scratch).map_err(Failure::failed)?;
    let mut well = true;
    for finding in findings {
        let word = if finding.well { "well" } else { "WRONG" };
        print(&format!("{word:5}  {}\n", finding.what));
        well &= finding.well;
    }
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn new_cluster(folder: &Path, yes: bool) -> Result<ExitCode, Failure> {
    let shown = folder.display();
    let (said, members) = {
        let copy = Copy::open(folder, folder).map_err(Failure::failed)?;
        (describe(copy.holding()), copy.holding().members.clone())
    };
    print(&format!("{shown} holds {said}"));
    if !yes && !confirmed(folder)? {
        return Err(Failure::Failed("nothing was changed".to_owned()));
    }
    let renewing = rescue::renew(folder, |_| Ok(()));
    let renewed = block_on(async { renewing.await.map_err(Failure::failed) })?;
    let members =
        if members.is_empty() { String::new() } else { format!(" ({})", members.join(", ")) };
    print(&format!(
        "{shown} is now the only member of cluster {:x}, as node {}. Start its server as before.\n\
         Of the servers of before{members}, remove the data folders of all others, and start them \
         again: they join and get everything. An old folder that is started ends with exit code \
         3. The reference sets its own replica aside by itself.\n",
        renewed.cluster, renewed.node
    ));
    Ok(ExitCode::SUCCESS)
}

/// Asks at the terminal.
fn confirmed(folder: &Path) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Usage(
            "--new-cluster asks at a terminal, and here is none; say --yes if you mean it".into(),
        ));
    }
    print(&format!(
        "Whatever only other servers have is lost for the new cluster, and they can never join it \
         with the folders that they have.\nMake a new cluster of {}? Type yes: ",
        folder.display()
    ));
    _ = std::io::stdout().flush();
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line);
    read.map_err(|why| Failure::Failed(format!("can't read the answer: {why}")))?;
    Ok(line.trim() == "yes")
}
