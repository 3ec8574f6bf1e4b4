//! Between redb and the store's file: blocks with checksums that are compared at every read.
//!
//! redb compares the checksums of its pages only when it repairs a file, and that reads all of it.
//! So what redb writes goes to the file in blocks, each with an XXH3 checksum of its number and its
//! bytes. Whatever was altered on the disk, a row or the way to it, is met when it is read, and redb
//! never sees it.
//!
//! ```text
//! four heads (1024 each) · block 1 · block 2 · …
//! head  = magic (8) · turn (8) · checksum of turn and bytes (8) · redb's first bytes (1000)
//! block = checksum (8) · redb's bytes (4096)
//! ```
//!
//! redb writes no page anew that a commit on disk refers to. So a block that a power cut has torn
//! is one that nobody reads. What it does write in place are its first bytes, which say what commit
//! counts. They go to two pairs of heads in turn: a pair that is on disk stays as it is until the
//! other one is, so none is ever lost, and of the newest pair one head may be damaged.
//!
//! What this can't tell: a write that the disk reported done and lost, so that an older block stands
//! there with its checksum. [`crate::scrub`] finds that by the sums of the rows.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use twox_hash::XxHash3_64;

use crate::damage::Damage;
use crate::medium::Medium;

/// The bytes in a block; redb's pages are one or several.
const BLOCK_BYTES: usize = 4096;
/// The checksum in front of them.
const SUM_BYTES: usize = 8;
/// A block with its checksum.
const STRIDE_BYTES: usize = BLOCK_BYTES + SUM_BYTES;

/// A file of ours begins so; a newer layout has another number at the end.
const MAGIC: [u8; 8] = *b"RECADOS2";
/// Magic, turn and checksum.
const HEAD_FRONT_BYTES: usize = 24;
/// How many of redb's first bytes a head holds; redb uses 320 of its first page.
const HEAD_CONTENT_BYTES: usize = HEAD_BYTES - HEAD_FRONT_BYTES;
const HEAD_BYTES: usize = 1024;
/// Two pairs, a turn's and the next one's; the two heads of a pair don't lie side by side.
const HEADS: usize = 4;
/// All heads, which stand for redb's first page.
const HEADS_BYTES: usize = HEADS * HEAD_BYTES;

/// A medium with checksums, for redb.
#[derive(Debug)]
pub(crate) struct Blocks {
    medium: Box<dyn Medium>,
    head: Mutex<Head>,
    damage: Arc<Damage>,
}

/// redb's first bytes, as they were written last.
#[derive(Debug)]
struct Head {
    content: Vec<u8>,
    turn: u64,
    /// Whether this turn is surely on disk, so that the next one may begin.
    synced: bool,
}

impl Blocks {
    /// Blocks on a medium, which is empty or holds some. What is damaged goes to `damage` too.
    ///
    /// # Errors
    /// The medium can't be read, or does not begin as one of ours.
    pub fn open(medium: Box<dyn Medium>, damage: Arc<Damage>) -> io::Result<Blocks> {
        let length = medium.length()?;
        let mut head = Head { content: vec![0; HEAD_CONTENT_BYTES], turn: 0, synced: true };
        if length > 0 {
            if length < HEADS_BYTES as u64
                || !(length - HEADS_BYTES as u64).is_multiple_of(STRIDE_BYTES as u64)
            {
                return Err(damage.met("it was cut off"));
            }
            let mut heads = vec![0; HEADS_BYTES];
            medium.read(0, &mut heads)?;
            let newest =
                heads.chunks(HEAD_BYTES).filter_map(read_head).max_by_key(|head| head.turn);
            head = newest.ok_or_else(|| damage.met("it does not begin as a store does"))?;
            // It may have been written without a sync that followed, and is what counts from now on.
            medium.sync()?;
        }
        Ok(Blocks { medium, head: Mutex::new(head), damage })
    }

    /// A panic leaves the head whole: it changes in one assignment.
    fn head(&self) -> MutexGuard<'_, Head> {
        self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_head(&self, bytes: &[u8]) -> io::Result<()> {
        let mut head = self.head();
        let Some(place) = head.content.get_mut(..bytes.len()) else { return Err(unaligned()) };
        place.copy_from_slice(bytes);
        if head.synced {
            head.turn += 1;
            head.synced = false;
        }
        let whole = whole_head(&head);
        let pair = (head.turn % 2) as usize;
        for place in [pair, pair + 2] {
            self.medium.write((place * HEAD_BYTES) as u64, &whole)?;
        }
        Ok(())
    }
}

