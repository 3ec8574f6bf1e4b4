//! What stands in the replicated log, and its bytes.

use serde::{Deserialize, Serialize};

use crate::members::MemberCommand;

/// The version byte in front of every entry.
const ENTRY_VERSION: u8 = 1;

/// How deep an entry may nest; the deepest that is ever written has six levels.
const MAX_DEPTH: usize = 16;

/// Time as the primary saw it when it proposed an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Stamp {
    /// The primary's corrected time, ms since the Unix epoch.
    pub time_ms: u64,
    /// The primary's logical clock.
    pub clock: u64,
}

/// Under which id a request came, so that it takes effect once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The session.
    pub session: u64,
    /// The number within it, from 1.
    pub n: u64,
    /// A digest of what was asked: other content under the same id is a conflict.
    pub digest: u64,
}

/// One row of an import, with its own times; also what an export gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ImportedRow {
    /// A user.
    #[serde(rename = "u")]
    User {
        /// The name.
        user: String,
        /// The last login, ms.
        login_ms: u64,
        /// When the user was last seen, ms.
        seen_ms: u64,
        /// The first login, ms.
        created_ms: u64,
    },
    /// A channel.
    #[serde(rename = "c")]
    Channel {
        /// The name.
        channel: String,
    },
    /// A publication.
    #[serde(rename = "p")]
    Publication {
        /// The sender.
        user: String,
        /// The channel.
        channel: String,
        /// The text.
        message: String,
        /// When it was stored first.
        stamp: Stamp,
    },
    /// A private message.
    #[serde(rename = "m")]
    Private {
        /// The sender.
        src: String,
        /// The recipient.
        dst: String,
        /// The text.
        message: String,
        /// When it was stored first.
        stamp: Stamp,
    },
}

/// What an entry does. The names on the log are part of its format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// `replicate_login`
    #[serde(rename = "replicate_login")]
    Login {
        /// Who logs in.
        user: String,
    },
    /// `replicate_channel`
    #[serde(rename = "replicate_channel")]
    Channel {
        /// The new channel.
        channel: String,
    },
    /// `replicate_publish`
    #[serde(rename = "replicate_publish")]
    Publish {
        /// The sender.
        user: String,
        /// The channel.
        channel: String,
        /// The text.
        message: String,
    },
    /// `replicate_message`
    #[serde(rename = "replicate_message")]
    Message {
        /// The sender.
        src: String,
        /// The recipient.
        dst: String,
        /// The text.
        message: String,
    },
    /// Opens a session; the number is random and comes from the primary.
    #[serde(rename = "session")]
    Session {
        /// Its number.
        session: u64,
    },
    /// Stores rows with their own times.
    #[serde(rename = "import")]
    Import {
        /// The rows, in their order.
        rows: Vec<ImportedRow>,
    },
    /// Changes who is a member, and how.
    #[serde(rename = "member")]
    Member(MemberCommand),
}

/// An entry of the replicated log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// Time, put in by the primary.
    pub stamp: Stamp,
    /// The request id, if the request is to take effect once.
    pub origin: Option<Origin>,
    /// The last log position whose events are known to be published.
    pub published: u64,
    /// What to do.
    pub command: Command,
}

/// An entry that can't be read: written by a newer version, or damaged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a log entry can't be read: {0}")]
pub struct EntryError(pub String);

impl LogEntry {
    /// The entry's bytes: a version byte, then MessagePack (structs as arrays in the order of
    /// their fields, a command as a map from its name to its fields).
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64 + self.command.text_bytes());
        bytes.push(ENTRY_VERSION);
        let written = self.serialize(&mut rmp_serde::Serializer::new(&mut bytes));
        // Writing to memory can't fail, and every type here has a MessagePack form.
        debug_assert!(written.is_ok(), "an entry always has bytes");
        bytes
    }

    /// Reads what [`LogEntry::encode`] wrote. Texts are copied once, out of the slice; a length
    /// that lies is met with an error before anything of its size is allocated.
    ///
    /// # Errors
    /// When the version is unknown, or the bytes don't begin with an entry.
    pub fn decode(bytes: &[u8]) -> Result<LogEntry, EntryError> {
        let Some((&version, body)) = bytes.split_first() else {
            return Err(EntryError("it is empty".into()));
        };
        if version != ENTRY_VERSION {
            return Err(EntryError(format!(
                "its version is {version}, this program knows {ENTRY_VERSION}"
            )));
        }
        let mut reader = rmp_serde::Deserializer::from_read_ref(body);
        reader.set_max_depth(MAX_DEPTH);
        LogEntry::deserialize(&mut reader).map_err(|error| EntryError(error.to_string()))
    }
}

