//! From the four files into the cluster.

use std::path::Path;

use recado_protocol::limits::{MAX_PAGE_BYTES, MAX_PAGE_ROWS};
use recado_protocol::message::ExportTable;
use recado_protocol::reply::ImportResult;
use recado_protocol::{ImportRow, Refusal, Reply, Request};
use tracing::warn;

use super::export::Pages;
use super::matching::Stored;
use super::{TransferError, files};
use crate::error::ClientError;
use crate::session::Client;

/// Names first, as messages need their channel or recipient to exist.
const ORDER: [ExportTable; 4] =
    [ExportTable::Users, ExportTable::Channels, ExportTable::Publications, ExportTable::Messages];

/// How many conflicts are described in the report; all are counted.
pub const MAX_LISTED_CONFLICTS: usize = 1000;

/// How often an import whose answer was lost looks anew at what is missing.
const MAX_PASSES: usize = 5;

/// What a row takes in a request beside its texts, about.
const ROW_BYTES: usize = 80;

/// What became of one file's rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Stored by this import.
    pub stored: u64,
    /// Were in the cluster already.
    pub known: u64,
    /// Left out because of a conflict.
    pub left_out: u64,
}

/// A row that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Which row, in words.
    pub row: String,
    /// Why.
    pub refusal: Refusal,
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// `users.json`
    pub users: Counts,
    /// `channels.json`
    pub channels: Counts,
    /// `messages.json`
    pub messages: Counts,
    /// `publications.json`
    pub publications: Counts,
    /// The rows that were left out, at most [`MAX_LISTED_CONFLICTS`].
    pub conflicts: Vec<Conflict>,
    /// Which of the four files are not in the folder; they count as empty.
    pub missing_files: Vec<&'static str>,
}

impl ImportReport {
    fn counts(&mut self, table: ExportTable) -> &mut Counts {
        match table {
            ExportTable::Users => &mut self.users,
            ExportTable::Channels => &mut self.channels,
            ExportTable::Messages => &mut self.messages,
            ExportTable::Publications => &mut self.publications,
        }
    }

    fn leave_out(&mut self, table: ExportTable, row: &ImportRow, refusal: Refusal) {
        self.counts(table).left_out += 1;
        if self.conflicts.len() < MAX_LISTED_CONFLICTS {
            self.conflicts.push(Conflict { row: describe(row), refusal });
        }
    }
}

