//! What the binary says without any cluster: its configuration, its languages,
//! completions and manual pages.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod configuration;
mod generated;
mod language;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A home folder of its own, with nothing in it.
struct Home(TempDir);

/// What a finished command left.
#[derive(Debug)]
struct Output {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Home {
    fn new() -> Home {
        Home(TempDir::new().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Where the configuration file belongs.
    fn config_path(&self) -> PathBuf {
        self.path().join(".config/recado/config.toml")
    }

    fn configure(&self, text: &str) {
        std::fs::create_dir_all(self.config_path().parent().unwrap()).unwrap();
        std::fs::write(self.config_path(), text).unwrap();
    }

    /// Runs the binary with these variables and no others.
    fn run(&self, variables: &[(&str, &str)], args: &[&str]) -> Output {
        let output = Command::new(env!("CARGO_BIN_EXE_recado"))
            .args(args)
            .env_clear()
            .env("HOME", self.path())
            .envs(variables.iter().copied())
            .current_dir(self.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Output {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

impl Output {
    /// The standard output of a command that succeeded and had nothing to complain of.
    #[track_caller]
    fn ok(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "{self:?}");
        self.stdout
    }

    /// The one sentence of a command that was refused.
    #[track_caller]
    fn refused(self) -> String {
        assert_eq!((self.code, self.stdout.as_str()), (Some(2), ""), "{self:?}");
        let sentence = self.stderr.strip_prefix("recado: ").unwrap_or_else(|| panic!("{self:?}"));
        assert_eq!(sentence.lines().count(), 1, "{sentence}");
        sentence.trim_end().to_owned()
    }
}
