//! What all targets need: seeds made of golden bytes and of what our own code writes, and folders
//! in memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Where a target's seeds and finds are kept.
fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}

/// Writes a target's seeds, before the fuzzer looks for them.
pub fn seed(target: &str, seeds: impl IntoIterator<Item = Vec<u8>>) {
    let folder = corpus(target);
    fs::create_dir_all(&folder).expect("a corpus can be written");
    for (number, bytes) in seeds.into_iter().enumerate() {
        fs::write(folder.join(format!("seed-{number}")), bytes).expect("a seed can be written");
    }
}

/// The golden bytes of a link of the protocol, by the name of their file.
pub fn golden(link: &str) -> Vec<Vec<u8>> {
    let tests = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/protocol/tests/golden");
    let text = fs::read_to_string(Path::new(tests).join(link)).expect("there are golden bytes");
    let lines = text.lines().filter_map(|line| line.strip_prefix("    "));
    lines.map(unescape).collect()
}

/// Reads what `escape_ascii` wrote.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'\\' { escaped(&mut rest).expect("a whole escape") } else { byte });
    }
    bytes
}

fn escaped(rest: &mut impl Iterator<Item = u8>) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    Some(match rest.next()? {
        b'x' => digit(rest.next()?)? << 4 | digit(rest.next()?)?,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        itself => itself,
    })
}

/// What folders are called; the number of their process and one of their own follow.
const FOLDER_PREFIX: &str = "recado-fuzz-";

/// A new folder in memory, where there is one: a fuzzer writes thousands of files a second. Nothing
/// is run when a fuzzer ends, so each takes away what those before it left.
pub fn folder() -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);

    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    remove_leftovers(&base);
    let number = NUMBER.fetch_add(1, Relaxed);
    let folder = base.join(format!("{FOLDER_PREFIX}{}-{number}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder can be made");
    folder
}

fn remove_leftovers(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let process = name.strip_prefix(FOLDER_PREFIX).and_then(|rest| rest.split('-').next());
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            // Somebody else may be faster.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
