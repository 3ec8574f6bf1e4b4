//! What is remembered, in a file for each user of each broker.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::full::model::memory::{Memory, Unsent};
use crate::full::model::room::Place;

/// The format of the file; another one is not read.
const FORMAT: u32 = 1;

/// What was written, to others too, is nobody's business.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// What every format begins with.
#[derive(Deserialize)]
struct Format {
    format: u32,
}

/// How long a user's or a broker's part of the file's name may be, bytes. Disks take 255 for both
/// and what stands around them.
const MAX_PLAIN_BYTES: usize = 100;

/// To how much a longer one is cut, bytes; the rest is for what tells it from others.
const CUT_PLAIN_BYTES: usize = 80;

/// Fields with a default are absent in older files.
#[derive(Serialize, Deserialize)]
struct Written {
    format: u32,
    channels: Vec<(String, u64)>,
    users: Vec<(String, u64)>,
    /// Those that were closed.
    #[serde(default)]
    closed_users: Vec<(String, u64)>,
    open_channel: Option<String>,
    open_user: Option<String>,
    #[serde(default)]
    drafts: Vec<(To, String)>,
    #[serde(default)]
    unsent: Vec<WrittenUnsent>,
    #[serde(default)]
    lines: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum To {
    Channel(String),
    User(String),
}

impl From<Place> for To {
    fn from(place: Place) -> To {
        match place {
            Place::Channel(name) => To::Channel(name),
            Place::Direct(name) => To::User(name),
        }
    }
}

impl From<To> for Place {
    fn from(to: To) -> Place {
        match to {
            To::Channel(name) => Place::Channel(name),
            To::User(name) => Place::Direct(name),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct WrittenUnsent {
    to: To,
    text: String,
    written_ms: u64,
}

/// Why what is there was not read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// It makes no sense; it is under this name now, so that nothing is written over it.
    Damaged { kept_as: String },
    /// The system does not let it be read, for this reason.
    Unreadable(String),
}

/// The file of this user at this broker.
pub(super) fn file(folder: &Path, broker: &str, user: &str) -> PathBuf {
    folder.join(format!("{}@{}.json", plain(user), plain(broker)))
}

/// A name that may hold anything, as a part of a file's name: small letters and digits, since some
/// disks take Ana and ana for the same, and no more than any disk takes.
fn plain(name: &str) -> String {
    let mut plain = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' => plain.push(byte.into()),
            _ => plain.push_str(&format!("_{byte:02x}")),
        }
    }
    if plain.len() > MAX_PLAIN_BYTES {
        // Two long names may begin alike.
        plain.truncate(CUT_PLAIN_BYTES);
        plain.push_str(&format!("~{:016x}", hash(name)));
    }
    plain
}

/// The same in every version, as names of files must be (FNV-1a).
fn hash(name: &str) -> u64 {
    let mix = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    name.bytes().fold(0xcbf2_9ce4_8422_2325, mix)
}

/// The right to write a user's file, for as long as this lives. Two clients of the same user would
/// write over each other's drafts.
#[derive(Debug)]
pub(super) struct Claim {
    _locked: Option<File>,
}

/// Claims a user's file; none when another client has it. Where nothing can be locked, nobody is
/// kept from writing.
pub(super) fn claim(file: &Path) -> Option<Claim> {
    let open = || {
        create_folder_of(file)?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(FILE_MODE);
        options.open(file.with_extension("lock"))
    };
    let Ok(lock) = open() else { return Some(Claim { _locked: None }) };
    match lock.try_lock() {
        Ok(()) => Some(Claim { _locked: Some(lock) }),
        Err(TryLockError::WouldBlock) => None,
        Err(TryLockError::Error(_)) => Some(Claim { _locked: None }),
    }
}

fn create_folder_of(file: &Path) -> io::Result<()> {
    let Some(folder) = file.parent() else { return Ok(()) };
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)
}

/// Reads it; nothing is remembered when there is none. What makes no sense is set aside, which only
/// the one who has the claim may do.
pub(super) fn read(file: &Path) -> Result<Memory, Unread> {
    match look(file) {
        Ok(memory) => Ok(memory),
        Err(why) if why.kind() == io::ErrorKind::InvalidData => {
            let aside = free_name(file);
            fs::rename(file, &aside).map_err(|why| unreadable(file, &why))?;
            Err(Unread::Damaged { kept_as: aside.display().to_string() })
        }
        Err(why) => Err(unreadable(file, &why)),
    }
}