/// Brings what the four files hold and the cluster lacks into the cluster, with its times, clocks
/// and order. Importing the same files again changes nothing.
///
/// All files are read before anything is sent.
///
/// # Errors
/// A missing folder, a damaged file, or a cluster that does not answer. After the last one, what
/// was sent so far is stored, and importing again goes on from there.
pub async fn import(client: &Client, dir: &Path) -> Result<ImportReport, TransferError> {
    if !dir.is_dir() {
        return Err(TransferError::NoFolder(dir.to_owned()));
    }
    let mut tables = Vec::with_capacity(ORDER.len());
    let mut missing_files = Vec::new();
    for table in ORDER {
        match files::read(dir, table)? {
            Some(rows) => tables.push((table, rows)),
            None => missing_files.push(files::file_name(table)),
        }
    }
    if tables.is_empty() {
        return Err(TransferError::NoFiles(dir.to_owned()));
    }
    // How many rows of each table were there before the first pass.
    let mut known_before: Option<Vec<u64>> = None;
    for pass in 1.. {
        let mut report =
            ImportReport { missing_files: missing_files.clone(), ..ImportReport::default() };
        let mut stored = read_cluster(client).await?;
        let done = send_missing(client, &tables, &mut stored, &mut report).await;
        let known: Vec<u64> = tables.iter().map(|(table, _)| report.counts(*table).known).collect();
        let before = known_before.get_or_insert(known);
        match done {
            Ok(()) => {
                for ((table, _), before) in tables.iter().zip(before.iter()) {
                    // What an earlier pass stored looks known in this one.
                    let counts = report.counts(*table);
                    counts.stored += counts.known - counts.known.min(*before);
                    counts.known = counts.known.min(*before);
                }
                return Ok(report);
            }
            Err(error @ ClientError::Unknown { .. }) if pass < MAX_PASSES => {
                warn!(%error, "an answer was lost; looking anew at what is missing");
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(TransferError::Client(ClientError::Unknown { waited_ms: 0 }))
}

async fn read_cluster(client: &Client) -> Result<Stored, TransferError> {
    let mut stored = Stored::default();
    for table in ORDER {
        let mut pages = Pages::new(table);
        while let Some(rows) = pages.next(client).await? {
            rows.iter().for_each(|row| stored.add(row));
        }
    }
    Ok(stored)
}

/// Sends what is missing, page after page: the order of the rows is the order of the log.
async fn send_missing(
    client: &Client,
    tables: &[(ExportTable, Vec<ImportRow>)],
    stored: &mut Stored,
    report: &mut ImportReport,
) -> Result<(), ClientError> {
    // All tables are counted before the first row leaves, so that a pass that fails midway has
    // the right numbers.
    let mut missing = Vec::with_capacity(tables.len());
    for (table, all) in tables {
        let rows: Vec<&ImportRow> = all.iter().filter(|row| !stored.take(row)).collect();
        report.counts(*table).known = (all.len() - rows.len()) as u64;
        missing.push((*table, rows));
    }
    for (table, rows) in missing {
        let mut rest = rows.as_slice();
        while !rest.is_empty() {
            let (page, later) = rest.split_at(page_length(rest));
            send_page(client, table, page, report).await?;
            rest = later;
        }
    }
    Ok(())
}

/// How many rows from the front go into one request, at least one.
fn page_length(rows: &[&ImportRow]) -> usize {
    let mut bytes = 0;
    for (count, row) in rows.iter().enumerate() {
        bytes += row_bytes(row);
        if count > 0 && (count >= MAX_PAGE_ROWS || bytes > MAX_PAGE_BYTES) {
            return count;
        }
    }
    rows.len()
}

fn row_bytes(row: &ImportRow) -> usize {
    ROW_BYTES
        + match row {
            ImportRow::User { user: name, .. } | ImportRow::Channel { channel: name } => name.len(),
            ImportRow::Publication { user: a, channel: b, message, .. }
            | ImportRow::Private { src: a, dst: b, message, .. } => {
                a.len() + b.len() + message.len()
            }
        }
}

/// Sends one page. A page that is refused as a whole is halved until the row is found that the
/// cluster does not take, so that one bad row does not stop the others.
async fn send_page(
    client: &Client,
    table: ExportTable,
    page: &[&ImportRow],
    report: &mut ImportReport,
) -> Result<(), ClientError> {
    let mut parts = vec![page];
    while let Some(part) = parts.pop() {
        let rows = part.iter().map(|row| (*row).clone()).collect();
        match client.request(Request::Import { rows }).await {
            Ok(Reply::Import(results)) if results.len() == part.len() => {
                for (row, result) in part.iter().zip(results) {
                    match result {
                        ImportResult::Stored => report.counts(table).stored += 1,
                        ImportResult::Known => report.counts(table).known += 1,
                        ImportResult::LeftOut(refusal) => report.leave_out(table, row, refusal),
                    }
                }
            }
            Ok(_) => {
                return Err(ClientError::BadReply("it does not answer import".to_owned()));
            }
            Err(ClientError::Refused(refusal)) if blames_a_row(&refusal) => match part {
                [row] => report.leave_out(table, row, refusal),
                _ => {
                    let (front, back) = part.split_at(part.len() / 2);
                    // The front is taken next: the order stays.
                    parts.push(back);
                    parts.push(front);
                }
            },
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether a refusal of a whole page may be due to one of its rows.
fn blames_a_row(refusal: &Refusal) -> bool {
    use recado_protocol::Code;
    matches!(refusal.code, Code::TooLarge | Code::Malformed | Code::InvalidName | Code::NameTaken)
}

fn describe(row: &ImportRow) -> String {
    match row {
        ImportRow::User { user, .. } => format!("user {user:?}"),
        ImportRow::Channel { channel } => format!("channel {channel:?}"),
        ImportRow::Publication { user, channel, timestamp, .. } => {
            format!("publication of {user:?} in {channel:?} at {timestamp}")
        }
        ImportRow::Private { src, dst, timestamp, .. } => {
            format!("message from {src:?} to {dst:?} at {timestamp}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publication(bytes: usize) -> ImportRow {
        ImportRow::Publication {
            user: "ana".into(),
            channel: "general".into(),
            message: "x".repeat(bytes),
            timestamp: 1,
            clock: 1,
        }
    }

    #[test]
    fn pages_are_bounded_by_rows_and_by_bytes() {
        let small = publication(1);
        assert_eq!(page_length(&vec![&small; MAX_PAGE_ROWS + 5]), MAX_PAGE_ROWS);
        assert_eq!(page_length(&[&small; 5]), 5);
        let large = publication(MAX_PAGE_BYTES / 3);
        assert_eq!(page_length(&[&large; 5]), 2);
        let huge = publication(MAX_PAGE_BYTES * 2);
        assert_eq!(page_length(&[&huge, &small]), 1);
    }
}
