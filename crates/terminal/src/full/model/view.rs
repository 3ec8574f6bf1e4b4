//! What is in sight, and moving it.

use std::cell::Cell;

use super::State;
use super::event::Effect;
use super::room::{Place, Scroll};
use crate::full::layout::panes;
use crate::full::rows::{Rows, Shape};

/// So many messages above what is in sight, older ones are fetched.
const FETCH_AHEAD: usize = 30;

impl State {
    /// Makes rows of the open conversation, for a timeline of this width.
    pub(crate) fn rows_of_open(&self, width: u16) -> Option<Rows<'_>> {
        Some(Rows {
            room: self.room()?,
            me: self.me.as_deref(),
            zone: &self.zone,
            texts: self.texts,
            shape: Shape::of(width),
            wrapped: Cell::new(0),
        })
    }

    pub(super) fn timeline_height(&self) -> usize {
        usize::from(panes(self).timeline.height)
    }

    /// Moves what is in sight: up by so many rows, or down.
    pub(super) fn scroll(&mut self, up: bool, by: usize, effects: &mut Vec<Effect>) {
        let area = panes(self).timeline;
        let Some(rows) = self.rows_of_open(area.width) else { return };
        let scroll = if up { rows.up(by, usize::from(area.height)) } else { rows.down(by) };
        if let Some(room) = self.room_mut() {
            room.scroll = scroll;
        }
        self.fetch_what_is_missing(effects);
    }

    /// Shows a message somewhere in the middle.
    pub(super) fn scroll_to(&mut self, key: u64) {
        let area = panes(self).timeline;
        let Some(rows) = self.rows_of_open(area.width) else { return };
        let scroll = rows.around(key, usize::from(area.height));
        if let Some(room) = self.room_mut() {
            room.scroll = scroll;
        }
    }

    /// Back to the newest message.
    pub(super) fn show_newest(&mut self, effects: &mut Vec<Effect>) {
        self.go_back_to(Scroll::Bottom);
        self.fetch_what_is_missing(effects);
    }

    /// Back to where one was; what is not held there any more is to be fetched.
    pub(super) fn go_back_to(&mut self, scroll: Scroll) {
        let Some(room) = self.room_mut() else { return };
        room.scroll = scroll;
        let held = match scroll {
            Scroll::Bottom => room.log.live,
            Scroll::At { key, .. } => room.log.holds(key),
        };
        if !held {
            // What is held may be far away from there.
            room.log.clear();
            room.fetching = None;
        }
    }

    /// Whether what is in sight is close to where what is held starts.
    pub(super) fn near_start(&self, place: &Place) -> bool {
        let Some(room) = self.rooms.get(place) else { return false };
        let last = match room.scroll {
            Scroll::Bottom => room.log.len(),
            Scroll::At { key, .. } => room.log.index_of(key).unwrap_or(0),
        };
        last < self.timeline_height() + FETCH_AHEAD
    }
}
