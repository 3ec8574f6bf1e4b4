//! The line that is being written: text, cursor, and the lines that were written before.

use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation};

/// How many written lines are remembered.
const MAX_REMEMBERED: usize = 500;

/// How long a text may get, bytes: what the longest request holds. More is not taken in.
const MAX_TEXT_BYTES: usize = 1024 * 1024;

/// The text that is being written. The cursor is a byte offset between two letters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Editor {
    text: String,
    cursor: usize,
    killed: String,
    remembered: Vec<String>,
    /// Which remembered line is shown, and what stood there before.
    recalled: Option<(usize, String)>,
}

impl Editor {
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn cursor(&self) -> usize {
        self.cursor
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// What is being written: the text, or what stood there before a remembered line was looked at.
    pub(crate) fn draft(&self) -> &str {
        match &self.recalled {
            Some((at, draft)) if self.remembered.get(*at) == Some(&self.text) => draft,
            _ => &self.text,
        }
    }

    /// What stood there before a remembered line took its place, once that line was changed: it is
    /// neither the text nor remembered yet.
    pub(crate) fn put_behind(&self) -> Option<&str> {
        let (_, draft) = self.recalled.as_ref()?;
        (self.draft() != draft).then_some(draft.as_str())
    }

    /// Puts another text in place of all, the cursor at its end; gives what was being written.
    pub(crate) fn replace(&mut self, text: String) -> String {
        let draft = self.draft().to_owned();
        if draft == self.text {
            self.remember_recalled();
        }
        self.recalled = None;
        self.put(text);
        draft
    }

    fn put(&mut self, text: String) {
        self.cursor = text.len();
        self.text = text;
    }

    /// What stood there before a remembered line took its place is remembered like that one.
    fn remember_recalled(&mut self) {
        if let Some((_, draft)) = self.recalled.take() {
            self.remember(draft);
        }
    }

    /// Puts a text between two byte offsets, the cursor behind it.
    pub(crate) fn splice(&mut self, from: usize, to: usize, text: &str) {
        self.text.replace_range(from..to, text);
        self.cursor = from + text.len();
    }

    /// Takes the text as written: it is remembered, and the line is empty.
    pub(crate) fn take(&mut self) -> String {
        let text = self.text.clone();
        self.set_aside();
        self.remember(text.clone());
        text
    }

    /// Takes the text away without remembering it.
    pub(crate) fn set_aside(&mut self) {
        self.remember_recalled();
        self.put(String::new());
    }

    /// Remembers a written line.
    pub(crate) fn remember(&mut self, text: String) {
        if self.remembered.last() != Some(&text) && !text.trim().is_empty() {
            self.remembered.push(text);
            if self.remembered.len() > MAX_REMEMBERED {
                self.remembered.remove(0);
            }
        }
    }

    /// The written lines, oldest first.
    pub(crate) fn remembered(&self) -> &[String] {
        &self.remembered
    }

    /// Remembers lines that were written before all others.
    pub(crate) fn remember_before(&mut self, lines: &[String]) {
        let later = std::mem::replace(&mut self.remembered, lines.to_vec());
        later.into_iter().for_each(|line| self.remember(line));
        self.remember_recalled();
    }

    /// Forgets everything: somebody else writes now.
    pub(crate) fn forget(&mut self) {
        *self = Editor::default();
    }

    /// Writes at the cursor. Control characters but line ends are left out; false when the text
    /// would get too long, and then nothing changed.
    pub(crate) fn insert(&mut self, text: &str) -> bool {
        let text = text.replace("\r\n", "\n").replace('\r', "\n").replace('\t', "    ");
        let text: String = text.chars().filter(|c| *c == '\n' || !c.is_control()).collect();
        if self.text.len() + text.len() > MAX_TEXT_BYTES {
            return false;
        }
        self.text.insert_str(self.cursor, &text);
        self.cursor += text.len();
        true
    }

    pub(crate) fn left(&mut self) {
        self.cursor = self.letter_before();
    }

    pub(crate) fn right(&mut self) {
        self.cursor = self.letter_behind();
    }

    pub(crate) fn word_left(&mut self) {
        self.cursor = self.word_before();
    }

    pub(crate) fn word_right(&mut self) {
        self.cursor = self.word_behind();
    }

    /// To the start of this line of the text.
    pub(crate) fn home(&mut self) {
        self.cursor = self.line_start();
    }

    /// To the end of this line of the text.
    pub(crate) fn end(&mut self) {
        self.cursor = self.line_end();
    }

    pub(crate) fn backspace(&mut self) {
        let from = self.letter_before();
        self.splice(from, self.cursor, "");
    }

    pub(crate) fn delete(&mut self) {
        let (at, to) = (self.cursor, self.letter_behind());
        self.splice(at, to, "");
    }

    pub(crate) fn kill_word_before(&mut self) {
        self.kill(self.word_before(), self.cursor);
    }

    /// Back to the white space before the word, whatever it is made of.
    pub(crate) fn kill_to_space(&mut self) {
        let before = self.text[..self.cursor].trim_end();
        let space = before.char_indices().rfind(|(_, letter)| letter.is_whitespace());
        self.kill(space.map_or(0, |(at, letter)| at + letter.len_utf8()), self.cursor);
    }

    pub(crate) fn kill_word_behind(&mut self) {
        self.kill(self.cursor, self.word_behind());
    }

    pub(crate) fn kill_to_start(&mut self) {
        self.kill(self.line_start(), self.cursor);
    }

    /// Writes what was killed last.
    pub(crate) fn yank(&mut self) {
        let killed = self.killed.clone();
        self.insert(&killed);
    }

    /// One line up in a text of several; in its first line, the remembered line before.
    pub(crate) fn up(&mut self) {
        let start = self.line_start();
        if start > 0 {
            self.vertically(self.text[..start - 1].rfind('\n').map_or(0, |at| at + 1));
            return;
        }
        let shown = self.recalled.as_ref().map_or(self.remembered.len(), |(at, _)| *at);
        let Some(before) = shown.checked_sub(1) else { return };
        let draft = self.recalled.take().map_or_else(|| self.text.clone(), |(_, draft)| draft);
        self.put(self.remembered[before].clone());
        self.recalled = Some((before, draft));
    }

    /// One line down; in the last line, the remembered line behind, and then the draft.
    pub(crate) fn down(&mut self) {
        let end = self.line_end();
        if end < self.text.len() {
            self.vertically(end + 1);
            return;
        }
        let Some((shown, draft)) = self.recalled.take() else { return };
        match self.remembered.get(shown + 1).cloned() {
            Some(line) => {
                self.put(line);
                self.recalled = Some((shown + 1, draft));
            }
            None => self.put(draft),
        }
    }

    /// To the same letter of the line that starts there, or to its end.
    fn vertically(&mut self, start: usize) {
        let letters = self.text[self.line_start()..self.cursor].graphemes(true).count();
        let line = self.text[start..].split('\n').next().unwrap_or_default();
        self.cursor = start + line.graphemes(true).take(letters).map(str::len).sum::<usize>();
    }

    fn kill(&mut self, from: usize, to: usize) {
        if from < to {
            self.killed = self.text[from..to].to_owned();
            self.splice(from, to, "");
        }
    }

    fn line_start(&self) -> usize {
        self.text[..self.cursor].rfind('\n').map_or(0, |at| at + 1)
    }

    fn line_end(&self) -> usize {
        self.text[self.cursor..].find('\n').map_or(self.text.len(), |at| self.cursor + at)
    }

    fn letter_before(&self) -> usize {
        let mut cursor = GraphemeCursor::new(self.cursor, self.text.len(), true);
        cursor.prev_boundary(&self.text, 0).ok().flatten().unwrap_or(0)
    }

    fn letter_behind(&self) -> usize {
        let mut cursor = GraphemeCursor::new(self.cursor, self.text.len(), true);
        cursor.next_boundary(&self.text, 0).ok().flatten().unwrap_or(self.text.len())
    }

    fn word_before(&self) -> usize {
        let mut words = self.text[..self.cursor].unicode_word_indices();
        words.next_back().map_or(0, |(at, _)| at)
    }

    fn word_behind(&self) -> usize {
        let mut words = self.text[self.cursor..].unicode_word_indices();
        words.next().map_or(self.text.len(), |(at, word)| self.cursor + at + word.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn editor(text: &str) -> Editor {
        let mut editor = Editor::default();
        editor.insert(text);
        editor
    }

    #[test]
    fn letters_of_many_code_points_go_at_once() {
        let mut line = editor("olá 👋🏽e\u{301}");
        line.backspace();
        assert_eq!(line.text(), "olá 👋🏽");
        line.left();
        line.delete();
        assert_eq!(line.text(), "olá ");
    }

    #[test]
    fn words_are_passed_killed_and_yanked() {
        let mut line = editor("one two  three");
        line.word_left();
        line.word_left();
        assert_eq!(line.cursor(), 4);
        line.kill_word_behind();
        assert_eq!(line.text(), "one   three");
        line.end();
        line.yank();
        assert_eq!(line.text(), "one   threetwo");
        line.kill_to_start();
        assert!(line.is_empty());
        line.kill_word_before();
        line.yank();
        assert_eq!(line.text(), "one   threetwo", "killing nothing keeps what was killed");
    }

    #[test]
    fn all_back_to_a_space_is_killed_at_once() {
        let mut line = editor("see http://host/a-b  ");
        line.kill_to_space();
        assert_eq!(line.text(), "see ");
        line.kill_to_space();
        assert!(line.is_empty());
        line.kill_to_space();
        line.yank();
        assert_eq!(line.text(), "see ");
    }

    #[test]
    fn a_paste_keeps_its_lines_and_nothing_that_a_terminal_obeys() {
        assert_eq!(editor("a\r\nb\rc\u{1b}[0m\td").text(), "a\nb\nc[0m    d");
    }

    #[test]
    fn what_was_written_comes_back_and_so_does_the_draft() {
        let mut line = editor("first");
        assert_eq!(line.take(), "first");
        line.insert("second");
        line.take();
        line.insert("dra");
        line.up();
        assert_eq!(line.text(), "second");
        line.up();
        line.up();
        assert_eq!(line.text(), "first", "there is nothing before the first");
        line.down();
        line.down();
        assert_eq!(line.text(), "dra");
    }

    #[test]
    fn a_draft_is_not_lost_behind_a_line_that_came_back() {
        let looking_back = || {
            let mut line = editor("older");
            line.take();
            line.insert("dra");
            line.up();
            line
        };
        let mut line = looking_back();
        assert_eq!((line.text(), line.draft()), ("older", "dra"));
        assert_eq!(line.replace("elsewhere".to_owned()), "dra");
        let mut line = looking_back();
        line.insert("!");
        assert_eq!(line.draft(), "older!", "that is what is being written now");
        assert_eq!(line.replace(String::new()), "older!");
        assert_eq!(line.remembered(), ["older", "dra"]);
        let mut line = looking_back();
        assert_eq!(line.take(), "older");
        assert_eq!(line.remembered(), ["older", "dra", "older"]);
        let mut line = looking_back();
        line.set_aside();
        assert_eq!(line.remembered(), ["older", "dra"]);
        let mut line = looking_back();
        line.remember_before(&["oldest".to_owned()]);
        assert_eq!(line.remembered(), ["oldest", "older", "dra"]);
    }

    #[test]
    fn up_and_down_move_within_several_lines_first() {
        let mut line = editor("long line\nab\nthird");
        line.up();
        assert_eq!(line.cursor(), "long line\nab".len());
        line.up();
        assert_eq!(line.cursor(), 2);
        line.down();
        line.down();
        assert_eq!(line.cursor(), "long line\nab\nth".len());
    }

    #[test]
    fn a_text_beyond_all_limits_is_not_taken() {
        let mut line = editor("kept");
        assert!(!line.insert(&"x".repeat(MAX_TEXT_BYTES)));
        assert_eq!(line.text(), "kept");
    }

    proptest! {
        #[test]
        fn the_cursor_stays_between_letters(
            text in "\\PC{0,20}\n?\\PC{0,20}",
            steps in prop::collection::vec(0u8..14, 0..40),
        ) {
            let mut line = editor(&text);
            for step in steps {
                match step {
                    0 => line.left(),
                    1 => line.right(),
                    2 => line.word_left(),
                    3 => line.word_right(),
                    4 => line.home(),
                    5 => line.end(),
                    6 => line.backspace(),
                    7 => line.delete(),
                    8 => line.kill_word_before(),
                    9 => line.kill_word_behind(),
                    10 => line.yank(),
                    11 => line.up(),
                    12 => line.kill_to_space(),
                    _ => line.down(),
                }
                prop_assert!(line.text().is_char_boundary(line.cursor()));
            }
        }
    }
}
