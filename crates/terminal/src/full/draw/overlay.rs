//! What lies over the timeline: a list to choose from, or a text.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;

use super::put;
use super::status::BETWEEN;
use super::theme::Look;
use crate::full::model::{Picker, State};
use crate::full::page::{Line, rows};
use crate::full::wrap::{clean, columns, fold, shorten};
use crate::texts::Texts;

fn empty(area: Rect, buffer: &mut Buffer) {
    for y in area.top()..area.bottom() {
        put(buffer, area, area.x, y, &" ".repeat(usize::from(area.width)), Style::reset());
    }
}

pub(super) fn draw_text(
    texts: Texts,
    title: &str,
    lines: &[Line],
    first: usize,
    look: &Look,
    area: Rect,
    buffer: &mut Buffer,
) {
    empty(area, buffer);
    let rows: Vec<String> = rows(lines, area.width).collect();
    let height = usize::from(area.height.saturating_sub(1));
    // A terminal that grew has no more rows below than fit.
    let first = first.min(rows.len().saturating_sub(height));
    let more = format!("{BETWEEN}{}", texts.more_below());
    let has_more = rows.len() > first + height;
    // That there is more is worth more than how to close it.
    let fits = columns(title) + columns(&more) <= usize::from(area.width);
    let short = title.split(BETWEEN).next().filter(|_| has_more && !fits);
    let x = put(buffer, area, area.x, area.y, short.unwrap_or(title), look.strong);
    if has_more {
        put(buffer, area, x, area.y, &more, look.unread);
    }
    for (row, y) in rows.iter().skip(first).zip(area.top() + 1..area.bottom()) {
        put(buffer, area, area.x, y, row, look.plain);
    }
}

pub(super) fn draw_picker(
    state: &State,
    picker: &Picker,
    look: &Look,
    area: Rect,
    buffer: &mut Buffer,
) -> Option<Position> {
    empty(area, buffer);
    let start = put(buffer, area, area.x, area.y, &state.texts.go_to(), look.strong);
    let room = usize::from(area.right().saturating_sub(start)).max(2);
    let (rows, (row, column)) = fold(picker.filter.text(), picker.filter.cursor(), room);
    put(buffer, area, start, area.y, rows.get(row).map_or("", String::as_str), look.plain);
    let picks = state.picks(picker);
    if picks.is_empty() {
        put(buffer, area, area.x, area.y + 1, &state.texts.nothing_matches(), look.dim);
    }
    let chosen = picker.chosen.min(picks.len().saturating_sub(1));
    let height = usize::from(area.height.saturating_sub(1)).max(1);
    let first = (chosen + 1).saturating_sub(height);
    for ((index, place), y) in
        picks.iter().enumerate().skip(first).zip(area.top() + 1..area.bottom())
    {
        let style = if index == chosen { look.open } else { look.plain };
        let name = shorten(&clean(&place.title()), usize::from(area.width).saturating_sub(1));
        put(buffer, area, area.x + 1, y, &name, style);
    }
    Some(Position::new(start + u16::try_from(column).unwrap_or(0), area.y))
}
