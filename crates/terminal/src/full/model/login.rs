//! Who is logged in, and how somebody else takes over.

use recado_client::ClientError;

use super::State;
use super::event::Effect;
use super::memory::Memory;
use super::room::{Place, Room};
use crate::texts::About;

impl State {
    /// Logs somebody in, unless that is under way; false while somebody else's messages wait.
    pub(crate) fn log_in(&mut self, user: String, effects: &mut Vec<Effect>) -> bool {
        if self.logging_in.as_ref() == Some(&user) {
            return true;
        }
        if self.keeps_from_leaving(&user) {
            return false;
        }
        self.logging_in = Some(user.clone());
        effects.push(Effect::Login { user, before: self.me.clone() });
        true
    }

    /// Whether messages of the one who is logged in are not sent yet, or texts would be lost; tells
    /// why another one has to wait then. What is kept, is kept for the one who wrote it.
    pub(super) fn keeps_from_leaving(&mut self, user: &str) -> bool {
        if self.me.as_deref().is_none_or(|me| me == user) {
            return false;
        }
        let unfinished = if self.is_kept() {
            self.unsent()
        } else {
            self.rooms.values().flat_map(Room::unfinished).count()
        };
        let why_not = match (unfinished, self.to_lose()) {
            (0, 0) => return false,
            (0, to_lose) => self.texts.lost_before_login(to_lose, user),
            (unfinished, _) => self.texts.unsent_before_login(unfinished, user),
        };
        self.error(why_not);
        true
    }

    pub(super) fn logged_in(
        &mut self,
        user: String,
        outcome: Result<(), ClientError>,
        effects: &mut Vec<Effect>,
    ) {
        self.logging_in = None;
        if let Err(error) = outcome {
            self.failed(&error, About::User(&user));
            return;
        }
        if self.keeps_from_leaving(&user) {
            // Written while the login was on its way.
            if let Some(me) = self.me.clone() {
                self.logging_in = Some(me.clone());
                effects.push(Effect::Login { user: me, before: Some(user) });
            }
            return;
        }
        let again = self.me.as_ref() == Some(&user);
        if self.me.is_some() && !again {
            self.forget_writer(effects);
            // Somebody else's conversations are nobody's business any more.
            self.rooms.retain(|place, _| matches!(place, Place::Channel(_)));
            if !self.open.as_ref().is_some_and(|open| self.rooms.contains_key(open)) {
                self.open = None;
            }
        }
        if again {
            self.mention(self.texts.logged_in(&user));
        } else {
            self.note(self.texts.logged_in(&user));
        }
        self.users.insert(user.clone());
        self.ask_status_now(effects);
        if again {
            effects.push(Effect::FetchInbox { user });
            self.fetch_what_is_missing(effects);
            return;
        }
        self.me = Some(user.clone());
        self.keeps = self.has_memory;
        (self.memory, self.saved, self.save_failed) = (Memory::default(), None, false);
        self.left.clear();
        self.closed.clear();
        effects.push(Effect::Recall { user });
        self.fetch_what_is_missing(effects);
    }
}
