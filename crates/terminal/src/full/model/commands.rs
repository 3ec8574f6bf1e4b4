//! What was written, carried out: a command behind a slash, or a message.

use recado_client::ClientError;
use recado_protocol::Status;

use super::event::{Effect, Listed};
use super::room::{Place, Progress, Room};
use super::{Overlay, State};
use crate::full::page::Line;
use crate::line::command::{Command, Fault, Usage, message_to, parse, quote};

impl State {
    /// Carries out what stands in the input; it stays there when it can't be.
    pub(super) fn enter(&mut self, effects: &mut Vec<Effect>) {
        let text = self.input.text().to_owned();
        if text.trim().is_empty() {
            return;
        }
        self.notice = None;
        let place_before = self.open.clone();
        let done = match text.strip_prefix('/') {
            // Two slashes stand for a message that begins with one.
            Some(message) if message.starts_with('/') => self.say_here(message, effects),
            Some(command) => self.command(command, effects),
            None => self.say_here(&text, effects),
        };
        if !done {
            return;
        }
        self.quitting = false;
        if self.open == place_before {
            self.input.take();
        } else if let Some(before) = place_before.and_then(|place| self.rooms.get_mut(&place)) {
            if before.draft == text {
                // The command went with the conversation that it led away from.
                before.draft.clear();
            }
            self.input.remember(text);
        } else {
            if self.input.text() == text {
                // Nothing was opened that has a draft of its own.
                self.input.set_aside();
            }
            self.input.remember(text);
        }
    }

    fn say_here(&mut self, text: &str, effects: &mut Vec<Effect>) -> bool {
        if self.me.is_none() {
            self.error(self.texts.log_in_first());
            return false;
        }
        let Some(place) = self.open.clone() else {
            self.error(self.texts.open_one_first());
            return false;
        };
        let written = self.write(&place, text.trim_end_matches('\n').to_owned(), effects);
        if written {
            self.show_newest(effects);
        }
        written
    }

    /// Carries out a command; false when it is none, or can't be carried out now.
    fn command(&mut self, line: &str, effects: &mut Vec<Effect>) -> bool {
        if let Some(wanted) = search_of(line) {
            self.start_search(wanted, effects);
            return true;
        }
        if line.trim() == "leave"
            && let Some(place) = self.open.clone()
        {
            return self.leave(&place, effects);
        }
        let command = match parse(line) {
            Ok(Some(command)) => command,
            Ok(None) => Command::Help,
            Err(Fault::Missing(Usage::Message))
                if self.me.is_some()
                    && let Some(user) = message_to(line) =>
            {
                self.show_direct(user, effects);
                return true;
            }
            Err(fault) => {
                let mut text = self.texts.fault(&fault);
                if matches!(fault, Fault::Unknown { .. }) {
                    text = format!("{text}; {}", self.texts.slash_twice());
                }
                self.error(text);
                return false;
            }
        };
        let needs_login = matches!(command, Command::Publish { .. } | Command::Message { .. });
        if needs_login && self.me.is_none() {
            self.error(self.texts.log_in_first());
            return false;
        }
        match command {
            Command::Login { user } => return self.log_in(user, effects),
            Command::Users => effects.push(Effect::Ask(Listed::Users)),
            Command::Channels => effects.push(Effect::Ask(Listed::Channels)),
            Command::Create { channel } => effects.push(Effect::Create { channel }),
            Command::Join { channel } => self.join(channel, effects),
            Command::Leave { channel } => {
                let direct = Place::Direct(channel.clone());
                let channel = Place::Channel(channel);
                let closes = !self.rooms.contains_key(&channel) && self.rooms.contains_key(&direct);
                return self.leave(if closes { &direct } else { &channel }, effects);
            }
            Command::Publish { channel, message } => {
                let place = Place::Channel(channel);
                if !self.rooms.contains_key(&place) {
                    self.not_joined(place.name());
                    return false;
                }
                if !self.write(&place, message, effects) {
                    return false;
                }
                self.show(place, effects);
            }
            Command::Message { user, message } => {
                self.show_direct(user.clone(), effects);
                return self.write(&Place::Direct(user), message, effects);
            }
            Command::History { name, count } => self.history(name, count, effects),
            Command::Status => effects.push(Effect::AskStatus { asked: true }),
            Command::Help => self.help(None),
            Command::Quit => return self.quit(effects),
        }
        true
    }

