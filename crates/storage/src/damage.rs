//! What was found damaged in a store that is in use: noted beside it, so that nobody opens it again
//! as if nothing were, and told to whoever runs it.

use std::cell::Cell;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::StoreError;

/// Who is told.
type Listener = Box<dyn Fn(&str) + Send + Sync>;

/// The damage of one store; the first one found counts.
#[derive(Default)]
pub(crate) struct Damage(Mutex<Found>);

#[derive(Default)]
struct Found {
    what: Option<String>,
    /// Where it is noted, once the store is open. Before, whoever opens it is told.
    note: Option<PathBuf>,
    listener: Option<Listener>,
}

impl fmt::Debug for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Damage").field(&self.what()).finish()
    }
}

impl Damage {
    fn found(&self) -> MutexGuard<'_, Found> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was found; none as long as nothing was.
    pub fn what(&self) -> Option<String> {
        self.found().what.clone()
    }

    /// From now on damage is noted in this file.
    pub fn note_in(&self, note: PathBuf) {
        self.found().note = Some(note);
    }

    /// From now on this one is told; at once if something was found before.
    pub fn tell(&self, listener: Listener) {
        let mut found = self.found();
        if let Some(what) = &found.what {
            listener(what);
        }
        found.listener = Some(listener);
    }

    /// Something is damaged: what, in a clause.
    pub fn report(&self, what: &str) {
        let mut found = self.found();
        if found.what.is_some() {
            return;
        }
        found.what = Some(what.to_owned());
        if let Some(note) = &found.note
            && let Err(error) = write_note(note, what)
        {
            tracing::error!("{} can't be written: {error}", note.display());
        }
        if let Some(listener) = &found.listener {
            listener(what);
        }
    }

    /// The same, as what a read ends with.
    pub fn met(&self, what: &str) -> io::Error {
        self.report(what);
        io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
    }

    /// Does work on redb; nothing comes of it when it ends in a panic. Bytes that fit their checksums
    /// and still make no tree (old ones, which a disk brought back) may lead redb into one. That is
    /// damage, and no mistake of the program, which a restart would only repeat.
    pub fn catch<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        let before = GUARDED.replace(true);
        let outcome = catch_unwind(AssertUnwindSafe(work));
        GUARDED.set(before);
        outcome
            .inspect_err(|panic| {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
                let text = text.unwrap_or("no reason given").replace('\n', " ");
                self.report(&format!("its pages make no sense to redb: {text}"));
            })
            .ok()
    }

    /// Does work on redb.
    ///
    /// # Errors
    /// Those of the work; [`StoreError::Damaged`] when there is damage, whatever redb calls it.
    pub fn guard<T>(&self, work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        match self.catch(work) {
            Some(Ok(done)) => Ok(done),
            Some(Err(error)) => Err(self.what().map_or(error, StoreError::Damaged)),
            None => Err(StoreError::Damaged(self.what().unwrap_or_default())),
        }
    }
}

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread works on a store, so that a panic ends only that work. A panic hook that
/// would end the process asks.
pub fn is_guarded() -> bool {
    GUARDED.get()
}

/// Writes the note durably. If that is cut short, the damage is found again.
fn write_note(note: &Path, what: &str) -> io::Result<()> {
    let mut file = File::create(note)?;
    file.write_all(what.as_bytes())?;
    file.sync_all()?;
    sync_folder_of(note)
}

/// What a note says; none when there is no note.
///
/// # Errors
/// It can't be read.
pub(crate) fn read_note(note: &Path) -> io::Result<Option<String>> {
    match fs::read(note) {
        Ok(what) => Ok(Some(String::from_utf8_lossy(&what).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes the names in the folder of this path durable.
pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn the_first_damage_is_noted_and_told_once() {
        let dir = tempfile::tempdir().unwrap();
        let note = dir.path().join("note");
        let damage = Damage::default();
        damage.note_in(note.clone());
        let told = Arc::new(Mutex::new(Vec::new()));
        let listener = told.clone();
        damage.tell(Box::new(move |what| listener.lock().unwrap().push(what.to_owned())));
        assert_eq!(read_note(&note).unwrap(), None);
        damage.report("one");
        damage.report("two");
        assert_eq!(read_note(&note).unwrap().as_deref(), Some("one"));
        assert_eq!(*told.lock().unwrap(), ["one"]);
        let late = told.clone();
        damage.tell(Box::new(move |what| late.lock().unwrap().push(format!("late {what}"))));
        assert_eq!(*told.lock().unwrap(), ["one", "late one"]);
    }

    #[test]
    fn a_panic_is_damage_and_an_error_is_not() {
        let damage = Damage::default();
        let failed = damage.guard(|| -> Result<(), _> { Err(StoreError::Failed("no".into())) });
        assert!(matches!(failed, Err(StoreError::Failed(_))), "{failed:?}");
        assert_eq!(damage.what(), None);
        let panicked = damage.guard(|| -> Result<(), _> {
            assert!(is_guarded());
            panic!("for the test")
        });
        assert!(
            matches!(panicked, Err(StoreError::Damaged(what)) if what.contains("for the test"))
        );
        assert!(!is_guarded());
    }
}
