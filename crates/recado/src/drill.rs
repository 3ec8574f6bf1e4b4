//! `drill`: a cluster of its own that is broken on purpose.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use recado_drill::{
    AttachConfig, DiskChoice, DrillConfig, DrillEnd, Finished, Kind, Places, Screen, Size,
};
use tokio::sync::watch;

use crate::address::Endpoints;
use crate::failure::Failure;
use crate::logging;
use crate::options::Settings;
use crate::port_table;
use crate::shutdown::Shutdown;
use crate::{print, roles};

/// Where a drill's cluster listens, as every other one does.
const PLACES: Places = Places {
    ports: port_table::PORTS,
    broker: port_table::broker,
    proxy: port_table::proxy,
    reference: port_table::REFERENCE,
    server: port_table::server,
};

/// What stands for every kind of fault.
const ALL: &str = "all";

/// Without a terminal only every so manieth progress is shown: one in 10 s.
const SHOWN_PROGRESS: u64 = 10;

/// What a process ends with after SIGINT or SIGTERM.
const SIGNAL_EXIT: u8 = 130;

/// How wide a progress line is; longer ones would break, and stay.
const PROGRESS_COLUMNS: usize = 100;

/// The names of all faults, for people.
pub fn faults() -> String {
    let width = Kind::ALL.iter().map(|kind| kind.word().len()).max().unwrap_or(0);
    let mut text = String::new();
    for kind in Kind::ALL {
        // Writing to a string can't fail.
        _ = writeln!(text, "{:width$}  {}", kind.word(), kind.about());
    }
    text
}

/// Runs a drill. Its folder stays when something was wrong.
///
/// # Errors
/// One sentence.
pub fn run(settings: &Settings, json: bool, shutdown: Shutdown) -> Result<ExitCode, Failure> {
    if settings.attach {
        return visit(settings, json, shutdown);
    }
    let kinds = parse(&settings.faults)?;
    // The processes get the same filter; a wrong one is better said now.
    logging::parse(&settings.log)?;
    let seed = seed(settings);
    let dir = folder(settings.data_dir(), seed)?;
    let config = DrillConfig {
        program: std::env::current_exe().map_err(Failure::failed)?,
        dir: dir.clone(),
        seed,
        duration: Duration::from_secs(settings.duration.0),
        interval: Duration::from_secs(settings.interval.0),
        size: Size {
            servers: usize::from(settings.servers),
            brokers: usize::from(settings.brokers),
            proxies: usize::from(settings.proxies),
        },
        places: PLACES,
        kinds,
        rate: u32::from(settings.rate),
        log: settings.log.clone(),
        disk: disk(&settings.disk)?,
        keep: settings.keep,
    };
    let outcome = roles::block_on(async {
        let drill = recado_drill::run(config, screen(json), stopping(shutdown)).await;
        drill.map_err(Failure::failed)
    });
    if outcome.as_ref().is_ok_and(|finished| finished.end == DrillEnd::Held) && !settings.keep {
        _ = std::fs::remove_dir_all(&dir);
    } else {
        _ = writeln!(std::io::stderr(), "data and logs are kept in {}", dir.display());
    }
    outcome.map(|finished| end(&finished, json))
}

/// Keeps the disks of a drill that is another process, until that ends.
pub fn keep_disks() -> ExitCode {
    match recado_drill::host() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            logging::say_last(&format!("the drill's disks are gone: {why}"));
            ExitCode::FAILURE
        }
    }
}

/// A drill on somebody else's cluster. It needs no folder.
fn visit(settings: &Settings, json: bool, shutdown: Shutdown) -> Result<ExitCode, Failure> {
    let at = Endpoints::to_connect(settings)?;
    let config = AttachConfig {
        brokers: at.fronts,
        proxies: at.xpubs,
        seed: seed(settings),
        duration: Duration::from_secs(settings.duration.0),
        rate: u32::from(settings.rate),
    };
    let outcome = roles::block_on(async {
        let drill = recado_drill::attach(config, screen(json), stopping(shutdown)).await;
        drill.map_err(Failure::failed)
    });
    outcome.map(|finished| end(&finished, json))
}