/// A name beside the file that nothing has yet.
fn free_name(file: &Path) -> PathBuf {
    let mut number = 1;
    loop {
        let mut name = file.as_os_str().to_owned();
        name.push(".damaged");
        if number > 1 {
            name.push(format!("-{number}"));
        }
        let name = PathBuf::from(name);
        if !name.exists() {
            return name;
        }
        number += 1;
    }
}

/// Reads it and leaves it where it is, whatever it holds.
pub(super) fn look(file: &Path) -> io::Result<Memory> {
    let bytes = match fs::read(file) {
        Ok(bytes) => bytes,
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(Memory::default()),
        Err(why) => return Err(why),
    };
    let senseless = |_| io::Error::from(io::ErrorKind::InvalidData);
    let format = serde_json::from_slice::<Format>(&bytes).map_err(senseless)?.format;
    if format > FORMAT {
        // Whoever goes back to the newer client finds it as it was.
        let why = format!("a newer recado wrote it, in format {format}; this one knows {FORMAT}");
        return Err(io::Error::new(io::ErrorKind::Unsupported, why));
    }
    let written: Written = serde_json::from_slice(&bytes).map_err(senseless)?;
    let channels = written.channels.into_iter().map(|(name, read)| (Place::Channel(name), read));
    let users = written.users.into_iter().map(|(name, read)| (Place::Direct(name), read));
    let open = written.open_channel.map(Place::Channel);
    let closed = written.closed_users.into_iter().map(|(name, key)| (Place::Direct(name), key));
    let unsent = written.unsent.into_iter().map(|unsent| Unsent {
        place: unsent.to.into(),
        text: unsent.text,
        written_ms: unsent.written_ms,
    });
    Ok(Memory {
        read: channels.chain(users).collect(),
        closed: closed.collect(),
        open: open.or(written.open_user.map(Place::Direct)),
        drafts: written.drafts.into_iter().map(|(to, text)| (to.into(), text)).collect(),
        unsent: unsent.collect(),
        lines: written.lines,
    })
}

fn unreadable(file: &Path, why: &io::Error) -> Unread {
    Unread::Unreadable(format!("{}: {why}", file.display()))
}

/// Writes it whole, or leaves the one before.
pub(super) fn write(file: &Path, memory: Memory) -> io::Result<()> {
    let (mut channels, mut users) = (Vec::new(), Vec::new());
    for (place, read) in memory.read {
        match place {
            Place::Channel(name) => channels.push((name, read)),
            Place::Direct(name) => users.push((name, read)),
        }
    }
    let (open_channel, open_user) = match memory.open {
        Some(Place::Channel(name)) => (Some(name), None),
        Some(Place::Direct(name)) => (None, Some(name)),
        None => (None, None),
    };
    let closed = memory.closed.into_iter();
    let unsent = memory.unsent.into_iter().map(|unsent| WrittenUnsent {
        to: unsent.place.into(),
        text: unsent.text,
        written_ms: unsent.written_ms,
    });
    let written = Written {
        format: FORMAT,
        channels,
        users,
        closed_users: closed.map(|(place, key)| (place.name().to_owned(), key)).collect(),
        open_channel,
        open_user,
        drafts: memory.drafts.into_iter().map(|(place, text)| (place.into(), text)).collect(),
        unsent: unsent.collect(),
        lines: memory.lines,
    };
    create_folder_of(file)?;
    let beside = file.with_extension(format!("{}.new", std::process::id()));
    // One that a process of the same number left behind would keep its own mode.
    drop(fs::remove_file(&beside));
    let bytes = serde_json::to_vec(&written)?;
    let done = write_beside(&beside, &bytes).and_then(|()| fs::rename(&beside, file));
    if done.is_err() {
        drop(fs::remove_file(&beside));
    }
    done
}

