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

/// Where the word before the cursor starts (a byte offset), and what may stand in its place.
pub(crate) fn complete(line: &str, cursor: usize, names: &Names) -> (usize, Vec<String>) {
    let Some(before) = line.get(..cursor) else { return (cursor, Vec::new()) };
    let command = before.trim_start();
    let indent = before.len() - command.len();
    let Some(end) = command.find(char::is_whitespace) else {
        let word = command.to_lowercase();
        let found = COMMANDS.iter().filter(|(name, _)| name.starts_with(&word));
        return (
            indent,
            found.map(|(name, usage)| with_space(name, takes_words(*usage))).collect(),
        );
    };
    let argument = command[end..].trim_start();
    let start = before.len() - argument.len();
    let Some(usage) = lookup(&command[..end]) else { return (cursor, Vec::new()) };
    let quoted = argument.strip_prefix('"');
    // Only the first argument is a name; behind it comes free text or a number.
    let finished = match quoted {
        Some(inside) => inside.contains('"'),
        None => argument.contains(char::is_whitespace),
    };
    if finished {
        return (cursor, Vec::new());
    }
    let prefix = quoted.unwrap_or(argument).to_lowercase();
    let more = matches!(usage, Usage::Publish | Usage::Message | Usage::History);
    let found = candidates(usage, names)
        .into_iter()
        .filter(|name| name.to_lowercase().starts_with(&prefix))
        .map(|name| with_space(&quote(name), more))
        .collect();
    (start, found)
}

fn with_space(word: &str, space: bool) -> String {
    if space { format!("{word} ") } else { word.to_owned() }
}

fn takes_words(usage: Usage) -> bool {
    !matches!(usage, Usage::Users | Usage::Channels | Usage::Status | Usage::Help | Usage::Quit)
}

fn candidates(usage: Usage, names: &Names) -> BTreeSet<&String> {
    match usage {
        Usage::Login | Usage::Message => names.users.iter().collect(),
        Usage::Publish | Usage::Join => names.channels.iter().collect(),
        Usage::Leave => names.joined.iter().collect(),
        Usage::History => names.channels.iter().chain(&names.users).collect(),
        _ => BTreeSet::new(),
    }
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
