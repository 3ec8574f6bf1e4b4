//! The timeline in rows: a message becomes rows only when it is looked at.

use std::cell::Cell;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::model::log::{Entry, Stored};
use super::model::mention::mentions;
use super::model::room::{Outgoing, Progress, Room, Scroll};
use super::wrap::{clean, columns, shorten, wrap};
use crate::texts::Texts;

/// At least so wide, names stand in a column of their own.
const MIN_COLUMNS_FOR_NAMES: usize = 48;

/// How many columns the time takes, with the space behind it.
const TIME_COLUMNS: usize = 6;

/// What stands between names and text.
pub(crate) const NAME_BORDER: &str = " │ ";

/// How far the following rows of a message are moved in when names have no column.
const NARROW_INDENT: usize = 2;

/// How a timeline of some width is shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) width: usize,
    /// How wide the names' column is; none when names stand in front of the text.
    pub(crate) names: Option<usize>,
}

impl Shape {
    pub(crate) fn of(width: u16) -> Shape {
        let width = usize::from(width);
        let names = (width >= MIN_COLUMNS_FOR_NAMES).then(|| (width / 6).clamp(10, 18));
        Shape { width, names }
    }

    /// How many columns are left of the text.
    pub(crate) fn margin(&self) -> usize {
        match self.names {
            Some(names) => TIME_COLUMNS + names + columns(NAME_BORDER),
            None => NARROW_INDENT,
        }
    }

    fn text_columns(&self) -> usize {
        self.width.saturating_sub(self.margin()).max(1)
    }

    /// The longest name that is shown whole.
    pub(crate) fn name_columns(&self) -> usize {
        self.names.unwrap_or_else(|| (self.width / 3).clamp(3, 12))
    }
}

/// One row of the timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    /// Another day begins.
    Day(String),
    /// What is below was not read yet.
    Unread,
    Text {
        /// In a message's first row: when, and by whom.
        head: Option<Head>,
        text: String,
        /// In an own message's last row: how far it is.
        mark: Option<Mark>,
        /// The message that it belongs to; none for one that is on its way.
        key: Option<u64>,
        /// Whether it calls who is logged in.
        calls: bool,
    },
}

/// What stands in front of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// `12:30`.
    pub(crate) time: String,
    /// As it is shown, which may be shortened.
    pub(crate) name: String,
    /// The whole name.
    pub(crate) from: String,
}

/// How far an own message is, in a few letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    OnItsWay,
    Stored(Stored),
    Failed,
}

impl Mark {
    /// As it is shown.
    pub(crate) fn text(&self, texts: Texts) -> String {
        match self {
            Mark::OnItsWay => "…".to_owned(),
            Mark::Stored(Stored { of: 0, .. }) => "✓".to_owned(),
            Mark::Stored(Stored { on, of }) => format!("✓{on}/{of}"),
            Mark::Failed => texts.failed_mark(),
        }
    }
}

/// Makes rows, and counts how many messages it took.
pub(crate) struct Rows<'a> {
    pub(crate) room: &'a Room,
    pub(crate) me: Option<&'a str>,
    pub(crate) zone: &'a TimeZone,
    pub(crate) texts: Texts,
    pub(crate) shape: Shape,
    pub(crate) wrapped: Cell<usize>,
}

