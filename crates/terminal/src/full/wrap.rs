//! Text in rows of a given number of columns.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::render::escape;

/// What a tabulator in a message becomes: a terminal would jump with it.
const TAB: &str = "    ";

/// How many columns a text takes in one row.
pub(crate) fn columns(text: &str) -> usize {
    text.graphemes(true).map(UnicodeWidthStr::width).sum()
}

/// Makes one line from elsewhere harmless; see [`escape`].
pub(crate) fn clean(line: &str) -> String {
    escape(&line.trim_end_matches('\r').replace('\t', TAB))
}

/// The rows of a text of one or more lines, each at most so many columns wide, the first one by an
/// indent less. Words stay whole where they fit; letters, as people see them, always do. There is
/// at least one row.
pub(crate) fn wrap(text: &str, width: usize, indent: usize) -> Vec<String> {
    let mut rows = Vec::new();
    for (number, line) in text.split('\n').enumerate() {
        let used = if number == 0 { indent } else { 0 };
        wrap_line(&clean(line), width.max(1), used, &mut rows);
    }
    rows
}

/// A letter that has so many marks that no row is wide enough comes in pieces.
fn pieces(letter: &str, width: usize) -> impl Iterator<Item = &str> {
    let whole = letter.width() <= width;
    let characters = letter.char_indices().filter(move |_| !whole);
    let characters = characters.map(move |(at, c)| &letter[at..at + c.len_utf8()]);
    whole.then_some(letter).into_iter().chain(characters)
}

fn wrap_line(line: &str, width: usize, mut used: usize, rows: &mut Vec<String>) {
    let mut row = String::new();
    // Where the row can be broken, in bytes: behind its last space.
    let mut last_break = None;
    for letter in line.graphemes(true).flat_map(|letter| pieces(letter, width)) {
        let wide = letter.width();
        if letter == " " && used + wide > width {
            // The space at which a row ends is not shown.
            rows.push(std::mem::take(&mut row));
            (used, last_break) = (0, None);
            continue;
        }
        while used > 0 && used + wide > width {
            let rest = last_break.take().map_or_else(String::new, |at| row.split_off(at));
            row.truncate(row.trim_end_matches(' ').len());
            rows.push(std::mem::replace(&mut row, rest));
            used = columns(&row);
        }
        row.push_str(letter);
        used += wide;
        if letter == " " && !row.trim_start().is_empty() {
            last_break = Some(row.len());
        }
    }
    rows.push(row);
}

/// The rows of a text that is being edited, broken wherever a row is full, and the row and column
/// of the cursor. Lines break at `\n`; the cursor may stand behind the last letter.
pub(crate) fn fold(text: &str, cursor: usize, width: usize) -> (Vec<String>, (usize, usize)) {
    let width = width.max(2);
    let mut rows = vec![String::new()];
    let (mut used, mut found) = (0, (0, 0));
    for (at, letter) in text.grapheme_indices(true) {
        let shown = if letter == "\n" { String::new() } else { escape(letter) };
        let wide = columns(&shown);
        if used > 0 && used + wide > width {
            rows.push(String::new());
            used = 0;
        }
        if at <= cursor {
            found = (rows.len() - 1, used);
        }
        if letter == "\n" {
            rows.push(String::new());
            used = 0;
        } else if let Some(row) = rows.last_mut() {
            row.push_str(&shown);
            used += wide;
        }
    }
    if cursor >= text.len() {
        if used >= width {
            rows.push(String::new());
            used = 0;
        }
        found = (rows.len() - 1, used);
    }
    (rows, found)
}

