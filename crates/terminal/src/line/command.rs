//! From a line to a command.

/// A line, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Login { user: String },
    Users,
    Channels,
    Create { channel: String },
    Publish { channel: String, message: String },
    Message { user: String, message: String },
    Join { channel: String },
    Leave { channel: String },
    History { name: Option<String>, count: Option<usize> },
    Status,
    Help,
    Quit,
}

/// Which command an explanation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Usage {
    Login,
    Users,
    Channels,
    Create,
    Publish,
    Message,
    Join,
    Leave,
    History,
    Status,
    Help,
    Quit,
}

/// The commands by the words that call them.
pub(crate) const COMMANDS: &[(&str, Usage)] = &[
    ("login", Usage::Login),
    ("users", Usage::Users),
    ("channels", Usage::Channels),
    ("create", Usage::Create),
    ("pub", Usage::Publish),
    ("msg", Usage::Message),
    ("join", Usage::Join),
    ("leave", Usage::Leave),
    ("history", Usage::History),
    ("status", Usage::Status),
    ("help", Usage::Help),
    ("quit", Usage::Quit),
];

/// Words that people try as well.
const OTHER_WORDS: &[(&str, Usage)] = &[
    ("exit", Usage::Quit),
    ("?", Usage::Help),
    ("publish", Usage::Publish),
    ("message", Usage::Message),
];

/// How many letters a mistyped command may be away from the one that is suggested.
const MAX_TYPOS: usize = 2;

/// What is wrong with a line that is not a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Unknown { word: String, nearest: Option<&'static str> },
    OpenQuote,
    Missing(Usage),
    TooMuch(Usage),
    NotANumber(String),
}

/// Understands a line; none when there is nothing on it.
pub(crate) fn parse(line: &str) -> Result<Option<Command>, Fault> {
    let mut words = Words { rest: line };
    let Some(first) = words.next()? else { return Ok(None) };
    let Some(usage) = lookup(&first.text).filter(|_| !first.quoted) else {
        return Err(Fault::Unknown { nearest: nearest(&first.text), word: first.text });
    };
    let command = match usage {
        Usage::Login => Command::Login { user: words.name(usage)? },
        Usage::Users => Command::Users,
        Usage::Channels => Command::Channels,
        Usage::Create => Command::Create { channel: words.name(usage)? },
        Usage::Publish => {
            let channel = words.name(usage)?;
            return Ok(Some(Command::Publish { channel, message: words.message(usage)? }));
        }
        Usage::Message => {
            let user = words.name(usage)?;
            return Ok(Some(Command::Message { user, message: words.message(usage)? }));
        }
        Usage::Join => Command::Join { channel: words.name(usage)? },
        Usage::Leave => Command::Leave { channel: words.name(usage)? },
        Usage::History => words.history()?,
        Usage::Status => Command::Status,
        Usage::Help => Command::Help,
        Usage::Quit => Command::Quit,
    };
    match words.next()? {
        None => Ok(Some(command)),
        Some(_) => Err(Fault::TooMuch(usage)),
    }
}

/// Whom a message is for, as far as that is written.
pub(crate) fn message_to(line: &str) -> Option<String> {
    let mut words = Words { rest: line };
    let first = words.next().ok()??;
    if first.quoted || lookup(&first.text) != Some(Usage::Message) {
        return None;
    }
    words.name(Usage::Message).ok()
}

/// The command that a word calls.
pub(crate) fn lookup(word: &str) -> Option<Usage> {
    let word = word.to_ascii_lowercase();
    COMMANDS.iter().chain(OTHER_WORDS).find(|(name, _)| *name == word).map(|(_, usage)| *usage)
}

/// A name as it is typed: in double quotes if it has a space, a quote, or looks like a number.
pub(crate) fn quote(name: &str) -> String {
    let plain = !name.is_empty()
        && !name.contains(|c: char| c.is_whitespace() || c == '"' || c == '\\')
        && name.parse::<usize>().is_err();
    if plain {
        return name.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in name.chars() {
        if c == '"' || c == '\\' {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

struct Word {
    text: String,
    quoted: bool,
}

/// Takes words off the front of a line.
struct Words<'a> {
    rest: &'a str,
}

impl Words<'_> {
    /// The next word, or what stands between double quotes (`\"` and `\\` inside of them).
    fn next(&mut self) -> Result<Option<Word>, Fault> {
        self.rest = self.rest.trim_start();
        let Some(after_quote) = self.rest.strip_prefix('"') else {
            let end = self.rest.find(char::is_whitespace).unwrap_or(self.rest.len());
            let (word, rest) = self.rest.split_at(end);
            self.rest = rest;
            let word = Word { text: word.to_owned(), quoted: false };
            return Ok((!word.text.is_empty()).then_some(word));
        };
        let mut text = String::new();
        let mut chars = after_quote.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &after_quote[at + 1..];
                    return Ok(Some(Word { text, quoted: true }));
                }
                '\\' => match chars.next() {
                    Some((_, escaped @ ('"' | '\\'))) => text.push(escaped),
                    Some((_, other)) => text.extend([c, other]),
                    None => return Err(Fault::OpenQuote),
                },
                c => text.push(c),
            }
        }
        Err(Fault::OpenQuote)
    }

    fn name(&mut self, usage: Usage) -> Result<String, Fault> {
        let word = self.next()?.ok_or(Fault::Missing(usage))?;
        if word.text.is_empty() { Err(Fault::Missing(usage)) } else { Ok(word.text) }
    }

    /// The rest of the line as it stands; one pair of quotes around all of it is not part of it.
    fn message(&mut self, usage: Usage) -> Result<String, Fault> {
        let whole = self.rest.trim();
        if whole.starts_with('"') {
            let mut inside = Words { rest: whole };
            if let Ok(Some(word)) = inside.next()
                && inside.rest.is_empty()
                && !word.text.is_empty()
            {
                return Ok(word.text);
            }
        }
        if whole.is_empty() { Err(Fault::Missing(usage)) } else { Ok(whole.to_owned()) }
    }

    /// A number alone is a count, unless it stands in quotes.
    fn history(&mut self) -> Result<Command, Fault> {
        let Some(first) = self.next()? else {
            return Ok(Command::History { name: None, count: None });
        };
        let Some(second) = self.next()? else {
            return Ok(match first.text.parse() {
                Ok(count) if !first.quoted => Command::History { name: None, count: Some(count) },
                _ => Command::History { name: Some(first.text), count: None },
            });
        };
        match second.text.parse() {
            Ok(count) => Ok(Command::History { name: Some(first.text), count: Some(count) }),
            Err(_) => Err(Fault::NotANumber(second.text)),
        }
    }
}

