//! Keys by the names of what they do, so that people can choose others.
//!
//! The model knows each action by its usual key. A [`Keymap`] stands in front of it: it turns the
//! key that a person chose into the usual one, and swallows the usual one then.

use std::fmt;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

macro_rules! actions {
    ($($(#[doc = $doc:literal])+ $name:ident $word:literal $keys:expr;)+) => {
        /// What a key can be chosen for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Action { $($(#[doc = $doc])+ $name,)+ }

        impl Action {
            /// All of them, in the order of the help.
            pub const ALL: &[Action] = &[$(Action::$name,)+];

            /// Its name in the configuration.
            pub const fn word(self) -> &'static str {
                match self { $(Action::$name => $word,)+ }
            }

            /// Its usual keys, the first one first.
            pub const fn usual(self) -> &'static [Key] {
                match self { $(Action::$name => const { $keys },)+ }
            }
        }
    };
}

actions! {
    /// Send again what failed.
    Retry "retry" &[Key::control('r')];
    /// Take back what failed.
    TakeBack "take-back" &[Key::control('t')];
    /// A page of older messages.
    PageUp "page-up" &[Key::bare(KeyCode::PageUp)];
    /// A page of newer messages.
    PageDown "page-down" &[Key::bare(KeyCode::PageDown)];
    /// Back to the newest message.
    Newest "newest" &[
        Key::with(KeyCode::End, KeyModifiers::CONTROL), Key::with(KeyCode::End, KeyModifiers::ALT),
    ];
    /// Search the conversation.
    Search "search" &[Key::control('f')];
    /// Go to a conversation, channel or user.
    GoTo "go-to" &[Key::control('k'), Key::control('p')];
    /// The next unread conversation.
    NextUnread "next-unread" &[Key::with(KeyCode::Char('a'), KeyModifiers::ALT)];
    /// The conversation above.
    Previous "previous" &[Key::with(KeyCode::Up, KeyModifiers::ALT)];
    /// The conversation below.
    Next "next" &[Key::with(KeyCode::Down, KeyModifiers::ALT)];
    /// Draw the screen anew.
    Redraw "redraw" &[Key::control('l')];
    /// Every command and key.
    Help "help" &[Key::bare(KeyCode::F(1))];
    /// Whether the mouse works here or selects text.
    Mouse "mouse" &[Key::bare(KeyCode::F(2))];
    /// Leave.
    Quit "quit" &[Key::control('q')];
}

impl Action {
    /// The action of a name.
    pub fn named(word: &str) -> Option<Action> {
        Action::ALL.iter().copied().find(|action| action.word() == word)
    }
}

/// One key, with what is held beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    code: KeyCode,
    held: KeyModifiers,
}

/// Keys by the names that people write.
const NAMED: &[(&str, KeyCode)] = &[
    ("Up", KeyCode::Up),
    ("Down", KeyCode::Down),
    ("Left", KeyCode::Left),
    ("Right", KeyCode::Right),
    ("PgUp", KeyCode::PageUp),
    ("PgDn", KeyCode::PageDown),
    ("Home", KeyCode::Home),
    ("End", KeyCode::End),
    ("Insert", KeyCode::Insert),
    ("Delete", KeyCode::Delete),
    ("Enter", KeyCode::Enter),
    ("Tab", KeyCode::Tab),
    ("Esc", KeyCode::Esc),
    ("Backspace", KeyCode::Backspace),
    ("Space", KeyCode::Char(' ')),
    // Other names of the same keys.
    ("PageUp", KeyCode::PageUp),
    ("PageDown", KeyCode::PageDown),
];

/// What is held beside a key, by the names that people write.
const HELD: &[(&str, KeyModifiers)] =
    &[("Ctrl", KeyModifiers::CONTROL), ("Alt", KeyModifiers::ALT), ("Shift", KeyModifiers::SHIFT)];

impl Key {
    const fn with(code: KeyCode, held: KeyModifiers) -> Key {
        Key { code, held }
    }

    const fn bare(code: KeyCode) -> Key {
        Key::with(code, KeyModifiers::empty())
    }

    const fn control(letter: char) -> Key {
        Key::with(KeyCode::Char(letter), KeyModifiers::CONTROL)
    }

