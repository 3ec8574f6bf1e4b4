//! The store: opened once, written by batches, read through snapshots.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use recado_chat::{Applied, LogEntry};
use redb::{Database, Durability, ReadableDatabase, WriteTransaction};

use crate::error::{OpenError, StoreError};
use crate::medium::{Backend, Medium};
use crate::reader::Reader;
use crate::rows::TableRows;
use crate::snapshot::SnapshotInfo;
use crate::tables::{self, each_table};
use crate::{snapshot, values};

/// The store's file within its folder.
pub const STORE_FILE: &str = "chat.redb";

/// How much memory redb may use for pages, read and unwritten ones together. It holds the few pages
/// that writes touch again and again; others come from the kernel's cache, which can shrink.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

/// One entry to apply.
#[derive(Clone, Debug)]
pub struct Logged {
    /// Its position in the log.
    pub position: u64,
    /// The entry; none for entries that mean nothing to the chat.
    pub entry: Option<LogEntry>,
}

/// What replication keeps beside the rows, in the same transaction; opaque here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// The last applied log id.
    pub applied: Vec<u8>,
    /// The last applied consensus membership.
    pub membership: Vec<u8>,
}

/// The store of one server. Clones share it; there is one writer at a time.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    path: PathBuf,
    writer: Mutex<Writer>,
}

/// What the writer knows of the last transaction.
#[derive(Clone)]
struct Writer {
    position: u64,
    membership: Vec<u8>,
    /// Whether something was committed that an fsync has not yet followed.
    unflushed: bool,
}

impl Store {
    /// Opens or creates the store in this folder, which exists.
    ///
    /// After a kill, what was applied behind the last [`Store::flush`] is gone, marks and rows
    /// alike. Every page is read and its checksum compared, after a kill or not: otherwise redb
    /// trusts the file, and most flipped bits would change rows without anybody noticing. That
    /// takes about a second a million messages; redb's quick repair, which saves the walk
    /// after a kill, would therefore save nothing and make each flush slower.
    ///
    /// # Errors
    /// When the file is newer, in use, damaged, or can't be read or written.
    pub fn open(dir: &Path) -> Result<Store, OpenError> {
        let path = dir.join(STORE_FILE);
        let database = builder().create(&path);
        Store::check(database.map_err(|error| OpenError::from_redb(&path, error))?, path)
    }

    /// The same on a medium other than a file; the folder only names it in messages.
    ///
    /// # Errors
    /// As those of [`Store::open`].
    pub fn open_on(medium: Box<dyn Medium>, dir: &Path) -> Result<Store, OpenError> {
        let path = dir.join(STORE_FILE);
        let database = builder().create_with_backend(Backend(medium));
        Store::check(database.map_err(|error| OpenError::from_redb(&path, error))?, path)
    }

    fn check(database: Database, path: PathBuf) -> Result<Store, OpenError> {
        let failed = |error: StoreError| OpenError::Failed { path: path.clone(), why: error.0 };
        match format(&database).map_err(failed)? {
            None => create_tables(&database).map_err(failed)?,
            Some(tables::FORMAT) => {}
            Some(found) => {
                return Err(OpenError::Newer { path, found, known: tables::FORMAT });
            }
        }
        let reader = Reader::new(database.begin_read().map_err(|e| failed(e.into()))?);
        let marks = reader.marks().map_err(failed)?;
        let position = reader.position().map_err(failed)?;
        let writer = Writer { position, membership: marks.membership, unflushed: false };
        Ok(Store { inner: Arc::new(Inner { database, path, writer: Mutex::new(writer) }) })
    }

    /// The store's file, for messages to people.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// The marks of the last transaction.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn marks(&self) -> Result<Marks, StoreError> {
        self.reader()?.marks()
    }

    /// Begins a transaction for any number of batches. It belongs to the one writer: while it is
    /// open, no other may begin, and neither [`Store::flush`] nor [`Store::install`].
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn begin(&self) -> Result<Transaction, StoreError> {
        let before = self.writer()?.clone();
        let mut transaction = self.inner.database.begin_write()?;
        transaction.set_durability(Durability::None)?;
        Ok(Transaction { store: self.clone(), transaction, before })
    }

    /// Applies a batch in a transaction of its own.
    ///
    /// # Errors
    /// As those of [`Batches::apply`].
    pub fn apply(&self, batch: &[Logged], marks: &Marks) -> Result<Vec<Applied>, StoreError> {
        let transaction = self.begin()?;
        let mut batches = transaction.batches()?;
        let applied = batches.apply(batch, marks)?;
        let finished = batches.finish()?;
        transaction.commit(finished)?;
        Ok(applied)
    }

    /// Waits until everything applied so far is on disk. Writers wait too; readers don't.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn flush(&self) -> Result<(), StoreError> {
        if self.writer()?.unflushed {
            // Durable even when empty: it takes the commits before it along.
            self.inner.database.begin_write()?.commit()?;
            self.writer()?.unflushed = false;
        }
        Ok(())
    }

    /// A view of the rows as they are now. It keeps old pages from being used again: don't hold
    /// it for longer than a request takes.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn reader(&self) -> Result<Reader, StoreError> {
        Ok(Reader::new(self.inner.database.begin_read()?))
    }

    /// Replaces all rows and marks by a snapshot file's, in one durable transaction; a damaged
    /// file changes nothing. Returns the new marks.
    ///
    /// # Errors
    /// When the snapshot is damaged, cut off or newer, or a file can't be read or written.
    pub fn install(&self, path: &Path) -> Result<Marks, StoreError> {
        let file = snapshot::open(path)?;
        // Twice through the file, so that nothing is touched before all of it was checked.
        let info = snapshot::verify_snapshot_file(&file)?;
        self.install_verified(&file, &info, || ())
    }

    /// The same with a file that is open and was verified before; `rest` is called between its
    /// pieces.
    ///
    /// # Errors
    /// Also when it is not what was verified; nothing changes then.
    pub fn install_verified(
        &self,
        file: &File,
        info: &SnapshotInfo,
        rest: impl FnMut(),
    ) -> Result<Marks, StoreError> {
        let transaction = self.inner.database.begin_write()?;
        macro_rules! empty {
            ($number:expr, $table:expr) => {
                transaction.delete_table($table)?;
                transaction.open_table($table)?;
            };
        }
        each_table!(empty);
        snapshot::load(file, &transaction, info, rest)?;
        write_marks(&transaction, info.position, &info.marks.applied, Some(&info.marks))?;
        transaction.commit()?;
        let membership = info.marks.membership.clone();
        *self.writer()? = Writer { position: info.position, membership, unflushed: false };
        Ok(info.marks.clone())
    }

    fn writer(&self) -> Result<MutexGuard<'_, Writer>, StoreError> {
        let poisoned = |_| StoreError("the store's writer has failed before".into());
        self.inner.writer.lock().map_err(poisoned)
    }
}