impl Rows<'_> {
    /// The rows of one message, with what stands above it.
    pub(crate) fn of_entry(&self, index: usize) -> Vec<Row> {
        let Some(entry) = self.room.log.get(index) else { return Vec::new() };
        let before = index.checked_sub(1).and_then(|index| self.room.log.get(index));
        let mut rows = Vec::new();
        let at = self.local(entry.at_ms);
        if before.is_none_or(|before| self.local(before.at_ms).date() != at.date()) {
            rows.push(Row::Day(self.texts.day(at.date())));
        }
        let unread = self.room.line.is_some_and(|line| {
            entry.key > line && before.map_or(self.room.log.complete, |before| before.key <= line)
        });
        if unread {
            rows.push(Row::Unread);
        }
        let mark = entry.stored.map(Mark::Stored);
        self.text(&mut rows, at, &entry.from, &entry.text, mark, Some(entry));
        rows
    }

    fn calls_me(&self, entry: &Entry) -> bool {
        self.me.is_some_and(|me| entry.from != me && mentions(&entry.text, me))
    }

    /// The rows of a message that is on its way.
    pub(crate) fn of_outgoing(&self, out: &Outgoing) -> Vec<Row> {
        let mut rows = Vec::new();
        let mark = match &out.progress {
            Progress::Waiting | Progress::Sending { .. } => Mark::OnItsWay,
            Progress::Stored { stored, .. } => Mark::Stored(*stored),
            Progress::Failed => Mark::Failed,
        };
        let at = self.local(out.written_ms);
        self.text(&mut rows, at, &out.from, &out.text, Some(mark), None);
        rows
    }

    fn text(
        &self,
        rows: &mut Vec<Row>,
        at: DateTime,
        from: &str,
        text: &str,
        mark: Option<Mark>,
        entry: Option<&Entry>,
    ) {
        let key = entry.map(|entry| entry.key);
        let calls = entry.is_some_and(|entry| self.calls_me(entry));
        self.wrapped.set(self.wrapped.get() + 1);
        let name = shorten(&clean(from), self.shape.name_columns());
        let indent = match self.shape.names {
            Some(_) => 0,
            // The first row starts without the margin, and with time and name.
            None => (TIME_COLUMNS + columns(&name) + 1).saturating_sub(NARROW_INDENT),
        };
        let width = self.shape.text_columns();
        let wrapped = wrap(text, width, indent);
        let time = format!("{:02}:{:02}", at.hour(), at.minute());
        let mut head = Some(Head { time, name, from: from.to_owned() });
        let first = rows.len();
        for text in wrapped {
            rows.push(Row::Text { head: head.take(), text, mark: None, key, calls });
        }
        let Some(new_mark) = mark else { return };
        let used = match rows.last() {
            Some(Row::Text { text, .. }) if rows.len() == first + 1 => columns(text) + indent,
            Some(Row::Text { text, .. }) => columns(text),
            _ => 0,
        };
        if used + 1 + columns(&new_mark.text(self.texts)) > width {
            rows.push(Row::Text { head: None, text: String::new(), mark: None, key, calls });
        }
        if let Some(Row::Text { mark, .. }) = rows.last_mut() {
            *mark = Some(new_mark);
        }
    }

    fn local(&self, ms: u64) -> DateTime {
        let ms = i64::try_from(ms).unwrap_or(i64::MAX);
        let at = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX);
        self.zone.to_datetime(at)
    }

    fn height(&self, index: usize) -> usize {
        self.of_entry(index).len()
    }

    /// The rows in sight, top to bottom, at most so many.
    pub(crate) fn in_sight(&self, height: usize) -> Vec<Row> {
        let mut found: Vec<Row> = Vec::new();
        let mut index = match self.room.scroll {
            Scroll::Bottom => {
                for out in self.room.shown_outgoing().rev() {
                    if found.len() >= height {
                        break;
                    }
                    found.extend(self.of_outgoing(out).into_iter().rev());
                }
                self.room.log.len()
            }
            Scroll::At { key, below } => {
                let Some(index) = self.room.log.index_of(key) else { return found };
                let rows = self.of_entry(index);
                let shown = rows.len() - below.min(rows.len().saturating_sub(1));
                found.extend(rows.into_iter().take(shown).rev());
                index
            }
        };
        while found.len() < height && index > 0 {
            index -= 1;
            found.extend(self.of_entry(index).into_iter().rev());
        }
        found.truncate(height);
        found.reverse();
        found
    }

    /// Where the window is after going up by so many rows, at most to where the first message
    /// stands on top.
    pub(crate) fn up(&self, by: usize, height: usize) -> Scroll {
        let Some((mut index, mut below)) = self.position() else { return Scroll::Bottom };
        below += by;
        loop {
            let rows = self.height(index);
            if below < rows {
                break;
            }
            if index == 0 {
                below = rows.saturating_sub(1);
                break;
            }
            below -= rows;
            index -= 1;
        }
        self.filled(index, below, height)
    }

    /// Where it is after going down; the bottom when there is nothing more.
    pub(crate) fn down(&self, by: usize) -> Scroll {
        let Some((mut index, mut below)) = self.position() else { return Scroll::Bottom };
        let mut left = by;
        while left > below {
            left -= below;
            index += 1;
            if index >= self.room.log.len() {
                return self.end();
            }
            below = self.height(index);
        }
        below -= left;
        if below == 0 && index + 1 >= self.room.log.len() {
            return self.end();
        }
        self.at(index, below)
    }

    /// Where a message stands in the lower half of the window.
    pub(crate) fn around(&self, key: u64, height: usize) -> Scroll {
        let Some(index) = self.room.log.index_of(key) else { return self.room.scroll };
        let mut last = index;
        let mut rows = 0;
        while last + 1 < self.room.log.len() && rows < height / 3 {
            last += 1;
            rows += self.height(last);
        }
        let long = self.height(index).saturating_sub(height);
        self.filled(last, if last == index { long } else { 0 }, height)
    }

    fn end(&self) -> Scroll {
        match self.room.log.last_key() {
            Some(key) if !self.room.log.live => Scroll::At { key, below: 0 },
            _ => Scroll::Bottom,
        }
    }

    fn at(&self, index: usize, below: usize) -> Scroll {
        if below == 0 && index + 1 >= self.room.log.len() {
            return self.end();
        }
        self.room
            .log
            .get(index)
            .map_or(Scroll::Bottom, |entry| Scroll::At { key: entry.key, below })
    }

    /// The last row in sight: its message, and how many rows of that are below.
    fn position(&self) -> Option<(usize, usize)> {
        match self.room.scroll {
            Scroll::Bottom => Some((self.room.log.len().checked_sub(1)?, 0)),
            Scroll::At { key, below } => {
                let index = self.room.log.index_of(key).unwrap_or(0);
                Some((index, below.min(self.height(index).saturating_sub(1))))
            }
        }
    }

    /// The same place, or lower when there would be nothing in the upper part of the window.
    fn filled(&self, index: usize, below: usize, height: usize) -> Scroll {
        let mut rows = self.height(index).saturating_sub(below);
        let mut first = index;
        while rows < height && first > 0 {
            first -= 1;
            rows += self.height(first);
        }
        if rows >= height {
            return self.at(index, below);
        }
        let mut rows = 0;
        for index in 0..self.room.log.len() {
            rows += self.height(index);
            if rows >= height {
                return self.at(index, rows - height);
            }
        }
        Scroll::Bottom
    }
}
