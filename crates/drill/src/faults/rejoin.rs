//! A server that comes back with nothing while everybody writes, and a death in the middle of the
//! snapshot that brings it level.

use std::fs;
use std::io;
use std::time::Duration;

use super::{Outcome, Planned, kill};
use crate::arena::Arena;
use crate::cluster::empty;
use crate::net::Node;

/// How long a snapshot is waited for. Until the log forgets, there is none: the log is enough.
const SNAPSHOT: Duration = Duration::from_secs(10);
/// So long after its beginning the death comes at the latest, ms.
const MIDDLE_MS: u64 = 150;
/// How long the server may take until it is active again.
const REBUILD: Duration = Duration::from_secs(60);
/// How long what was begun may lie around.
const TIDY: Duration = Duration::from_secs(10);
/// In the sender's log when it begins.
const SENDING: &str = "sending a snapshot";
/// What the files of transfers are called.
const TRANSFER_PREFIX: &str = "snapshot-";

pub async fn crash_in_snapshot(arena: &mut Arena, planned: &Planned) -> io::Result<Outcome> {
    let Some(receiver) = arena.backup(planned).await else { return Ok(kill::no_backup()) };
    arena.begins();
    arena.cluster.kill(&[receiver], None).await?;
    empty(&arena.cluster.folder(receiver))?;
    arena.cluster.note_empty(receiver)?;
    let before = log_lengths(arena);
    arena.start(&[receiver])?;
    let mut sender = None;
    let begun = |arena: &mut Arena| {
        sender = sends(arena, &before);
        sender.is_some()
    };
    if !arena.until(SNAPSHOT, begun).await? {
        back(arena, receiver).await?;
        return Ok(Outcome::Done(format!("{receiver}: the log was enough")));
    }
    arena.wait(Duration::from_millis(planned.pick / 8 % MIDDLE_MS)).await?;
    let dies = sender.filter(|_| (planned.pick / 4).is_multiple_of(2)).unwrap_or(receiver);
    arena.cluster.kill(&[dies], None).await?;
    arena.wait(planned.hold).await?;
    arena.start(&[dies])?;
    arena.until_up(&[dies]).await?;
    back(arena, receiver).await?;
    let tidy = |arena: &mut Arena| leftovers(arena).is_empty();
    if !arena.until(TIDY, tidy).await? {
        let left = leftovers(arena).join(", ");
        arena.fails(&format!("{} s after the snapshot there is still {left}", TIDY.as_secs()));
    }
    Ok(Outcome::Done(format!("{dies} in the middle of a snapshot for {receiver}")))
}

async fn back(arena: &mut Arena, server: Node) -> io::Result<()> {
    if !arena.until_all_active(REBUILD).await? {
        arena.fails(&format!("{server} was not brought level again from nothing"));
    }
    Ok(())
}

fn servers(arena: &Arena) -> impl Iterator<Item = Node> + use<> {
    (0..arena.cluster.servers()).map(Node::Server)
}

fn log_lengths(arena: &Arena) -> Vec<(Node, usize)> {
    let length = |node| fs::metadata(arena.cluster.log_file(node)).map_or(0, |meta| meta.len());
    servers(arena).map(|node| (node, usize::try_from(length(node)).unwrap_or(0))).collect()
}

/// Who began to send a snapshot since its log was so long.
fn sends(arena: &Arena, before: &[(Node, usize)]) -> Option<Node> {
    let begun = |(node, length): &&(Node, usize)| {
        let log = fs::read(arena.cluster.log_file(*node)).unwrap_or_default();
        let news = log.get(*length..).unwrap_or_default();
        String::from_utf8_lossy(news).contains(SENDING)
    };
    before.iter().find(begun).map(|(node, _)| *node)
}

/// Files of transfers in the servers' folders.
fn leftovers(arena: &Arena) -> Vec<String> {
    let folders = servers(arena).map(|node| arena.cluster.folder(node));
    let entries = folders.filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    let ours = entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(TRANSFER_PREFIX))
        .map(|entry| entry.path().display().to_string());
    ours.collect()
}