/// Entries that are applied, but are not shown to readers before the commit. Dropped without, it
/// changes nothing.
///
/// Nothing here waits for the disk: the log is durable and replays what a kill takes from the
/// store.
pub struct Transaction {
    store: Store,
    transaction: WriteTransaction,
    before: Writer,
}

impl Transaction {
    /// The rows, for batches.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn batches(&self) -> Result<Batches<'_>, StoreError> {
        Ok(Batches {
            transaction: &self.transaction,
            rows: TableRows::open(&self.transaction)?,
            before: self.before.clone(),
            last: None,
        })
    }

    /// Shows everything to those who read from now on.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn commit(self, finished: Finished) -> Result<(), StoreError> {
        self.transaction.commit()?;
        *self.store.writer()? = finished.0;
        Ok(())
    }
}

/// The batches of one [`Transaction`].
pub struct Batches<'t> {
    transaction: &'t WriteTransaction,
    rows: TableRows<'t>,
    before: Writer,
    last: Option<(u64, Marks)>,
}

/// Batches to which nothing can be added any more.
pub struct Finished(Writer);

impl Batches<'_> {
    /// Applies a batch, to which `marks` belong. One result an entry comes back; an entry that
    /// means nothing to the chat gets [`recado_chat::Outcome::Done`].
    ///
    /// # Errors
    /// When the file can't be read or written, or a position does not lie behind the last one.
    /// What was applied so far is half done then and must not be committed.
    pub fn apply(&mut self, batch: &[Logged], marks: &Marks) -> Result<Vec<Applied>, StoreError> {
        let mut last = self.last.as_ref().map_or(self.before.position, |(position, _)| *position);
        let mut results = Vec::with_capacity(batch.len());
        for Logged { position, entry } in batch {
            // Position 0 is the first one of a log, before which there is nothing.
            if last > 0 && *position != last + 1 {
                return Err(StoreError(format!(
                    "position {position} was to be applied, but the last one was {last}"
                )));
            }
            last = *position;
            results.push(match entry {
                Some(entry) => recado_chat::apply(&mut self.rows, *position, entry)?,
                None => Applied {
                    outcome: recado_chat::Outcome::Done,
                    publishes: false,
                    members_changed: false,
                },
            });
        }
        self.last = Some((last, marks.clone()));
        Ok(results)
    }

    /// Writes what was kept back for the end of the transaction.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn finish(self) -> Result<Finished, StoreError> {
        let Batches { transaction, rows, before, last } = self;
        rows.finish()?;
        let Some((position, marks)) = last else { return Ok(Finished(before)) };
        let new_membership = (before.membership != marks.membership).then_some(&marks);
        write_marks(transaction, position, &marks.applied, new_membership)?;
        Ok(Finished(Writer { position, membership: marks.membership, unflushed: true }))
    }
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    builder
}

/// The membership is written only when it changed.
fn write_marks(
    transaction: &WriteTransaction,
    position: u64,
    applied: &[u8],
    membership: Option<&Marks>,
) -> Result<(), StoreError> {
    let mut meta = transaction.open_table(tables::META)?;
    meta.insert(tables::META_APPLIED, values::applied(position, applied).as_slice())?;
    if let Some(marks) = membership {
        let value = values::opaque(&marks.membership);
        meta.insert(tables::META_MEMBERSHIP, value.as_slice())?;
    }
    Ok(())
}

/// The format of a store; none when it is new.
fn format(database: &Database) -> Result<Option<u64>, StoreError> {
    let transaction = database.begin_read()?;
    let meta = match transaction.open_table(tables::META) {
        Ok(meta) => meta,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    match meta.get(tables::META_FORMAT)? {
        Some(value) => values::read_number("format", value.value()).map(Some),
        None => Ok(None),
    }
}

fn create_tables(database: &Database) -> Result<(), StoreError> {
    let transaction = database.begin_write()?;
    {
        let mut meta = transaction.open_table(tables::META)?;
        meta.insert(tables::META_FORMAT, values::number(tables::FORMAT).as_slice())?;
    }
    macro_rules! create {
        ($number:expr, $table:expr) => {
            transaction.open_table($table)?;
        };
    }
    each_table!(create);
    transaction.commit()?;
    Ok(())
}
