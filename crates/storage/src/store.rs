//! The store: opened once, written by batches, read through snapshots.

use std::collections::VecDeque;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use recado_chat::{Applied, LogEntry};
use redb::{Database, Durability, ReadableDatabase, WriteTransaction};

use crate::blocks::Blocks;
use crate::damage::{Damage, read_note, sync_folder_of};
use crate::error::{OpenError, StoreError};
use crate::file::StoreFile;
use crate::medium::Medium;
use crate::reader::Reader;
use crate::rows::TableRows;
use crate::snapshot::SnapshotInfo;
use crate::sums::Sums;
use crate::tables::{self, each_table};
use crate::{snapshot, values};

/// The store's file within its folder.
pub const STORE_FILE: &str = "chat.redb";

/// In the same folder: what was found damaged in it while it was in use. As long as this is there,
/// the store is not opened.
pub const DAMAGE_NOTE: &str = "chat.redb.damaged";

/// A store that is not yet begun.
const UNFINISHED_FILE: &str = "chat.redb.new";

/// How redb's own files begin, as stores did before they had checksums of ours.
const OLDER_MAGIC: [u8; 4] = *b"redb";

/// Behind each multiple of so many positions there is a checkpoint.
pub const CHECKPOINT_POSITIONS: u64 = 4096;

/// So many are remembered.
const MAX_CHECKPOINTS: usize = 256;

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
    /// There until the end.
    database: Option<Database>,
    path: PathBuf,
    damage: Arc<Damage>,
    writer: Mutex<Writer>,
    checkpoints: Mutex<VecDeque<Checkpoint>>,
    /// How many snapshots replaced everything.
    installs: AtomicU64,
}

impl Drop for Inner {
    /// Closing writes too.
    fn drop(&mut self) {
        let database = self.database.take();
        self.damage.catch(|| drop(database));
    }
}

/// The sums of all rows as they were behind one position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The position.
    pub position: u64,
    /// The sums.
    pub sums: Sums,
}

/// What the writer knows of the last transaction.
#[derive(Clone)]
struct Writer {
    position: u64,
    membership: Vec<u8>,
    sums: Sums,
    /// Whether something was committed that an fsync has not yet followed.
    unflushed: bool,
}

impl Store {
    /// Opens or creates the store in this folder, which exists.
    ///
    /// After a kill, what was applied behind the last [`Store::flush`] is gone, marks and rows
    /// alike. Little is read, whatever the history and how it was left: what is read later is
    /// verified then, see [`crate::blocks`].
    ///
    /// # Errors
    /// When the file is of another format, in use, damaged (or was found so while it was in use),
    /// or can't be read or written.
    pub fn open(dir: &Path) -> Result<Store, OpenError> {
        let note = dir.join(DAMAGE_NOTE);
        match read_note(&note) {
            Ok(None) => Store::open_damaged(dir),
            Ok(Some(what)) => Err(OpenError::Damaged {
                path: dir.join(STORE_FILE),
                why: format!("{what}, says {}", note.display()),
            }),
            Err(error) => Err(OpenError::from_io(&note, &error)),
        }
    }

    /// The same, whatever was found damaged while it was in use: what can still be read may help.
    ///
    /// # Errors
    /// As those of [`Store::open`].
    pub fn open_damaged(dir: &Path) -> Result<Store, OpenError> {
        let path = dir.join(STORE_FILE);
        if !path.exists() {
            create(dir, &path)?;
        }
        let file = StoreFile::open(&path).map_err(|error| OpenError::from_io(&path, &error))?;
        let mut first = OLDER_MAGIC;
        if file.read(0, &mut first).is_ok() && first == OLDER_MAGIC {
            return Err(OpenError::Older { path });
        }
        let store = Store::on(Box::new(file), path)?;
        store.inner.damage.note_in(dir.join(DAMAGE_NOTE));
        Ok(store)
    }

