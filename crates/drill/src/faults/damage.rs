//! Files that are not as they were written: torn, flipped, gone. One server at a time, and never
//! the next before all are active again: more than that no system survives.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{Outcome, Planned};
use crate::arena::Arena;
use crate::cluster::{copy_all, empty};
use crate::net::Node;

/// The vote stands in the first record of the newest chunk of the log, or right behind it.
const VOTE_BYTES: u64 = 64;
/// How much of the log's end is torn, bytes.
const TORN_BYTES: u64 = 20;
/// How long a damaged server may take until it is active again.
const REBUILD: Duration = Duration::from_secs(60);

type Damage = fn(&Path, &mut StdRng) -> io::Result<String>;

pub async fn torn_log(arena: &mut Arena, planned: &Planned) -> io::Result<Outcome> {
    damage(arena, planned, |folder, rng| {
        let file = newest_log(folder)?;
        let length = fs::metadata(&file)?.len();
        let bytes = rng.random_range(1..=TORN_BYTES);
        let mut open = fs::OpenOptions::new().append(true).open(&file)?;
        if rng.random_bool(0.5) {
            open.set_len(length.saturating_sub(bytes))?;
            open.sync_all()?;
            Ok(format!("{bytes} bytes cut off the log"))
        } else {
            let garbage: Vec<u8> = (0..bytes).map(|_| rng.random()).collect();
            open.write_all(&garbage)?;
            open.sync_all()?;
            Ok(format!("{bytes} bytes of nonsense behind the log"))
        }
    })
    .await
}

pub async fn flip_log(arena: &mut Arena, planned: &Planned) -> io::Result<Outcome> {
    damage(arena, planned, |folder, rng| {
        let file = newest_log(folder)?;
        let length = fs::metadata(&file)?.len();
        flip(&file, 0..length.saturating_sub(TORN_BYTES).max(1), rng)
    })
    .await
}

pub async fn flip_vote(arena: &mut Arena, planned: &Planned) -> io::Result<Outcome> {
    damage(arena, planned, |folder, rng| flip(&newest_log(folder)?, 0..VOTE_BYTES, rng)).await
}

pub async fn flip_store(arena: &mut Arena, planned: &Planned) -> io::Result<Outcome> {
    damage(arena, planned, |folder, rng| {
        let file = folder.join(recado_storage::STORE_FILE);
        let length = fs::metadata(&file)?.len();
        flip(&file, 0..length, rng)
    })
    .await
}

pub async fn lose_disk(arena: &mut Arena, planned: &Planned) -> io::Result<Outcome> {
    damage(arena, planned, |folder, _| empty(folder).map(|()| "everything gone".into())).await
}

async fn damage(arena: &mut Arena, planned: &Planned, how: Damage) -> io::Result<Outcome> {
    let server = Node::Server(planned.choose(arena.cluster.servers()));
    let folder = arena.cluster.folder(server);
    let mut rng = StdRng::seed_from_u64(planned.pick);
    arena.begins();
    arena.cluster.kill(&[server], None).await?;
    let what = how(&folder, &mut rng)?;
    if fs::read_dir(&folder)?.next().is_none() {
        arena.cluster.note_empty(server)?;
    }
    arena.wait(planned.hold).await?;
    // It may refuse to start with what it has.
    arena.expect_death(server, true);
    arena.start(&[server])?;
    let back = arena.until_all_active(REBUILD).await?;
    arena.expect_death(server, false);
    if !back {
        arena.fails(&format!("{server} did not come back by itself after: {what}"));
        by_hand(arena, server, &folder).await?;
    }
    Ok(Outcome::Done(format!("{server}, {what}")))
}

/// What an operator does: the folder goes aside, and the server starts empty.
async fn by_hand(arena: &mut Arena, server: Node, folder: &Path) -> io::Result<()> {
    arena.cluster.kill(&[server], None).await?;
    let aside = folder.with_extension(format!("damaged-{}", arena.turn()));
    copy_all(folder, &aside)?;
    empty(folder)?;
    arena.cluster.note_empty(server)?;
    arena.start(&[server])?;
    arena.until_all_active(REBUILD).await?;
    Ok(())
}

fn newest_log(folder: &Path) -> io::Result<PathBuf> {
    let mut chunks = Vec::new();
    for entry in fs::read_dir(folder.join("log"))? {
        let path = entry?.path();
        let is_chunk = path.extension().is_some_and(|extension| extension == "wal");
        if is_chunk && fs::metadata(&path)?.len() > 0 {
            chunks.push(path);
        }
    }
    // Their names are numbers of one width.
    chunks.sort();
    chunks.pop().ok_or_else(|| io::Error::other("there is no log to damage"))
}

fn flip(file: &Path, range: std::ops::Range<u64>, rng: &mut StdRng) -> io::Result<String> {
    let at = rng.random_range(range);
    let bit = rng.random_range(0..8);
    let mut open = fs::OpenOptions::new().read(true).write(true).open(file)?;
    let mut byte = [0];
    open.seek(SeekFrom::Start(at))?;
    open.read_exact(&mut byte)?;
    byte[0] ^= 1 << bit;
    open.seek(SeekFrom::Start(at))?;
    open.write_all(&byte)?;
    // The disk has it so from now on, whatever it forgets later.
    open.sync_all()?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    Ok(format!("bit {bit} of byte {at} of {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bit_is_flipped() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("log");
        fs::write(&file, [0; 100]).unwrap();
        flip(&file, 10..20, &mut StdRng::seed_from_u64(1)).unwrap();
        let bytes = fs::read(&file).unwrap();
        assert_eq!(bytes[10..20].iter().map(|byte| byte.count_ones()).sum::<u32>(), 1);
        assert_eq!(bytes.iter().map(|byte| byte.count_ones()).sum::<u32>(), 1);
    }

    #[test]
    fn the_newest_chunk_is_the_log_that_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("log")).unwrap();
        for (name, content) in
            [("r-01.wal", "a"), ("r-02.wal", "b"), ("r-03.wal", ""), ("LOCK", "c")]
        {
            fs::write(dir.path().join("log").join(name), content).unwrap();
        }
        assert!(newest_log(dir.path()).unwrap().ends_with("r-02.wal"));
    }
}
