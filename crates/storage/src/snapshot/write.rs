//! Writing a snapshot file.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

#[cfg(feature = "planted")]
use recado_chat::planted::{self, Bug};

use super::{CHUNK_BYTES, FOOTER, FORMAT, HEADER, MAGIC, MAX_CHUNK_BYTES, chunk_checksum};
use crate::damage::sync_folder_of;
use crate::error::StoreError;
use crate::reader::Reader;
use crate::tables::{each_row, each_table};

/// Writes the reader's view: under another name first, synced, then renamed, and the folder
/// synced too, or the name could be gone after a power cut.
pub(crate) fn write(reader: &Reader, path: &Path) -> Result<(), StoreError> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".tmp");
    let unfinished = Path::new(&unfinished);
    let failed = |error: std::io::Error| StoreError::file("write", unfinished, &error);
    let written = File::create(unfinished)
        .map_err(failed)
        .and_then(|file| {
            write_to(reader, &file, |_| Ok(()))?;
            file.sync_all().map_err(failed)
        })
        .and_then(|()| {
            std::fs::rename(unfinished, path)
                .map_err(|error| StoreError::file("rename to", path, &error))
        })
        .and_then(|()| {
            sync_folder_of(path)
                .map_err(|error| StoreError::file("sync the folder of", path, &error))
        });
    if written.is_err() {
        // A leftover does no harm, the next snapshot writes over it.
        let _ = std::fs::remove_file(unfinished);
    }
    written
}

/// Writes the reader's view to a file that is empty, and syncs nothing. After each chunk `watch` is
/// called with the bytes written so far, and may end it with an error.
pub(crate) fn write_to(
    reader: &Reader,
    file: &File,
    watch: impl FnMut(u64) -> std::io::Result<()>,
) -> Result<(), StoreError> {
    let mut chunks = Chunks {
        out: BufWriter::with_capacity(64 * 1024, file),
        watch,
        bytes: 0,
        checksum: crc32fast::Hasher::new(),
        payload: Vec::with_capacity(CHUNK_BYTES * 2),
        rows: 0,
        chunks: 0,
    };
    chunks.put(MAGIC)?;
    chunks.header(reader)?;
    macro_rules! dump {
        ($number:expr, $table:expr) => {
            each_row(&reader.table($table)?, |key, value| chunks.row($number, key, value))?;
            chunks.end($number)?;
        };
    }
    each_table!(dump);
    chunks.footer()?;
    chunks.out.flush().map_err(failed)
}

fn failed(error: std::io::Error) -> StoreError {
    StoreError::Failed(format!("can't write a snapshot: {error}"))
}

/// The file as it grows, one chunk in memory.
struct Chunks<'a, W> {
    out: BufWriter<&'a File>,
    watch: W,
    bytes: u64,
    checksum: crc32fast::Hasher,
    payload: Vec<u8>,
    rows: u64,
    chunks: u64,
}

impl<W: FnMut(u64) -> std::io::Result<()>> Chunks<'_, W> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.checksum.update(bytes);
        self.bytes += bytes.len() as u64;
        self.out.write_all(bytes).map_err(failed)
    }

    fn header(&mut self, reader: &Reader) -> Result<(), StoreError> {
        let marks = reader.marks()?;
        self.payload.extend(FORMAT.to_le_bytes());
        self.payload.extend(reader.position()?.to_le_bytes());
        self.payload.extend(reader.sums()?.to_bytes());
        self.payload.extend(length(marks.applied.len())?.to_le_bytes());
        self.payload.extend(marks.applied);
        self.payload.extend(marks.membership);
        self.end(HEADER)
    }

    fn row(&mut self, table: u8, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        #[cfg(feature = "planted")]
        if planted::on(Bug::SnapshotWithoutSessions) && (10..=12).contains(&table) {
            return Ok(());
        }
        self.payload.extend(length(key.len())?.to_le_bytes());
        self.payload.extend(length(value.len())?.to_le_bytes());
        self.payload.extend(key);
        self.payload.extend(value);
        self.rows += 1;
        if self.payload.len() >= CHUNK_BYTES { self.end(table) } else { Ok(()) }
    }

    /// Writes the chunk, if anything is in it.
    fn end(&mut self, table: u8) -> Result<(), StoreError> {
        if self.payload.is_empty() {
            return Ok(());
        }
        let mut payload = std::mem::take(&mut self.payload);
        let length = length(payload.len())?;
        self.put(&[table])?;
        self.put(&length.to_le_bytes())?;
        self.put(&chunk_checksum(table, length, &payload).to_le_bytes())?;
        self.put(&payload)?;
        self.chunks += 1;
        payload.clear();
        self.payload = payload;
        (self.watch)(self.bytes).map_err(failed)
    }

    fn footer(&mut self) -> Result<(), StoreError> {
        let checksum = self.checksum.clone().finalize();
        self.payload.extend(self.rows.to_le_bytes());
        self.payload.extend(self.chunks.to_le_bytes());
        self.payload.extend(checksum.to_le_bytes());
        self.end(FOOTER)
    }
}

fn length(bytes: usize) -> Result<u32, StoreError> {
    match u32::try_from(bytes) {
        Ok(length) if bytes <= MAX_CHUNK_BYTES => Ok(length),
        _ => Err(StoreError::Failed(format!("a row of {bytes} bytes is too long for a snapshot"))),
    }
}
