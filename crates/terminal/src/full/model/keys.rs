//! What keys and the mouse do.

use ratatui::crossterm::event::{
    KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};
use ratatui::layout::Position;
use unicode_segmentation::UnicodeSegmentation;

use super::event::{Effect, Listed};
use super::room::Scroll;
use super::{Overlay, Picker, State};
use crate::full::layout::{PROMPT_COLUMNS, overlay_area, panes, rooms_in_sight};
use crate::full::page::rows;
use crate::full::wrap::fold;

/// How many rows the mouse wheel moves.
const WHEEL_ROWS: usize = 3;

impl State {
    pub(super) fn key(&mut self, key: KeyEvent, effects: &mut Vec<Effect>) {
        if key.kind == KeyEventKind::Release {
            return;
        }
        self.attention.key(self.now_ms);
        let Some(key) = self.texts.keys.usual(key) else { return };
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        if self.quitting && !may_leave(key.code, control) {
            (self.quitting, self.notice) = (false, None);
        }
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        let completes = matches!(key.code, KeyCode::Tab | KeyCode::BackTab);
        if !completes {
            self.completion = None;
        }
        if self.overlay.is_some() {
            self.key_in_overlay(key, control, effects);
        } else if self.global_key(key, control, alt, effects) {
        } else if self.search.is_some() {
            self.key_in_search(key, control, effects);
        } else {
            self.key_in_input(key, control, alt, effects);
        }
    }

    /// Keys that mean the same wherever one is.
    fn global_key(
        &mut self,
        key: KeyEvent,
        control: bool,
        alt: bool,
        effects: &mut Vec<Effect>,
    ) -> bool {
        match key.code {
            KeyCode::Char('c') if control => self.interrupt(effects),
            KeyCode::Char('q') if control => drop(self.quit(effects)),
            KeyCode::Char('l') if control => effects.push(Effect::Redraw),
            KeyCode::Char('k' | 'p') if control => {
                self.ask_names(effects);
                self.overlay = Some(Overlay::Picker(Picker::of(Listed::Everything)));
            }
            KeyCode::Char('r') if control && self.search.is_none() => self.retry(effects),
            KeyCode::Char('t') if control && self.search.is_none() => self.take_back(effects),
            KeyCode::Char('a') if alt => match self.next_unread() {
                Some(place) => self.show(place, effects),
                None => self.note(self.texts.nothing_unread()),
            },
            KeyCode::Char(digit @ '1'..='9') if alt => {
                self.show_listed(digit as usize - '1' as usize, effects);
            }
            KeyCode::Up | KeyCode::Down if alt => self.neighbour(key.code == KeyCode::Up, effects),
            KeyCode::PageUp | KeyCode::PageDown => {
                let page = self.timeline_height().saturating_sub(1).max(1);
                self.scroll(key.code == KeyCode::PageUp, page, effects);
            }
            KeyCode::Up | KeyCode::Down if control || key.modifiers == KeyModifiers::SHIFT => {
                self.scroll(key.code == KeyCode::Up, 1, effects);
            }
            KeyCode::End if control || alt => self.show_newest(effects),
            KeyCode::F(1) => self.help(None),
            KeyCode::F(2) => {
                self.mouse = !self.mouse;
                effects.push(Effect::Mouse(self.mouse));
                self.note(if self.mouse { self.texts.mouse_on() } else { self.texts.mouse_off() });
            }
            _ => return false,
        }
        true
    }

    /// Ctrl-C empties what is being written, and leaves when there is nothing.
    fn interrupt(&mut self, effects: &mut Vec<Effect>) {
        if self.search.is_some() {
            self.end_search(true, effects);
        } else if !self.input.is_empty() {
            self.input.take();
            (self.quitting, self.notice) = (false, None);
        } else if self.quitting {
            effects.push(Effect::Quit { code: super::super::EXIT_INTERRUPTED });
        } else {
            self.quitting = true;
            match self.why_not_leave() {
                None => self.note(self.texts.once_more_leaves()),
                Some(why_not) => self.error(why_not),
            }
        }
    }

