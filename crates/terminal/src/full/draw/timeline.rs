//! The timeline of the open conversation.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::put;
use super::theme::Look;
use crate::full::model::State;
use crate::full::model::event::Want;
use crate::full::page::{self, Line};
use crate::full::rows::{Head, Mark, NAME_BORDER, Row, Rows};
use crate::full::wrap::{columns, wrap};

pub(super) fn draw(state: &State, look: &Look, area: Rect, buffer: &mut Buffer) {
    let Some(rows) = state.rows_of_open(area.width) else {
        let texts = state.texts;
        let lines = if state.me.is_some() { texts.nothing_open() } else { texts.welcome() };
        let lines = Line::split(lines.lines());
        let rows = page::rows(&lines, area.width.saturating_sub(1));
        for (row, y) in rows.zip(area.top()..area.bottom()) {
            put(buffer, area, area.x + 1, y, &row, look.plain);
        }
        return;
    };
    let in_sight = rows.in_sight(usize::from(area.height));
    let shown = u16::try_from(in_sight.len()).unwrap_or(area.height);
    let first = area.bottom() - shown;
    if first > area.top() {
        let above = match rows.room.fetching {
            Some((_, Want::Before(_) | Want::Newest)) => Some(state.texts.loading()),
            _ => rows.room.log.complete.then(|| state.texts.beginning()),
        };
        if let Some(text) = above {
            put(buffer, area, area.x, first - 1, &text, look.dim);
        }
    }
    for (row, y) in in_sight.iter().zip(first..area.bottom()) {
        draw_row(state, &rows, row, look, Rect { y, height: 1, ..area }, buffer);
    }
}

fn draw_row(
    state: &State,
    rows: &Rows<'_>,
    row: &Row,
    look: &Look,
    area: Rect,
    buffer: &mut Buffer,
) {
    match row {
        Row::Day(day) => draw_line(day, look.dim, area, buffer),
        Row::Unread => draw_line(&state.texts.unread_line(), look.mention, area, buffer),
        Row::Text { head, text, mark, key, calls } => {
            let calls = calls.then_some(look.mention);
            let mut x = area.x;
            if let Some(head) = head {
                x = draw_head(state, rows, head, calls, look, area, buffer);
            }
            let margin = u16::try_from(rows.shape.margin()).unwrap_or(0);
            if rows.shape.names.is_some() {
                let border = area.x + margin - u16::try_from(columns(NAME_BORDER)).unwrap_or(0);
                put(buffer, area, border, area.y, NAME_BORDER, look.dim);
                x = area.x + margin;
            } else if head.is_none() {
                x = area.x + margin;
            }
            let start = x;
            x = put(buffer, area, x, area.y, text, calls.unwrap_or(look.plain));
            if let Some(search) = &state.search
                && search.found.is_some()
                && search.found == *key
            {
                let wanted = search.wanted.text().trim();
                highlight(text, wanted, look, Rect { x: start, ..area }, buffer);
            }
            if let Some(mark) = mark {
                let style = if *mark == Mark::Failed { look.error } else { look.dim };
                put(buffer, area, x + 1, area.y, &mark.text(state.texts), style);
            }
        }
    }
}

fn draw_head(
    state: &State,
    rows: &Rows<'_>,
    head: &Head,
    calls: Option<Style>,
    look: &Look,
    area: Rect,
    buffer: &mut Buffer,
) -> u16 {
    let mut x = put(buffer, area, area.x, area.y, &head.time, look.dim) + 1;
    if let Some(names) = rows.shape.names {
        x += u16::try_from(names.saturating_sub(columns(&head.name))).unwrap_or(0);
    }
    let own = state.me.as_deref() == Some(head.from.as_str());
    let usual = if own { look.own } else { look.nick(&head.from) };
    let style = calls.unwrap_or(usual);
    put(buffer, area, x, area.y, &head.name, style) + 1
}

/// Inverts what was found, where it stands whole in this row.
fn highlight(text: &str, wanted: &str, look: &Look, area: Rect, buffer: &mut Buffer) {
    let (lower, wanted) = (text.to_lowercase(), wanted.to_lowercase());
    // Only where letters keep their length is the place the same in both.
    if wanted.is_empty() || lower.len() != text.len() {
        return;
    }
    for (at, found) in lower.match_indices(&wanted) {
        let (Some(before), Some(hit)) = (text.get(..at), text.get(at..at + found.len())) else {
            continue;
        };
        let x = area.x + u16::try_from(columns(before)).unwrap_or(0);
        let width = u16::try_from(columns(hit)).unwrap_or(0);
        buffer.set_style(Rect { x, width, ..area }.intersection(buffer.area), look.found);
    }
}

/// A line with a few words in it.
fn draw_line(words: &str, style: Style, area: Rect, buffer: &mut Buffer) {
    let words = wrap(words, usize::from(area.width).saturating_sub(6), 0).swap_remove(0);
    let left = "── ";
    let used = columns(left) + columns(&words) + 1;
    let right = "─".repeat(usize::from(area.width).saturating_sub(used));
    put(buffer, area, area.x, area.y, &format!("{left}{words} {right}"), style);
}