impl Command {
    /// The name under which the command stands in the log.
    pub fn name(&self) -> &'static str {
        match self {
            Command::Login { .. } => "replicate_login",
            Command::Channel { .. } => "replicate_channel",
            Command::Publish { .. } => "replicate_publish",
            Command::Message { .. } => "replicate_message",
            Command::Session { .. } => "session",
            Command::Import { .. } => "import",
            Command::Member(_) => "member",
        }
    }

    /// About how many bytes its texts take, so that encoding allocates once.
    fn text_bytes(&self) -> usize {
        match self {
            Command::Login { user } => user.len(),
            Command::Channel { channel } => channel.len(),
            Command::Publish { user: a, channel: b, message }
            | Command::Message { src: a, dst: b, message } => a.len() + b.len() + message.len(),
            Command::Session { .. } | Command::Member(_) => 64,
            Command::Import { rows } => rows.len() * 128,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::members::Announcement;

    fn entry(command: Command) -> LogEntry {
        LogEntry {
            stamp: Stamp { time_ms: 1_700_000_000_000, clock: 7 },
            origin: Some(Origin { session: 1, n: 2, digest: 3 }),
            published: 5,
            command,
        }
    }

    fn every_kind() -> Vec<Command> {
        let stamp = Stamp { time_ms: 1, clock: 2 };
        let announced = Announcement {
            node: 9,
            name: "s1".into(),
            address: "tcp://h:1".into(),
            rank: 1,
            boot: 2,
            pid: 3,
            witness: true,
        };
        let (user, channel, message) = (String::from("ana"), String::from("geral"), "oi".into());
        vec![
            Command::Login { user: user.clone() },
            Command::Channel { channel: channel.clone() },
            Command::Publish { user: user.clone(), channel: channel.clone(), message },
            Command::Message { src: user.clone(), dst: "bia".into(), message: "".into() },
            Command::Session { session: u64::MAX },
            Command::Import {
                rows: vec![
                    ImportedRow::User {
                        user: user.clone(),
                        login_ms: 1,
                        seen_ms: 2,
                        created_ms: 3,
                    },
                    ImportedRow::Channel { channel: channel.clone() },
                    ImportedRow::Publication {
                        user: user.clone(),
                        channel,
                        message: "a".into(),
                        stamp,
                    },
                    ImportedRow::Private { src: user, dst: "b".into(), message: "c".into(), stamp },
                ],
            },
            Command::Member(MemberCommand::Announce(announced)),
            Command::Member(MemberCommand::Activate { node: 1 }),
            Command::Member(MemberCommand::Drop { nodes: vec![1, 2], reason: "silent".into() }),
            Command::Member(MemberCommand::Remove { node: 3 }),
            Command::Member(MemberCommand::MinCopies { copies: 2 }),
        ]
    }

    #[test]
    fn every_entry_comes_back() {
        for command in every_kind() {
            let written = entry(command);
            assert_eq!(LogEntry::decode(&written.encode()), Ok(written));
        }
    }

    /// The bytes of a log that exists must never change their meaning.
    #[test]
    fn golden_bytes() {
        let login = entry(Command::Login { user: "ana".into() });
        let mut expected = vec![1, 0x94];
        expected.extend([0x92, 0xcf, 0, 0, 0x01, 0x8b, 0xcf, 0xe5, 0x68, 0x00, 7]);
        expected.extend([0x93, 1, 2, 3]);
        expected.push(5);
        expected.extend([0x81, 0xaf]);
        expected.extend(b"replicate_login");
        expected.extend([0x91, 0xa3]);
        expected.extend(b"ana");
        assert_eq!(login.encode(), expected);
    }

    #[test]
    fn commands_stand_in_the_log_under_their_names() {
        for command in every_kind() {
            let (name, bytes) = (command.name(), entry(command).encode());
            assert!(bytes.windows(name.len()).any(|w| w == name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn an_unknown_version_is_refused() {
        let mut bytes = entry(Command::Session { session: 1 }).encode();
        bytes[0] = 2;
        assert!(LogEntry::decode(&bytes).unwrap_err().to_string().contains("version is 2"));
        assert!(LogEntry::decode(&[]).is_err());
    }

    #[test]
    fn lengths_that_lie_allocate_nothing() {
        // An import of 2^32-1 rows, a text of 2^32-1 bytes.
        let mut rows = vec![1, 0x94, 0x92, 0, 0, 0xc0, 0, 0x81, 0xa6];
        rows.extend(b"import");
        rows.extend([0x91, 0xdd, 0xff, 0xff, 0xff, 0xff]);
        assert!(LogEntry::decode(&rows).is_err());
        let mut text = vec![1, 0x94, 0x92, 0, 0, 0xc0, 0, 0x81, 0xaf];
        text.extend(b"replicate_login");
        text.extend([0x91, 0xdb, 0xff, 0xff, 0xff, 0xff]);
        assert!(LogEntry::decode(&text).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = LogEntry::decode(&bytes);
            if let Some(first) = bytes.first_mut() {
                *first = ENTRY_VERSION;
            }
            let _ = LogEntry::decode(&bytes);
        }

        #[test]
        fn damaged_entries_never_panic(which in 0usize..10, at in 0usize..200, byte in any::<u8>()) {
            let mut bytes = entry(every_kind().swap_remove(which)).encode();
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = LogEntry::decode(&bytes);
            let _ = LogEntry::decode(&bytes[..at]);
        }

        #[test]
        fn texts_come_back(user in ".*", channel in ".*", message in ".*", time_ms: u64, clock: u64) {
            let written = LogEntry {
                stamp: Stamp { time_ms, clock },
                origin: None,
                published: clock,
                command: Command::Publish { user, channel, message },
            };
            prop_assert_eq!(LogEntry::decode(&written.encode()), Ok(written));
        }
    }
}
