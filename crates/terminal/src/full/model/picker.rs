//! Choosing a conversation, a channel or a user from a list, by a part of its name.

use super::State;
use super::editor::Editor;
use super::event::{Effect, Listed};
use super::room::Place;

/// The list that is open.
#[derive(Debug, Default)]
pub(crate) struct Picker {
    pub(crate) of: Listed,
    pub(crate) filter: Editor,
    /// Which of what matches is chosen, from the top.
    pub(crate) chosen: usize,
}

impl Picker {
    pub(crate) fn of(of: Listed) -> Picker {
        Picker { of, ..Picker::default() }
    }
}

impl State {
    /// What the list shows: what matches from its first letter on comes first.
    pub(crate) fn picks(&self, picker: &Picker) -> Vec<Place> {
        let mut all: Vec<Place> = Vec::new();
        if picker.of == Listed::Everything {
            all.extend(self.by_need().into_iter().cloned());
        }
        let channels = self.channels.iter().cloned().map(Place::Channel);
        let users = self.users.iter().cloned().map(Place::Direct);
        let more: Vec<Place> = match picker.of {
            Listed::Everything => channels.chain(users).collect(),
            Listed::Channels => channels.collect(),
            Listed::Users => users.collect(),
        };
        let known = picker.of == Listed::Everything;
        all.extend(more.into_iter().filter(|place| !(known && self.rooms.contains_key(place))));
        let wanted = picker.filter.text().trim().to_lowercase();
        let sign_free = wanted.trim_start_matches(['#', '@']);
        all.retain(|place| {
            let name = place.name().to_lowercase();
            name.contains(sign_free) || place.title().to_lowercase().contains(&wanted)
        });
        all.sort_by_key(|place| !place.name().to_lowercase().starts_with(sign_free));
        all
    }

    /// Opens what was chosen.
    pub(super) fn pick(&mut self, place: Place, effects: &mut Vec<Effect>) {
        self.overlay = None;
        match place {
            Place::Channel(channel) => self.join(channel, effects),
            Place::Direct(user) if self.me.is_some() => self.show_direct(user, effects),
            Place::Direct(_) => self.error(self.texts.log_in_first()),
        }
    }
}
