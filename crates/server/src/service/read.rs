//! Reads: any server answers them, from a view of the rows that shows all that was acknowledged
//! before the request came.

use bytes::Bytes;
use recado_chat::ImportedRow;
use recado_protocol::limits::{MAX_PAGE_BYTES, MAX_PAGE_ROWS};
use recado_protocol::message::{ExportTable, HistoryOf, HistoryQuery};
use recado_protocol::{Code, HistoryReply, ImportRow, Record, Refusal, Reply, Request};
use recado_storage::{PageLimit, Reader, StoreError, StoredMessage};

use super::Service;
use super::command::{no_answer, refused};
use crate::cluster::Cluster;
use crate::config::INLINE_HISTORY_ROWS;
use crate::frames::Answer;

/// The store's cursors are numbers.
const CURSOR_BYTES: usize = 8;

impl<C: Cluster> Service<C> {
    pub(super) async fn read(&self, request: Request) -> Answer {
        let Ok(reader) = self.cluster.read().await else {
            return Answer::ELSEWHERE;
        };
        let service = request.service();
        let reply = if is_small(&request) {
            look(&reader, request)
        } else {
            // A long read on the runtime's only thread would hold up heartbeats.
            match tokio::task::spawn_blocking(move || look(&reader, request)).await {
                Ok(reply) => reply,
                Err(error) => Err(StoreError::Failed(error.to_string())),
            }
        };
        match reply {
            Ok(reply) => self.done(service, &reply),
            Err(error) => {
                tracing::error!(%error, service, "a read failed");
                Answer::ELSEWHERE
            }
        }
    }
}

fn is_small(request: &Request) -> bool {
    matches!(request, Request::History(query) if query.limit <= INLINE_HISTORY_ROWS)
}

fn look(reader: &Reader, request: Request) -> Result<Reply, StoreError> {
    match request {
        Request::Users => Ok(Reply::Users(reader.users()?)),
        Request::Channels => Ok(Reply::Channels(reader.channels()?)),
        Request::History(query) => history(reader, &query),
        Request::Export { table, after, limit } => export(reader, table, after.as_deref(), limit),
        _ => Ok(Reply::Refused(no_answer(false))),
    }
}

fn page_limit(rows: usize) -> PageLimit {
    PageLimit { rows: rows.min(MAX_PAGE_ROWS), bytes: MAX_PAGE_BYTES }
}

fn history(reader: &Reader, query: &HistoryQuery) -> Result<Reply, StoreError> {
    let of = match &query.of {
        HistoryOf::Channel(name) if !reader.has_channel(name)? => {
            return Ok(Reply::Refused(refused(recado_chat::Refusal::UnknownChannel)));
        }
        HistoryOf::Inbox(name) if !reader.has_user(name)? => {
            return Ok(Reply::Refused(refused(recado_chat::Refusal::UnknownUser)));
        }
        HistoryOf::Channel(name) => recado_storage::HistoryOf::Channel(name),
        HistoryOf::Inbox(name) => recado_storage::HistoryOf::Inbox(name),
        // A sender need not have logged in, so an unknown name is no reason to refuse here.
        HistoryOf::Conversation { user, with } => {
            recado_storage::HistoryOf::Conversation { user, with }
        }
    };
    let page = reader.history(of, query.after, query.before, page_limit(query.limit))?;
    let messages = page.messages.into_iter().map(record).collect();
    Ok(Reply::History(HistoryReply { messages, newest: page.newest }))
}

/// A stored message as the wire has it.
pub(crate) fn record(stored: StoredMessage) -> Record {
    Record {
        from: stored.from,
        to: stored.to,
        message: stored.text,
        timestamp: stored.timestamp,
        clock: stored.clock,
        id: Bytes::copy_from_slice(&stored.id),
        seq: stored.seq,
        pos: stored.pos,
        private: stored.private,
    }
}

/// A page of an export.
pub(crate) fn export(
    reader: &Reader,
    table: ExportTable,
    after: Option<&[u8]>,
    limit: usize,
) -> Result<Reply, StoreError> {
    if after.is_some_and(|cursor| cursor.len() != CURSOR_BYTES) {
        let text = "the cursor `after` is none that an export gave";
        return Ok(Reply::Refused(Refusal::new(Code::Malformed, text)));
    }
    let table = match table {
        ExportTable::Users => recado_storage::ExportTable::Users,
        ExportTable::Channels => recado_storage::ExportTable::Channels,
        ExportTable::Messages => recado_storage::ExportTable::Messages,
        ExportTable::Publications => recado_storage::ExportTable::Publications,
    };
    let page = reader.export_page(table, after, page_limit(limit))?;
    let rows = page.rows.into_iter().map(exported).collect();
    Ok(Reply::Export { rows, next: page.next.map(Bytes::from) })
}

fn exported(row: ImportedRow) -> ImportRow {
    match row {
        ImportedRow::User { user, login_ms, seen_ms, created_ms } => {
            ImportRow::User { user, login_ms, seen_ms, created_ms }
        }
        ImportedRow::Channel { channel } => ImportRow::Channel { channel },
        ImportedRow::Publication { user, channel, message, stamp } => ImportRow::Publication {
            user,
            channel,
            message,
            timestamp: stamp.time_ms,
            clock: stamp.clock,
        },
        ImportedRow::Private { src, dst, message, stamp } => {
            ImportRow::Private { src, dst, message, timestamp: stamp.time_ms, clock: stamp.clock }
        }
    }
}
