//! Where lines are printed.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustyline::ExternalPrinter;
use tokio::sync::{mpsc, oneshot};

use crate::render::Palette;
use crate::texts::Texts;

/// How many lines may wait for a terminal; what comes faster is left out, and that is said.
const MAX_WAITING_LINES: usize = 4096;

/// How long the end waits for the terminal to show the last lines.
const LAST_LINES: Duration = Duration::from_millis(500);

/// Where lines are printed: a terminal, around the line that is being edited, or two streams.
pub(crate) struct Screen {
    out: Out,
    pub(crate) palette: Palette,
    pub(crate) texts: Texts,
    /// At a terminal, what goes on in the cluster is told too.
    pub(crate) interactive: bool,
}

enum Out {
    /// A thread prints: the printer may block until the line editor takes the line.
    Terminal {
        lines: mpsc::Sender<Print>,
        left_out: AtomicU64,
    },
    Streams(Mutex<Streams>),
}

struct Streams {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
}

enum Print {
    Line(String),
    Done(oneshot::Sender<()>),
}

impl Screen {
    /// At a terminal: the printer keeps the prompt below what is printed.
    pub(crate) fn terminal(
        mut printer: impl ExternalPrinter + Send + 'static,
        palette: Palette,
        texts: Texts,
    ) -> std::io::Result<Screen> {
        let (lines, mut waiting) = mpsc::channel(MAX_WAITING_LINES);
        std::thread::Builder::new().name("screen".to_owned()).spawn(move || {
            while let Some(print) = waiting.blocking_recv() {
                match print {
                    // A terminal that is gone is noticed by the reading side.
                    Print::Line(line) => drop(printer.print(line)),
                    Print::Done(done) => drop(done.send(())),
                }
            }
        })?;
        let out = Out::Terminal { lines, left_out: AtomicU64::new(0) };
        Ok(Screen { out, palette, texts, interactive: true })
    }

    /// Lines to one stream, errors to the other; no colours.
    pub(crate) fn streams(
        out: impl Write + Send + 'static,
        err: impl Write + Send + 'static,
        texts: Texts,
    ) -> Screen {
        let streams = Streams { out: Box::new(out), err: Box::new(err) };
        let out = Out::Streams(Mutex::new(streams));
        Screen { out, palette: Palette::plain(), texts, interactive: false }
    }

    /// Prints a line. Whoever reads it may be gone; then there is nobody to tell.
    pub(crate) fn line(&self, line: &str) {
        match &self.out {
            Out::Terminal { .. } => self.print(line),
            Out::Streams(streams) => {
                let out = &mut streams.lock().unwrap_or_else(PoisonError::into_inner).out;
                drop(writeln!(out, "{line}").and_then(|()| out.flush()));
            }
        }
    }

    /// Prints what went wrong.
    pub(crate) fn error(&self, error: &str) {
        let line = format!("{}{error}", self.texts.error());
        match &self.out {
            Out::Terminal { .. } => self.print(&self.palette.error(&line)),
            Out::Streams(streams) => {
                let err = &mut streams.lock().unwrap_or_else(PoisonError::into_inner).err;
                drop(writeln!(err, "{line}").and_then(|()| err.flush()));
            }
        }
    }

    /// Prints what is worth knowing at a terminal and would be in the way in a pipe.
    pub(crate) fn note(&self, note: &str) {
        if self.interactive {
            self.line(&self.palette.dim(note));
        }
    }

    /// Waits until everything is printed, as far as the terminal takes it.
    pub(crate) async fn finish(&self) {
        if let Out::Terminal { lines, .. } = &self.out {
            let (done, printed) = oneshot::channel();
            if lines.send(Print::Done(done)).await.is_ok() {
                drop(tokio::time::timeout(LAST_LINES, printed).await);
            }
        }
    }

    fn print(&self, line: &str) {
        let Out::Terminal { lines, left_out } = &self.out else { return };
        let missing = left_out.swap(0, Ordering::Relaxed);
        if missing > 0 {
            let note = format!("{}\n", self.palette.dim(&self.texts.left_out(missing)));
            if lines.try_send(Print::Line(note)).is_err() {
                left_out.fetch_add(missing, Ordering::Relaxed);
            }
        }
        if lines.try_send(Print::Line(format!("{line}\n"))).is_err() {
            left_out.fetch_add(1, Ordering::Relaxed);
        }
    }
}
