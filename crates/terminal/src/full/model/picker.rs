//! Choosing a conversation, a channel or a user from a list, by a part of its name.

use super::editor::Editor;
use super::event::{Effect, Listed};
use super::room::Place;
use super::{Overlay, State};

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

    /// What is chosen in the list that is open.
    pub(crate) fn chosen(&self) -> Option<Place> {
        let Some(Overlay::Picker(picker)) = &self.overlay else { return None };
        self.picks(picker).into_iter().nth(picker.chosen)
    }

    /// Keeps it chosen in a list that has grown; whoever has chosen nothing stays at the top.
    pub(super) fn choose(&mut self, wanted: Option<Place>) {
        let Some(Overlay::Picker(picker)) = &self.overlay else { return };
        if picker.chosen == 0 {
            return;
        }
        let found = self.picks(picker).iter().position(|place| Some(place) == wanted.as_ref());
        if let (Some(Overlay::Picker(picker)), Some(chosen)) = (&mut self.overlay, found) {
            picker.chosen = chosen;
        }
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