    fn key_in_input(&mut self, key: KeyEvent, control: bool, alt: bool, effects: &mut Vec<Effect>) {
        match key.code {
            KeyCode::Enter if alt || key.modifiers.contains(KeyModifiers::SHIFT) => {
                self.insert("\n");
            }
            KeyCode::Char('j') if control => drop(self.insert("\n")),
            KeyCode::Enter => self.enter(effects),
            KeyCode::Tab | KeyCode::BackTab => {
                self.ask_names(effects);
                self.complete(key.code == KeyCode::BackTab);
            }
            KeyCode::Esc => {
                self.notice = None;
                self.show_newest(effects);
            }
            KeyCode::Char('f') if control => self.start_search("", effects),
            KeyCode::Char('d') if control && self.input.is_empty() => drop(self.quit(effects)),
            KeyCode::Char('?') if self.input.is_empty() => self.help(Some('?')),
            KeyCode::End if self.input.is_empty() => self.show_newest(effects),
            _ => edit(&mut self.input, key, control, alt),
        }
    }

    fn key_in_search(&mut self, key: KeyEvent, control: bool, effects: &mut Vec<Effect>) {
        let Some(search) = &mut self.search else { return };
        match key.code {
            KeyCode::Esc => self.end_search(true, effects),
            KeyCode::Enter | KeyCode::Up => self.search_older(effects),
            KeyCode::Char('f') if control => self.search_older(effects),
            KeyCode::Down => self.search_newer(effects),
            KeyCode::Tab => self.end_search(false, effects),
            _ => {
                let before = search.wanted.text().to_owned();
                edit(&mut search.wanted, key, control, false);
                if search.wanted.text() != before {
                    self.search_anew(effects);
                }
            }
        }
    }

    fn key_in_overlay(&mut self, key: KeyEvent, control: bool, effects: &mut Vec<Effect>) {
        let area = overlay_area(&panes(self));
        match &mut self.overlay {
            Some(Overlay::Picker(_)) => self.key_in_picker(key, control, effects),
            Some(Overlay::Text { lines, first, typed, .. }) => {
                // The title takes a row.
                let page = usize::from(area.height).saturating_sub(1).max(1);
                let last = rows(lines, area.width).count().saturating_sub(page);
                match key.code {
                    KeyCode::Up => *first = first.saturating_sub(1),
                    KeyCode::Down => *first = (*first + 1).min(last),
                    KeyCode::PageUp => *first = first.saturating_sub(page),
                    KeyCode::PageDown | KeyCode::Char(' ') => *first = (*first + page).min(last),
                    KeyCode::Char(letter) if *typed == Some(letter) => {
                        self.overlay = None;
                        self.insert(letter.encode_utf8(&mut [0; 4]));
                    }
                    _ => self.overlay = None,
                }
            }
            None => {}
        }
    }

    fn key_in_picker(&mut self, key: KeyEvent, control: bool, effects: &mut Vec<Effect>) {
        let Some(Overlay::Picker(picker)) = &self.overlay else { return };
        let picks = self.picks(picker);
        let chosen = picker.chosen.min(picks.len().saturating_sub(1));
        let Some(Overlay::Picker(picker)) = &mut self.overlay else { return };
        match key.code {
            KeyCode::Esc => self.overlay = None,
            KeyCode::Char('c') if control => self.overlay = None,
            KeyCode::Enter => {
                if let Some(place) = picks.into_iter().nth(chosen) {
                    self.pick(place, effects);
                }
            }
            KeyCode::Up | KeyCode::BackTab => picker.chosen = chosen.saturating_sub(1),
            KeyCode::Char('k' | 'p') if control => picker.chosen = chosen.saturating_sub(1),
            KeyCode::Down | KeyCode::Tab => {
                picker.chosen = (chosen + 1).min(picks.len().saturating_sub(1));
            }
            _ => {
                let before = picker.filter.text().to_owned();
                edit(&mut picker.filter, key, control, false);
                if picker.filter.text() != before {
                    picker.chosen = 0;
                }
            }
        }
    }

    pub(super) fn paste(&mut self, text: &str, effects: &mut Vec<Effect>) {
        self.attention.key(self.now_ms);
        (self.completion, self.quitting) = (None, false);
        if let Some(Overlay::Picker(picker)) = &mut self.overlay {
            picker.filter.insert(&text.replace(['\r', '\n'], " "));
        } else if let Some(search) = &mut self.search {
            search.wanted.insert(&text.replace(['\r', '\n'], " "));
            self.search_anew(effects);
        } else {
            self.overlay = None;
            if self.insert(text) {
                self.tell_how_long();
            }
        }
    }

