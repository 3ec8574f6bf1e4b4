//! File descriptors: every connection takes one, and the usual soft limit of 1,024 is soon reached.

use std::fs::File;
use std::io;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How often it is looked whether any is left.
const LOOK: Duration = Duration::from_secs(5);
/// So long nothing more is said about it while it lasts.
const QUIET: Duration = Duration::from_secs(60);

/// Raises the soft limit to the hard one, and from then on says when no descriptor is left: the
/// socket library does not report that a connection could not be taken.
pub fn raise_and_watch() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        if let Err(why) = setrlimit(Resource::Nofile, raised) {
            tracing::debug!("the soft limit of file descriptors stays: {why}");
        }
    }
    let watching = std::thread::Builder::new().name("descriptors".into()).spawn(watch);
    if let Err(why) = watching {
        tracing::debug!("nobody watches the file descriptors: {why}");
    }
}

fn watch() {
    let mut told: Option<Instant> = None;
    loop {
        std::thread::sleep(LOOK);
        if let Err(why) = File::open("/")
            && let Some(what) = exhausted(&why)
            && told.is_none_or(|at| at.elapsed() >= QUIET)
        {
            told = Some(Instant::now());
            tracing::warn!("{what}");
        }
    }
}

/// What to say if this error means that there are no more descriptors.
fn exhausted(error: &io::Error) -> Option<String> {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::MFILE) => {
            let limit = getrlimit(Resource::Nofile).current;
            let limit = limit.map_or_else(|| "all".to_owned(), |limit| format!("all {limit}"));
            Some(format!(
                "{limit} file descriptors of this process are in use: further connections wait \
                 until others end; raise its limit (ulimit -n, LimitNOFILE= or ulimits: nofile)"
            ))
        }
        Some(Errno::NFILE) => Some(
            "the whole machine has no file descriptor left: further connections wait until others \
             end; raise fs.file-max"
                .to_owned(),
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exhaustion_is_told() {
        let of = |errno: Errno| exhausted(&io::Error::from_raw_os_error(errno.raw_os_error()));
        assert!(of(Errno::MFILE).unwrap().contains("ulimit -n"));
        assert!(of(Errno::NFILE).unwrap().contains("fs.file-max"));
        assert_eq!(of(Errno::ACCESS), None);
    }
}
