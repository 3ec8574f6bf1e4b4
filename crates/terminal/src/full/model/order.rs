//! The order of the conversations, and going from one to another in it.

use std::collections::BTreeSet;

use super::State;
use super::event::Effect;
use super::room::Place;

/// So long after a key or a click that goes by the order, it stays as it is, ms. Otherwise what is
/// opened, and thereby read, would move down, and the next number would open another conversation
/// than the one that was seen under it. Nothing else holds it: who opens one by its name, or the
/// next unread one, does not count rows.
const ORDER_HELD_MS: u64 = 5_000;

/// The order that is held for a while.
#[derive(Debug, Default)]
pub(crate) struct HeldOrder {
    places: Vec<Place>,
    pub(super) until_ms: u64,
}

impl State {
    /// By need: those that call first, then those with something unread, then the rest by name.
    pub(super) fn by_need(&self) -> Vec<&Place> {
        let mut places: Vec<_> = self.rooms.iter().collect();
        places.sort_by_key(|(_, room)| (room.mentions == 0, room.unread == 0));
        places.into_iter().map(|(place, _)| place).collect()
    }

    /// The conversations as the left side lists them: by need, or as they were while the order is
    /// held, with new ones behind.
    pub(crate) fn sorted(&self) -> Vec<&Place> {
        let by_need = self.by_need();
        if !self.order_is_held() {
            return by_need;
        }
        let held: BTreeSet<&Place> = self.order.places.iter().collect();
        let known = self.order.places.iter().filter(|place| self.rooms.contains_key(*place));
        known.chain(by_need.into_iter().filter(|place| !held.contains(*place))).collect()
    }

    pub(crate) fn order_is_held(&self) -> bool {
        self.now_ms < self.order.until_ms
    }

    /// Keeps the order as it is for a while, from now on.
    pub(super) fn hold_order(&mut self) {
        self.order.places = self.sorted().into_iter().cloned().collect();
        self.order.until_ms = self.now_ms + ORDER_HELD_MS;
    }

    /// Opens the conversation in this place of the list.
    pub(super) fn show_listed(&mut self, index: usize, effects: &mut Vec<Effect>) {
        self.hold_order();
        if let Some(place) = self.order.places.get(index).cloned() {
            self.show(place, effects);
        }
    }

    /// The conversation above or below the open one.
    pub(super) fn neighbour(&mut self, up: bool, effects: &mut Vec<Effect>) {
        let sorted = self.sorted();
        let here =
            self.open.as_ref().and_then(|open| sorted.iter().position(|place| *place == open));
        let count = sorted.len();
        let there = match here {
            Some(here) if up => (here + count - 1) % count,
            Some(here) => (here + 1) % count,
            None => 0,
        };
        self.show_listed(there, effects);
    }

    /// The one that needs attention next, wherever it is listed.
    pub(super) fn next_unread(&self) -> Option<Place> {
        let waiting = |place: &&Place| {
            self.open.as_ref() != Some(*place)
                && self.rooms.get(*place).is_some_and(|room| room.unread > 0)
        };
        self.by_need().into_iter().find(waiting).cloned()
    }
}
