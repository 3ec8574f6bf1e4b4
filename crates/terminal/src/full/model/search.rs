//! Searching the open conversation for a text, back through its whole history.

use super::State;
use super::editor::Editor;
use super::event::Effect;
use super::room::Scroll;

/// What is searched for, and where it was found.
#[derive(Debug)]
pub(crate) struct Search {
    pub(crate) wanted: Editor,
    /// The message that was found last.
    pub(crate) found: Option<u64>,
    /// Look on, from before this key; older messages are being fetched.
    pub(crate) seeking: Option<u64>,
    /// There is nothing (more) above.
    pub(crate) exhausted: bool,
    /// Where the window was before.
    from: Scroll,
}

impl State {
    /// Starts to search, for nothing yet or for a text.
    pub(super) fn start_search(&mut self, wanted: &str, effects: &mut Vec<Effect>) {
        let Some(room) = self.room() else {
            self.error(self.texts.open_one_first());
            return;
        };
        let from = room.scroll;
        let mut editor = Editor::default();
        editor.insert(wanted);
        self.search =
            Some(Search { wanted: editor, found: None, seeking: None, exhausted: false, from });
        self.search_anew(effects);
    }

    /// The text changed: from the newest message on, which may have to be fetched first.
    pub(super) fn search_anew(&mut self, effects: &mut Vec<Effect>) {
        let Some(search) = &mut self.search else { return };
        (search.found, search.exhausted, search.seeking) = (None, false, None);
        if !search.wanted.text().trim().is_empty() {
            search.seeking = Some(u64::MAX);
            if self.room().is_some_and(|room| !room.log.live) {
                self.show_newest(effects);
                return;
            }
        }
        self.go_on_searching();
        self.fetch_what_is_missing(effects);
    }

    /// The next one above.
    pub(super) fn search_older(&mut self, effects: &mut Vec<Effect>) {
        let Some(search) = &mut self.search else { return };
        if !search.exhausted && search.seeking.is_none() {
            search.seeking = search.found;
        }
        self.go_on_searching();
        self.fetch_what_is_missing(effects);
    }

    /// The next one below, as far as messages are held.
    pub(super) fn search_newer(&mut self, effects: &mut Vec<Effect>) {
        let (Some(search), Some(room)) = (&self.search, self.room()) else { return };
        let Some(found) = search.found else { return };
        let wanted = search.wanted.text().trim().to_lowercase();
        let newer = room
            .log
            .iter()
            .find(|entry| entry.key > found && entry.text.to_lowercase().contains(&wanted))
            .map(|entry| entry.key);
        if let Some(key) = newer {
            self.found(key);
            self.fetch_what_is_missing(effects);
        }
    }

    /// Looks through what is held for what is sought.
    pub(super) fn go_on_searching(&mut self) {
        let (Some(search), Some(room)) = (&self.search, self.room()) else { return };
        let Some(before) = search.seeking else { return };
        let wanted = search.wanted.text().trim().to_lowercase();
        let older = room.log.iter().rev().filter(|entry| entry.key < before);
        let hit = older.into_iter().find(|entry| entry.text.to_lowercase().contains(&wanted));
        if let Some(key) = hit.map(|entry| entry.key) {
            self.found(key);
            return;
        }
        let (first, complete) = (room.log.first_key(), room.log.complete);
        let Some(search) = &mut self.search else { return };
        if complete {
            (search.seeking, search.exhausted) = (None, true);
            let (found, from) = (search.found, search.from);
            self.go_back_to(found.map_or(from, |key| Scroll::At { key, below: 0 }));
            if let Some(key) = found {
                self.scroll_to(key);
            }
            return;
        }
        search.seeking = first.map(|first| first.min(before)).or(Some(before));
        // The window goes along, so that what is let go of is what lies below.
        if let (Some(first), Some(room)) = (first, self.room_mut()) {
            room.scroll = Scroll::At { key: first, below: 0 };
        }
    }

    fn found(&mut self, key: u64) {
        if let Some(search) = &mut self.search {
            (search.found, search.seeking, search.exhausted) = (Some(key), None, false);
        }
        self.scroll_to(key);
    }

    /// Ends the search: where the window was, or at what was found.
    pub(super) fn end_search(&mut self, go_back: bool, effects: &mut Vec<Effect>) {
        let Some(search) = self.search.take() else { return };
        let nothing_found = search.found.is_none();
        if go_back || nothing_found {
            self.go_back_to(search.from);
        }
        self.fetch_what_is_missing(effects);
    }

    pub(super) fn searching(&self) -> bool {
        self.search.as_ref().is_some_and(|search| search.seeking.is_some())
    }
}