    /// Says how long the text is when not all of it is in sight.
    fn tell_how_long(&mut self) {
        let area = panes(self).input;
        let text = self.input.text().trim_end_matches('\n');
        let (rows, _) = fold(text, 0, usize::from(area.width.saturating_sub(PROMPT_COLUMNS)));
        if rows.len() <= usize::from(area.height) {
            return;
        }
        let told = match text.split('\n').count() {
            1 => self.texts.pasted_letters(text.graphemes(true).count()),
            lines => self.texts.pasted(lines),
        };
        self.note(told);
    }

    /// Writes at the cursor; false, and told, when the text would get too long.
    fn insert(&mut self, text: &str) -> bool {
        let written = self.input.insert(text);
        if !written {
            self.error(self.texts.too_long_to_write());
        }
        written
    }

    pub(super) fn mouse(&mut self, mouse: MouseEvent, effects: &mut Vec<Effect>) {
        let at = Position::new(mouse.column, mouse.row);
        match mouse.kind {
            MouseEventKind::ScrollUp => self.wheel(true, effects),
            MouseEventKind::ScrollDown => self.wheel(false, effects),
            MouseEventKind::Down(MouseButton::Left) => {
                if self.overlay.take().is_some() {
                    return;
                }
                let Some(rooms) = panes(self).rooms.filter(|rooms| rooms.contains(at)) else {
                    return;
                };
                let row = usize::from(mouse.row - rooms.y);
                let index = rooms_in_sight(self, rooms.height).at(row, usize::from(rooms.height));
                if let Some(index) = index {
                    self.show_listed(index, effects);
                }
            }
            _ => {}
        }
    }

    fn wheel(&mut self, up: bool, effects: &mut Vec<Effect>) {
        let area = overlay_area(&panes(self));
        match &mut self.overlay {
            Some(Overlay::Text { lines, first, .. }) => {
                let moved = if up { first.saturating_sub(WHEEL_ROWS) } else { *first + WHEEL_ROWS };
                let page = usize::from(area.height).saturating_sub(1);
                *first = moved.min(rows(lines, area.width).count().saturating_sub(page));
            }
            Some(Overlay::Picker(_)) => {}
            None => self.scroll(up, WHEEL_ROWS, effects),
        }
    }

    /// Whether the window shows something else than the end.
    pub(crate) fn scrolled(&self) -> bool {
        self.room().is_some_and(|room| room.scroll != Scroll::Bottom)
    }
}

/// Whether a key may be the second one with which people leave.
fn may_leave(key: KeyCode, control: bool) -> bool {
    key == KeyCode::Enter || control && matches!(key, KeyCode::Char('c' | 'q' | 'd'))
}

/// The keys of every line that can be edited.
fn edit(line: &mut super::Editor, key: KeyEvent, control: bool, alt: bool) {
    match key.code {
        KeyCode::Left if control || alt => line.word_left(),
        KeyCode::Right if control || alt => line.word_right(),
        KeyCode::Left => line.left(),
        KeyCode::Right => line.right(),
        KeyCode::Home => line.home(),
        KeyCode::End => line.end(),
        KeyCode::Up => line.up(),
        KeyCode::Down => line.down(),
        KeyCode::Backspace if control || alt => line.kill_word_before(),
        KeyCode::Backspace => line.backspace(),
        KeyCode::Delete => line.delete(),
        KeyCode::Char(letter) if control => match letter {
            'a' => line.home(),
            'e' => line.end(),
            'b' => line.left(),
            'd' => line.delete(),
            'h' => line.backspace(),
            'w' => line.kill_to_space(),
            'u' => line.kill_to_start(),
            'y' => line.yank(),
            _ => {}
        },
        KeyCode::Char(letter) if alt => match letter {
            'b' => line.word_left(),
            'f' => line.word_right(),
            'd' => line.kill_word_behind(),
            _ => {}
        },
        KeyCode::Char(letter) => drop(line.insert(letter.encode_utf8(&mut [0; 4]))),
        _ => {}
    }
}
