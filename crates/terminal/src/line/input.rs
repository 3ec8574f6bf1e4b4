//! Lines from a person or a pipe, read on a thread of their own.
//!
//! The thread reads one line and waits until it may read on. So a pipe is not read faster than its
//! commands are done, and no line is being edited when a command ends the program.

use std::borrow::Cow;
use std::io::{BufRead, Read, Write, stdin, stdout};
use std::path::{Path, PathBuf};
use std::sync::mpsc as blocking;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{CompletionType, Config, Context, Editor, Helper, Highlighter, Hinter, Validator};
use tokio::sync::mpsc;
use tracing::warn;

use super::complete::{Names, complete};
use crate::render::escape;

/// The longest line; the servers take no longer message anyway.
pub(crate) const MAX_LINE_BYTES: usize = 256 * 1024;

/// How many lines the history file holds.
const MAX_HISTORY_LINES: usize = 1000;

/// What ends a line that is still edited: pastes are plain again, and a shell's prompt stands in a
/// line of its own.
const LEAVE_LINE: &[u8] = b"\x1b[?2004l\r\n";

/// One thing that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    Line(String),
    TooLong,
    NotText,
    /// Ctrl-C at the prompt.
    Interrupt,
    /// The end, or a failure to read, which ends it too.
    End,
}

/// The async side of the reading thread. When it goes while a line is edited, the terminal gets its
/// own settings back: the thread never hears of the end.
pub(crate) struct Lines {
    go_on: blocking::Sender<()>,
    read: mpsc::Receiver<Input>,
    /// The terminal's settings before lines were edited, if they are.
    terminal: Option<Termios>,
    reading: bool,
}

impl Drop for Lines {
    fn drop(&mut self) {
        if let (true, Some(settings)) = (self.reading, &self.terminal) {
            // Nothing can be done about a terminal that is gone.
            _ = tcsetattr(stdin(), OptionalActions::Now, settings);
            let mut out = stdout();
            _ = out.write_all(LEAVE_LINE).and_then(|()| out.flush());
        }
    }
}

impl Lines {
    /// Lets the thread read one line, and waits for it.
    pub(crate) async fn next(&mut self) -> Input {
        if self.go_on.send(()).is_err() {
            return Input::End;
        }
        self.reading = true;
        let input = self.read.recv().await.unwrap_or(Input::End);
        self.reading = false;
        input
    }

    /// Starts a thread that reads with this function.
    fn start(
        terminal: Option<Termios>,
        mut read_one: impl FnMut() -> Input + Send + 'static,
    ) -> std::io::Result<Lines> {
        let (go_on, asked) = blocking::channel();
        let (send, read) = mpsc::channel(1);
        std::thread::Builder::new().name("input".to_owned()).spawn(move || {
            while asked.recv().is_ok() {
                let input = read_one();
                let last = input == Input::End;
                if send.blocking_send(input).is_err() || last {
                    return;
                }
            }
        })?;
        Ok(Lines { go_on, read, terminal, reading: false })
    }

    /// Reads lines from a pipe or file.
    pub(crate) fn piped(input: impl Read + Send + 'static) -> std::io::Result<Lines> {
        let mut input = std::io::BufReader::new(input);
        Lines::start(None, move || read_line(&mut input))
    }

    /// Reads lines that a person edits.
    pub(crate) fn edited(mut prompt: Prompt) -> std::io::Result<Lines> {
        Lines::start(tcgetattr(stdin()).ok(), move || prompt.read())
    }
}

/// One line of a pipe, without its end; a longer one than allowed is passed over.
fn read_line(input: &mut impl BufRead) -> Input {
    let mut line = Vec::new();
    let limit = MAX_LINE_BYTES as u64 + 1;
    match input.by_ref().take(limit).read_until(b'\n', &mut line) {
        Ok(0) | Err(_) => return Input::End,
        Ok(_) => {}
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() > MAX_LINE_BYTES {
        return match input.skip_until(b'\n') {
            Ok(_) => Input::TooLong,
            Err(_) => Input::End,
        };
    }
    match String::from_utf8(line) {
        Ok(line) => Input::Line(line),
        Err(_) => Input::NotText,
    }
}

/// What the prompt shows and the tabulator key offers.
#[derive(Clone, Default)]
pub(crate) struct Known(Arc<Mutex<(Option<String>, Names)>>);

impl Known {
    /// Looks at the user who is logged in and the names.
    pub(crate) fn read<T>(&self, look: impl FnOnce(Option<&str>, &Names) -> T) -> T {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        look(known.0.as_deref(), &known.1)
    }

    /// Changes them.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Option<String>, &mut Names) -> T) -> T {
        let (me, names) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(me, names)
    }
}

