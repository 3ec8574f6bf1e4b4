//! From requests to commands, and from outcomes to replies.

use bytes::Bytes;
use recado_chat::command::ImportedRow;
use recado_chat::{Command, Outcome, Stamp};
use recado_protocol::limits::SESSION_WINDOW_REQUESTS;
use recado_protocol::reply::{Ack, ImportResult};
use recado_protocol::{Code, ImportRow, Refusal, Reply, Request};
use recado_replication::{Committed, imported_row};

use super::check::message_refusal;

/// Sessions stay below this, so that programs whose numbers are doubles can carry them.
const MAX_SESSION: u64 = 1 << 53;

/// Rows of an import that are not worth a place in the log, by their index.
pub type LeftOut = Vec<(usize, Refusal)>;

/// The command that carries out a write; none for a read. What is random is decided here, once,
/// by the primary.
pub fn command(request: Request, message_limit_bytes: usize) -> Option<(Command, LeftOut)> {
    let command = match request {
        Request::Login { user } => Command::Login { user },
        Request::Channel { channel } => Command::Channel { channel },
        Request::Publish { user, channel, message } => Command::Publish { user, channel, message },
        Request::Message { src, dst, message } => Command::Message { src, dst, message },
        Request::Session => Command::Session { session: rand::random_range(1..MAX_SESSION) },
        Request::Import { rows } => return Some(import(rows, message_limit_bytes)),
        Request::Users
        | Request::Channels
        | Request::History(_)
        | Request::Status
        | Request::Remove { .. }
        | Request::Export { .. } => return None,
    };
    Some((command, LeftOut::new()))
}

fn import(rows: Vec<ImportRow>, message_limit_bytes: usize) -> (Command, LeftOut) {
    let mut left_out = LeftOut::new();
    let mut kept = Vec::with_capacity(rows.len());
    for (index, row) in rows.into_iter().enumerate() {
        let refusal = row_refusal(&row, message_limit_bytes);
        let row = imported(row);
        // A refused entry would take all of its rows along.
        let unfit = || imported_row(&row).err().map(|why| Refusal::new(Code::Malformed, why));
        match refusal.or_else(unfit) {
            Some(refusal) => left_out.push((index, refusal)),
            None => kept.push(row),
        }
    }
    (Command::Import { rows: kept }, left_out)
}

fn row_refusal(row: &ImportRow, message_limit_bytes: usize) -> Option<Refusal> {
    match row {
        ImportRow::Publication { message, .. } | ImportRow::Private { message, .. } => {
            message_refusal(message, message_limit_bytes)
        }
        ImportRow::User { .. } | ImportRow::Channel { .. } => None,
    }
}

fn imported(row: ImportRow) -> ImportedRow {
    match row {
        ImportRow::User { user, login_ms, seen_ms, created_ms } => {
            ImportedRow::User { user, login_ms, seen_ms, created_ms }
        }
        ImportRow::Channel { channel } => ImportedRow::Channel { channel },
        ImportRow::Publication { user, channel, message, timestamp, clock } => {
            let stamp = Stamp { time_ms: timestamp, clock };
            ImportedRow::Publication { user, channel, message, stamp }
        }
        ImportRow::Private { src, dst, message, timestamp, clock } => {
            let stamp = Stamp { time_ms: timestamp, clock };
            ImportedRow::Private { src, dst, message, stamp }
        }
    }
}

/// The reply that tells what a committed command came to.
pub fn reply(committed: Committed, left_out: LeftOut) -> Reply {
    match committed.outcome {
        Outcome::Done => Reply::Done,
        Outcome::Stored { id, seq } => Reply::Acked(Ack {
            id: Bytes::copy_from_slice(&id),
            seq,
            stored: committed.stored,
            members: committed.members,
        }),
        Outcome::Session { session } => Reply::Session { session, window: SESSION_WINDOW_REQUESTS },
        Outcome::Imported(results) => Reply::Import(import_results(results, left_out)),
        Outcome::Refused(refusal) => Reply::Refused(refused(refusal)),
    }
}

