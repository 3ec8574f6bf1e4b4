//! A text to be read, in one column or two: what is explained, and its explanation.

use super::wrap::{columns, wrap};

/// Fewer columns than this for the explanations, and they stand below what they explain.
const MIN_TEXT_COLUMNS: usize = 24;

/// How far they are moved in there.
const NARROW_INDENT: usize = 2;

/// What separates the two columns at least.
const BETWEEN: usize = 2;

/// A line of such a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    /// What is explained; empty for a line that is nothing but text.
    left: String,
    text: String,
    /// Where the text starts when both stand in one row.
    column: usize,
}

impl Line {
    /// What is explained and how, the explanations below each other. Without anything in front,
    /// it is a text of its own.
    pub(crate) fn pairs(pairs: impl IntoIterator<Item = (String, String)>) -> Vec<Line> {
        let line = |(left, text)| Line { left, text, column: 0 };
        let mut lines: Vec<Line> = pairs.into_iter().map(line).collect();
        let widest = lines.iter().map(|line| columns(&line.left)).max().unwrap_or(0);
        lines.iter_mut().for_each(|line| line.column = widest + BETWEEN);
        lines
    }

    /// Such pairs out of lines that have two spaces, or more, between the two.
    pub(crate) fn split<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<Line> {
        Line::pairs(lines.into_iter().map(|line| match line.split_once("  ") {
            Some((left, text)) => (left.to_owned(), text.trim_start().to_owned()),
            None => (String::new(), line.to_owned()),
        }))
    }

    /// As it is shown in so many columns.
    pub(crate) fn rows(&self, width: usize) -> Vec<String> {
        if self.left.is_empty() {
            return wrap(&self.text, width, 0);
        }
        let beside = width >= self.column + MIN_TEXT_COLUMNS;
        let indent = if beside { self.column } else { NARROW_INDENT };
        let text = wrap(&self.text, width.saturating_sub(indent), 0);
        let mut rows: Vec<String> =
            text.into_iter().map(|row| format!("{:indent$}{row}", "")).collect();
        if beside {
            // What is padded with counts letters; names of keys and commands are one column each.
            let first = rows[0].split_off(indent);
            rows[0] = format!("{:indent$}{first}", self.left);
            return rows;
        }
        let mut above = wrap(&self.left, width, 0);
        above.append(&mut rows);
        above
    }
}

/// All rows of a text in so many columns.
pub(crate) fn rows(lines: &[Line], width: u16) -> impl Iterator<Item = String> {
    lines.iter().flat_map(move |line| line.rows(usize::from(width)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explanations_stand_beside_or_below() {
        let pair = |left: &str, text: &str| (left.to_owned(), text.to_owned());
        let lines = Line::pairs([
            pair("Enter", "send"),
            pair("Alt-Enter", "a new line in what is written here"),
            pair("", "the end"),
        ]);
        let rows = |width| lines.iter().flat_map(|line| line.rows(width)).collect::<Vec<_>>();
        assert_eq!(
            rows(36),
            [
                "Enter      send",
                "Alt-Enter  a new line in what is",
                "           written here",
                "the end"
            ]
        );
        assert_eq!(
            rows(24),
            [
                "Enter",
                "  send",
                "Alt-Enter",
                "  a new line in what is",
                "  written here",
                "the end"
            ]
        );
    }
}
