//! The rows above and below: where one is, how the connection is, how far own messages are.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;

use super::put;
use super::theme::Look;
use crate::full::layout::{MIN_COLUMNS_FOR_ROOMS, MIN_ROWS_FOR_TITLE};
use crate::full::model::room::Room;
use crate::full::model::{Link, Search, State};
use crate::full::wrap::{clean, columns, fold, shorten};

/// What stands between two parts.
pub(super) const BETWEEN: &str = " · ";

pub(super) fn draw_title(state: &State, look: &Look, area: Rect, buffer: &mut Buffer) {
    let title =
        state.open.as_ref().map_or_else(|| "Recado".to_owned(), |open| clean(&open.title()));
    let x = put(buffer, area, area.x, area.y, &title, look.strong);
    if state.scrolled() {
        let (text, style) = older_shown(state, look);
        put(buffer, area, x + 2, area.y, &text, style);
    }
}

/// That the window shows older messages, and how many new ones came below them.
fn older_shown(state: &State, look: &Look) -> (String, Style) {
    let (unread, mentions) = state.room().map_or((0, 0), |room| (room.unread, room.mentions));
    match (unread, mentions) {
        (0, _) => (state.texts.older_shown(), look.unread),
        (_, 0) => (state.texts.new_below(unread), look.unread),
        // In a direct conversation every message counts as a call.
        _ if mentions == unread => (state.texts.new_below(unread), look.mention),
        _ => (state.texts.new_below_calling(unread, mentions), look.mention),
    }
}

/// The parts of the status line, the most important one first; what does not fit is left out.
fn parts(state: &State, look: &Look) -> Vec<(String, Style)> {
    let texts = state.texts;
    let mut parts = Vec::new();
    let unsent = state.unsent();
    if state.rooms.values().any(Room::has_failed) {
        parts.push((texts.failed_status(), look.error));
    } else if unsent > 0 {
        parts.push((texts.sending(unsent), look.unread));
    } else if let Some(stored) = state.last_stored {
        let text = if stored.of == 0 {
            texts.sent_somewhere()
        } else {
            texts.stored_on(stored.on, stored.of)
        };
        parts.push((text, look.good));
    }
    let connection = match state.broker {
        Link::Up if state.proxy_lost => (texts.no_proxy(), look.error),
        Link::Up => (texts.link_up(), look.plain),
        Link::Unseen { .. } if !state.broker_away() => (texts.link_unseen(), look.dim),
        Link::Unseen { .. } | Link::Lost { .. } => (texts.link_lost(), look.error),
    };
    parts.insert(0, connection);
    // Without a list of conversations this is all that tells where one writes.
    if state.columns < MIN_COLUMNS_FOR_ROOMS
        && let Some(open) = &state.open
    {
        parts.insert(1, (shorten(&clean(&open.title()), 16), look.strong));
    }
    if state.rows < MIN_ROWS_FOR_TITLE && state.scrolled() {
        parts.insert(0, older_shown(state, look));
    }
    let unread: u32 = state
        .rooms
        .iter()
        .filter(|(place, _)| state.open.as_ref() != Some(*place))
        .map(|(_, room)| room.unread)
        .fold(0, u32::saturating_add);
    if unread > 0 && state.columns < MIN_COLUMNS_FOR_ROOMS {
        parts.push((texts.unread_elsewhere(unread), look.unread));
    }
    if let Some(primary) = &state.primary {
        parts.push((texts.primary_is(primary), look.dim));
    }
    if let Some(me) = &state.me {
        parts.push((shorten(&clean(me), 20), look.own));
    }
    parts
}

pub(super) fn draw(state: &State, look: &Look, area: Rect, buffer: &mut Buffer) {
    let mut x = area.x;
    for (text, style) in parts(state, look) {
        let between = if x == area.x { "" } else { BETWEEN };
        let needed = columns(between) + columns(&text);
        if usize::from(area.right().saturating_sub(x)) < needed && x > area.x {
            continue;
        }
        x = put(buffer, area, x, area.y, between, look.dim);
        x = put(buffer, area, x, area.y, &text, style);
    }
}

pub(super) fn draw_search(
    state: &State,
    search: &Search,
    look: &Look,
    area: Rect,
    buffer: &mut Buffer,
) -> Option<Position> {
    if area.height == 0 {
        return None;
    }
    let texts = state.texts;
    let start = put(buffer, area, area.x, area.y, &texts.search_for(), look.unread);
    let room = usize::from(area.right().saturating_sub(start)).max(2);
    let (rows, (row, column)) = fold(search.wanted.text(), search.wanted.cursor(), room);
    let shown = rows.get(row).map_or("", String::as_str);
    let x = put(buffer, area, start, area.y, shown, look.plain);
    let hint = if search.seeking.is_some() {
        texts.looking_back()
    } else if search.exhausted {
        texts.no_more_found()
    } else {
        texts.search_keys()
    };
    if usize::from(area.right().saturating_sub(x)) > columns(&hint) + 2 {
        put(buffer, area, x + 2, area.y, &hint, look.dim);
    }
    Some(Position::new(start + u16::try_from(column).unwrap_or(0), area.y))
}