    /// Reads `Ctrl-K`, `Alt-Shift-Up` or `F5`.
    ///
    /// # Errors
    /// One sentence that says which keys are possible.
    pub fn parse(text: &str) -> Result<Key, String> {
        let text = text.trim();
        let mut rest = text;
        let mut held = KeyModifiers::empty();
        while let Some((word, behind)) = rest.split_once(['-', '+']).filter(|(_, b)| !b.is_empty())
        {
            let found = HELD.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
            let Some((_, modifier)) = found else { return Err(no_key(text)) };
            held |= *modifier;
            rest = behind;
        }
        let code = code(rest).ok_or_else(|| no_key(text))?;
        let key = Key::with(code, held);
        match key.reserved() {
            Some(why) => Err(format!("{key} can't be chosen: {why}")),
            None => Ok(key),
        }
    }

    /// Why people can't have this key for an action.
    fn reserved(self) -> Option<&'static str> {
        let free = match self.code {
            KeyCode::F(_) | KeyCode::PageUp | KeyCode::PageDown | KeyCode::Insert => true,
            KeyCode::Char(_) => {
                self.held.intersects(KeyModifiers::CONTROL.union(KeyModifiers::ALT))
            }
            _ => !self.held.is_empty(),
        };
        let control = self.held == KeyModifiers::CONTROL;
        match self.code {
            _ if !free => Some("it is needed for writing; put Ctrl- or Alt- in front"),
            KeyCode::Char('c') if control => Some("it empties the line and leaves"),
            KeyCode::Char('i' | 'm' | 'j' | 'h' | '[') if control => {
                Some("terminals take it for Tab, Enter, Backspace or Esc")
            }
            _ => None,
        }
    }

    /// The key of an event.
    fn of(event: KeyEvent) -> Key {
        let all = KeyModifiers::CONTROL | KeyModifiers::ALT | KeyModifiers::SHIFT;
        let held = event.modifiers & all;
        match event.code {
            KeyCode::Char(letter) if !held.is_empty() => {
                let code = KeyCode::Char(small(letter));
                Key::with(code, held - KeyModifiers::SHIFT)
            }
            code => Key::with(code, held),
        }
    }

    fn event(self) -> KeyEvent {
        KeyEvent::new(self.code, self.held)
    }
}

fn no_key(text: &str) -> String {
    format!("\"{text}\" is no key; write one like Ctrl-K, Alt-Up, PgUp or F5")
}

/// The same letter whether it was written, or came from the terminal, large or small.
fn small(letter: char) -> char {
    letter.to_lowercase().next().unwrap_or(letter)
}

fn code(name: &str) -> Option<KeyCode> {
    let mut letters = name.chars();
    if let (Some(letter), None) = (letters.next(), letters.next()) {
        return (!letter.is_control()).then_some(KeyCode::Char(small(letter)));
    }
    if let Some(Ok(number)) = name.strip_prefix(['F', 'f']).map(str::parse) {
        return (1..=12).contains(&number).then_some(KeyCode::F(number));
    }
    let found = NAMED.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, code)| *code)
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, modifier) in HELD {
            if self.held.contains(*modifier) {
                write!(f, "{name}-")?;
            }
        }
        let named = NAMED.iter().find(|(_, code)| *code == self.code);
        match (named, self.code) {
            (Some((name, _)), _) => f.write_str(name),
            (None, KeyCode::F(number)) => write!(f, "F{number}"),
            (None, KeyCode::Char(letter)) => write!(f, "{}", letter.to_uppercase()),
            (None, _) => Ok(()),
        }
    }
}

/// Which keys do what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keymap {
    chosen: [Option<Key>; Action::ALL.len()],
}

impl Keymap {
    /// Every action has its usual keys.
    pub(crate) const fn usual_keys() -> Keymap {
        Keymap { chosen: [None; Action::ALL.len()] }
    }

    /// Takes a key for an action, in place of its usual ones.
    ///
    /// # Errors
    /// The action that has this key already.
    pub fn choose(&mut self, action: Action, key: Key) -> Result<(), Action> {
        match self.by_choice(key).filter(|other| *other != action) {
            Some(other) => Err(other),
            None => {
                self.chosen[action as usize] = Some(key);
                Ok(())
            }
        }
    }

    /// The keys of an action: the chosen one, or the usual ones that were not chosen for
    /// something else.
    pub fn keys(&self, action: Action) -> impl Iterator<Item = Key> {
        let chosen = self.chosen[action as usize];
        let usual = action.usual().iter().copied().filter(move |_| chosen.is_none());
        chosen.into_iter().chain(usual.filter(|key| self.by_choice(*key).is_none()))
    }

