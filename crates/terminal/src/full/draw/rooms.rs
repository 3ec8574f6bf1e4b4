//! The left side: conversations by need.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::put;
use super::theme::Look;
use crate::full::model::State;
use crate::full::wrap::{clean, columns, shorten};

/// The highest number that Alt opens.
const NUMBERED: usize = 9;

pub(super) fn draw(state: &State, look: &Look, area: Rect, buffer: &mut Buffer) {
    for y in area.top()..area.bottom() {
        buffer.set_stringn(area.right(), y, "│", 1, look.dim);
    }
    let sorted = state.sorted();
    for ((number, place), y) in sorted.iter().enumerate().zip(area.top()..area.bottom()) {
        let Some(room) = state.rooms.get(*place) else { continue };
        let open = state.open.as_ref() == Some(*place);
        let style = if room.mentions > 0 {
            look.mention
        } else if room.unread > 0 {
            look.unread
        } else {
            look.plain
        };
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
