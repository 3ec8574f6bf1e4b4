//! What fuzzers feed that nobody else needs to name: rows, and snapshot files with checksums that
//! fit.

use std::path::Path;

use recado_chat::{Command, LogEntry, Origin, Stamp};

use crate::snapshot::{CHUNK_HEAD_BYTES, MAGIC, chunk_checksum};
use crate::{Logged, Marks, Store, values, verify_snapshot};

/// Reads a row of any table, as a snapshot brings it.
pub fn row(table: u8, key: &[u8], value: &[u8]) {
    _ = values::check(table, key, value);
}

/// A snapshot file of these pieces: each a byte for its table, two for its length, and its rows.
/// Lengths, counts and checksums fit, so that what is behind them is reached.
pub fn sealed_snapshot(mut pieces: &[u8]) -> Vec<u8> {
    let mut file = MAGIC.to_vec();
    let (mut chunks, mut rows) = (0u64, 0u64);
    while let [table, low, high, rest @ ..] = pieces {
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
        let (payload, behind) = rest.split_at(length);
        put(&mut file, *table, payload);
        chunks += 1;
        rows += if *table == 0 { 0 } else { count(payload) };
        pieces = behind;
    }
    let whole = crc32fast::hash(&file);
    let footer = [&rows.to_le_bytes()[..], &chunks.to_le_bytes(), &whole.to_le_bytes()].concat();
    put(&mut file, u8::MAX, &footer);
    file
}

/// The pieces of which [`sealed_snapshot`] would make a file like this one.
pub fn pieces(file: &[u8]) -> Vec<u8> {
    let mut pieces = Vec::new();
    let mut rest = file.get(MAGIC.len()..).unwrap_or_default();
    while let [table, a, b, c, d, ..] = rest {
        let length = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
        let Some(payload) = rest.get(CHUNK_HEAD_BYTES..CHUNK_HEAD_BYTES + length) else { break };
        if let (Ok(short), true) = (u16::try_from(length), *table != u8::MAX) {
            pieces.push(*table);
            pieces.extend(short.to_le_bytes());
            pieces.extend(payload);
        }
        rest = &rest[CHUNK_HEAD_BYTES + length..];
    }
    pieces
}

/// A snapshot with something in most tables, as [`pieces`].
pub fn snapshot_pieces(folder: &Path) -> Option<Vec<u8>> {
    let store = Store::open(folder).ok()?;
    let text = |text: &str| text.to_owned();
    let commands = [
        Command::Session { session: 3 },
        Command::Login { user: text("ana") },
        Command::Channel { channel: text("geral") },
        Command::Publish { user: text("ana"), channel: text("geral"), message: text("a") },
        Command::Message { src: text("ana"), dst: text("bob"), message: text("b") },
    ];
    let batch = (1u64..).zip(commands).map(|(n, command)| {
        let stamp = Stamp { time_ms: 1_760_000_000_000 + n, clock: n };
        let origin = (n > 1).then_some(Origin { session: 3, n, digest: n });
        Logged { position: n, entry: Some(LogEntry { stamp, origin, published: 0, command }) }
    });
    let marks = Marks { applied: b"applied".to_vec(), membership: b"members".to_vec() };
    store.apply(&batch.collect::<Vec<_>>(), &marks).ok()?;
    let path = folder.join("snapshot");
    store.reader().ok()?.write_snapshot(&path).ok()?;
    std::fs::read(path).ok().map(|file| pieces(&file))
}

/// Rows of most tables: the table, the key's length, the key, the value.
pub fn rows(folder: &Path) -> Vec<Vec<u8>> {
    let pieces = snapshot_pieces(folder).unwrap_or_default();
    let mut rows = Vec::new();
    let mut rest = &pieces[..];
    while let [table, low, high, behind @ ..] = rest {
        let (payload, behind) = behind.split_at(usize::from(u16::from_le_bytes([*low, *high])));
        if let Some((lengths, row)) = payload.split_first_chunk::<8>() {
            rows.push([&[*table, lengths[0]], row].concat());
        }
        rest = behind;
    }
    rows
}

/// Whether a file passes for a snapshot. What passes can be installed, and what is installed read.
///
/// # Panics
/// When it is not so.
pub fn snapshot(folder: &Path, file: &[u8]) -> bool {
    let path = folder.join("fuzzed.in");
    if std::fs::write(&path, file).is_err() || verify_snapshot(&path).is_err() {
        return false;
    }
    let store = Store::open(folder).unwrap_or_else(|why| panic!("no store: {why}"));
    store.install(&path).unwrap_or_else(|why| panic!("verified, and not installed: {why}"));
    let rows = store.reader().unwrap_or_else(|why| panic!("installed, and not readable: {why}"));
    rows.state_hash().unwrap_or_else(|why| panic!("installed, and not readable: {why}"));
    true
}

fn put(file: &mut Vec<u8>, table: u8, payload: &[u8]) {
    // Pieces are shorter than 64 KiB.
    let length = u32::try_from(payload.len()).unwrap_or(0);
    file.push(table);
    file.extend(length.to_le_bytes());
    file.extend(chunk_checksum(table, length, payload).to_le_bytes());
    file.extend(payload);
}

/// How many rows a piece has: each is the lengths of its key and value, and both.
fn count(mut payload: &[u8]) -> u64 {
    let mut rows = 0;
    while let Some((lengths, rest)) = payload.split_first_chunk::<8>() {
        let [a, b, c, d, e, f, g, h] = *lengths;
        let key = u32::from_le_bytes([a, b, c, d]) as usize;
        let value = u32::from_le_bytes([e, f, g, h]) as usize;
        let Some(rest) = rest.get(key..).and_then(|rest| rest.get(value..)) else { break };
        rows += 1;
        payload = rest;
    }
    rows
}
