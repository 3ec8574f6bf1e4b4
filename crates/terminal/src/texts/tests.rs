//! Both languages say the same things, and all of them are shown.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;

/// Key, placeholders, and the wordings in English and Portuguese (more than one in plurals).
pub(crate) type Entry =
    (&'static str, &'static [&'static str], &'static [&'static str], &'static [&'static str]);

/// Every table of texts.
const TABLES: &[&[Entry]] = &[
    full::TEXTS,
    full::PLURALS,
    line::TEXTS,
    line::PLURALS,
    refusals::TEXTS,
    refusals::FAILURES,
    status::TEXTS,
];

/// What is the same in both languages: the words of the program itself.
const SAME: &[&str] = &["role_backup"];

fn entries() -> impl Iterator<Item = &'static Entry> {
    TABLES.iter().copied().flatten()
}

/// The placeholders of a wording, without `{cmd}`, which every wording may leave out.
fn placeholders(wording: &str) -> BTreeSet<&str> {
    let inside = wording.split('{').skip(1).filter_map(|part| part.split_once('}'));
    inside.map(|(name, _)| name).filter(|name| *name != "cmd").collect()
}

#[test]
fn both_languages_have_the_same_placeholders() {
    for (key, args, english, portuguese) in entries() {
        assert_eq!(english.len(), portuguese.len(), "{key}");
        let args: BTreeSet<&str> = args.iter().copied().collect();
        for (english, portuguese) in english.iter().zip(*portuguese) {
            let commands = |text: &str| text.matches("{cmd}").count();
            assert_eq!(commands(english), commands(portuguese), "commands in {key}");
        }
        for wordings in [english, portuguese] {
            let [singulars @ .., last] = wordings else { panic!("{key} has no wording") };
            assert_eq!(placeholders(last), args, "{key}: {last:?}");
            for singular in singulars {
                let missing: Vec<_> = args.difference(&placeholders(singular)).copied().collect();
                assert!(missing.is_empty() || missing == ["count"], "{key}: {singular:?}");
            }
        }
    }
}

#[test]
fn no_text_was_left_in_english() {
    for (key, _, english, portuguese) in entries() {
        for (english, portuguese) in english.iter().zip(*portuguese) {
            assert_eq!(english == portuguese, SAME.contains(key), "{key}: {english:?}");
        }
    }
}

#[test]
fn the_wordings_are_tidy() {
    for (key, _, english, portuguese) in entries() {
        for text in english.iter().chain(*portuguese) {
            let bad = text.trim() != *text && !text.ends_with(": ");
            assert!(!bad && !text.contains("  ") | text.contains('\n'), "{key}: {text:?}");
            assert!(!text.is_empty() && !text.ends_with('.'), "{key}: {text:?}");
        }
        let end = |text: &str| text.chars().last().filter(|c| ":;!? ".contains(*c));
        assert_eq!(end(english[0]), end(portuguese[0]), "the end of {key}");
    }
}

#[test]
fn no_key_is_declared_twice_and_each_is_shown_somewhere() {
    let source = source(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let mut keys = BTreeSet::new();
    for (key, ..) in entries() {
        assert!(keys.insert(key), "{key} is declared twice");
        let calls = [format!(".{key}("), format!("::{key},"), format!("::{key})")];
        assert!(calls.iter().any(|call| source.contains(call)), "nobody shows {key}");
    }
}

/// All code of the crate but its tests.
fn source(folder: &Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text += &source(&path);
        } else if !path.ends_with("tests.rs") {
            let file = std::fs::read_to_string(&path).unwrap();
            text += file.split("#[cfg(test)]\nmod tests").next().unwrap();
        }
    }
    text
}

#[test]
fn what_is_put_into_a_text_is_harmless() {
    for language in Language::ALL {
        let text = Texts::new(*language, "").joined("tea\u{1b}[2J\n");
        assert!(text.ends_with(r"tea\u{1b}[2J\n"), "{text:?}");
    }
}

#[test]
fn numbers_take_their_form() {
    let english = Texts::new(Language::English, "");
    let portuguese = Texts::new(Language::Portuguese, "");
    assert!(english.gap_filled(1, "tea").starts_with("1 message of"));
    assert!(english.gap_filled(0, "tea").starts_with("0 messages of"));
    assert!(portuguese.gap_filled(0, "tea").starts_with("0 mensagem de"));
    assert!(portuguese.gap_filled(1, "tea").starts_with("1 mensagem de"));
    assert!(portuguese.gap_filled(2, "tea").starts_with("2 mensagens de"));
}
