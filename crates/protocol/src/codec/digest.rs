//! What tells a repeated request from another one under the same id.

use sha2::{Digest, Sha256};

use crate::message::{HistoryOf, ImportRow, Request};

/// A stable digest of what a request asks for (not of its id, clock or timestamp), with which a
/// repeat is told from another request under the same id.
///
/// It stands in the replicated state beside the results, so it must come out the same in every
/// release: the first eight bytes of SHA-256 over the service's name and the fields in a fixed
/// order, each with its length in front, so that no two requests run into the same bytes.
pub fn request_digest(request: &Request) -> u64 {
    let mut parts = Parts(Sha256::new());
    parts.text(request.service());
    match request {
        Request::Users | Request::Channels | Request::Session | Request::Status => {}
        Request::Login { user } => parts.text(user),
        Request::Channel { channel } => parts.text(channel),
        Request::Publish { user, channel, message } => {
            parts.texts([user, channel, message]);
        }
        Request::Message { src, dst, message } => {
            parts.texts([src, dst, message]);
        }
        Request::History(query) => {
            parts.texts(match &query.of {
                HistoryOf::Channel(channel) => ["channel", channel, ""],
                HistoryOf::Inbox(user) => ["inbox", user, ""],
                HistoryOf::Conversation { user, with } => ["conversation", user, with],
            });
            parts.optional_number(query.after);
            parts.optional_number(query.before);
            parts.number(query.limit as u64);
        }
        Request::Export { table, after, limit } => {
            parts.text(table.as_str());
            parts.number(u64::from(after.is_some()));
            parts.bytes(after.as_deref().unwrap_or_default());
            parts.number(*limit as u64);
        }
        Request::Import { rows } => rows.iter().for_each(|row| parts.row(row)),
        Request::Remove { server } => parts.text(server),
    }
    let hash: [u8; 32] = parts.0.finalize().into();
    hash.first_chunk::<8>().map_or(0, |first| u64::from_be_bytes(*first))
}

/// A hash over parts that can't run into each other.
struct Parts(Sha256);

impl Parts {
    fn number(&mut self, n: u64) {
        self.0.update(n.to_be_bytes());
    }

    fn optional_number(&mut self, n: Option<u64>) {
        self.number(u64::from(n.is_some()));
        self.number(n.unwrap_or(0));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.update(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn texts<const N: usize>(&mut self, texts: [&str; N]) {
        texts.into_iter().for_each(|text| self.text(text));
    }

    fn numbers<const N: usize>(&mut self, numbers: [u64; N]) {
        numbers.into_iter().for_each(|n| self.number(n));
    }

    fn row(&mut self, row: &ImportRow) {
        match row {
            ImportRow::User { user, login_ms, seen_ms, created_ms } => {
                self.texts(["user", user]);
                self.numbers([*login_ms, *seen_ms, *created_ms]);
            }
            ImportRow::Channel { channel } => {
                self.texts(["channel", channel]);
            }
            ImportRow::Publication { user, channel, message, timestamp, clock } => {
                self.texts(["publication", user, channel, message]);
                self.numbers([*timestamp, *clock]);
            }
            ImportRow::Private { src, dst, message, timestamp, clock } => {
                self.texts(["private", src, dst, message]);
                self.numbers([*timestamp, *clock]);
            }
        }
    }
}
