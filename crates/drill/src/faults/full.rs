//! A disk that is full for a while: a drill's own disk gets smaller, a real one is replaced by a
//! small file system in memory.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{Outcome, Planned};
use crate::arena::Arena;
use crate::cluster::copy_all;
use crate::disk::DISK_BYTES;
use crate::net::Node;

/// What is free beside what the server has already, bytes.
const ROOM_BYTES: u64 = 96 * 1024 * 1024;
/// What is left free when the disk is full, bytes.
const LEFT_BYTES: u64 = 256 * 1024;
/// How long the server may take until it is active on the small disk.
const SETTLE: Duration = Duration::from_secs(40);
/// What takes up the room.
const BALLAST: &str = "ballast";

pub async fn disk_full(arena: &mut Arena, planned: &Planned) -> io::Result<Outcome> {
    let server = Node::Server(planned.choose(arena.cluster.servers()));
    if arena.cluster.disks().is_some() {
        return shrunk(arena, planned, server).await;
    }
    let folder = arena.cluster.folder(server);
    let aside = folder.with_extension("aside");
    arena.begins();
    arena.cluster.kill(&[server], None).await?;
    let size = folder_bytes(&folder)? + ROOM_BYTES;
    if let Err(why) = mount(&folder, &aside, size) {
        arena.start(&[server])?;
        arena.until_up(&[server]).await?;
        return Ok(Outcome::Skipped(why));
    }
    arena.cluster.note_mount(folder.clone());
    copy_all(&aside, &folder)?;
    arena.start(&[server])?;
    if !arena.until_all_active(SETTLE).await? {
        arena.fails(&format!("{server} was not active again before its disk got full"));
    }
    // Whether it stops or goes on without taking part is its own decision.
    arena.expect_death(server, true);
    let ballast = folder.join(BALLAST);
    fill(&ballast, size)?;
    others_go_on(arena, planned).await?;
    fs::remove_file(&ballast)?;
    comes_back(arena, server).await?;
    move_back(arena, server, &folder, &aside).await?;
    Ok(Outcome::Done(server.to_string()))
}

/// The disk holds what is on it and hardly more; then it is as large as before.
async fn shrunk(arena: &mut Arena, planned: &Planned, server: Node) -> io::Result<Outcome> {
    arena.begins();
    arena.expect_death(server, true);
    if let Some((disks, number)) = arena.cluster.disk(server) {
        let used_bytes = disks.look(number).await?.used_bytes;
        disks.set_room(number, used_bytes + LEFT_BYTES).await?;
    }
    others_go_on(arena, planned).await?;
    if let Some((disks, number)) = arena.cluster.disk(server) {
        disks.set_room(number, DISK_BYTES).await?;
    }
    comes_back(arena, server).await?;
    Ok(Outcome::Done(server.to_string()))
}

async fn others_go_on(arena: &mut Arena, planned: &Planned) -> io::Result<()> {
    let before = arena.recorder.counts().acks;
    arena.wait(planned.hold).await?;
    if arena.recorder.counts().acks == before {
        arena.fails("nothing was acknowledged while the disk of one server was full");
    }
    Ok(())
}

async fn comes_back(arena: &mut Arena, server: Node) -> io::Result<()> {
    let back = arena.until_all_active(SETTLE).await?;
    arena.expect_death(server, false);
    if !back {
        arena.fails(&format!("{server} did not come back when its disk had room again"));
    }
    Ok(())
}

/// The folder goes aside, and a small file system takes its place.
fn mount(folder: &Path, aside: &Path, size: u64) -> Result<(), String> {
    let failed = |why: io::Error| format!("{} can't be moved: {why}", folder.display());
    fs::rename(folder, aside).map_err(failed)?;
    fs::create_dir(folder).map_err(failed)?;
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if mounted.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    fs::remove_dir(folder).and_then(|()| fs::rename(aside, folder)).map_err(failed)?;
    Err("there is no right to mount a file system here".into())
}

/// What the server has now goes back to the real disk.
async fn move_back(arena: &mut Arena, server: Node, folder: &Path, aside: &Path) -> io::Result<()> {
    arena.cluster.kill(&[server], None).await?;
    fs::remove_dir_all(aside)?;
    fs::create_dir(aside)?;
    copy_all(folder, aside)?;
    arena.cluster.unmount(folder);
    fs::remove_dir(folder)?;
    fs::rename(aside, folder)?;
    arena.start(&[server])?;
    arena.until_up(&[server]).await
}

/// Writes until only a little is free.
fn fill(ballast: &Path, size: u64) -> io::Result<()> {
    let chunk = vec![0; usize::try_from(LEFT_BYTES).unwrap_or(0)];
    let mut file = fs::File::create(ballast)?;
    for _ in 0..size.div_ceil(LEFT_BYTES) {
        if io::Write::write_all(&mut file, &chunk).is_err() {
            let full = file.metadata()?.len();
            return file.set_len(full.saturating_sub(LEFT_BYTES));
        }
    }
    Ok(())
}

fn folder_bytes(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        bytes += if meta.is_dir() { folder_bytes(&entry.path())? } else { meta.len() };
    }
    Ok(bytes)
}
