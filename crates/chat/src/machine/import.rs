//! Rows of an import: stored with the times they bring, left out one by one where they can't be.

use super::post::{self, Post};
use super::{Outcome, Refusal, create_channel, create_user};
use crate::command::{ImportedRow, LogEntry, Stamp};
use crate::rows::{Holder, MessageKey, Rows, UserRow};

/// Applies the rows in their order, so that a message finds the channel of a row before it.
///
/// Users and channels that exist are known and left as they are. Messages are always appended:
/// whether the same one is there already is for the importing tool to find out, as only it knows
/// which of several equal rows it means; a repeat of the *entry* is caught by its origin.
pub(super) fn apply<R: Rows>(
    rows: &mut R,
    position: u64,
    entry: &LogEntry,
    imported: &[ImportedRow],
) -> Result<Outcome, R::Error> {
    let mut results = Vec::with_capacity(imported.len());
    for (number, row) in imported.iter().enumerate() {
        results.push(match u16::try_from(number) {
            Ok(number) => one(rows, (position, number), entry, row)?,
            Err(_) => Err(Refusal::TooLarge),
        });
    }
    debug_assert!(MessageKey::MAX_ROWS == usize::from(u16::MAX) + 1);
    Ok(Outcome::Imported(results))
}

fn one<R: Rows>(
    rows: &mut R,
    place: (u64, u16),
    entry: &LogEntry,
    row: &ImportedRow,
) -> Result<Result<bool, Refusal>, R::Error> {
    match row {
        ImportedRow::User { user, login_ms, seen_ms, created_ms } => {
            if matches!(rows.name(user)?.map(|name| name.holder), Some(Holder::User(_))) {
                return Ok(Ok(false));
            }
            let row = UserRow {
                name: user.clone(),
                created_ms: *created_ms,
                login_ms: *login_ms,
                seen_ms: *seen_ms,
            };
            Ok(create_user(rows, row)?.map(|_| true))
        }
        ImportedRow::Channel { channel } => Ok(match create_channel(rows, entry.stamp, channel)? {
            Ok(_) => Ok(true),
            Err(Refusal::ChannelExists) => Ok(false),
            Err(refusal) => Err(refusal),
        }),
        ImportedRow::Publication { user, channel, message, stamp } => {
            let post = Post { from: user, to: channel, text: message, private: false };
            message_row(rows, place, entry, *stamp, post)
        }
        ImportedRow::Private { src, dst, message, stamp } => {
            let post = Post { from: src, to: dst, text: message, private: true };
            message_row(rows, place, entry, *stamp, post)
        }
    }
}

fn message_row<R: Rows>(
    rows: &mut R,
    place: (u64, u16),
    entry: &LogEntry,
    stamp: Stamp,
    post: Post<'_>,
) -> Result<Result<bool, Refusal>, R::Error> {
    post::imported(rows, place, entry.origin, stamp, post)
}
