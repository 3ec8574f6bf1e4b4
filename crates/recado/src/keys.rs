//! The keys that people choose for what the full-screen client does.

use std::collections::BTreeMap;

use figment::value::{Dict, Value};
use recado_terminal::{Action, Key, Keymap};
use serde::Deserialize;

/// Keys by the names of their actions, as they are written.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Keys(BTreeMap<String, String>);

/// What is wrong, and with which action.
#[derive(Debug)]
pub struct WrongKey {
    /// The action, as it was written.
    pub action: String,
    /// One sentence.
    pub why: String,
}

impl Keys {
    /// Reads `search=Ctrl-S,quit=Ctrl-X` as what a table in the file would be.
    ///
    /// # Errors
    /// One sentence that names what can't be understood.
    pub fn parse(text: &str) -> Result<Value, String> {
        let mut keys = BTreeMap::new();
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (action, key) = pair
                .split_once('=')
                .ok_or_else(|| format!("\"{pair}\" is not like search=Ctrl-S"))?;
            keys.insert(action.trim().to_owned(), key.trim().to_owned());
        }
        let keys = Keys(keys);
        keys.keymap().map_err(|wrong| format!("{}: {}", wrong.action, wrong.why))?;
        let dict: Dict =
            keys.0.into_iter().map(|(action, key)| (action, Value::from(key))).collect();
        Ok(Value::from(dict))
    }

    /// The keys as the client takes them.
    ///
    /// # Errors
    /// The first action that can't have its key.
    pub fn keymap(&self) -> Result<Keymap, WrongKey> {
        let mut keymap = Keymap::default();
        for (word, key) in &self.0 {
            let wrong = |why| WrongKey { action: word.clone(), why };
            let action = Action::named(word).ok_or_else(|| wrong(no_such_action()))?;
            let key = Key::parse(key).map_err(wrong)?;
            keymap
                .choose(action, key)
                .map_err(|other| wrong(format!("{key} is chosen for {} already", other.word())))?;
        }
        Ok(keymap)
    }
}

fn no_such_action() -> String {
    let words: Vec<&str> = Action::ALL.iter().map(|action| action.word()).collect();
    format!("there is no such action; there are {}", words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        Keys::parse(text).unwrap_err()
    }

    #[test]
    fn keys_are_read_from_one_text() {
        let value = Keys::parse(" search = Ctrl-S , quit=ctrl+x").unwrap();
        let keys: Keys = value.deserialize().unwrap();
        let keymap = keys.keymap().unwrap();
        let key = |action| keymap.keys(action).next().unwrap().to_string();
        assert_eq!(key(Action::Search), "Ctrl-S");
        assert_eq!(key(Action::Quit), "Ctrl-X");
        assert_eq!(key(Action::Retry), "Ctrl-R");
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert!(wrong("search").contains("is not like search=Ctrl-S"));
        assert!(wrong("serch=Ctrl-S").starts_with("serch: there is no such action"));
        assert!(wrong("serch=Ctrl-S").contains("next-unread"));
        assert!(wrong("search=Hyper-S").starts_with("search: \"Hyper-S\" is no key"));
        assert!(wrong("quit=s").contains("needed for writing"));
        assert!(wrong("quit=Ctrl-S,search=Ctrl-S").contains("chosen for quit already"));
    }
}
