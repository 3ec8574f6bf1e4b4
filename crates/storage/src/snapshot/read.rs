//! Reading a snapshot file: checking all of it, then loading its rows.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use redb::WriteTransaction;

use super::{
    CHUNK_HEAD_BYTES, FOOTER, FORMAT, HEADER, MAGIC, MAX_CHUNK_BYTES, SnapshotInfo, chunk_checksum,
};
use crate::error::StoreError;
use crate::store::Marks;
use crate::sums::Sums;
use crate::tables::{each_table, fits, insert_bytes};
use crate::values;

/// Reads a snapshot file from end to end and says what it is.
///
/// # Errors
/// When it can't be read, is damaged or cut off, or was written by a newer version.
pub fn verify_snapshot(path: &Path) -> Result<SnapshotInfo, StoreError> {
    verify_snapshot_file(&open(path)?)
}

/// The same for a file that is open, whether it has a name or not.
///
/// # Errors
/// As those of [`verify_snapshot`].
pub fn verify_snapshot_file(file: &File) -> Result<SnapshotInfo, StoreError> {
    walk(file, |table, payload| {
        for row in Rows(payload) {
            let (key, value) = row?;
            check_row(table, key, value)?;
        }
        Ok(())
    })
}

/// Inserts the rows of a verified snapshot into tables that are empty; `rest` is called between
/// its chunks.
pub(crate) fn load(
    file: &File,
    transaction: &WriteTransaction,
    verified: &SnapshotInfo,
    mut rest: impl FnMut(),
) -> Result<(), StoreError> {
    let again = walk(file, |number, payload| {
        macro_rules! insert {
            ($number:expr, $table:expr) => {
                if $number == number {
                    let mut table = transaction.open_table($table)?;
                    for row in Rows(payload) {
                        let (key, value) = row?;
                        check_row(number, key, value)?;
                        if !insert_bytes(&mut table, key, value)? {
                            return Err(StoreError::Failed(
                                "a snapshot holds a row twice".to_owned(),
                            ));
                        }
                    }
                }
            };
        }
        each_table!(insert);
        rest();
        Ok(())
    })?;
    if again == *verified {
        Ok(())
    } else {
        Err(StoreError::Failed("the snapshot changed while it was being installed".into()))
    }
}

pub(crate) fn open(path: &Path) -> Result<File, StoreError> {
    File::open(path).map_err(|error| StoreError::file("read", path, &error))
}

/// Gives every chunk of rows, checked, and what the file says of itself at its end.
fn walk(
    file: &File,
    mut rows: impl FnMut(u8, &[u8]) -> Result<(), StoreError>,
) -> Result<SnapshotInfo, StoreError> {
    let mut chunks = Chunks::begin(file)?;
    if chunks.next()? != HEADER {
        return Err(chunks.damaged("its header is missing"));
    }
    let Header { marks, position, sums } = read_header(&chunks)?;
    let (mut count, mut last, mut found) = (0, HEADER, Sums::default());
    loop {
        let before = chunks.checksum.clone().finalize();
        let table = chunks.next()?;
        if table == FOOTER {
            let bytes = chunks.end(count, before)?;
            if found != sums {
                return Err(
                    chunks.damaged(&format!("its rows sum up to {found} and not to {sums}"))
                );
            }
            return Ok(SnapshotInfo { marks, position, sums, rows: count, bytes });
        }
        if table < last || table == HEADER {
            return Err(chunks.damaged("its tables are out of order"));
        }
        last = table;
        for row in Rows(&chunks.payload) {
            let (key, value) = row?;
            found.add(table, key, value);
            count += 1;
        }
        rows(table, &chunks.payload)?;
    }
}

/// What stands in front of the rows.
struct Header {
    marks: Marks,
    position: u64,
    sums: Sums,
}

fn read_header(chunks: &Chunks<'_>) -> Result<Header, StoreError> {
    let short = || chunks.damaged("its header is too short");
    let (format, rest) = chunks.payload.split_first_chunk().ok_or_else(short)?;
    let format = u64::from_le_bytes(*format);
    if format > FORMAT {
        return Err(StoreError::Failed(format!(
            "the snapshot was written by a newer version of recado (format {format}, this one \
             knows {FORMAT})"
        )));
    }
    if format < FORMAT {
        return Err(StoreError::Failed(format!(
            "the snapshot was written by an older version of recado (format {format}, this one \
             reads {FORMAT})"
        )));
    }
    let (position, rest) = rest.split_first_chunk().ok_or_else(short)?;
    let (sums, rest) = rest.split_first_chunk().ok_or_else(short)?;
    let (length, rest) = rest.split_first_chunk().ok_or_else(short)?;
    let length = u32::from_le_bytes(*length) as usize;
    let (applied, membership) = rest.split_at_checked(length).ok_or_else(short)?;
    let marks = Marks { applied: applied.to_vec(), membership: membership.to_vec() };
    Ok(Header { marks, position: u64::from_le_bytes(*position), sums: Sums::from_bytes(*sums) })
}

