//! The configuration file: where it is, what it says, and in which line.

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use figment::providers::{Format, Toml};
use figment::value::Dict;
use toml_edit::{ImDocument, Item, TableLike};

use crate::command::Command;
use crate::failure::Failure;
use crate::options;

/// A file that was read.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    /// Where it is, as it was named.
    pub path: PathBuf,
    text: String,
}

/// Where people's own file is, whether it is there or not.
pub fn personal_path() -> Option<PathBuf> {
    let folder = etcetera::choose_base_strategy().ok()?.config_dir();
    Some(folder.join("recado").join("config.toml"))
}

/// The file that counts for a command when none is named.
pub fn unnamed(command: Command) -> Option<PathBuf> {
    let personal = options::PERSONAL.contains(&command).then(personal_path)?;
    personal.filter(|path| path.exists())
}

impl ConfigFile {
    /// Reads a file.
    ///
    /// # Errors
    /// One sentence that names the file.
    pub fn read(path: &Path) -> Result<ConfigFile, Failure> {
        let text = std::fs::read_to_string(path).map_err(|why| {
            Failure::Usage(format!(
                "can't read the configuration file {}: {why}; make it a text file that you may \
                 read, or name another one with --config",
                path.display()
            ))
        })?;
        Ok(ConfigFile { path: path.to_owned(), text })
    }

    /// What it says.
    ///
    /// # Errors
    /// One sentence that names the line that is not TOML.
    pub fn values(&self) -> Result<Dict, Failure> {
        if let Err(error) = ImDocument::parse(self.text.as_str()) {
            let place = match error.span() {
                Some(span) => format!("{}, line {}", self.path.display(), self.line(span.start)),
                None => self.path.display().to_string(),
            };
            return Err(Failure::Usage(format!(
                "{place} is not TOML ({}); a line is KEY = VALUE, and texts stand in double quotes",
                one_line(error.message())
            )));
        }
        Toml::from_str(&self.text).map_err(|error| {
            let (path, why) = (self.path.display(), one_line(&error.to_string()));
            Failure::Usage(format!("{path} can't be understood: {why}"))
        })
    }

    /// A key's place, for people.
    pub fn place(&self, key: &str) -> String {
        let path = self.path.display();
        match self.line_of(key) {
            Some(line) => format!("{key} in {path}, line {line}"),
            None => format!("{key} in {path}"),
        }
    }

    /// The line in which a key stands; dots lead into tables.
    pub fn line_of(&self, key: &str) -> Option<usize> {
        let document = ImDocument::parse(self.text.as_str()).ok()?;
        let mut table: &dyn TableLike = document.as_table();
        let mut found = None;
        for part in key.split('.') {
            let (name, item) = table.get_key_value(part)?;
            found = name.span().or_else(|| item.span()).or(found);
            match item {
                Item::Table(_) | Item::Value(_) if item.is_table_like() => {
                    table = item.as_table_like()?;
                }
                _ => break,
            }
        }
        found.map(|span| self.line(span.start))
    }

    /// The line of a byte, from 1 on.
    fn line(&self, at: usize) -> usize {
        let before = self.text.as_bytes().get(..at).unwrap_or(self.text.as_bytes());
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }
}

/// A report of several lines in one.
pub fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> ConfigFile {
        ConfigFile { path: "x.toml".into(), text: text.to_owned() }
    }

    #[test]
    fn keys_are_found_in_their_lines() {
        let file = file("# mine\nbroker = \"hub\"\n\nlang = \"en\"\n[keys]\n\nquit = \"Ctrl-X\"\n");
        for (key, line) in
            [("broker", Some(2)), ("lang", Some(4)), ("keys.quit", Some(7)), ("keys.none", None)]
        {
            assert_eq!(file.line_of(key), line, "{key}");
        }
        assert_eq!(file.place("lang"), "lang in x.toml, line 4");
    }

    #[test]
    fn what_is_not_toml_is_refused_with_its_line() {
        for (text, line) in [
            ("broker hub", 1),
            ("a = 1\nbroker = hub\n", 2),
            ("a = 1\na = 2\n", 2),
            ("a = 1\n\nb = \"open\nc = 2\n", 3),
        ] {
            let failure = file(text).values().unwrap_err().to_string();
            assert!(failure.starts_with(&format!("x.toml, line {line} is not TOML")), "{failure}");
            assert!(!failure.contains('\n') && failure.contains("KEY = VALUE"), "{failure}");
        }
    }

    #[test]
    fn ones_own_file_is_in_the_folder_for_configuration() {
        let path = personal_path().unwrap();
        assert!(path.ends_with("recado/config.toml"), "{}", path.display());
    }
}
