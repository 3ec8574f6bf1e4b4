//! Logs: a line each, compact or a JSON object, times in UTC, to standard error or a file.

use std::fmt;
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use anstyle::{AnsiColor, Style};
use serde_json::json;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer as FieldWriter;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::failure::Failure;

/// How much of an RFC 3339 time is shown before the `Z`: up to the milliseconds.
const SHOWN_TIME_CHARS: usize = 23;

/// How this process logs, once it does.
static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// An object a line: `timestamp`, `level`, `message`, `target` and what else belongs to it.
    Json,
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(word: &str) -> Result<LogFormat, String> {
        match word {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            _ => Err(format!("text or json is needed, not {word}")),
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        })
    }
}

/// Logs to standard error; in colours only at a terminal and without `NO_COLOR`.
///
/// # Errors
/// A filter that is none.
pub fn to_stderr(filter: &str, format: LogFormat) -> Result<(), Failure> {
    let colours = std::io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let lines = tracing_subscriber::fmt()
        .with_env_filter(parse(filter)?)
        .with_writer(|| Forgiving(std::io::stderr()));
    match format {
        LogFormat::Text => lines.with_ansi(colours).event_format(Plain).init(),
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_timer(Milliseconds);
            lines.with_current_span(false).with_span_list(false).init();
        }
    }
    // Whoever comes second keeps the first one's; there is no second.
    _ = FORMAT.set(format);
    Ok(())
}

/// The sentence with which a process ends, on standard error, in the form of its logs.
pub fn say_last(sentence: &str) {
    let line = match FORMAT.get().copied().unwrap_or_default() {
        LogFormat::Text => format!("recado: {sentence}"),
        LogFormat::Json => object(Level::ERROR, None, sentence),
    };
    // A closed standard error is no reason to panic.
    _ = writeln!(std::io::stderr(), "{line}");
}

/// A line as the JSON format has it, of a role if it tells of one.
pub fn object(level: Level, role: Option<&str>, message: &str) -> String {
    let mut line = json!({ "timestamp": now(), "level": level.as_str() });
    if let Some(role) = role {
        line["role"] = json!(role);
    }
    line["message"] = json!(message);
    line.to_string()
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

/// The time of a JSON line.
struct Milliseconds;

impl FormatTime for Milliseconds {
    fn format_time(&self, line: &mut FieldWriter<'_>) -> fmt::Result {
        line.write_str(&now())
    }
}

/// UTC to the millisecond.
pub fn now() -> String {
    let mut full = String::new();
    // Writing to a string can't fail.
    _ = SystemTime.format_time(&mut FieldWriter::new(&mut full));
    format!("{}Z", full.get(..SHOWN_TIME_CHARS).unwrap_or(&full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_line_tells_time_level_role_and_sentence() {
        let line = object(Level::WARN, Some("server-1"), "ended: \"so\"");
        let found: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(found["level"], "WARN");
        assert_eq!(found["role"], "server-1");
        assert_eq!(found["message"], "ended: \"so\"");
        assert!(found["timestamp"].as_str().is_some_and(|at| at.ends_with('Z') && at.len() == 24));
    }

    #[test]
    fn a_format_is_a_word() {
        for format in [LogFormat::Text, LogFormat::Json] {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        assert!("xml".parse::<LogFormat>().is_err());
    }
}
