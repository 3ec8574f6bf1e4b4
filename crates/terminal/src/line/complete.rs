//! What the tabulator key offers.

use std::collections::BTreeSet;

use super::command::{COMMANDS, Usage, lookup, quote};

/// The names that are known now.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    pub(crate) users: BTreeSet<String>,
    pub(crate) channels: BTreeSet<String>,
    pub(crate) joined: BTreeSet<String>,
}

/// The names that can be offered, each list in the order in which it is offered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Offered<'a> {
    pub(crate) users: Vec<&'a str>,
    pub(crate) channels: Vec<&'a str>,
    pub(crate) joined: Vec<&'a str>,
}

impl<'a> Offered<'a> {
    /// What a command takes, as far as it begins like this, in whatever case.
    pub(crate) fn to(&self, usage: Usage, prefix: &str) -> Vec<&'a str> {
        let (users, channels) = (self.users.iter(), self.channels.iter());
        let names: Vec<&str> = match usage {
            Usage::Login | Usage::Message => users.copied().collect(),
            Usage::Publish | Usage::Join => channels.copied().collect(),
            Usage::Leave => self.joined.clone(),
            Usage::History => {
                // A channel and a user may share a name.
                let mut seen = BTreeSet::new();
                channels.chain(users).copied().filter(|name| seen.insert(*name)).collect()
            }
            _ => Vec::new(),
        };
        names.into_iter().filter(|name| begins(name, prefix)).collect()
    }
}

/// Whether a word begins like this, in whatever case.
pub(crate) fn begins(word: &str, prefix: &str) -> bool {
    word.to_lowercase().starts_with(&prefix.to_lowercase())
}

/// Which word of a command is being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word<'a> {
    /// The command itself, so far.
    Command(&'a str),
    /// The name that it takes, so far, and where that starts, in bytes.
    Name { usage: Usage, start: usize, prefix: &'a str },
    /// Free text or a number behind the name.
    Text,
    /// Something behind a word that is no command.
    Unknown,
}

/// The last word of a command, of which no more is written yet than this.
pub(crate) fn last_word(command: &str) -> Word<'_> {
    let Some(end) = command.find(char::is_whitespace) else { return Word::Command(command) };
    let Some(usage) = lookup(&command[..end]) else { return Word::Unknown };
    let name = command[end..].trim_start();
    let start = command.len() - name.len();
    let quoted = name.strip_prefix('"');
    let finished = match quoted {
        Some(inside) => inside.contains('"'),
        None => name.contains(char::is_whitespace),
    };
    if finished { Word::Text } else { Word::Name { usage, start, prefix: quoted.unwrap_or(name) } }
}

/// Where the word before the cursor starts (a byte offset), and what may stand in its place.
pub(crate) fn complete(line: &str, cursor: usize, names: &Names) -> (usize, Vec<String>) {
    let Some(before) = line.get(..cursor) else { return (cursor, Vec::new()) };
    let command = before.trim_start();
    let indent = before.len() - command.len();
    match last_word(command) {
        Word::Command(word) => {
            let found = COMMANDS.iter().filter(|(name, _)| begins(name, word));
            let found = found.map(|(name, usage)| with_space(name, takes_words(*usage)));
            (indent, found.collect())
        }
        Word::Name { usage, start, prefix } => {
            let more = matches!(usage, Usage::Publish | Usage::Message | Usage::History);
            let found = names.offered().to(usage, prefix);
            let found = found.into_iter().map(|name| with_space(&quote(name), more));
            (indent + start, found.collect())
        }
        Word::Text | Word::Unknown => (cursor, Vec::new()),
    }
}

impl Names {
    fn offered(&self) -> Offered<'_> {
        Offered {
            users: self.users.iter().map(String::as_str).collect(),
            channels: self.channels.iter().map(String::as_str).collect(),
            joined: self.joined.iter().map(String::as_str).collect(),
        }
    }
}

fn with_space(word: &str, space: bool) -> String {
    if space { format!("{word} ") } else { word.to_owned() }
}

fn takes_words(usage: Usage) -> bool {
    !matches!(usage, Usage::Users | Usage::Channels | Usage::Status | Usage::Help | Usage::Quit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names() -> Names {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Names {
            users: set(&["ana", "anton", "old fox"]),
            channels: set(&["tea", "tech", "Coffee break"]),
            joined: set(&["tea"]),
        }
    }

    #[test]
    fn words_and_what_may_stand_in_their_place() {
        let cases: [(&str, usize, &[&str]); 14] = [
            ("c", 0, &["channels", "create "]),
            ("  LO", 2, &["login "]),
            ("zz", 0, &[]),
            ("login a", 6, &["ana ", "anton "].map(str::trim_end)),
            ("msg o", 4, &["\"old fox\" "]),
            ("msg \"ol", 4, &["\"old fox\" "]),
            ("msg \"old f", 4, &["\"old fox\" "]),
            ("pub te", 4, &["tea ", "tech "]),
            ("join  co", 6, &["\"Coffee break\""]),
            ("leave t", 6, &["tea"]),
            ("history te", 8, &["tea ", "tech "]),
            ("pub tea te", 10, &[]),
            ("msg \"old fox\" an", 16, &[]),
            ("bogus t", 7, &[]),
        ];
        for (line, start, expected) in cases {
            let found = complete(line, line.len(), &names());
            assert_eq!(
                found,
                (start, expected.iter().map(|s| (*s).to_owned()).collect()),
                "{line}"
            );
        }
    }

    #[test]
    fn only_what_stands_before_the_cursor_counts() {
        assert_eq!(complete("pub te hello", 6, &names()).1, ["tea ", "tech "]);
    }

    proptest! {
        #[test]
        fn nothing_panics_and_the_start_is_inside_the_line(line in ".{0,30}", cursor in 0usize..40) {
            let (start, _) = complete(&line, cursor, &names());
            prop_assert!(start <= cursor);
        }
    }
}