/// A line editor with history and completion.
pub(crate) struct Prompt {
    editor: Editor<Completion, FileHistory>,
    known: Known,
    history_file: Option<PathBuf>,
}

#[derive(Helper, Hinter, Highlighter, Validator)]
struct Completion {
    known: Known,
}

impl Completer for Completion {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        cursor: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(self.known.read(|_, names| complete(line, cursor, names)))
    }
}

impl Prompt {
    /// Opens the terminal. A history that can't be read is no reason to stop.
    pub(crate) fn open(known: Known, history_file: Option<PathBuf>) -> rustyline::Result<Prompt> {
        let config = Config::builder()
            .completion_type(CompletionType::List)
            .max_history_size(MAX_HISTORY_LINES)?
            .history_ignore_dups(true)?
            .build();
        let mut editor = Editor::with_config(config)?;
        editor.set_helper(Some(Completion { known: known.clone() }));
        if let Some(file) = &history_file {
            if let Some(dir) = file.parent() {
                drop(std::fs::create_dir_all(dir));
            }
            if file.exists()
                && let Err(error) = editor.load_history(file)
            {
                warn!(%error, "the history of lines can't be read");
            }
        }
        Ok(Prompt { editor, known, history_file })
    }

    /// Prints around the line that is being edited.
    pub(crate) fn printer(
        &mut self,
    ) -> rustyline::Result<impl rustyline::ExternalPrinter + Send + use<>> {
        self.editor.create_external_printer()
    }

    fn read(&mut self) -> Input {
        let prompt = self.known.read(|me, _| prompt(me).into_owned());
        match self.editor.readline(&prompt) {
            Ok(line) => {
                if !line.trim().is_empty() {
                    self.remember(&line);
                }
                Input::Line(line)
            }
            Err(ReadlineError::Interrupted) => Input::Interrupt,
            Err(_) => Input::End,
        }
    }

    fn remember(&mut self, line: &str) {
        // Written after each line, so that a closed window loses none.
        let added = self.editor.add_history_entry(line);
        if let (Ok(true), Some(file)) = (added, &self.history_file) {
            save(&mut self.editor, file);
        }
    }
}

fn save(editor: &mut Editor<Completion, FileHistory>, file: &Path) {
    if let Err(error) = editor.append_history(file) {
        warn!(%error, "the history of lines can't be written");
    }
}

fn prompt(me: Option<&str>) -> Cow<'static, str> {
    match me {
        Some(me) => Cow::Owned(format!("{}> ", escape(me))),
        None => Cow::Borrowed("> "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Vec<Input> {
        let mut input = bytes;
        let mut read = Vec::new();
        loop {
            read.push(read_line(&mut input));
            if read.last() == Some(&Input::End) {
                return read;
            }
        }
    }

    fn line(text: &str) -> Input {
        Input::Line(text.to_owned())
    }

    #[test]
    fn lines_of_a_pipe() {
        assert_eq!(all(b""), [Input::End]);
        assert_eq!(all(b"a\n\nb"), [line("a"), line(""), line("b"), Input::End]);
        assert_eq!(all(b"\xff\xfe\nb\n"), [Input::NotText, line("b"), Input::End]);
    }

    #[test]
    fn a_line_without_an_end_is_not_kept_in_memory() {
        let mut longest = vec![b'x'; MAX_LINE_BYTES];
        assert_eq!(all(&longest).len(), 2);
        longest.extend(vec![b'x'; MAX_LINE_BYTES * 3]);
        longest.extend(b"\nb\n");
        assert_eq!(all(&longest), [Input::TooLong, line("b"), Input::End]);
    }
}
