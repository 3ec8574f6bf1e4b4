//! Whether a text speaks to somebody.

/// Whether a name stands in a text as a word of its own, in whatever case.
pub(crate) fn mentions(text: &str, name: &str) -> bool {
    let (text, name) = (text.to_lowercase(), name.to_lowercase());
    if name.is_empty() {
        return false;
    }
    text.match_indices(&name).any(|(at, found)| {
        let before = text[..at].chars().next_back();
        let behind = text[at + found.len()..].chars().next();
        !before.is_some_and(of_a_word) && !behind.is_some_and(of_a_word)
    })
}

fn of_a_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_words_count() {
        let cases = [
            ("ana, are you there?", "ana", true),
            ("ask @Ana", "ana", true),
            ("banana", "ana", false),
            ("anabel", "ana", false),
            ("olá ÉLO!", "élo", true),
            ("the old fox came", "old fox", true),
            ("ana_maria", "ana", false),
            ("anything", "", false),
        ];
        for (text, name, expected) in cases {
            assert_eq!(mentions(text, name), expected, "{name:?} in {text:?}");
        }
    }
}
