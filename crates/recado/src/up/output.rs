//! Many processes' lines in one stream.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::time::Duration;

use anstyle::{AnsiColor, Style};

use crate::failure::Failure;

/// How many lines may wait to be written. When a reader stops reading (a paused terminal, a
/// pager), lines are left out rather than the cluster held up.
const MAX_WAITING_LINES: usize = 4096;

/// One colour per role, in turn.
const COLOURS: [AnsiColor; 9] = [
    AnsiColor::Cyan,
    AnsiColor::Yellow,
    AnsiColor::Magenta,
    AnsiColor::Green,
    AnsiColor::Blue,
    AnsiColor::BrightRed,
    AnsiColor::BrightCyan,
    AnsiColor::BrightYellow,
    AnsiColor::BrightMagenta,
];

/// Where the lines go; a thread of its own writes them.
pub struct Output {
    lines: SyncSender<String>,
    finished: Receiver<()>,
    left_out: Arc<AtomicU64>,
    next_colour: AtomicU64,
}

/// Writes the lines of one role.
#[derive(Clone)]
pub struct Line {
    prefix: String,
    lines: SyncSender<String>,
    left_out: Arc<AtomicU64>,
}

impl Output {
    /// To standard output, in colours if it is a terminal that wants them.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn to_screen() -> Result<Output, Failure> {
        Output::start(|text| {
            let mut out = anstream::stdout().lock();
            _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        })
    }

    /// To a file, without colours.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn to_file(file: Arc<File>) -> Result<Output, Failure> {
        Output::start(move |text| {
            let plain = anstream::adapter::strip_str(text).to_string();
            _ = (&*file).write_all(plain.as_bytes());
        })
    }

    fn start(write: impl Fn(&str) + Send + 'static) -> Result<Output, Failure> {
        let (lines, waiting) = sync_channel::<String>(MAX_WAITING_LINES);
        let (done, finished): (Sender<()>, _) = channel();
        let left_out = Arc::new(AtomicU64::new(0));
        let missing = left_out.clone();
        let work = move || {
            for text in waiting {
                write(&text);
                let count = missing.swap(0, Ordering::Relaxed);
                if count > 0 {
                    write(&format!("({count} lines were left out here: nobody read them)\n"));
                }
            }
            drop(done);
        };
        let thread = std::thread::Builder::new().name("output".into()).spawn(work);
        thread.map_err(|why| Failure::Failed(format!("can't start a thread: {why}")))?;
        Ok(Output { lines, finished, left_out, next_colour: AtomicU64::new(0) })
    }

    /// Writes text as it is.
    pub fn plain(&self, text: &str) {
        send(&self.lines, &self.left_out, text.to_owned());
    }

    /// A writer whose lines begin with a name, in a colour of its own.
    pub fn prefixed(&self, name: &str, width: usize) -> Line {
        let turn = self.next_colour.fetch_add(1, Ordering::Relaxed) as usize % COLOURS.len();
        let style = Style::new().fg_color(Some(COLOURS[turn].into()));
        let prefix = format!("{style}{name:width$} |{style:#} ");
        Line { prefix, lines: self.lines.clone(), left_out: self.left_out.clone() }
    }

    /// Waits until all lines are written, but not for ever.
    pub fn finish(self, patience: Duration) {
        drop(self.lines);
        _ = self.finished.recv_timeout(patience);
    }
}

impl Line {
    /// Passes a line of the role on.
    pub fn pass(&self, text: &str) {
        send(&self.lines, &self.left_out, format!("{}{text}\n", self.prefix));
    }

    /// Says something about the role.
    pub fn say(&self, text: &str) {
        let bold = Style::new().bold();
        self.pass(&format!("{bold}{text}{bold:#}"));
    }
}

fn send(lines: &SyncSender<String>, left_out: &AtomicU64, text: String) {
    if let Err(TrySendError::Full(_)) = lines.try_send(text) {
        left_out.fetch_add(1, Ordering::Relaxed);
    }
}
