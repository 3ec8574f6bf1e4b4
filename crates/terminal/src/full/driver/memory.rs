//! What is remembered, in a file for each user of each broker.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::full::model::memory::Memory;
use crate::full::model::room::Place;

/// The format of the file; another one is not read.
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Written {
    format: u32,
    channels: Vec<(String, u64)>,
    users: Vec<(String, u64)>,
    /// Those that were closed; absent in older files.
    #[serde(default)]
    closed_users: Vec<(String, u64)>,
    open_channel: Option<String>,
    open_user: Option<String>,
}

/// The file of this user at this broker.
pub(super) fn file(folder: &Path, broker: &str, user: &str) -> PathBuf {
    // Names may hold anything; the file's name holds letters and digits.
    let plain = |text: &str| -> String {
        let mut plain = String::new();
        for byte in text.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' => plain.push(byte.into()),
                _ => plain.push_str(&format!("_{byte:02x}")),
            }
        }
        plain
    };
    folder.join(format!("{}@{}.json", plain(user), plain(broker)))
}

/// Reads it; nothing is remembered when there is none, or none that can be read.
pub(super) fn read(file: &Path) -> Memory {
    let Some(written) = std::fs::read(file)
        .ok()
        .and_then(|bytes| serde_json::from_slice::<Written>(&bytes).ok())
        .filter(|written| written.format == FORMAT)
    else {
        return Memory::default();
    };
    let channels = written.channels.into_iter().map(|(name, read)| (Place::Channel(name), read));
    let users = written.users.into_iter().map(|(name, read)| (Place::Direct(name), read));
    let open = written.open_channel.map(Place::Channel);
    let closed = written.closed_users.into_iter().map(|(name, key)| (Place::Direct(name), key));
    Memory {
        read: channels.chain(users).collect(),
        closed: closed.collect(),
        open: open.or(written.open_user.map(Place::Direct)),
    }
}

/// Writes it whole, or leaves the one before.
pub(super) fn write(file: &Path, memory: Memory) -> io::Result<()> {
    let mut written = Written {
        format: FORMAT,
        channels: Vec::new(),
        users: Vec::new(),
        closed_users: Vec::new(),
        open_channel: None,
        open_user: None,
    };
    for (place, read) in memory.read {
        match place {
            Place::Channel(name) => written.channels.push((name, read)),
            Place::Direct(name) => written.users.push((name, read)),
        }
    }
    let closed = memory.closed.into_iter();
    written.closed_users = closed.map(|(place, key)| (place.name().to_owned(), key)).collect();
    match memory.open {
        Some(Place::Channel(name)) => written.open_channel = Some(name),
        Some(Place::Direct(name)) => written.open_user = Some(name),
        None => {}
    }
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let beside = file.with_extension(format!("{}.new", std::process::id()));
    std::fs::write(&beside, serde_json::to_vec(&written)?)?;
    std::fs::rename(&beside, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_broken_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(folder.path(), "127.0.0.1:5555", "old fox/../é");
        assert_eq!(file.parent(), Some(folder.path()), "a name is no path");
        assert_eq!(read(&file), Memory::default());
        let memory = Memory {
            read: [(Place::Channel("tea".to_owned()), 7), (Place::Direct("bob".to_owned()), 90)]
                .into(),
            closed: [(Place::Direct("carla".to_owned()), 5)].into(),
            open: Some(Place::Direct("bob".to_owned())),
        };
        write(&file, memory.clone()).unwrap();
        assert_eq!(read(&file), memory);
        for broken in ["", "{\"format\":1}", "{\"format\":2,\"channels\":[],\"users\":[]}"] {
            std::fs::write(&file, broken).unwrap();
            assert_eq!(read(&file), Memory::default(), "{broken}");
        }
    }
}
