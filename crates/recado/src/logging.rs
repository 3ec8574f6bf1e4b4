//! Logs: one compact line each, times in UTC, to standard error or a file.

use std::fmt;
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anstyle::{AnsiColor, Style};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer as FieldWriter;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::failure::Failure;

/// How much of an RFC 3339 time is shown before the `Z`: up to the milliseconds.
const SHOWN_TIME_CHARS: usize = 23;

/// Logs to standard error; in colours only at a terminal and without `NO_COLOR`.
///
/// # Errors
/// A filter that is none.
pub fn to_stderr(filter: &str) -> Result<(), Failure> {
    let colours = std::io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    tracing_subscriber::fmt()
        .with_ansi(colours)
        .event_format(Plain)
        .with_env_filter(parse(filter)?)
        .with_writer(|| Forgiving(std::io::stderr()))
        .init();
    Ok(())
}

/// Checks a filter for processes that log elsewhere. A level alone is meant for what recado says;
/// its libraries then say only what is one step more important, except for `trace`, where
/// everything is wanted.
///
/// # Errors
/// A filter that is none.
pub fn parse(filter: &str) -> Result<EnvFilter, Failure> {
    let full = match filter.trim().to_lowercase().as_str() {
        // The consensus engine warns of every message that a dead server does not answer; our own
        // supervisor says it once.
        "info" => "warn,openraft=error,recado=info",
        "debug" => "info,recado=debug",
        _ => filter,
    };
    EnvFilter::builder().parse(full).map_err(|why| {
        Failure::Usage(format!(
            "--log {filter} is no filter ({why}); give a level like info or debug, or \
             recado_server=debug,info"
        ))
    })
}

/// Opens a file for the logs of a whole cluster, `<data-dir>/logs/<name>.log`.
///
/// # Errors
/// When the folder or the file can't be written.
pub fn open_file(data_dir: &Path, name: &str) -> Result<(Arc<File>, PathBuf), Failure> {
    let dir = data_dir.join("logs");
    let path = dir.join(format!("{name}.log"));
    let open = || {
        std::fs::create_dir_all(&dir)?;
        File::options().create(true).append(true).open(&path)
    };
    let file = open().map_err(|why| {
        Failure::Failed(format!(
            "can't write {}: {why}; make the folder writable, or choose another --data-dir",
            path.display()
        ))
    })?;
    Ok((Arc::new(file), path))
}

/// Standard error, as long as somebody reads it. When the reader of a pipe is gone (a killed
/// `up`), there is nobody to tell, and that must not keep a role from ending cleanly.
struct Forgiving(std::io::Stderr);

impl Write for Forgiving {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        _ = self.0.write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Time, level, sentence, fields. Where in the code it was said stands only in lines of other
/// levels than `info`: those are for people who look for something, `info` is for who looks on.
struct Plain;

impl<S, N> FormatEvent<S, N> for Plain
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut line: FieldWriter<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = *event.metadata().level();
        let style = match level {
            _ if !line.has_ansi_escapes() => Style::new(),
            Level::ERROR => AnsiColor::Red.on_default(),
            Level::WARN => AnsiColor::Yellow.on_default(),
            Level::INFO => AnsiColor::Green.on_default(),
            _ => Style::new().dimmed(),
        };
        write!(line, "{} {style}{level:>5}{style:#} ", now())?;
        if level != Level::INFO {
            write!(line, "{}: ", event.metadata().target())?;
        }
        context.format_fields(line.by_ref(), event)?;
        writeln!(line)
    }
}

/// UTC to the millisecond.
fn now() -> String {
    let mut full = String::new();
    // Writing to a string can't fail.
    _ = SystemTime.format_time(&mut FieldWriter::new(&mut full));
    format!("{}Z", full.get(..SHOWN_TIME_CHARS).unwrap_or(&full))
}