/// The command that is most like this word, if one is.
fn nearest(word: &str) -> Option<&'static str> {
    let word = word.to_lowercase();
    if word.chars().count() > 16 {
        return None;
    }
    let starts = COMMANDS.iter().find(|(name, _)| word.len() > 1 && name.starts_with(&word));
    let closest = || {
        let all = COMMANDS.iter().map(|(name, usage)| (typos(&word, name), (name, usage)));
        let (away, found) = all.min_by_key(|(away, _)| *away)?;
        (away <= MAX_TYPOS && away < word.chars().count()).then_some(found)
    };
    starts.map(|(name, _)| *name).or_else(|| closest().map(|(name, _)| *name))
}

/// How many letters must be added, taken away or changed to make one word of the other.
fn typos(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, b) in to.iter().enumerate() {
            let change = diagonal + usize::from(a != *b);
            diagonal = row[column + 1];
            row[column + 1] = change.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn login(user: &str) -> Command {
        Command::Login { user: user.to_owned() }
    }

    fn publish(channel: &str, message: &str) -> Command {
        Command::Publish { channel: channel.to_owned(), message: message.to_owned() }
    }

    fn history(name: Option<&str>, count: Option<usize>) -> Command {
        Command::History { name: name.map(str::to_owned), count }
    }

    #[test]
    fn lines_that_are_commands() {
        let cases = [
            ("login ana", login("ana")),
            ("  LOGIN   ana  ", login("ana")),
            ("login \"old fox\"", login("old fox")),
            (r#"login "a \"b\" \\ c""#, login(r#"a "b" \ c"#)),
            ("users", Command::Users),
            ("channels", Command::Channels),
            ("create tea", Command::Create { channel: "tea".into() }),
            ("pub tea hello  world ", publish("tea", "hello  world")),
            ("pub \"coffee break\" hi", publish("coffee break", "hi")),
            ("pub tea \"hello world\"", publish("tea", "hello world")),
            ("pub tea \"hello\" world", publish("tea", "\"hello\" world")),
            ("pub tea \"hello", publish("tea", "\"hello")),
            ("pub tea say \"hi\"", publish("tea", "say \"hi\"")),
            ("msg bob hi", Command::Message { user: "bob".into(), message: "hi".into() }),
            ("join tea", Command::Join { channel: "tea".into() }),
            ("leave tea", Command::Leave { channel: "tea".into() }),
            ("history", history(None, None)),
            ("history 5", history(None, Some(5))),
            ("history \"5\"", history(Some("5"), None)),
            ("history tea", history(Some("tea"), None)),
            ("history \"old fox\" 7", history(Some("old fox"), Some(7))),
            ("status", Command::Status),
            ("help", Command::Help),
            ("?", Command::Help),
            ("quit", Command::Quit),
            ("exit", Command::Quit),
        ];
        for (line, expected) in cases {
            assert_eq!(parse(line), Ok(Some(expected)), "{line}");
        }
        assert_eq!(parse(""), Ok(None));
        assert_eq!(parse("  \t "), Ok(None));
    }

    #[test]
    fn lines_that_are_not() {
        let unknown = |word: &str, nearest| Fault::Unknown { word: word.to_owned(), nearest };
        let cases = [
            ("login", Fault::Missing(Usage::Login)),
            ("login \"\"", Fault::Missing(Usage::Login)),
            ("login old fox", Fault::TooMuch(Usage::Login)),
            ("login \"old fox", Fault::OpenQuote),
            ("users now", Fault::TooMuch(Usage::Users)),
            ("pub", Fault::Missing(Usage::Publish)),
            ("pub tea", Fault::Missing(Usage::Publish)),
            ("msg bob   ", Fault::Missing(Usage::Message)),
            ("history tea many", Fault::NotANumber("many".to_owned())),
            ("history tea 5 6", Fault::TooMuch(Usage::History)),
            ("lgoin ana", unknown("lgoin", Some("login"))),
            ("chanels", unknown("chanels", Some("channels"))),
            ("hist", unknown("hist", Some("history"))),
            ("\"login\" ana", unknown("login", Some("login"))),
            ("x", unknown("x", None)),
            ("abracadabra", unknown("abracadabra", None)),
        ];
        for (line, expected) in cases {
            assert_eq!(parse(line), Err(expected), "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_name_can_be_typed(name in "[^\\p{Cc}]{1,64}") {
            let line = format!("join {}", quote(&name));
            prop_assert_eq!(parse(&line), Ok(Some(Command::Join { channel: name.clone() })));
            let line = format!("history {}", quote(&name));
            prop_assert_eq!(parse(&line), Ok(Some(history(Some(&name), None))));
        }

        #[test]
        fn no_line_panics(line in ".*") {
            // Whatever it is, it is answered.
            let _ = parse(&line);
        }
    }
}
