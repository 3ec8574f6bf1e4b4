//! Where everything stands, from the size of the terminal and what is to be shown.

use ratatui::layout::Rect;

use super::model::State;
use super::wrap::{fold, wrap};

/// Narrower than this, the list of conversations is left out.
pub(crate) const MIN_COLUMNS_FOR_ROOMS: u16 = 60;

/// Lower than this, the title is left out.
pub(crate) const MIN_ROWS_FOR_TITLE: u16 = 12;

/// How many rows the text that is written takes at the most.
const MAX_INPUT_ROWS: u16 = 6;

/// How many rows a notice takes at the most.
const MAX_NOTE_ROWS: usize = 3;

/// What stands in front of the text that is written.
pub(crate) const PROMPT: &str = "› ";

/// How many columns that takes.
pub(crate) const PROMPT_COLUMNS: u16 = 2;

/// Where everything stands.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Panes {
    pub(crate) rooms: Option<Rect>,
    pub(crate) title: Option<Rect>,
    pub(crate) timeline: Rect,
    pub(crate) banner: Rect,
    pub(crate) notice: Rect,
    pub(crate) input: Rect,
    pub(crate) status: Rect,
}

/// Shares the screen out. The timeline gets what is left, and at least a row where there is one.
pub(crate) fn panes(state: &State) -> Panes {
    let (columns, rows) = (state.columns, state.rows);
    let mut panes = Panes::default();
    let mut main = Rect::new(0, 0, columns, rows);
    if columns >= MIN_COLUMNS_FOR_ROOMS {
        let width = (columns / 5).clamp(16, 28);
        panes.rooms = Some(Rect::new(0, 0, width, rows));
        main = Rect::new(width + 1, 0, columns - width - 1, rows);
    }
    if rows >= MIN_ROWS_FOR_TITLE {
        panes.title = Some(take_top(&mut main, 1));
    }
    panes.status = take_bottom(&mut main, 1);
    let text_columns = usize::from(main.width.saturating_sub(PROMPT_COLUMNS));
    let (written, _) = fold(state.input.text(), state.input.cursor(), text_columns);
    let most = (rows / 3).clamp(1, MAX_INPUT_ROWS);
    panes.input = take_bottom(&mut main, clamp(written.len(), most));
    let free = main.height.saturating_sub(1);
    if let Some(notice) = &state.notice {
        let rows = note_rows(&notice.text, main.width, free);
        panes.notice = take_bottom(&mut main, rows);
    }
    let free = main.height.saturating_sub(1);
    if let Some(banner) = state.banner() {
        let rows = note_rows(&banner, main.width, free);
        panes.banner = take_bottom(&mut main, rows);
    }
    panes.timeline = main;
    panes
}

/// Where lies what lies over the timeline, and over the title.
pub(crate) fn overlay_area(panes: &Panes) -> Rect {
    panes.title.map_or(panes.timeline, |title| title.union(panes.timeline))
}

/// Which conversations the left side shows: a part of them around the open one. Those that are
/// not in sight are counted, in a row of their own on either side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RoomsInSight {
    /// How many are above.
    pub(crate) above: usize,
    pub(crate) shown: usize,
    /// How many are below.
    pub(crate) below: usize,
}

impl RoomsInSight {
    /// The part of so many that fits into so many rows, with this one in it.
    pub(crate) fn of(count: usize, open: usize, height: usize) -> RoomsInSight {
        // A row less for each side that hides some; with less than three rows nothing is counted.
        let (above, shown) = if count <= height {
            (0, count)
        } else if height < 3 {
            (open, height.min(count - open))
        } else if open < height - 1 {
            (0, height - 1)
        } else if open + height > count {
            (count - (height - 1), height - 1)
        } else {
            (open + 3 - height, height - 2)
        };
        RoomsInSight { above, shown, below: count - above - shown }
    }

    /// In which row the first one stands.
    pub(crate) fn first_row(&self, height: usize) -> usize {
        usize::from(self.above > 0 && height >= 3)
    }

    /// Which conversation stands in a row.
    pub(crate) fn at(&self, row: usize, height: usize) -> Option<usize> {
        let index = row.checked_sub(self.first_row(height))?;
        (index < self.shown).then_some(self.above + index)
    }
}

/// Which conversations are in sight on the left.
pub(crate) fn rooms_in_sight(state: &State, height: u16) -> RoomsInSight {
    let sorted = state.sorted();
    let open = sorted.iter().position(|place| state.open.as_ref() == Some(*place));
    RoomsInSight::of(sorted.len(), open.unwrap_or(0), usize::from(height))
}

fn note_rows(text: &str, columns: u16, free: u16) -> u16 {
    clamp(wrap(text, usize::from(columns), 0).len().min(MAX_NOTE_ROWS), free)
}

fn clamp(rows: usize, most: u16) -> u16 {
    u16::try_from(rows).unwrap_or(u16::MAX).min(most)
}

fn take_top(from: &mut Rect, rows: u16) -> Rect {
    let rows = rows.min(from.height);
    let top = Rect { height: rows, ..*from };
    *from = Rect { y: from.y + rows, height: from.height - rows, ..*from };
    top
}

fn take_bottom(from: &mut Rect, rows: u16) -> Rect {
    let rows = rows.min(from.height);
    from.height -= rows;
    Rect { y: from.y + from.height, height: rows, ..*from }
}