fn seed(settings: &Settings) -> u64 {
    settings.seed.unwrap_or_else(|| rand::random_range(0..1_000_000))
}

fn screen(json: bool) -> Arc<dyn Screen> {
    let live = !json && std::io::stdout().is_terminal();
    Arc::new(Terminal { live, json, turns: AtomicU64::new(0) })
}

/// Becomes true when the process shall end.
fn stopping(shutdown: Shutdown) -> watch::Receiver<bool> {
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        shutdown.wait().await;
        stop.send_replace(true);
    });
    stopped
}

fn end(finished: &Finished, json: bool) -> ExitCode {
    if json {
        print(&format!("{}\n", finished.json));
    }
    match finished.end {
        DrillEnd::Held => ExitCode::SUCCESS,
        DrillEnd::Failed => ExitCode::FAILURE,
        DrillEnd::Stopped => ExitCode::from(SIGNAL_EXIT),
    }
}

fn parse(list: &str) -> Result<Vec<Kind>, Failure> {
    let mut kinds = Vec::new();
    for word in list.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        if word == ALL {
            kinds.extend(Kind::ALL);
            continue;
        }
        kinds.push(Kind::parse(word).ok_or_else(|| {
            Failure::Usage(format!(
                "--faults {word}: there is no such fault; --list-faults names them all"
            ))
        })?);
    }
    Ok(kinds)
}

fn disk(text: &str) -> Result<DiskChoice, Failure> {
    match text {
        "auto" => Ok(DiskChoice::Auto),
        "real" => Ok(DiskChoice::Real),
        "forgetful" => Ok(DiskChoice::Forgetful { ignore_syncs: false }),
        "forgetful,ignore-syncs" => Ok(DiskChoice::Forgetful { ignore_syncs: true }),
        _ => Err(Failure::Usage(format!(
            "--disk {text}: auto, real, forgetful or forgetful,ignore-syncs is needed"
        ))),
    }
}

/// A folder that no other drill has.
fn folder(data_dir: &Path, seed: u64) -> Result<PathBuf, Failure> {
    let name = format!("drill-{seed}-{}", std::process::id());
    let dir = std::path::absolute(data_dir.join(name)).map_err(Failure::failed)?;
    std::fs::create_dir_all(&dir).map_err(|why| {
        Failure::Failed(format!("can't make {}: {why}; choose another --data-dir", dir.display()))
    })?;
    Ok(dir)
}

/// Standard output, or standard error where that is for JSON. A reader that went away is no
/// failure.
struct Terminal {
    /// Whether standard output is for JSON.
    json: bool,
    /// Whether a line can be written over.
    live: bool,
    turns: AtomicU64,
}

impl Screen for Terminal {
    fn line(&self, text: &str) {
        let clear = if self.live { "\r\x1b[K" } else { "" };
        self.write(&format!("{clear}{text}\n"));
    }

    fn progress(&self, text: &str) {
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        let text: String = text.chars().take(PROGRESS_COLUMNS).collect();
        if self.live {
            self.write(&format!("\r\x1b[K{text}"));
        } else if turn.is_multiple_of(SHOWN_PROGRESS) {
            self.write(&format!("{text}\n"));
        }
    }
}

impl Terminal {
    fn write(&self, text: &str) {
        if self.json {
            _ = std::io::stderr().lock().write_all(text.as_bytes());
        } else {
            let mut out = std::io::stdout().lock();
            _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_found_by_their_names() {
        assert_eq!(parse("all").unwrap(), Kind::ALL);
        assert_eq!(parse("kill-all, partition").unwrap(), [Kind::KillAll, Kind::Partition]);
        assert_eq!(parse("").unwrap(), []);
        let failure = parse("kill-all,earthquake").unwrap_err().to_string();
        assert!(failure.contains("earthquake") && failure.contains("--list-faults"), "{failure}");
        assert_eq!(faults().lines().count(), Kind::ALL.len());
    }
}