/// A snapshot file that is read chunk by chunk.
struct Chunks<'a> {
    file: BufReader<&'a File>,
    checksum: crc32fast::Hasher,
    bytes: u64,
    /// How many chunks came, the header too.
    count: u64,
    payload: Vec<u8>,
}

impl Chunks<'_> {
    fn begin(mut file: &File) -> Result<Chunks<'_>, StoreError> {
        file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
        let mut chunks = Chunks {
            file: BufReader::with_capacity(64 * 1024, file),
            checksum: crc32fast::Hasher::new(),
            bytes: 0,
            count: 0,
            payload: Vec::new(),
        };
        let mut magic = [0; 8];
        chunks.fill(&mut magic)?;
        if &magic == MAGIC { Ok(chunks) } else { Err(chunks.damaged("it does not begin as one")) }
    }

    fn damaged(&self, how: &str) -> StoreError {
        StoreError::Failed(format!("this is not a whole snapshot: {how}"))
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), StoreError> {
        match self.file.read_exact(bytes) {
            Ok(()) => {
                self.checksum.update(bytes);
                self.bytes += bytes.len() as u64;
                Ok(())
            }
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                Err(self.damaged("it is cut off"))
            }
            Err(error) => Err(unreadable(error)),
        }
    }

    /// Reads the next chunk into `payload` and gives its number.
    fn next(&mut self) -> Result<u8, StoreError> {
        let mut head = [0; CHUNK_HEAD_BYTES];
        self.fill(&mut head)?;
        let [table, a, b, c, d, e, f, g, h] = head;
        let length = u32::from_le_bytes([a, b, c, d]);
        if length as usize > MAX_CHUNK_BYTES {
            return Err(self.damaged("a chunk is too long"));
        }
        let mut payload = std::mem::take(&mut self.payload);
        payload.resize(length as usize, 0);
        let filled = self.fill(&mut payload);
        self.payload = payload;
        filled?;
        self.count += 1;
        if chunk_checksum(table, length, &self.payload) == u32::from_le_bytes([e, f, g, h]) {
            Ok(table)
        } else {
            Err(self.damaged("a checksum is wrong"))
        }
    }

    /// Checks the footer, which was read last, and that nothing follows; gives the file's length.
    fn end(&mut self, rows: u64, checksum: u32) -> Result<u64, StoreError> {
        let mut footer = Vec::with_capacity(20);
        footer.extend(rows.to_le_bytes());
        // It was counted itself.
        footer.extend((self.count - 1).to_le_bytes());
        footer.extend(checksum.to_le_bytes());
        if footer != self.payload {
            return Err(self.damaged("its footer does not match"));
        }
        match self.file.read(&mut [0; 1]) {
            Ok(0) => Ok(self.bytes),
            Ok(_) => Err(self.damaged("something follows behind its end")),
            Err(error) => Err(unreadable(error)),
        }
    }
}

fn unreadable(error: std::io::Error) -> StoreError {
    StoreError::Failed(format!("can't read a snapshot: {error}"))
}

/// The rows in a chunk's payload.
struct Rows<'a>(&'a [u8]);

impl<'a> Iterator for Rows<'a> {
    type Item = Result<(&'a [u8], &'a [u8]), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let row = split_row(self.0);
        self.0 = row.map_or(&[], |(_, _, rest)| rest);
        let torn = || StoreError::Failed("a snapshot holds a row that is torn".into());
        Some(row.map(|(key, value, _)| (key, value)).ok_or_else(torn))
    }
}

fn split_row(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (key, rest) = bytes.split_first_chunk()?;
    let (value, rest) = rest.split_first_chunk()?;
    let (key, rest) = rest.split_at_checked(u32::from_le_bytes(*key) as usize)?;
    let (value, rest) = rest.split_at_checked(u32::from_le_bytes(*value) as usize)?;
    Some((key, value, rest))
}

fn check_row(number: u8, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
    macro_rules! check {
        ($number:expr, $table:expr) => {
            if $number == number {
                return if fits($table, key, value) {
                    values::check(number, key, value)
                } else {
                    Err(StoreError::Failed("a snapshot holds a row of another table".into()))
                };
            }
        };
    }
    each_table!(check);
    Err(StoreError::Failed(format!(
        "a snapshot holds table {number}, which this version doesn't know"
    )))
}
