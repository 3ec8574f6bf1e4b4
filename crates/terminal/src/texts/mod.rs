//! Every text that the client shows to people, in English and in Brazilian Portuguese.
//!
//! A text is declared once, with its two wordings beside each other, and becomes a method of
//! [`Texts`]. So the compiler refuses a text that lacks a language, a wording that leaves out or
//! invents a placeholder, and a text that nobody shows.
//!
//! ```text
//! texts! {
//!     SOME;
//!     /// When it is shown, if the text itself does not tell.
//!     joined(channel: &str)
//!         "joined {channel}"
//!         "você entrou em {channel}";
//! }
//! plurals! {
//!     SOME_PLURALS;
//!     unread(count: usize)
//!         ["{count} unread message", "{count} unread messages"]
//!         ["{count} mensagem não lida", "{count} mensagens não lidas"];
//! }
//! ```
//!
//! Shown as `texts.joined("tea")`. Whatever is put into a text is made harmless first
//! ([`escape`]); `{cmd}` stands for what a command begins with, `/` in the full-screen client and
//! nothing in the line client. A new table goes into the list of the tests below.

mod full;
mod language;
mod line;
mod refusals;
mod status;

pub use language::Language;
pub(crate) use refusals::About;

use crate::full::Keymap;
use crate::render::escape;

/// The texts of one client in one language.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Texts {
    language: Language,
    /// What a command begins with.
    command: &'static str,
    /// Which keys do what, where keys do something.
    pub(crate) keys: Keymap,
}

impl Texts {
    /// The texts of a client whose commands begin with this.
    pub(crate) const fn new(language: Language, command: &'static str) -> Texts {
        Texts { language, command, keys: Keymap::usual_keys() }
    }

    /// The same with other keys.
    pub(crate) const fn with_keys(self, keys: Keymap) -> Texts {
        Texts { keys, ..self }
    }
}

/// What can be put into a text.
trait Shown {
    fn shown(&self) -> String;
}

impl Shown for &str {
    fn shown(&self) -> String {
        escape(self)
    }
}

macro_rules! shown_numbers {
    ($($type:ty)+) => {$(
        impl Shown for $type {
            fn shown(&self) -> String {
                self.to_string()
            }
        }
    )+};
}

shown_numbers! { usize u64 u32 }

/// Whether a number takes the singular: one does, and in Portuguese zero does too.
fn singular(language: Language, count: &str) -> bool {
    count == "1" || language == Language::Portuguese && count == "0"
}

// `{cmd:.0}` prints nothing; it lets a text leave out `{cmd}`, which no other placeholder may be.
macro_rules! worded {
    ($texts:ident, $text:literal, $($arg:ident)*) => {
        format!(concat!($text, "{cmd:.0}"), cmd = $texts.command, $($arg = $arg),*)
    };
}

macro_rules! texts {
    ($table:ident; $(
        $(#[doc = $doc:literal])*
        $key:ident($($arg:ident: $type:ty),*) $english:literal $portuguese:literal;
    )+) => {
        impl $crate::texts::Texts {$(
            $(#[doc = $doc])*
            #[doc = ""]
            #[doc = $english]
            pub(crate) fn $key(self $(, $arg: $type)*) -> String {
                $(let $arg = $crate::texts::Shown::shown(&$arg);)*
                match self.language {
                    $crate::texts::Language::English => worded!(self, $english, $($arg)*),
                    $crate::texts::Language::Portuguese => worded!(self, $portuguese, $($arg)*),
                }
            }
        )+}

        #[cfg(test)]
        pub(crate) const $table: &[$crate::texts::tests::Entry] = &[$(
            (stringify!($key), &[$(stringify!($arg)),*], &[$english], &[$portuguese]),
        )+];
    };
}

/// The singular may leave out the number.
macro_rules! plurals {
    ($table:ident; $(
        $(#[doc = $doc:literal])*
        $key:ident($count:ident: $count_type:ty $(, $arg:ident: $type:ty)*)
            [$english_one:literal, $english:literal]
            [$portuguese_one:literal, $portuguese:literal];
    )+) => {
        impl $crate::texts::Texts {$(
            $(#[doc = $doc])*
            #[doc = ""]
            #[doc = $english]
            pub(crate) fn $key(self, $count: $count_type $(, $arg: $type)*) -> String {
                use $crate::texts::Language::{English, Portuguese};
                let $count = $crate::texts::Shown::shown(&$count);
                $(let $arg = $crate::texts::Shown::shown(&$arg);)*
                match (self.language, $crate::texts::singular(self.language, &$count)) {
                    (English, true) => {
                        format!(
                            concat!($english_one, "{cmd:.0}{", stringify!($count), ":.0}"),
                            cmd = self.command, $count = $count, $($arg = $arg),*
                        )
                    }
                    (English, false) => worded!(self, $english, $count $($arg)*),
                    (Portuguese, true) => {
                        format!(
                            concat!($portuguese_one, "{cmd:.0}{", stringify!($count), ":.0}"),
                            cmd = self.command, $count = $count, $($arg = $arg),*
                        )
                    }
                    (Portuguese, false) => worded!(self, $portuguese, $count $($arg)*),
                }
            }
        )+}

        #[cfg(test)]
        pub(crate) const $table: &[$crate::texts::tests::Entry] = &[$((
            stringify!($key),
            &[stringify!($count) $(, stringify!($arg))*],
            &[$english_one, $english],
            &[$portuguese_one, $portuguese],
        ),)+];
    };
}

use {plurals, texts, worded};

#[cfg(test)]
mod tests;