    /// Leaves a channel, or closes a direct conversation until something new comes.
    fn leave(&mut self, place: &Place, effects: &mut Vec<Effect>) -> bool {
        let Some(room) = self.rooms.get(place) else {
            self.not_joined(place.name());
            return false;
        };
        if room.unsent() > 0 {
            self.error(self.texts.unsent_here(room.unsent(), place.name()));
            return false;
        }
        let last = room.newest.max(room.read);
        let written = self.rooms.remove(place).map_or_else(Vec::new, |room| {
            let failed = room.outgoing.into_iter().filter(|out| out.progress == Progress::Failed);
            let draft = (!room.draft.is_empty()).then_some(room.draft);
            failed.map(|out| out.text).chain(draft).collect()
        });
        self.left.insert(place.clone());
        if self.open.as_ref() == Some(place) {
            self.open = None;
            self.search = None;
            let next = self.by_need().first().map(|place| (*place).clone());
            if let Some(next) = next {
                self.show(next, effects);
            }
        }
        match place {
            Place::Channel(channel) => {
                self.note(self.texts.left(channel));
                effects.push(Effect::Leave { channel: channel.clone() });
            }
            Place::Direct(user) => {
                self.note(self.texts.closed(user));
                self.closed.insert(place.clone(), last);
            }
        }
        if !written.is_empty() {
            self.note(self.texts.left_with_texts(place.name()));
            written.into_iter().for_each(|text| self.input.remember(text));
        }
        true
    }

    fn not_joined(&mut self, channel: &str) {
        self.error(self.texts.not_joined(channel, &quote(channel)));
    }

    /// Older messages: of the open conversation, or of one that is named.
    fn history(&mut self, name: Option<String>, count: Option<usize>, effects: &mut Vec<Effect>) {
        if let Some(name) = name {
            let direct = Place::Direct(name.clone());
            if self.rooms.contains_key(&direct) || self.users.contains(&name) {
                self.show_direct(name, effects);
            } else {
                self.join(name, effects);
            }
        }
        let rows = count.unwrap_or_else(|| self.timeline_height());
        self.scroll(true, rows, effects);
    }

    /// Shows every command and key. The letter that asked for it, if one did, is written when it
    /// is pressed once more.
    pub(super) fn help(&mut self, typed: Option<char>) {
        self.overlay = Some(Overlay::Text {
            title: self.texts.help_title(),
            lines: self.texts.full_help(),
            first: 0,
            typed,
        });
    }

    pub(super) fn asked_status(&mut self, outcome: Result<Status, ClientError>) {
        match outcome {
            Ok(status) => {
                self.status(&status);
                let lines = self.texts.status(&status);
                let lines = Line::split(lines.iter().map(String::as_str));
                let title = self.texts.status_title();
                self.overlay = Some(Overlay::Text { title, lines, first: 0, typed: None });
            }
            Err(error) => self.error(self.texts.failed(&error, crate::texts::About::Nothing)),
        }
    }

    /// Leaves; when something is not sent yet, only the second time.
    pub(super) fn quit(&mut self, effects: &mut Vec<Effect>) -> bool {
        if let (false, Some(why_not)) = (self.quitting, self.why_not_leave()) {
            self.quitting = true;
            self.error(why_not);
            return false;
        }
        let command = self.input.text().strip_prefix('/');
        if command.is_some_and(|command| parse(command) == Ok(Some(Command::Quit))) {
            // It is no draft.
            self.input.set_aside();
        }
        effects.push(Effect::Quit { code: 0 });
        true
    }

    /// What should be thought of before one leaves.
    pub(super) fn why_not_leave(&self) -> Option<String> {
        let (unsent, to_lose) = (self.unsent(), self.to_lose());
        if to_lose > 0 {
            return Some(self.texts.quit_loses(to_lose));
        }
        (unsent > 0).then(|| self.texts.quit_unsent(unsent))
    }

    /// Tries what failed once more, as a new message; when nothing failed here, shows where
    /// something did.
    pub(super) fn retry(&mut self, effects: &mut Vec<Effect>) {
        if !self.show_failed(effects) {
            return;
        }
        let Some(place) = self.open.clone() else { return };
        let Some(room) = self.rooms.get_mut(&place) else { return };
        for out in &mut room.outgoing {
            if out.progress == Progress::Failed {
                out.progress = Progress::Waiting;
            }
        }
        self.notice = None;
        self.send_next(&place, effects);
    }

    /// Whether something failed in the open conversation; otherwise shows one where something did.
    fn show_failed(&mut self, effects: &mut Vec<Effect>) -> bool {
        if self.room().is_some_and(Room::has_failed) {
            return true;
        }
        let failed = self.rooms.iter().find(|(_, room)| room.has_failed());
        if let Some(place) = failed.map(|(place, _)| place.clone()) {
            self.show(place, effects);
            self.show_newest(effects);
        }
        false
    }

    /// Takes the last message that failed back into the input; when nothing failed here, shows
    /// where something did.
    pub(super) fn take_back(&mut self, effects: &mut Vec<Effect>) {
        if !self.show_failed(effects) || !self.input.is_empty() {
            return;
        }
        let Some(room) = self.room_mut() else { return };
        let failed = room.outgoing.iter().rposition(|out| out.progress == Progress::Failed);
        if let Some(out) = failed.and_then(|at| room.outgoing.remove(at)) {
            (self.notice, self.completion) = (None, None);
            self.input.replace(out.text);
        }
    }
}

/// What `search` is asked to look for; none when it is another command.
fn search_of(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("search")?;
    (rest.is_empty() || rest.starts_with(char::is_whitespace)).then(|| rest.trim())
}