    /// Opens or creates a store on a medium other than a file; the folder only names it in
    /// messages, and no damage is noted there.
    ///
    /// # Errors
    /// As those of [`Store::open`].
    pub fn open_on(medium: Box<dyn Medium>, dir: &Path) -> Result<Store, OpenError> {
        Store::on(medium, dir.join(STORE_FILE))
    }

    fn on(medium: Box<dyn Medium>, path: PathBuf) -> Result<Store, OpenError> {
        let damage = Arc::new(Damage::default());
        let opened = damage.catch(|| {
            let blocks = Blocks::open(medium, damage.clone());
            let blocks = blocks.map_err(|error| OpenError::from_io(&path, &error))?;
            let database = builder().create_with_backend(blocks);
            let database = database.map_err(|error| OpenError::from_redb(&path, error))?;
            let writer = begin(&database, &path)?;
            Ok((database, writer))
        });
        match (damage.what(), opened) {
            (Some(why), _) => Err(OpenError::Damaged { path, why }),
            (None, Some(Ok((database, writer)))) => {
                let writer = Mutex::new(writer);
                let checkpoints = Mutex::default();
                let installs = AtomicU64::new(0);
                let database = Some(database);
                let inner = Inner { database, path, damage, writer, checkpoints, installs };
                Ok(Store { inner: Arc::new(inner) })
            }
            (None, Some(Err(error))) => Err(error),
            // A panic was reported as damage.
            (None, None) => Err(OpenError::Damaged { path, why: String::new() }),
        }
    }

    /// The store's file, for messages to people.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// What was found damaged while the store was in use; none as long as nothing was. Nothing
    /// that was read is wrong: what is damaged gives an error.
    pub fn damage(&self) -> Option<String> {
        self.inner.damage.what()
    }

    /// Tells somebody when damage is found, at once if some was found before. It is on the disk
    /// then that it was.
    pub fn on_damage(&self, listener: impl Fn(&str) + Send + Sync + 'static) {
        self.inner.damage.tell(Box::new(listener));
    }

    /// Says that this copy is not as it should be, which somebody else found: it counts as damaged.
    pub fn condemn(&self, what: &str) {
        self.inner.damage.report(what);
    }

    /// The latest checkpoints, oldest first. Every server has one behind each multiple of
    /// [`CHECKPOINT_POSITIONS`] that it applied since its start, and remembers some hundred.
    pub fn checkpoints(&self) -> Vec<Checkpoint> {
        self.lock_checkpoints().iter().copied().collect()
    }

    /// The last applied position, and the sums of all rows behind it.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn sums(&self) -> Result<(u64, Sums), StoreError> {
        let reader = self.reader()?;
        Ok((reader.position()?, reader.sums()?))
    }

    /// How many snapshots were installed since the opening.
    pub(crate) fn installs(&self) -> u64 {
        self.inner.installs.load(Ordering::Acquire)
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
        let transaction = self.inner.damage.guard(|| {
            let mut transaction = self.database()?.begin_write()?;
            transaction.set_durability(Durability::None)?;
            Ok(transaction)
        })?;
        Ok(Transaction { store: self.clone(), transaction: Some(transaction), before })
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
            self.inner.damage.guard(|| Ok(begin_durable(self.database()?)?.commit()?))?;
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
        let damage = &self.inner.damage;
        let transaction = damage.guard(|| Ok(self.database()?.begin_read()?))?;
        Ok(Reader::new(transaction, damage.clone()))
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
        mut rest: impl FnMut(),
    ) -> Result<Marks, StoreError> {
        self.inner.damage.guard(|| {
            let transaction = begin_durable(self.database()?)?;
            macro_rules! empty {
                ($number:expr, $table:expr) => {
                    transaction.delete_table($table)?;
                    transaction.open_table($table)?;
                };
            }
            each_table!(empty);
            snapshot::load(file, &transaction, info, &mut rest)?;
            write_marks(&transaction, info.position, info.sums, &info.marks, true)?;
            Ok(transaction.commit()?)
        })?;
        let membership = info.marks.membership.clone();
        let (position, sums) = (info.position, info.sums);
        *self.writer()? = Writer { position, membership, sums, unflushed: false };
        self.lock_checkpoints().clear();
        self.inner.installs.fetch_add(1, Ordering::Release);
        Ok(info.marks.clone())
    }

    /// A panic leaves the list whole.
    fn lock_checkpoints(&self) -> MutexGuard<'_, VecDeque<Checkpoint>> {
        self.inner.checkpoints.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn database(&self) -> Result<&Database, StoreError> {
        self.inner.database.as_ref().ok_or_else(closed)
    }

    fn writer(&self) -> Result<MutexGuard<'_, Writer>, StoreError> {
        let poisoned = |_| StoreError::Failed("the store's writer has failed before".into());
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
    /// There until the end.
    transaction: Option<WriteTransaction>,
    before: Writer,
}

