//! What the tabulator key offers: one candidate after the other, and then what was typed.

use std::collections::BTreeSet;

use super::State;
use crate::line::command::{COMMANDS, Usage, lookup, quote};

/// The commands that only this client has.
pub(super) const MORE_COMMANDS: &[&str] = &["search"];

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
        let Some(end) = command.find(char::is_whitespace) else {
            let word = command.to_lowercase();
            let names = COMMANDS.iter().map(|(name, _)| *name);
            let found = names.chain(MORE_COMMANDS.iter().copied());
            return Some((
                0,
                found.filter(|name| name.starts_with(&word)).map(|n| format!("/{n} ")).collect(),
            ));
        };
        let argument = command[end..].trim_start();
        let start = 1 + command.len() - argument.len();
        let inside = argument.strip_prefix('"');
        let finished = match inside {
            Some(inside) => inside.contains('"'),
            None => argument.contains(char::is_whitespace),
        };
        if finished {
            let (start, found) = self.of_text(&self.input.text()[..self.input.cursor()])?;
            return Some((start, found));
        }
        let usage = lookup(&command[..end])?;
        let names: Vec<&str> = match usage {
            Usage::Login | Usage::Message => self.users.iter().map(String::as_str).collect(),
            Usage::Publish | Usage::Join => self.channels.iter().map(String::as_str).collect(),
            Usage::Leave => self.rooms.keys().map(super::Place::name).collect(),
            Usage::History => {
                // A channel and a user may share a name.
                let names: BTreeSet<&String> = self.channels.iter().chain(&self.users).collect();
                names.into_iter().map(String::as_str).collect()
            }
            _ => return None,
        };
        let prefix = inside.unwrap_or(argument).to_lowercase();
        let found = names.into_iter().filter(|name| name.to_lowercase().starts_with(&prefix));
        Some((start, found.map(|name| format!("{} ", quote(name))).collect()))
    }

    /// In a message: `#` channels, everything else users.
    fn of_text(&self, before: &str) -> Option<(usize, Vec<String>)> {
        let start = before
            .rfind(char::is_whitespace)
            .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
        let word = &before[start..];
        let sign = word.chars().next().filter(|c| matches!(c, '#' | '@'));
        let prefix = word.trim_start_matches(['#', '@']).to_lowercase();
        if word.is_empty() {
            return None;
        }
        let matching = |name: &&String| name.to_lowercase().starts_with(&prefix);
        let found = match sign {
            Some('#') => self.channels.iter().filter(matching).map(|n| format!("#{n} ")).collect(),
            Some(_) => self.users.iter().filter(matching).map(|n| format!("@{n} ")).collect(),
            None if start == 0 => {
                self.users.iter().filter(matching).map(|n| format!("{n}: ")).collect()
            }
            None => self.users.iter().filter(matching).map(|n| format!("{n} ")).collect(),
        };
        Some((start, found))
    }
}