fn write_beside(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut new = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(file)?;
    new.write_all(bytes)?;
    // After a power cut the name must not stand for an empty file.
    new.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unsent(place: Place) -> Unsent {
        Unsent { place, text: "not yet".to_owned(), written_ms: 5 }
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(folder.path(), "127.0.0.1:5555", "old fox/../é");
        assert_eq!(file.parent(), Some(folder.path()), "a name is no path");
        assert_eq!(read(&file), Ok(Memory::default()));
        let (tea, bob) = (Place::Channel("tea".to_owned()), Place::Direct("bob".to_owned()));
        let memory = Memory {
            read: [(tea.clone(), 7), (bob.clone(), 90)].into(),
            closed: [(Place::Direct("carla".to_owned()), 5)].into(),
            open: Some(bob.clone()),
            drafts: [(tea.clone(), "two\nlines".to_owned()), (bob.clone(), "é".to_owned())].into(),
            unsent: vec![unsent(bob), unsent(tea)],
            lines: vec!["/join tea".to_owned(), "hello".to_owned()],
        };
        write(&file, memory.clone()).unwrap();
        assert_eq!(read(&file), Ok(memory));
        let before = br#"{"format":1,"channels":[["tea",7]],"users":[],"open_channel":"tea"}"#;
        fs::write(&file, before).unwrap();
        let read = read(&file).unwrap();
        assert_eq!(read.read, [(Place::Channel("tea".to_owned()), 7)].into());
    }

    #[test]
    fn every_name_has_a_file_of_its_own_that_a_disk_can_hold() {
        let folder = tempfile::tempdir().unwrap();
        let file = |user: &str| file(folder.path(), "127.0.0.1:5555", user);
        let name = |user: &str| file(user).file_name().unwrap().to_str().unwrap().to_owned();
        assert_eq!(name("ana-1"), "ana-1@127.0.0.1_3a5555.json", "as it always was");
        assert_ne!(name("Ana").to_lowercase(), name("ana"), "some disks know no capitals");
        let long = "é".repeat(200);
        for user in [&long, &format!("{long}a"), &format!("{long}b")] {
            let memory = Memory { lines: vec![user.clone()], ..Memory::default() };
            write(&file(user), memory.clone()).unwrap();
            assert!(claim(&file(user)).unwrap()._locked.is_some());
            assert_eq!(read(&file(user)), Ok(memory));
        }
        assert_eq!(name(&long), name(&"é".repeat(200)), "the next start finds it");
        assert_ne!(name(&long), name(&format!("{long}a")));
    }

    #[test]
    fn what_is_damaged_is_set_aside_and_nothing_is_written_over_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(folder.path(), "b", "ana");
        let names = ["damaged", "damaged-2", "damaged-3", "damaged-4"];
        let cut_off = "{\"format\":1,\"channels\":[";
        for (broken, name) in ["", "{\"format\":1}", "[]", cut_off].into_iter().zip(names) {
            fs::write(&file, broken).unwrap();
            let kept_as = format!("{}.{name}", file.display());
            assert_eq!(read(&file), Err(Unread::Damaged { kept_as: kept_as.clone() }), "{broken}");
            assert_eq!(fs::read_to_string(kept_as).unwrap(), broken);
            assert_eq!(read(&file), Ok(Memory::default()), "it is told once");
        }
        fs::create_dir(&file).unwrap();
        assert!(matches!(read(&file), Err(Unread::Unreadable(_))));
    }

    #[test]
    fn what_a_newer_client_wrote_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(folder.path(), "b", "ana");
        let newer = "{\"format\":2,\"rooms\":{}}";
        fs::write(&file, newer).unwrap();
        let unread = read(&file);
        let Err(Unread::Unreadable(why)) = unread else { panic!("{unread:?}") };
        assert!(why.contains("newer"), "{why}");
        assert_eq!(fs::read_to_string(&file).unwrap(), newer);
    }

    #[test]
    fn one_client_at_a_time_writes_it() {
        let folder = tempfile::tempdir().unwrap();
        let ana = file(&folder.path().join("new"), "b", "ana");
        let first = claim(&ana);
        assert!(first.is_some());
        assert!(claim(&ana).is_none());
        assert!(claim(&file(folder.path(), "b", "dora")).is_some());
        drop(first);
        assert!(claim(&ana).is_some());
    }

    #[test]
    fn nobody_else_can_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = file(&folder.path().join("new"), "b", "ana");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        write(&file, Memory::default()).unwrap();
        assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        write(&file, Memory::default()).unwrap();
        assert_eq!(mode(&file), 0o600, "one that was written before this was so");
    }
}