/// As much of the front of a text as fits, with `…` where something is missing.
pub(crate) fn shorten(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mut short = String::new();
    let mut used = 0;
    for letter in text.graphemes(true) {
        if used + letter.width() + 1 > width {
            break;
        }
        used += letter.width();
        short.push_str(letter);
    }
    if width > 0 {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_stay_whole_and_long_ones_break() {
        let cases: [(&str, usize, &[&str]); 8] = [
            ("", 5, &[""]),
            ("one two three", 7, &["one two", "three"]),
            ("one two three", 8, &["one two", "three"]),
            ("abcdefgh", 3, &["abc", "def", "gh"]),
            ("a abcdefgh", 4, &["a", "abcd", "efgh"]),
            ("one\ntwo", 9, &["one", "two"]),
            ("你好世界", 5, &["你好", "世界"]),
            ("    indented code", 12, &["    indented", "code"]),
        ];
        for (text, width, expected) in cases {
            assert_eq!(wrap(text, width, 0), expected, "{text:?} in {width}");
        }
    }

    #[test]
    fn a_letter_of_many_code_points_is_never_torn() {
        let family = "👨‍👩‍👧‍👦";
        assert_eq!(wrap(&family.repeat(3), 4, 0), [family.repeat(2), family.to_owned()]);
        assert_eq!(wrap("e\u{301}e\u{301}e\u{301}", 2, 0), ["e\u{301}e\u{301}", "e\u{301}"]);
    }

    #[test]
    fn an_indent_leaves_room_for_a_name() {
        assert_eq!(wrap("ab cd ef", 5, 2), ["ab", "cd ef"]);
        assert_eq!(wrap("abcdef", 4, 4), ["", "abcd", "ef"]);
    }

    #[test]
    fn what_is_edited_shows_its_cursor() {
        let cases = [
            ("", 0, (vec![""], (0, 0))),
            ("abc", 1, (vec!["abc"], (0, 1))),
            ("abcd", 4, (vec!["abcd", ""], (1, 0))),
            ("abcde", 4, (vec!["abcd", "e"], (1, 0))),
            ("ab\ncd", 2, (vec!["ab", "cd"], (0, 2))),
            ("ab\ncd", 3, (vec!["ab", "cd"], (1, 0))),
            ("a你好", 7, (vec!["a你", "好"], (1, 2))),
        ];
        for (text, cursor, (rows, at)) in cases {
            let (folded, found) = fold(text, cursor, 4);
            assert_eq!(
                (folded, found),
                (rows.into_iter().map(str::to_owned).collect(), at),
                "{text:?}"
            );
        }
    }

    #[test]
    fn what_is_escaped_while_it_is_edited_has_the_width_it_is_shown_with() {
        let shown = |rows: &[&str]| rows.iter().map(|row| (*row).to_owned()).collect::<Vec<_>>();
        let (rows, cursor) = fold("a\u{202e}b", 4, 20);
        assert_eq!((rows, cursor), (shown(&["a\\u{202e}b"]), (0, 9)));
        let (rows, cursor) = fold("abc\u{202e}d", 7, 10);
        assert_eq!((rows, cursor), (shown(&["abc", "\\u{202e}d"]), (1, 9)));
    }

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        assert_eq!(wrap("a\tb\u{1b}[2J\r\nc", 40, 0), ["a    b\\u{1b}[2J", "c"]);
    }

    #[test]
    fn what_does_not_fit_is_cut_between_letters() {
        let cases =
            [("short", 5, "short"), ("longer", 5, "long…"), ("你好吗", 4, "你…"), ("ab", 0, "")];
        for (text, width, expected) in cases {
            assert_eq!(shorten(text, width), expected);
        }
    }

    proptest! {
        #[test]
        fn rows_are_never_too_wide_and_lose_nothing_but_spaces(text in "\\PC{0,80}", width in 2usize..30) {
            let rows = wrap(&text, width, 0);
            for row in &rows {
                prop_assert!(columns(row) <= width, "{row:?} in {width}");
            }
            let bare = |text: &str| text.replace(' ', "");
            prop_assert_eq!(bare(&rows.concat()), bare(&clean(&text)));
        }

        #[test]
        fn rows_that_are_edited_are_never_too_wide(text in "(\\PC|[\u{200e}\u{202e}\u{feff}\n]){0,40}", width in 10usize..30) {
            let (rows, (row, column)) = fold(&text, text.len(), width);
            for row in &rows {
                prop_assert!(columns(row) <= width, "{row:?} in {width}");
            }
            prop_assert_eq!(column, columns(&rows[row]));
        }
    }
}
