//! A walk over all rows in small steps, to find what nobody reads.
//!
//! It does two things. Reading a row verifies the blocks on the way to it. And the rows are summed
//! and compared with the sums that were kept up with each change: that finds rows that vanished, or
//! came back, with blocks of another time that fit their checksums.
//!
//! A sum belongs to one moment, and a view of it keeps old pages from being used again. So only the
//! tables whose rows change are read in one view, at once. Rows of the others, which are nearly all,
//! are only ever added and name the position of their entry: those up to the position where the walk
//! began are the same in every later view.
//!
//! What it can't find: what is wrong in the same way in the rows and in their sums, as a mistake in
//! applying entries is. Servers find that by comparing their sums.

use std::ops::Bound;

use recado_chat::rows::MessageKey;
use redb::{Key, ReadableTableMetadata, TableDefinition, Value};

use crate::error::StoreError;
use crate::reader::Reader;
use crate::store::Store;
use crate::sums::{Sums, is_history};
use crate::tables::each_table;
use crate::values;

/// Behind all tables.
const END: u8 = u8::MAX;

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScrubStep {
    /// So many rows were read, and there are more.
    More {
        /// The rows of this step.
        rows: u64,
    },
    /// All rows were read, and are what was applied.
    Whole,
    /// A snapshot replaced everything meanwhile: begin again.
    Replaced,
}

/// A walk, from where it stands.
pub struct Scrub {
    store: Store,
    installs: u64,
    position: u64,
    expected: Sums,
    found: Sums,
    total_rows: u64,
    done_rows: u64,
    /// The table that is read, and the last key that was.
    table: u8,
    after: Option<Vec<u8>>,
}

impl Scrub {
    /// Begins a walk over the rows as they are now, by reading those that change, which are bounded
    /// by the users, channels and sessions, and not by the history.
    ///
    /// # Errors
    /// When something is damaged, which is told and noted then, or the file can't be read.
    pub fn begin(store: &Store) -> Result<Scrub, StoreError> {
        let installs = store.installs();
        let view = store.reader()?;
        let mut scrub = Scrub {
            store: store.clone(),
            installs,
            position: view.position()?,
            expected: view.sums()?,
            found: Sums::default(),
            total_rows: view.look(|| count_rows(&view))?,
            done_rows: 0,
            table: 0,
            after: None,
        };
        view.look(|| scrub.read_changing(&view))?;
        if scrub.found.rest != scrub.expected.rest {
            return Err(scrub.differs());
        }
        Ok(scrub)
    }

    /// How many rows were read, and how many there were at the beginning.
    pub fn progress(&self) -> (u64, u64) {
        (self.done_rows, self.total_rows)
    }

    /// Reads the next rows, at most `most` of them.
    ///
    /// # Errors
    /// As those of [`Scrub::begin`].
    pub fn step(&mut self, most: usize) -> Result<ScrubStep, StoreError> {
        let view = self.store.reader()?;
        if self.store.installs() != self.installs {
            return Ok(ScrubStep::Replaced);
        }
        let rows = view.look(|| self.read_history(&view, most))?;
        self.done_rows += rows;
        if self.table != END {
            return Ok(ScrubStep::More { rows });
        }
        if self.found == self.expected { Ok(ScrubStep::Whole) } else { Err(self.differs()) }
    }

    fn differs(&self) -> StoreError {
        let what = format!(
            "its rows up to position {} sum up to {} and not to {}",
            self.position, self.found, self.expected
        );
        self.store.condemn(&what);
        StoreError::Damaged(what)
    }

    fn read_changing(&mut self, view: &Reader) -> Result<(), StoreError> {
        macro_rules! read {
            ($number:expr, $table:expr) => {
                if !is_history($number) {
                    let (mut after, all) = (None, usize::MAX);
                    let sums = &mut self.found;
                    self.done_rows += read_rows(view, $table, &mut after, all, |key, value| {
                        sums.add($number, key, value);
                        Ok(())
                    })?;
                }
            };
        }
        each_table!(read);
        Ok(())
    }

    /// Reads rows of one table, and goes to the next one at its end.
    fn read_history(&mut self, view: &Reader, most: usize) -> Result<u64, StoreError> {
        macro_rules! read {
            ($number:expr, $table:expr) => {
                if self.table <= $number && is_history($number) {
                    if self.table < $number {
                        (self.table, self.after) = ($number, None);
                    }
                    let (sums, upto) = (&mut self.found, self.position);
                    let rows = read_rows(view, $table, &mut self.after, most, |key, value| {
                        if position($number, key, value)? <= upto {
                            sums.add($number, key, value);
                        }
                        Ok(())
                    })?;
                    if self.after.is_none() {
                        self.table = $number + 1;
                    }
                    return Ok(rows);
                }
            };
        }
        each_table!(read);
        self.table = END;
        Ok(0)
    }
}

/// Gives rows behind a key, at most so many; the key is none at the end.
fn read_rows<K: Key + 'static, V: Value + 'static>(
    view: &Reader,
    table: TableDefinition<'_, K, V>,
    after: &mut Option<Vec<u8>>,
    most: usize,
    mut row: impl FnMut(&[u8], &[u8]) -> Result<(), StoreError>,
) -> Result<u64, StoreError> {
    let table = view.table(table)?;
    let begin = match &*after {
        Some(key) => Bound::Excluded(K::from_bytes(key)),
        None => Bound::Unbounded,
    };
    let mut rows = 0;
    let mut last = after.clone();
    for entry in table.range::<K::SelfType<'_>>((begin, Bound::Unbounded))?.take(most) {
        let (key, value) = entry?;
        let key = key.value();
        let bytes = K::as_bytes(&key);
        let bytes = bytes.as_ref();
        // A walk through pages of several times might go round in circles.
        if last.as_ref().is_some_and(|last| K::compare(last, bytes).is_ge()) {
            return Err(view.condemn("its rows are out of order"));
        }
        row(bytes, V::as_bytes(&value.value()).as_ref())?;
        rows += 1;
        last.get_or_insert_default().clear();
        last.get_or_insert_default().extend(bytes);
    }
    *after = last.filter(|_| rows == most as u64);
    Ok(rows)
}

/// The position of the entry that added a row of the history.
fn position(table: u8, key: &[u8], value: &[u8]) -> Result<u64, StoreError> {
    let number = |bytes: &[u8]| -> Result<u64, StoreError> {
        let bytes = bytes.last_chunk::<8>().ok_or_else(|| StoreError::unreadable("key"))?;
        Ok(u64::from_le_bytes(*bytes))
    };
    Ok(match table {
        5 => number(key)?,
        // The last part of a conversation's key is the message's.
        7 | 9 => MessageKey(number(key)?).position(),
        _ => MessageKey(values::read_number("index row", value)?).position(),
    })
}

fn count_rows(view: &Reader) -> Result<u64, StoreError> {
    let mut rows = 0;
    macro_rules! count {
        ($number:expr, $table:expr) => {
            rows += view.table($table)?.len()?;
        };
    }
    each_table!(count);
    Ok(rows)
}
