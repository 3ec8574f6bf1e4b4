//! Many processes' lines in one stream.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use serde_json::{Map, Value};
use tracing::Level;

use crate::failure::Failure;
use crate::logging::{self, LogFormat};

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
    format: LogFormat,
}

/// Writes the lines of one role.
#[derive(Clone)]
pub struct Line {
    name: String,
    prefix: String,
    format: LogFormat,
    lines: SyncSender<String>,
    left_out: Arc<AtomicU64>,
}

impl Output {
    /// To standard output, in colours if it is a terminal that wants them.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn to_screen(format: LogFormat) -> Result<Output, Failure> {
        Output::start(format, |text| {
            let mut out = anstream::stdout().lock();
            _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        })
    }

    /// To a file, without colours.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn to_file(file: Arc<File>, format: LogFormat) -> Result<Output, Failure> {
        Output::start(format, move |text| {
            let plain = anstream::adapter::strip_str(text).to_string();
            _ = (&*file).write_all(plain.as_bytes());
        })
    }

    fn start(format: LogFormat, write: impl Fn(&str) + Send + 'static) -> Result<Output, Failure> {
        let (lines, waiting) = sync_channel::<String>(MAX_WAITING_LINES);
        let (done, finished): (Sender<()>, _) = channel();
        let left_out = Arc::new(AtomicU64::new(0));
        let missing = left_out.clone();
        let work = move || {
            for text in waiting {
                write(&text);
                let count = missing.swap(0, Ordering::Relaxed);
                if count > 0 {
                    let said = format!("{count} lines were left out here: nobody read them");
                    write(&match format {
                        LogFormat::Text => format!("({said})\n"),
                        LogFormat::Json => logging::object(Level::WARN, None, &said) + "\n",
                    });
                }
            }
            drop(done);
        };
        let thread = std::thread::Builder::new().name("output".into()).spawn(work);
        thread.map_err(|why| Failure::Failed(format!("can't start a thread: {why}")))?;
        Ok(Output { lines, finished, left_out, next_colour: AtomicU64::new(0), format })
    }

    /// Writes text as it is, or in the JSON format each of its lines as a message.
    pub fn plain(&self, text: &str) {
        let text = match self.format {
            LogFormat::Text => text.to_owned(),
            LogFormat::Json => {
                let lines =
                    text.lines().map(|line| logging::object(Level::INFO, None, line.trim()));
                lines.map(|line| line + "\n").collect()
            }
        };
        send(&self.lines, &self.left_out, text);
    }

    /// A writer whose lines begin with a name, in a colour of its own.
    pub fn prefixed(&self, name: &str, width: usize) -> Line {
        let turn = self.next_colour.fetch_add(1, Ordering::Relaxed) as usize % COLOURS.len();
        let style = Style::new().fg_color(Some(COLOURS[turn].into()));
        let prefix = format!("{style}{name:width$} |{style:#} ");
        Line {
            name: name.to_owned(),
            prefix,
            format: self.format,
            lines: self.lines.clone(),
            left_out: self.left_out.clone(),
        }
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
        match self.format {
            LogFormat::Text => self.write(&format!("{}{text}", self.prefix)),
            LogFormat::Json => self.write(&of_role(&self.name, text)),
        }
    }

    /// Says something about the role, with the time, as the role itself would.
    pub fn say(&self, level: Level, text: &str) {
        let bold = Style::new().bold();
        match self.format {
            LogFormat::Text => {
                let now = logging::now();
                self.pass(&format!("{now} {level:>5} {bold}{text}{bold:#}"));
            }
            LogFormat::Json => self.write(&logging::object(level, Some(&self.name), text)),
        }
    }

    fn write(&self, line: &str) {
        send(&self.lines, &self.left_out, format!("{line}\n"));
    }
}

fn send(lines: &SyncSender<String>, left_out: &AtomicU64, text: String) {
    if let Err(TrySendError::Full(_)) = lines.try_send(text) {
        left_out.fetch_add(1, Ordering::Relaxed);
    }
}

/// A role's line as an object that names the role; what is none becomes the message of one.
fn of_role(name: &str, text: &str) -> String {
    let Ok(object) = serde_json::from_str::<Map<String, Value>>(text) else {
        return logging::object(Level::INFO, Some(name), text);
    };
    let role = ("role".to_owned(), Value::from(name));
    let named: Map<String, Value> = std::iter::once(role).chain(object).collect();
    Value::Object(named).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_role_names_it() {
        let line = of_role("proxy", r#"{"level":"INFO","message":"here"}"#);
        assert_eq!(line, r#"{"role":"proxy","level":"INFO","message":"here"}"#);
        let strange: Value = serde_json::from_str(&of_role("proxy", "a \"b\"")).unwrap();
        assert_eq!((&strange["role"], &strange["message"]), (&"proxy".into(), &"a \"b\"".into()));
    }
}
