//! The state as a screen: a function of what is known and how large the terminal is.

mod overlay;
mod rooms;
mod status;
pub(crate) mod theme;
mod timeline;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;

use super::layout::{PROMPT, PROMPT_COLUMNS, overlay_area, panes};
use super::model::{Kind, Overlay, State};
use super::wrap::{fold, wrap};
use theme::Look;

/// Draws everything; gives where the cursor is to stand.
pub(crate) fn draw(state: &State, look: &Look, buffer: &mut Buffer) -> Option<Position> {
    let panes = panes(state);
    if let Some(area) = panes.rooms {
        rooms::draw(state, look, area, buffer);
    }
    if let Some(area) = panes.title {
        status::draw_title(state, look, area, buffer);
    }
    timeline::draw(state, look, panes.timeline, buffer);
    if let Some(banner) = state.banner() {
        draw_note(&banner, look.banner, panes.banner, buffer);
    }
    if let Some(notice) = &state.notice {
        let style = if notice.kind == Kind::Error { look.error } else { look.dim };
        draw_note(&notice.text, style, panes.notice, buffer);
    }
    status::draw(state, look, panes.status, buffer);
    let mut cursor = match &state.search {
        Some(search) => status::draw_search(state, search, look, panes.input, buffer),
        None => draw_input(state, look, panes.input, buffer),
    };
    if let Some(overlay) = &state.overlay {
        let area = overlay_area(&panes);
        cursor = match overlay {
            Overlay::Picker(picker) => overlay::draw_picker(state, picker, look, area, buffer),
            Overlay::Text { title, lines, first, .. } => {
                overlay::draw_text(state.texts, title, lines, *first, look, area, buffer);
                None
            }
        };
    }
    cursor
}

fn draw_note(text: &str, style: Style, area: Rect, buffer: &mut Buffer) {
    buffer.set_style(area, style);
    let rows = wrap(text, usize::from(area.width), 0);
    for (row, y) in rows.iter().zip(area.top()..area.bottom()) {
        put(buffer, area, area.x, y, row, style);
    }
}

/// The text that is being written, around the cursor when not all of it fits.
fn draw_input(state: &State, look: &Look, area: Rect, buffer: &mut Buffer) -> Option<Position> {
    let width = usize::from(area.width.saturating_sub(PROMPT_COLUMNS));
    let (rows, (row, column)) = fold(state.input.text(), state.input.cursor(), width);
    let height = usize::from(area.height);
    if height == 0 {
        return None;
    }
    let first = (row + 1).saturating_sub(height);
    put(buffer, area, area.x, area.y, PROMPT, look.dim);
    for (text, y) in rows.iter().skip(first).zip(area.top()..area.bottom()) {
        put(buffer, area, area.x + PROMPT_COLUMNS, y, text, look.plain);
    }
    let x = area.x + PROMPT_COLUMNS + u16::try_from(column).unwrap_or(0);
    let y = area.y + u16::try_from(row - first).unwrap_or(0);
    Some(Position::new(x.min(area.right().saturating_sub(1)), y))
}

/// Writes a text within an area; gives the column behind it.
fn put(buffer: &mut Buffer, area: Rect, x: u16, y: u16, text: &str, style: Style) -> u16 {
    let area = area.intersection(buffer.area);
    if y < area.top() || y >= area.bottom() || x >= area.right() {
        return x;
    }
    let room = usize::from(area.right() - x);
    buffer.set_stringn(x, y, text, room, style).0
}