    fn by_choice(&self, key: Key) -> Option<Action> {
        let chosen = |action: &&Action| self.chosen[**action as usize] == Some(key);
        Action::ALL.iter().find(chosen).copied()
    }

    /// The event that the model understands; none for a usual key whose action has another one.
    pub(crate) fn usual(&self, event: KeyEvent) -> Option<KeyEvent> {
        let key = Key::of(event);
        if let Some(action) = self.by_choice(key) {
            let usual = action.usual().first()?.event();
            return Some(KeyEvent { kind: event.kind, state: event.state, ..usual });
        }
        let moved = |action: &&Action| {
            self.chosen[**action as usize].is_some() && action.usual().contains(&key)
        };
        Action::ALL.iter().find(moved).is_none().then_some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        Key::parse(text).unwrap()
    }

    fn pressed(code: KeyCode, held: KeyModifiers) -> KeyEvent {
        KeyEvent::new(code, held)
    }

    #[test]
    fn keys_are_read_as_they_are_written_and_shown() {
        for (text, shown) in [
            ("Ctrl-K", "Ctrl-K"),
            ("ctrl+k", "Ctrl-K"),
            ("alt-shift-up", "Alt-Shift-Up"),
            ("PageUp", "PgUp"),
            ("f5", "F5"),
            ("Ctrl--", "Ctrl--"),
            ("Alt-Enter", "Alt-Enter"),
            ("Ctrl-Space", "Ctrl-Space"),
            ("Alt-é", "Alt-É"),
        ] {
            assert_eq!(key(text).to_string(), shown);
            assert_eq!(key(shown), key(text));
        }
        for action in Action::ALL {
            for usual in action.usual() {
                assert_eq!(key(&usual.to_string()), *usual);
            }
            assert_eq!(Action::named(action.word()), Some(*action));
        }
    }

    #[test]
    fn what_is_no_key_or_not_free_is_refused() {
        for text in ["", "Ctrl", "Ctrl-", "Hyper-K", "F13", "Ctrl-Foo", "Ctrl-Alt"] {
            let why = Key::parse(text).unwrap_err();
            assert!(why.contains("is no key"), "{text}: {why}");
        }
        for text in ["k", "Shift-K", "Enter", "Tab", "Left", "Ctrl-C", "Ctrl-I", "Ctrl-M"] {
            let why = Key::parse(text).unwrap_err();
            assert!(why.contains("can't be chosen"), "{text}: {why}");
        }
    }

    #[test]
    fn a_chosen_key_does_it_and_the_usual_one_no_longer() {
        let mut keymap = Keymap::default();
        let control_f = pressed(KeyCode::Char('f'), KeyModifiers::CONTROL);
        let control_s = pressed(KeyCode::Char('s'), KeyModifiers::CONTROL);
        assert_eq!(keymap.usual(control_f), Some(control_f));
        assert_eq!(keymap.usual(control_s), Some(control_s));
        keymap.choose(Action::Search, key("Ctrl-S")).unwrap();
        assert_eq!(keymap.usual(control_s), Some(control_f));
        assert_eq!(keymap.usual(control_f), None);
        assert_eq!(keymap.keys(Action::Search).collect::<Vec<_>>(), [key("Ctrl-S")]);
        let shifted = pressed(KeyCode::Char('S'), KeyModifiers::CONTROL | KeyModifiers::SHIFT);
        assert_eq!(keymap.usual(shifted), Some(control_f));
        let letter = pressed(KeyCode::Char('s'), KeyModifiers::empty());
        assert_eq!(keymap.usual(letter), Some(letter));
    }

    #[test]
    fn two_actions_can_change_places_and_cannot_share_a_key() {
        let mut keymap = Keymap::default();
        keymap.choose(Action::Search, key("Ctrl-K")).unwrap();
        assert_eq!(keymap.keys(Action::GoTo).collect::<Vec<_>>(), [key("Ctrl-P")]);
        keymap.choose(Action::GoTo, key("Ctrl-F")).unwrap();
        let control_k = pressed(KeyCode::Char('k'), KeyModifiers::CONTROL);
        let control_f = pressed(KeyCode::Char('f'), KeyModifiers::CONTROL);
        assert_eq!(keymap.usual(control_k), Some(control_f));
        assert_eq!(keymap.usual(control_f), Some(control_k));
        assert_eq!(keymap.choose(Action::Quit, key("Ctrl-K")), Err(Action::Search));
        assert_eq!(keymap.choose(Action::Search, key("Ctrl-K")), Ok(()));
    }
}