impl Drop for Transaction {
    /// What is not committed is taken back, which reads and writes.
    fn drop(&mut self) {
        let transaction = self.transaction.take();
        self.store.inner.damage.catch(|| drop(transaction));
    }
}

impl Transaction {
    /// The rows, for batches.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn batches(&self) -> Result<Batches<'_>, StoreError> {
        let damage = &self.store.inner.damage;
        let sums = self.before.sums;
        let transaction = self.transaction.as_ref().ok_or_else(closed)?;
        Ok(Batches {
            transaction,
            damage,
            rows: Some(damage.guard(|| TableRows::open(transaction, damage, sums))?),
            before: self.before.clone(),
            last: None,
            checkpoints: Vec::new(),
        })
    }

    /// Shows everything to those who read from now on.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn commit(mut self, finished: Finished) -> Result<(), StoreError> {
        let transaction = self.transaction.take().ok_or_else(closed)?;
        self.store.inner.damage.guard(|| Ok(transaction.commit()?))?;
        let Finished { writer, checkpoints } = finished;
        *self.store.writer()? = writer;
        let mut kept = self.store.lock_checkpoints();
        kept.extend(checkpoints);
        let surplus = kept.len().saturating_sub(MAX_CHECKPOINTS);
        kept.drain(..surplus);
        Ok(())
    }
}

/// The batches of one [`Transaction`].
pub struct Batches<'t> {
    transaction: &'t WriteTransaction,
    damage: &'t Damage,
    /// There until the end.
    rows: Option<TableRows<'t>>,
    before: Writer,
    last: Option<(u64, Marks)>,
    checkpoints: Vec<Checkpoint>,
}

impl Drop for Batches<'_> {
    fn drop(&mut self) {
        let rows = self.rows.take();
        self.damage.catch(|| drop(rows));
    }
}

/// Batches to which nothing can be added any more.
pub struct Finished {
    writer: Writer,
    checkpoints: Vec<Checkpoint>,
}

