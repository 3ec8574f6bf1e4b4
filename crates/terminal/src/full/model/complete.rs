//! What the tabulator key offers: one candidate after the other, and then what was typed.

use std::collections::BTreeSet;

use super::State;
use super::event::Effect;
use super::room::Place;
use crate::line::command::{COMMANDS, quote};
use crate::line::complete::{Offered, Word, begins, last_word};

/// The commands that only this client has.
pub(super) const MORE_COMMANDS: &[&str] = &["search"];

/// In so many of the newest messages it is looked who spoke last.
const MAX_VOICES: usize = 500;

/// How often names are asked for at most, ms.
const NAMES_EVERY_MS: u64 = 10_000;

/// What is being offered.
#[derive(Clone, Debug)]
pub(super) struct Completion {
    /// Where it stands, bytes.
    start: usize,
    candidates: Vec<String>,
    shown: usize,
    /// What stands there now.
    length: usize,
}

impl State {
    /// Asks for all names: somebody is about to choose one. Nobody else needs them, and there may be
    /// many thousands.
    pub(super) fn ask_names(&mut self, effects: &mut Vec<Effect>) {
        let again = self.names_asked_ms.is_none_or(|asked_ms| {
            self.now_ms < asked_ms || self.now_ms >= asked_ms + NAMES_EVERY_MS
        });
        if again {
            self.names_asked_ms = Some(self.now_ms);
            effects.push(Effect::AskNames);
        }
    }

    /// Puts the next candidate in place of the word before the cursor.
    pub(super) fn complete(&mut self, backwards: bool) {
        let mut completion = match self.completion.take() {
            Some(mut going_on) => {
                let count = going_on.candidates.len();
                let step = if backwards { count - 1 } else { 1 };
                going_on.shown = (going_on.shown + step) % count;
                going_on
            }
            None => {
                let Some((start, mut candidates)) = self.candidates() else { return };
                let typed = self.input.text()[start..self.input.cursor()].to_owned();
                let length = typed.len();
                if candidates.len() > 1 {
                    candidates.push(typed);
                }
                Completion { start, candidates, shown: 0, length }
            }
        };
        let text = completion.candidates[completion.shown].clone();
        self.input.splice(completion.start, completion.start + completion.length, &text);
        completion.length = text.len();
        if completion.candidates.len() > 1 {
            self.completion = Some(completion);
        }
    }

    /// Where the word before the cursor starts, and what may stand in its place; none without any.
    fn candidates(&self) -> Option<(usize, Vec<String>)> {
        let before = &self.input.text()[..self.input.cursor()];
        let (start, found) = match before.strip_prefix('/') {
            Some(command) if !command.starts_with('/') => self.of_command(command)?,
            _ => self.of_text(before)?,
        };
        (!found.is_empty()).then_some((start, found))
    }

    fn of_command(&self, command: &str) -> Option<(usize, Vec<String>)> {
        match last_word(command) {
            Word::Command(word) => {
                let names = COMMANDS.iter().map(|(name, _)| *name);
                let found = names.chain(MORE_COMMANDS.iter().copied());
                let found = found.filter(|name| begins(name, word));
                Some((0, found.map(|name| format!("/{name} ")).collect()))
            }
            Word::Name { usage, start, prefix } => {
                let offered = Offered {
                    users: self.users_by_voice(),
                    channels: self.channels.iter().map(String::as_str).collect(),
                    joined: self.rooms.keys().map(Place::name).collect(),
                };
                let found = offered.to(usage, prefix).into_iter();
                Some((1 + start, found.map(|name| format!("{} ", quote(name))).collect()))
            }
            Word::Text => self.of_text(&self.input.text()[..self.input.cursor()]),
            Word::Unknown => None,
        }
    }

    /// In a message: `#` channels, everything else users.
    fn of_text(&self, before: &str) -> Option<(usize, Vec<String>)> {
        let start = before
            .rfind(char::is_whitespace)
            .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
        let word = &before[start..];
        if word.is_empty() {
            return None;
        }
        let sign = word.chars().next().filter(|c| matches!(c, '#' | '@'));
        let prefix = word.trim_start_matches(['#', '@']);
        if sign == Some('#') {
            let found = self.channels.iter().filter(|name| begins(name, prefix));
            return Some((start, found.map(|name| format!("#{name} ")).collect()));
        }
        let (in_front, behind) = match sign {
            Some(_) => ("@", " "),
            None if start == 0 => ("", ": "),
            None => ("", " "),
        };
        let found = self.users_by_voice().into_iter().filter(|name| begins(name, prefix));
        Some((start, found.map(|name| format!("{in_front}{name}{behind}")).collect()))
    }

    /// All users: who spoke last in the open conversation comes first, then the rest by name.
    fn users_by_voice(&self) -> Vec<&str> {
        let mut seen = BTreeSet::new();
        let recent = self.room().into_iter().flat_map(|room| room.log.iter().rev());
        let voices = recent.take(MAX_VOICES).map(|entry| entry.from.as_str());
        let voices = voices.filter(|from| self.me.as_deref() != Some(*from));
        let all = voices.chain(self.users.iter().map(String::as_str));
        all.filter(|name| seen.insert(*name)).collect()
    }
}
