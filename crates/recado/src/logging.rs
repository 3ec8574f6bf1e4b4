//! Logs: one compact line each, times in UTC, to standard error or a file.

use std::fmt;
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer as FieldWriter;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

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
        .compact()
        .with_timer(Utc)
        .with_ansi(colours)
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

/// UTC to the millisecond.
struct Utc;

impl FormatTime for Utc {
    fn format_time(&self, w: &mut FieldWriter<'_>) -> fmt::Result {
        let mut full = String::new();
        SystemTime.format_time(&mut FieldWriter::new(&mut full))?;
        write!(w, "{}Z", full.get(..SHOWN_TIME_CHARS).unwrap_or(&full))
    }
}
