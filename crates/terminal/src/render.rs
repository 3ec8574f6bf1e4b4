//! Stored messages as lines.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use recado_protocol::Record;

use crate::texts::Texts;

const MS_PER_DAY: u64 = 86_400_000;

/// Which styles are used; all empty without colours.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Palette {
    place: Style,
    sender: Style,
    own: Style,
    private: Style,
    dim: Style,
    error: Style,
}

impl Palette {
    /// No colours.
    pub(crate) fn plain() -> Palette {
        Palette::default()
    }

    /// Colours for a terminal.
    pub(crate) fn coloured() -> Palette {
        Palette {
            place: AnsiColor::Cyan.on_default(),
            sender: Style::new().bold(),
            own: AnsiColor::Green.on_default(),
            private: AnsiColor::Magenta.on_default(),
            dim: Style::new().dimmed(),
            error: AnsiColor::Red.on_default(),
        }
    }

    /// What is worth less attention than a message.
    pub(crate) fn dim(&self, text: &str) -> String {
        paint(self.dim, text)
    }

    /// What went wrong.
    pub(crate) fn error(&self, text: &str) -> String {
        paint(self.error, text)
    }
}

fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// Makes a text from elsewhere harmless: no control characters (nobody sends escape sequences to
/// a terminal, or a line that looks like somebody else's) and no marks that turn the direction of
/// writing. What is taken out is shown as `\n`, `\u{1b}` and the like.
pub(crate) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || turns_text(c) {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe
}

/// Marks and separators with which a text can look like another one.
fn turns_text(c: char) -> bool {
    matches!(c,
        '\u{200e}' | '\u{200f}' | '\u{061c}'
        | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// A message as it arrives: `[general] ana: hello`, `[private] bob: psst`.
pub(crate) fn message(
    record: &Record,
    me: Option<&str>,
    palette: &Palette,
    texts: Texts,
) -> String {
    let place = if record.private {
        match me {
            Some(me) if record.from == me && record.to != me => {
                format!("[{}]", texts.private_to(&record.to))
            }
            _ => format!("[{}]", texts.private()),
        }
    } else {
        format!("[{}]", escape(&record.to))
    };
    let place_style = if record.private { palette.private } else { palette.place };
    let sender_style = if me == Some(record.from.as_str()) { palette.own } else { palette.sender };
    format!(
        "{} {}: {}",
        paint(place_style, &place),
        paint(sender_style, &escape(&record.from)),
        escape(&record.message)
    )
}

/// One's own private message, which comes back to nobody but the recipient.
pub(crate) fn sent_privately(
    me: &str,
    to: &str,
    text: &str,
    palette: &Palette,
    texts: Texts,
) -> String {
    let place = format!("[{}]", texts.private_to(to));
    let (place, me) = (paint(palette.private, &place), paint(palette.own, &escape(me)));
    format!("{place} {me}: {}", escape(text))
}

/// A message of the history: its time and number in front.
pub(crate) fn stored(record: &Record, me: Option<&str>, palette: &Palette, texts: Texts) -> String {
    let mut front = utc(record.timestamp);
    if record.seq > 0 {
        // Writing to a string can't fail.
        let _ = write!(front, " #{}", record.seq);
    }
    format!("{} {}", palette.dim(&front), message(record, me, palette, texts))
}

/// `2024-05-01 12:30:00Z`; the fraction of a second is left out.
pub fn utc(ms: u64) -> String {
    let (year, month, day) = civil(ms / MS_PER_DAY);
    let seconds = ms % MS_PER_DAY / 1000;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}Z")
}

/// Days since 1970-01-01 as a day of the Gregorian calendar. Years are counted from March, so
/// that the leap day comes last, in cycles of 400 years.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (cycle, day_of_cycle) = (days / 146_097, days % 146_097);
    let leap_days = day_of_cycle / 1460 - day_of_cycle / 36_524 + day_of_cycle / 146_096;
    let year_of_cycle = (day_of_cycle - leap_days) / 365;
    let year_starts = 365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100;
    let day_of_year = day_of_cycle - year_starts;
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let (month, carry) =
        if month_from_march < 10 { (month_from_march + 3, 0) } else { (month_from_march - 9, 1) };
    (cycle * 400 + year_of_cycle + carry, month, day)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::texts::Language;

    const ENGLISH: Texts = Texts::new(Language::English, "");

    fn record(from: &str, to: &str, message: &str, private: bool) -> Record {
        Record {
            from: from.to_owned(),
            to: to.to_owned(),
            message: message.to_owned(),
            timestamp: 1_714_566_600_250,
            clock: 1,
            id: Bytes::new(),
            seq: 5,
            pos: 9,
            private,
        }
    }

    #[test]
    fn messages_as_lines() {
        let plain = Palette::plain();
        let me = Some("ana");
        let cases = [
            (record("bob", "general", "hello", false), "[general] bob: hello"),
            (record("ana", "general", "hello", false), "[general] ana: hello"),
            (record("bob", "ana", "psst", true), "[private] bob: psst"),
            (record("ana", "bob", "psst", true), "[private to bob] ana: psst"),
            (record("ana", "ana", "note", true), "[private] ana: note"),
        ];
        for (record, expected) in cases {
            assert_eq!(message(&record, me, &plain, ENGLISH), expected);
        }
        assert_eq!(
            stored(&record("bob", "general", "hi", false), me, &plain, ENGLISH),
            "2024-05-01 12:30:00Z #5 [general] bob: hi"
        );
    }

    #[test]
    fn nothing_from_elsewhere_reaches_the_terminal_unescaped() {
        let evil = "a\u{1b}[2Jb\r\nc\u{9b}d\u{7f}e\u{202e}f\u{7}g\u{2028}h";
        let line = message(&record(evil, evil, evil, false), None, &Palette::plain(), ENGLISH);
        assert!(!line.chars().any(|c| c.is_control() || turns_text(c)), "{line:?}");
        assert!(line.contains("a\\u{1b}[2Jb\\r\\nc\\u{9b}d"), "{line}");
    }

    #[test]
    fn ordinary_text_stays_as_it_is() {
        let text = "Olá, ¿qué tal? 你好 👋🏽 \\n \"quoted\"";
        assert_eq!(escape(text), text);
    }

    #[test]
    fn colours_wrap_and_end() {
        let line =
            message(&record("bob", "general", "hi", false), None, &Palette::coloured(), ENGLISH);
        assert_eq!(line, "\u{1b}[36m[general]\u{1b}[0m \u{1b}[1mbob\u{1b}[0m: hi");
    }

    #[test]
    fn dates() {
        let cases = [
            (0, "1970-01-01 00:00:00Z"),
            (951_782_400_000, "2000-02-29 00:00:00Z"),
            (1_714_566_600_999, "2024-05-01 12:30:00Z"),
            (1_735_689_599_000, "2024-12-31 23:59:59Z"),
            (4_107_542_400_000, "2100-03-01 00:00:00Z"),
        ];
        for (ms, expected) in cases {
            assert_eq!(utc(ms), expected);
        }
        utc(u64::MAX);
    }
}
