//! Whose memory this client reads and writes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::memory::{self, Claim, Unread};
use crate::full::model::event::Event;
use crate::full::model::memory::Memory;

/// Reads and writes what is remembered of whoever is logged in.
#[derive(Debug)]
pub(super) struct Keeper {
    /// The folder, and the broker that all is about; none when nothing is remembered.
    place: Option<(PathBuf, String)>,
    /// Whose file this client writes.
    claim: Option<(String, Claim)>,
    /// Why what was to be written last is not.
    pub(super) failed: Option<String>,
}

impl Keeper {
    pub(super) fn new(place: Option<(PathBuf, String)>) -> Keeper {
        Keeper { place, claim: None, failed: None }
    }

    fn file(&self, user: &str) -> Option<PathBuf> {
        let (folder, broker) = self.place.as_ref()?;
        Some(memory::file(folder, broker, user))
    }

    /// Writes down what is to be remembered, at once: the process may end next. It is a few
    /// thousand bytes, and more only when somebody writes that much. Tells what came of it; what is
    /// not this client's to write is left alone, and then there is nothing to tell.
    pub(super) fn remember(&mut self, user: String, remembered: Memory) -> Option<Event> {
        let file = self.file(&user)?;
        self.claim.as_ref().filter(|(owner, _)| *owner == user)?;
        let written = memory::write(&file, remembered);
        self.failed = written.err().map(|why| format!("{}: {why}", file.display()));
        Some(match self.failed.clone() {
            None => Event::Remembered { user },
            Some(why) => Event::NotRemembered { user, why },
        })
    }

    /// What is remembered of a user, and what is to be told about that.
    pub(super) fn recall(&mut self, user: &str) -> (Memory, Option<Event>) {
        // One that was logged in before is so no longer.
        self.claim = None;
        let Some(file) = self.file(user) else { return (Memory::default(), None) };
        let Some(claim) = memory::claim(&file) else {
            // The file is another client's, and so is what is being written there.
            let theirs = memory::look(&file).unwrap_or_default();
            let read_only = Memory { drafts: BTreeMap::new(), unsent: Vec::new(), ..theirs };
            return (read_only, Some(Event::KeptElsewhere));
        };
        let (memory, told) = match memory::read(&file) {
            Ok(memory) => (memory, None),
            Err(Unread::Damaged { kept_as }) => {
                (Memory::default(), Some(Event::Damaged { kept_as }))
            }
            // It may be read another time, so nothing is written over it.
            Err(Unread::Unreadable(why)) => {
                return (Memory::default(), Some(Event::NotRecalled(why)));
            }
        };
        self.claim = Some((user.to_owned(), claim));
        (memory, told)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::full::model::room::Place;

    fn keeper(folder: &Path) -> Keeper {
        Keeper::new(Some((folder.to_owned(), "b".to_owned())))
    }

    fn with_draft(text: &str) -> Memory {
        let tea = Place::Channel("tea".to_owned());
        Memory { drafts: [(tea, text.to_owned())].into(), ..Memory::default() }
    }

    #[test]
    fn what_can_not_be_read_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let mut ana = keeper(folder.path());
        let file = ana.file("ana").unwrap();
        // Any system refuses to read this as a file, whoever asks.
        fs::create_dir(&file).unwrap();
        let (memory, told) = ana.recall("ana");
        assert_eq!(memory, Memory::default());
        assert!(matches!(told, Some(Event::NotRecalled(_))), "{told:?}");
        fs::remove_dir(&file).unwrap();
        memory::write(&file, with_draft("from before")).unwrap();
        assert!(ana.remember("ana".to_owned(), with_draft("new")).is_none());
        assert_eq!(memory::look(&file).unwrap(), with_draft("from before"));
        assert_eq!(ana.recall("ana").0, with_draft("from before"), "and the next login has it");
    }

    #[test]
    fn what_was_not_written_is_known_until_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let mut ana = keeper(folder.path());
        let file = ana.file("ana").unwrap();
        assert!(ana.recall("ana").1.is_none());
        fs::create_dir(&file).unwrap();
        let told = ana.remember("ana".to_owned(), with_draft("a draft"));
        let Some(Event::NotRemembered { user, why }) = told else { panic!("{told:?}") };
        assert_eq!(user, "ana");
        assert_eq!(ana.failed.as_ref(), Some(&why));
        fs::remove_dir(&file).unwrap();
        let told = ana.remember("ana".to_owned(), with_draft("a draft"));
        assert!(matches!(told, Some(Event::Remembered { .. })), "{told:?}");
        assert_eq!(ana.failed, None);
    }

    #[test]
    fn a_second_client_moves_and_writes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (mut first, mut second) = (keeper(folder.path()), keeper(folder.path()));
        let file = first.file("ana").unwrap();
        assert!(first.recall("ana").1.is_none());
        let says_so = |second: &mut Keeper| {
            let (memory, told) = second.recall("ana");
            assert!(matches!(told, Some(Event::KeptElsewhere)), "{told:?}");
            assert!(memory.drafts.is_empty(), "{memory:?}");
        };
        says_so(&mut second);
        fs::write(&file, "damaged").unwrap();
        says_so(&mut second);
        assert_eq!(fs::read_to_string(&file).unwrap(), "damaged", "it is where it was");
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        says_so(&mut second);
        fs::remove_dir(&file).unwrap();
        let written = first.remember("ana".to_owned(), with_draft("by the first"));
        assert!(matches!(written, Some(Event::Remembered { .. })), "{written:?}");
        assert!(second.remember("ana".to_owned(), with_draft("by the second")).is_none());
        says_so(&mut second);
        assert_eq!(memory::look(&file).unwrap(), with_draft("by the first"));
        drop(first);
        assert_eq!(second.recall("ana").0, with_draft("by the first"), "now it is its own");
    }
}
