//! What all targets need: seeds made of golden bytes and of what our own code writes, and folders
//! in memory.

use std::fs;
use std::path::{Path, PathBuf};

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
    let mut digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    Some(match rest.next()? {
        b'x' => digit(rest.next()?)? << 4 | digit(rest.next()?)?,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        itself => itself,
    })
}

/// A folder in memory, where there is one: a fuzzer writes thousands of files a second.
pub fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a folder can be made")
}
