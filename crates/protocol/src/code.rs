//! Why a request was refused.

use std::fmt;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $word:literal,)+) => {
        /// A stable word that says why a request was refused; programs decide by it, the human
        /// text beside it may change.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[doc = $doc])+ $name,)+ }

        impl Code {
            /// All codes, in the order of PROTOCOL.md.
            pub const ALL: &[Code] = &[$(Code::$name,)+];

            /// All words on the wire.
            pub fn words() -> impl Iterator<Item = &'static str> {
                Code::ALL.iter().map(|code| code.as_str())
            }

            /// The word on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$name => $word,)+ }
            }

            /// The code that a word on the wire stands for, if we know it.
            pub fn parse(word: &str) -> Option<Code> {
                match word { $($word => Some(Code::$name),)+ _ => None }
            }
        }
    };
}

codes! {
    /// The channel exists already.
    ChannelExists = "channel_exists",
    /// No such channel.
    UnknownChannel = "unknown_channel",
    /// No such user.
    UnknownUser = "unknown_user",
    /// The name breaks the rules for names.
    InvalidName = "invalid_name",
    /// The name is taken: a user and a channel can't share one.
    NameTaken = "name_taken",
    /// The message or the request is longer than allowed.
    TooLarge = "too_large",
    /// The body is not a request that we understand.
    Malformed = "malformed",
    /// The service does not exist, or not on this port.
    UnknownService = "unknown_service",
    /// Another request came under the same id before.
    IdConflict = "id_conflict",
    /// The session is unknown or the request left its window; it was not executed now.
    IdExpired = "id_expired",
    /// No server of this name belongs to the cluster.
    UnknownServer = "unknown_server",
    /// The server can't be removed while it is the primary.
    ServerNeeded = "server_needed",
    /// Certainly not done: nobody could take the request. Trying again is safe.
    Unavailable = "unavailable",
    /// May be done: the answer was lost. Only a request with an id can safely be repeated.
    Unknown = "unknown",
    /// Refused, certainly not done, for a reason that the sender did not put into a word that we
    /// know: a standard server sends no code. The text says more.
    Refused = "refused",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How the text of a refusal with [`Code::Unavailable`] begins. Behind it, after a colon, stands
/// why, where the broker knows it.
pub const NOT_TAKEN: &str = "no server could take the request";

/// A refusal: the stable code, and one sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    /// The stable word.
    pub code: Code,
    /// One sentence that says what to do.
    pub text: String,
}

impl Refusal {
    /// A refusal with this code and text.
    pub fn new(code: Code, text: impl Into<String>) -> Refusal {
        Refusal { code, text: text.into() }
    }

    /// Not done, since nobody could take it; and why, if that is known.
    pub fn not_taken(why: Option<&str>) -> Refusal {
        let text = match why {
            Some(why) => format!("{NOT_TAKEN}: {why}"),
            None => format!("{NOT_TAKEN}; try again"),
        };
        Refusal::new(Code::Unavailable, text)
    }

    /// Why nobody could take it, if the refusal says that.
    pub fn why_not_taken(&self) -> Option<&str> {
        let why = self.text.strip_prefix(NOT_TAKEN)?.strip_prefix(": ")?;
        (self.code == Code::Unavailable).then_some(why)
    }
}