impl Batches<'_> {
    /// Applies a batch, to which `marks` belong. One result an entry comes back; an entry that
    /// means nothing to the chat gets [`recado_chat::Outcome::Done`].
    ///
    /// # Errors
    /// When the file can't be read or written, or a position does not lie behind the last one.
    /// What was applied so far is half done then and must not be committed.
    pub fn apply(&mut self, batch: &[Logged], marks: &Marks) -> Result<Vec<Applied>, StoreError> {
        let mut last = self.last.as_ref().map_or(self.before.position, |(position, _)| *position);
        let rows = self.rows.as_mut().ok_or_else(closed)?;
        let mut results = Vec::with_capacity(batch.len());
        for Logged { position, entry } in batch {
            // Position 0 is the first one of a log, before which there is nothing.
            if last > 0 && *position != last + 1 {
                return Err(StoreError::Failed(format!(
                    "position {position} was to be applied, but the last one was {last}"
                )));
            }
            last = *position;
            results.push(match entry {
                Some(entry) => recado_chat::apply(rows, *position, entry)?,
                None => Applied {
                    outcome: recado_chat::Outcome::Done,
                    publishes: false,
                    members_changed: false,
                },
            });
            if position.is_multiple_of(CHECKPOINT_POSITIONS) {
                let sums = rows.write_kept()?;
                self.checkpoints.push(Checkpoint { position: *position, sums });
            }
        }
        self.last = Some((last, marks.clone()));
        Ok(results)
    }

    /// Writes what was kept back for the end of the transaction.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn finish(mut self) -> Result<Finished, StoreError> {
        let mut rows = self.rows.take().ok_or_else(closed)?;
        let sums = rows.write_kept()?;
        self.damage.catch(|| drop(rows));
        let checkpoints = std::mem::take(&mut self.checkpoints);
        let Some((position, marks)) = self.last.take() else {
            return Ok(Finished { writer: self.before.clone(), checkpoints });
        };
        let news = self.before.membership != marks.membership;
        self.damage.guard(|| write_marks(self.transaction, position, sums, &marks, news))?;
        let membership = marks.membership;
        Ok(Finished { writer: Writer { position, membership, sums, unflushed: true }, checkpoints })
    }
}

/// Who asks for something that has ended.
fn closed() -> StoreError {
    StoreError::Failed("the store is closed".to_owned())
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// Begins a transaction whose commit is on disk, with what redb otherwise finds out by a walk over
/// all pages when it is opened after a kill.
fn begin_durable(database: &Database) -> Result<WriteTransaction, StoreError> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    Ok(transaction)
}

/// Makes a store under another name first, so that one of this name always begins well.
fn create(dir: &Path, path: &Path) -> Result<(), OpenError> {
    let unfinished = dir.join(UNFINISHED_FILE);
    let failed = |error: std::io::Error| OpenError::from_io(path, &error);
    match std::fs::remove_file(&unfinished) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let file = StoreFile::open(&unfinished).map_err(failed)?;
    // Dropped, it is closed, with everything on disk.
    drop(Store::on(Box::new(file), path.to_owned())?);
    std::fs::rename(&unfinished, path).and_then(|()| sync_folder_of(path)).map_err(failed)
}

/// Makes the tables of a new store, and reads where it stands.
fn begin(database: &Database, path: &Path) -> Result<Writer, OpenError> {
    let path = path.to_owned();
    let failed =
        |error: StoreError| OpenError::Failed { path: path.clone(), why: error.to_string() };
    match format(database).map_err(failed)? {
        None => create_tables(database).map_err(failed)?,
        Some(tables::FORMAT) => {}
        Some(found) if found < tables::FORMAT => return Err(OpenError::Older { path }),
        Some(found) => return Err(OpenError::Newer { path, found, known: tables::FORMAT }),
    }
    let transaction = database.begin_read().map_err(|error| failed(error.into()))?;
    let reader = Reader::new(transaction, Arc::default());
    let marks = reader.marks().map_err(failed)?;
    let position = reader.position().map_err(failed)?;
    let sums = reader.sums().map_err(failed)?;
    Ok(Writer { position, membership: marks.membership, sums, unflushed: false })
}

/// The membership is written only when it changed.
fn write_marks(
    transaction: &WriteTransaction,
    position: u64,
    sums: Sums,
    marks: &Marks,
    new_membership: bool,
) -> Result<(), StoreError> {
    let mut meta = transaction.open_table(tables::META)?;
    meta.insert(tables::META_APPLIED, values::applied(position, &marks.applied).as_slice())?;
    meta.insert(tables::META_SUMS, values::sums(sums).as_slice())?;
    if new_membership {
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
    let transaction = begin_durable(database)?;
    {
        let mut meta = transaction.open_table(tables::META)?;
        meta.insert(tables::META_FORMAT, values::number(tables::FORMAT).as_slice())?;
        meta.insert(tables::META_SUMS, values::sums(Sums::default()).as_slice())?;
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

#[cfg(test)]
mod tests;