fn import_results(
    results: Vec<Result<bool, recado_chat::Refusal>>,
    left_out: LeftOut,
) -> Vec<ImportResult> {
    let mut all: Vec<ImportResult> = results
        .into_iter()
        .map(|result| match result {
            Ok(true) => ImportResult::Stored,
            Ok(false) => ImportResult::Known,
            Err(refusal) => ImportResult::LeftOut(refused(refusal)),
        })
        .collect();
    // In ascending order of index, so every insertion lands where the row stood.
    for (index, refusal) in left_out {
        all.insert(index.min(all.len()), ImportResult::LeftOut(refusal));
    }
    all
}

/// A refusal of the state machine, with its code and a sentence.
pub fn refused(refusal: recado_chat::Refusal) -> Refusal {
    use recado_chat::Refusal as R;
    let (code, text) = match refusal {
        R::ChannelExists => (Code::ChannelExists, "the channel exists already"),
        R::UnknownChannel => (Code::UnknownChannel, "no such channel; create it first"),
        R::UnknownUser => (Code::UnknownUser, "no such user; nobody has logged in under this name"),
        R::InvalidName => (
            Code::InvalidName,
            "not a valid name: 1 to 64 characters in Unicode NFC, single spaces only inside, \
             no control characters, not `servers`",
        ),
        R::NameTaken => {
            (Code::NameTaken, "the name is taken: a user and a channel can't share a name")
        }
        R::IdConflict => (Code::IdConflict, "another request came under the same id"),
        R::IdExpired => (
            Code::IdExpired,
            "the session is unknown or the request too old for it; not done now: \
             look into the history, then send it under a new id",
        ),
        R::TooLarge => (Code::TooLarge, "more than one entry, or the store, has room for"),
        // Only servers are removed; no client's request comes to this.
        R::Removed => (Code::Unavailable, "the server was removed from the cluster"),
    };
    Refusal::new(code, text)
}

/// What a writer is told while there would be too few copies.
pub fn too_few(active: u32, needed: u32) -> Refusal {
    let are = if active == 1 { "server is" } else { "servers are" };
    let text = format!(
        "writes need {needed} active servers (--min-copies) and {active} {are} active; nothing was \
         done, start the others or wait until they have caught up"
    );
    Refusal::new(Code::Unavailable, text)
}

/// What somebody is told whose request found nobody to carry it out.
pub fn no_answer(uncertain: bool) -> Refusal {
    if uncertain {
        Refusal::new(
            Code::Unknown,
            "the request may have been carried out; look before you repeat it",
        )
    } else {
        Refusal::new(
            Code::Unavailable,
            "no server can take the request now; nothing was done, try again",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_random_and_fit_a_double() {
        let draw = || match command(Request::Session, 10) {
            Some((Command::Session { session }, _)) => session,
            other => panic!("{other:?}"),
        };
        let drawn: Vec<u64> = (0..100).map(|_| draw()).collect();
        assert!(drawn.iter().all(|session| (1..MAX_SESSION).contains(session)));
        assert_ne!(drawn[0], drawn[1]);
    }

    #[test]
    fn reads_are_no_commands() {
        for request in [Request::Users, Request::Channels, Request::Status] {
            assert!(!request.is_write());
            assert_eq!(command(request, 10), None);
        }
    }

    #[test]
    fn a_row_of_no_possible_time_is_left_out_alone() {
        let user =
            |login_ms| ImportRow::User { user: "a".into(), login_ms, seen_ms: 1, created_ms: 1 };
        let (command, left_out) = import(vec![user(1), user(u64::MAX), user(2)], 10);
        assert!(matches!(command, Command::Import { rows } if rows.len() == 2));
        let [(1, refusal)] = left_out.as_slice() else { panic!("{left_out:?}") };
        assert_eq!(refusal.code, Code::Malformed);
    }

    #[test]
    fn rows_that_are_left_out_keep_their_place_among_the_results() {
        let long = |n: usize| ImportRow::Publication {
            user: "a".into(),
            channel: "c".into(),
            message: "x".repeat(n),
            timestamp: 1,
            clock: 1,
        };
        let rows = vec![long(11), ImportRow::Channel { channel: "c".into() }, long(12), long(2)];
        let (command, left_out) = import(rows, 10);
        assert!(matches!(command, Command::Import { rows } if rows.len() == 2));
        let results = import_results(vec![Ok(true), Ok(false)], left_out);
        assert!(matches!(
            results.as_slice(),
            [
                ImportResult::LeftOut(_),
                ImportResult::Stored,
                ImportResult::LeftOut(_),
                ImportResult::Known
            ]
        ));
    }
}
