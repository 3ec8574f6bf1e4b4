//! Pages of the export.

use recado_chat::{ImportedRow, Stamp};

use crate::error::StoreError;
use crate::history::{Messages, PageLimit};
use crate::reader::Reader;
use crate::{tables, values};

/// How many rows that are not wanted a page may pass over, for each one that is allowed on it.
const SCAN_FACTOR: usize = 16;

/// The four tables of the export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExportTable {
    /// Users, in the order of their creation.
    Users,
    /// Channels, in the order of their creation.
    Channels,
    /// Private messages, in the order of the log.
    Messages,
    /// Publications, in the order of the log.
    Publications,
}

/// A page of an export, in the form that an import takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportPage {
    /// The rows; may be none before the end.
    pub rows: Vec<ImportedRow>,
    /// Where the next page begins; none at the end.
    pub next: Option<Vec<u8>>,
}

impl Reader {
    /// The table's rows behind a cursor, which is what the page before said, or nothing for the
    /// first page. Rows that are written between two pages show up at the end; none is repeated
    /// or left out.
    ///
    /// # Errors
    /// When the cursor is none of ours, the file can't be read or a row is damaged.
    pub fn export_page(
        &self,
        table: ExportTable,
        cursor: Option<&[u8]>,
        limit: PageLimit,
    ) -> Result<ExportPage, StoreError> {
        let after = match cursor.map(<[u8; 8]>::try_from) {
            None => None,
            Some(Ok(bytes)) => Some(u64::from_be_bytes(bytes)),
            Some(Err(_)) => {
                return Err(StoreError::Failed("the export's cursor is not valid".into()));
            }
        };
        let Some(first) = after.map_or(Some(0), |after| after.checked_add(1)) else {
            return Ok(ExportPage::default());
        };
        self.look(|| match table {
            ExportTable::Users => self.export_topics(true, first, limit),
            ExportTable::Channels => self.export_topics(false, first, limit),
            ExportTable::Messages => self.export_messages(true, first, limit),
            ExportTable::Publications => self.export_messages(false, first, limit),
        })
    }

    fn export_topics(
        &self,
        users: bool,
        first: u64,
        limit: PageLimit,
    ) -> Result<ExportPage, StoreError> {
        let mut page = Page::new(limit);
        let Ok(first) = u32::try_from(first) else { return Ok(page.done()) };
        let table = self.table(if users { tables::USERS } else { tables::CHANNELS })?;
        for row in table.range(first..)? {
            let (id, value) = row?;
            let (row, bytes) = if users { user(value.value())? } else { channel(value.value())? };
            if page.is_full_for(bytes) {
                return Ok(page.cut());
            }
            page.add(u64::from(id.value()), Some(row), bytes);
        }
        Ok(page.done())
    }

    fn export_messages(
        &self,
        private: bool,
        first: u64,
        limit: PageLimit,
    ) -> Result<ExportPage, StoreError> {
        let mut page = Page::new(limit);
        let mut messages = Messages::open(self)?;
        for row in self.table(tables::MESSAGES)?.range(first..)? {
            let (key, value) = row?;
            let row = values::read_message(value.value())?;
            let bytes = if row.private == private { row.text.len() + row.from.len() } else { 0 };
            if page.is_full_for(bytes) {
                return Ok(page.cut());
            }
            let wanted = if row.private == private {
                let stamp = row.stamp;
                Some(message(messages.resolve(key.value(), &row)?, stamp))
            } else {
                None
            };
            page.add(key.value(), wanted, bytes);
        }
        Ok(page.done())
    }
}

/// A page that fills up.
struct Page {
    rows: Vec<ImportedRow>,
    limit: PageLimit,
    bytes: usize,
    scanned: usize,
    last: u64,
}

impl Page {
    fn new(limit: PageLimit) -> Page {
        let limit = PageLimit { rows: limit.rows.max(1), bytes: limit.bytes };
        Page { rows: Vec::new(), limit, bytes: 0, scanned: 0, last: 0 }
    }

    /// One row always fits, whatever its size.
    fn is_full_for(&self, bytes: usize) -> bool {
        self.rows.len() >= self.limit.rows
            || self.scanned >= self.limit.rows.saturating_mul(SCAN_FACTOR)
            || (!self.rows.is_empty() && self.bytes + bytes > self.limit.bytes)
    }

    fn add(&mut self, key: u64, row: Option<ImportedRow>, bytes: usize) {
        self.rows.extend(row);
        self.bytes += bytes;
        self.scanned += 1;
        self.last = key;
    }

    fn cut(self) -> ExportPage {
        ExportPage { rows: self.rows, next: Some(self.last.to_be_bytes().to_vec()) }
    }

    fn done(self) -> ExportPage {
        ExportPage { rows: self.rows, next: None }
    }
}

fn user(value: &[u8]) -> Result<(ImportedRow, usize), StoreError> {
    let row = values::read_user(value)?;
    let bytes = row.name.len();
    let (login_ms, seen_ms, created_ms) = (row.login_ms, row.seen_ms, row.created_ms);
    Ok((ImportedRow::User { user: row.name, login_ms, seen_ms, created_ms }, bytes))
}

fn channel(value: &[u8]) -> Result<(ImportedRow, usize), StoreError> {
    let channel = values::read_channel(value)?.name;
    let bytes = channel.len();
    Ok((ImportedRow::Channel { channel }, bytes))
}

fn message(row: crate::reader::StoredMessage, stamp: Stamp) -> ImportedRow {
    if row.private {
        ImportedRow::Private { src: row.from, dst: row.to, message: row.text, stamp }
    } else {
        ImportedRow::Publication { user: row.from, channel: row.to, message: row.text, stamp }
    }
}