impl redb::StorageBackend for Blocks {
    fn len(&self) -> io::Result<u64> {
        // The heads stand for one of redb's pages.
        let blocks = match self.medium.length()?.checked_sub(HEADS_BYTES as u64) {
            None => 0,
            Some(behind) => 1 + behind / STRIDE_BYTES as u64,
        };
        Ok(blocks * BLOCK_BYTES as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if offset == 0 {
            let head = self.head();
            out.copy_from_slice(head.content.get(..out.len()).ok_or_else(unaligned)?);
            return Ok(());
        }
        let first = first_block(offset, out.len())?;
        let mut blocks = vec![0; out.len() / BLOCK_BYTES * STRIDE_BYTES];
        match self.medium.read(place(first), &mut blocks) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(self.damage.met("it ends before its last block"));
            }
            read => read?,
        }
        let pairs = blocks.chunks_exact(STRIDE_BYTES).zip(out.chunks_exact_mut(BLOCK_BYTES));
        for (number, (block, out)) in (first..).zip(pairs) {
            let (sum, bytes) = block.split_at(SUM_BYTES);
            if sum != checksum(number, bytes) {
                return Err(self.damage.met(&format!("block {number} does not fit its checksum")));
            }
            out.copy_from_slice(bytes);
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        if length == 0 || !length.is_multiple_of(BLOCK_BYTES as u64) {
            return Err(unaligned());
        }
        self.medium.set_length(place(length / BLOCK_BYTES as u64))
    }

    fn sync_data(&self) -> io::Result<()> {
        // Nobody writes a head meanwhile, or it would count as being on disk.
        let mut head = self.head();
        self.medium.sync()?;
        head.synced = true;
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if offset == 0 {
            return self.write_head(data);
        }
        let first = first_block(offset, data.len())?;
        let mut blocks = Vec::with_capacity(data.len() / BLOCK_BYTES * STRIDE_BYTES);
        for (number, bytes) in (first..).zip(data.chunks_exact(BLOCK_BYTES)) {
            blocks.extend(checksum(number, bytes));
            blocks.extend(bytes);
        }
        self.medium.write(place(first), &blocks)
    }
}

/// Where a block begins on the medium; block 0 is what the heads stand for.
fn place(block: u64) -> u64 {
    HEADS_BYTES as u64 + (block - 1) * STRIDE_BYTES as u64
}

/// The first of the blocks that these bytes fill.
fn first_block(offset: u64, length: usize) -> io::Result<u64> {
    let aligned = offset.is_multiple_of(BLOCK_BYTES as u64) && length.is_multiple_of(BLOCK_BYTES);
    if aligned { Ok(offset / BLOCK_BYTES as u64) } else { Err(unaligned()) }
}

/// redb reads and writes whole pages, but for its first bytes.
fn unaligned() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "these bytes are no whole blocks")
}

/// The number counts too, so that no block is taken for another one.
fn checksum(number: u64, bytes: &[u8]) -> [u8; SUM_BYTES] {
    XxHash3_64::oneshot_with_seed(number, bytes).to_le_bytes()
}

fn whole_head(head: &Head) -> Vec<u8> {
    let mut whole = Vec::with_capacity(HEAD_BYTES);
    whole.extend(MAGIC);
    whole.extend(head.turn.to_le_bytes());
    whole.extend(checksum(head.turn, &head.content));
    whole.extend(&head.content);
    whole
}

/// The head in these bytes; none if it is damaged, or was never written.
fn read_head(bytes: &[u8]) -> Option<Head> {
    let (magic, rest) = bytes.split_first_chunk::<8>()?;
    let (turn, rest) = rest.split_first_chunk::<8>()?;
    let (sum, content) = rest.split_first_chunk::<SUM_BYTES>()?;
    let turn = u64::from_le_bytes(*turn);
    let whole = *magic == MAGIC && *sum == checksum(turn, content);
    whole.then(|| Head { content: content.to_vec(), turn, synced: true })
}

#[cfg(test)]
mod tests;
