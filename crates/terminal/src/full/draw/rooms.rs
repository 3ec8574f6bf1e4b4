//! The left side: conversations by need.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::put;
use super::theme::Look;
use crate::full::layout::rooms_in_sight;
use crate::full::model::State;
use crate::full::model::room::Place;
use crate::full::wrap::{clean, columns, shorten};

/// The highest number that Alt opens.
const NUMBERED: usize = 9;

pub(super) fn draw(state: &State, look: &Look, area: Rect, buffer: &mut Buffer) {
    for y in area.top()..area.bottom() {
        let border = Rect { width: area.width + 1, ..area };
        put(buffer, border, area.right(), y, "│", look.dim);
    }
    let sorted = state.sorted();
    let height = usize::from(area.height);
    let in_sight = rooms_in_sight(state, area.height);
    let end = in_sight.above + in_sight.shown;
    if height >= 3 {
        let (above, below) = (&sorted[..in_sight.above], &sorted[end..]);
        draw_hidden(state, "↑", above, look, area, area.top(), buffer);
        draw_hidden(state, "↓", below, look, area, area.bottom() - 1, buffer);
    }
    let first_y = area.top() + u16::try_from(in_sight.first_row(height)).unwrap_or(0);
    let shown = sorted.iter().enumerate().take(end).skip(in_sight.above);
    for ((number, place), y) in shown.zip(first_y..area.bottom()) {
        let Some(room) = state.rooms.get(*place) else { continue };
        let open = state.open.as_ref() == Some(*place);
        let style = style_of(room.mentions, room.unread, look, look.plain);
        let style = if open { style.patch(look.open) } else { style };
        if open {
            buffer.set_style(Rect { y, height: 1, ..area }, style);
        }
        let mut counts = String::new();
        if room.has_failed() {
            counts.push_str(" ✗");
        }
        if room.mentions > 0 {
            counts.push_str(&format!(" @{}", room.mentions));
        }
        if room.unread > room.mentions {
            counts.push_str(&format!(" {}", room.unread));
        }
        let digit = if number < NUMBERED { format!("{} ", number + 1) } else { "  ".to_owned() };
        let x = put(buffer, area, area.x, y, &digit, if open { style } else { look.dim });
        let width = usize::from(area.width) - 2;
        let name = shorten(&clean(&place.title()), width.saturating_sub(columns(&counts)));
        put(buffer, area, x, y, &name, style);
        let counts_x = area.right() - u16::try_from(columns(&counts)).unwrap_or(0).min(area.width);
        put(buffer, area, counts_x, y, &counts, style);
    }
}

fn style_of(mentions: u32, unread: u32, look: &Look, read: Style) -> Style {
    if mentions > 0 {
        look.mention
    } else if unread > 0 {
        look.unread
    } else {
        read
    }
}

/// How many conversations are not in sight on one side.
fn draw_hidden(
    state: &State,
    sign: &str,
    hidden: &[&Place],
    look: &Look,
    area: Rect,
    y: u16,
    buffer: &mut Buffer,
) {
    if hidden.is_empty() {
        return;
    }
    let rooms = || hidden.iter().filter_map(|place| state.rooms.get(*place));
    let mentions = rooms().map(|room| room.mentions).fold(0, u32::saturating_add);
    let unread = rooms().map(|room| room.unread).fold(0, u32::saturating_add);
    let style = style_of(mentions, unread, look, look.dim);
    put(buffer, area, area.x, y, &format!("{sign} {}", hidden.len()), style);
}
