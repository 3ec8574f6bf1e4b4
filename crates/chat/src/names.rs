//! Rules for the names of users and channels.
//!
//! A name is also a topic that subscribers type in, so it must have exactly one byte form: that
//! is why a name outside Unicode NFC is refused and not rewritten.

use unicode_normalization::is_nfc;

/// The longest name, in Unicode scalar values.
pub const MAX_NAME_CHARS: usize = 64;

/// The topic on which servers announce elections; nobody may bear it as a name.
pub const RESERVED: &str = "servers";

/// Why a name is refused; each displays as one sentence for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NameError {
    /// Nothing between the quotes.
    #[error("a name can't be empty")]
    Empty,
    /// More than [`MAX_NAME_CHARS`].
    #[error("a name can't be longer than 64 characters")]
    TooLong,
    /// A space at an end, or two in a row.
    #[error("a name can't begin or end with a space or have two spaces in a row")]
    Spaces,
    /// White space other than the plain space.
    #[error("a name can't contain white space other than single spaces")]
    WhiteSpace,
    /// A control character.
    #[error("a name can't contain control characters")]
    Control,
    /// The same letters in another byte form than NFC.
    #[error("a name must be in Unicode normal form C (NFC)")]
    NotNormal,
    /// [`RESERVED`].
    #[error("the name \"servers\" is reserved")]
    Reserved,
}

/// Checks a user's or channel's name.
///
/// # Errors
/// The first rule that the name breaks.
pub fn check(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    // A character has four bytes at the most: this bounds the work on huge names.
    if name.len() > MAX_NAME_CHARS * 4 || name.chars().count() > MAX_NAME_CHARS {
        return Err(NameError::TooLong);
    }
    if let Some(error) = name.chars().find_map(forbidden) {
        return Err(error);
    }
    if name.starts_with(' ') || name.ends_with(' ') || name.contains("  ") {
        return Err(NameError::Spaces);
    }
    if !name.is_ascii() && !is_nfc(name) {
        return Err(NameError::NotNormal);
    }
    if name == RESERVED {
        return Err(NameError::Reserved);
    }
    Ok(())
}

fn forbidden(c: char) -> Option<NameError> {
    if c == ' ' {
        None
    } else if c.is_whitespace() {
        Some(NameError::WhiteSpace)
    } else if c.is_control() {
        Some(NameError::Control)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_fine() {
        let longest = "é".repeat(64);
        for name in ["a", "ana", "Ana Maria", "канал", "日本語", "é", "🙂", "Servers", &longest]
        {
            assert_eq!(check(name), Ok(()), "{name:?}");
        }
    }

    #[test]
    fn names_that_break_a_rule() {
        let too_long = "é".repeat(65);
        let huge = "x".repeat(1 << 20);
        let cases: [(&str, NameError); 16] = [
            ("", NameError::Empty),
            (&too_long, NameError::TooLong),
            (&huge, NameError::TooLong),
            (" ", NameError::Spaces),
            (" ana", NameError::Spaces),
            ("ana ", NameError::Spaces),
            ("ana  maria", NameError::Spaces),
            ("ana\tmaria", NameError::WhiteSpace),
            ("ana\n", NameError::WhiteSpace),
            ("ana\u{a0}maria", NameError::WhiteSpace),
            ("ana\u{2003}maria", NameError::WhiteSpace),
            ("ana\u{0}", NameError::Control),
            ("\u{7f}", NameError::Control),
            ("ana\u{9f}", NameError::Control),
            ("e\u{301}", NameError::NotNormal),
            ("servers", NameError::Reserved),
        ];
        for (name, error) in cases {
            assert_eq!(check(name), Err(error), "{name:?}");
        }
    }
}
