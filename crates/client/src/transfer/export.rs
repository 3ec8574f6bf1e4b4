//! From the cluster, or from one server's copy, into the four files.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;

use recado_protocol::limits::MAX_PAGE_ROWS;
use recado_protocol::message::ExportTable;
use recado_protocol::{ImportRow, Reply, Request};

use super::TransferError;
use super::files::{NewFile, file_name, row_json, sync_folder};
use crate::error::ClientError;
use crate::session::Client;

/// How many rows were written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExportReport {
    /// To `users.json`.
    pub users: u64,
    /// To `channels.json`.
    pub channels: u64,
    /// To `messages.json`.
    pub messages: u64,
    /// To `publications.json`.
    pub publications: u64,
}

/// Where the rows of the four files come from.
pub trait Source {
    /// The rows of a table behind a cursor, which the page before gave, and the next cursor; none
    /// behind the last row.
    fn page(
        &self,
        table: ExportTable,
        after: Option<bytes::Bytes>,
    ) -> impl Future<Output = Result<(Vec<ImportRow>, Option<bytes::Bytes>), TransferError>>;
}

impl Source for Client {
    async fn page(
        &self,
        table: ExportTable,
        after: Option<bytes::Bytes>,
    ) -> Result<(Vec<ImportRow>, Option<bytes::Bytes>), TransferError> {
        let request = Request::Export { table, after, limit: MAX_PAGE_ROWS };
        match self.request(request).await? {
            Reply::Export { rows, next } => Ok((rows, next)),
            _ => Err(ClientError::BadReply("it does not answer export".to_owned()).into()),
        }
    }
}

/// Writes the four files into this folder, which is made if it is not there. Each file is
/// replaced at once, and only after all four were written completely.
///
/// Messages stand in the order of the log, users and channels by name, so that the same content
/// always gives the same files. `lastSeen` is the later one of what is stored and the user's
/// newest message.
///
/// # Errors
/// When the rows can't be had or a file can't be written; the old files are left then.
pub async fn export(source: &impl Source, dir: &Path) -> Result<ExportReport, TransferError> {
    std::fs::create_dir_all(dir).map_err(TransferError::file("make the folder", dir))?;
    let mut report = ExportReport::default();
    let mut seen = BTreeMap::new();
    // Messages first: a channel or user that appears meanwhile is then in the later tables.
    let publications = NewFile::create(dir, file_name(ExportTable::Publications))?;
    let publications = messages(source, ExportTable::Publications, publications, &mut seen).await?;
    let private = NewFile::create(dir, file_name(ExportTable::Messages))?;
    let private = messages(source, ExportTable::Messages, private, &mut seen).await?;
    let channels = NewFile::create(dir, file_name(ExportTable::Channels))?;
    let channels = sorted(source, ExportTable::Channels, channels, &seen).await?;
    let users = NewFile::create(dir, file_name(ExportTable::Users))?;
    let users = sorted(source, ExportTable::Users, users, &seen).await?;
    report.publications = publications.rows();
    report.messages = private.rows();
    report.channels = channels.rows();
    report.users = users.rows();
    let finished = [users, channels, private, publications];
    let finished: Vec<_> = finished.into_iter().map(NewFile::finish).collect::<Result<_, _>>()?;
    for file in finished {
        file.put_in_place()?;
    }
    sync_folder(dir)?;
    Ok(report)
}

/// Writes rows as they come, and remembers when each sender was last seen.
async fn messages(
    source: &impl Source,
    table: ExportTable,
    mut file: NewFile,
    seen: &mut BTreeMap<String, u64>,
) -> Result<NewFile, TransferError> {
    let mut pages = Pages::new(table);
    while let Some(rows) = pages.next(source).await? {
        for row in rows {
            if let ImportRow::Publication { user: sender, timestamp, .. }
            | ImportRow::Private { src: sender, timestamp, .. } = &row
            {
                match seen.get_mut(sender) {
                    Some(newest) => *newest = (*newest).max(*timestamp),
                    None => {
                        seen.insert(sender.clone(), *timestamp);
                    }
                }
            }
            file.write(&row_json(&row))?;
        }
    }
    Ok(file)
}

/// Writes users or channels by name, in whatever order the servers keep them.
async fn sorted(
    source: &impl Source,
    table: ExportTable,
    mut file: NewFile,
    seen: &BTreeMap<String, u64>,
) -> Result<NewFile, TransferError> {
    let mut by_name = BTreeMap::new();
    let mut pages = Pages::new(table);
    while let Some(rows) = pages.next(source).await? {
        for mut row in rows {
            let name = match &mut row {
                ImportRow::User { user, seen_ms, .. } => {
                    let newest = seen.get(user.as_str()).copied().unwrap_or(0);
                    *seen_ms = (*seen_ms).max(newest);
                    user.clone()
                }
                ImportRow::Channel { channel } => channel.clone(),
                _ => continue,
            };
            by_name.insert(name, row);
        }
    }
    for row in by_name.values() {
        file.write(&row_json(row))?;
    }
    Ok(file)
}

/// Walks through one table, page by page.
pub(super) struct Pages {
    table: ExportTable,
    after: Option<bytes::Bytes>,
    done: bool,
}

impl Pages {
    pub(super) fn new(table: ExportTable) -> Pages {
        Pages { table, after: None, done: false }
    }

    /// The next page; none behind the last one.
    pub(super) async fn next(
        &mut self,
        source: &impl Source,
    ) -> Result<Option<Vec<ImportRow>>, TransferError> {
        if self.done {
            return Ok(None);
        }
        let (rows, next) = source.page(self.table, self.after.take()).await?;
        self.done = next.is_none();
        self.after = next;
        Ok(Some(rows))
    }
}
