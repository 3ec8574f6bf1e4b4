//! Processes that die, and processes that stand still.

use std::io;
use std::time::Duration;

use super::{Outcome, Planned};
use crate::arena::Arena;
use crate::net::Node;

/// Between the two deaths that the last server survives.
const BETWEEN_TWO: Duration = Duration::from_secs(6);
/// The last server has this long until it must have acknowledged something.
const LAST_ONE_RESUMES: Duration = Duration::from_secs(3);
/// A slow backup stands still for so long, then runs for as long.
const BURST: Duration = Duration::from_millis(120);
const BREATH: Duration = Duration::from_millis(200);

pub async fn primary(arena: &mut Arena, planned: &Planned) -> io::Result<Outcome> {
    let Some(server) = arena.primary().await else { return Ok(no_primary()) };
    kill_for(arena, &[server], planned.hold).await
}

pub async fn backup(arena: &mut Arena, planned: &Planned) -> io::Result<Outcome> {
    let Some(server) = arena.backup(planned).await else { return Ok(no_backup()) };
    kill_for(arena, &[server], planned.hold).await
}

pub async fn all(arena: &mut Arena, planned: &Planned) -> io::Result<Outcome> {
    let servers: Vec<_> = (0..arena.cluster.servers()).map(Node::Server).collect();
    kill_for(arena, &servers, planned.hold).await
}

pub async fn role(arena: &mut Arena, planned: &Planned, role: Node) -> io::Result<Outcome> {
    kill_for(arena, &[role], planned.hold).await
}

async fn kill_for(arena: &mut Arena, nodes: &[Node], hold: Duration) -> io::Result<Outcome> {
    arena.begins();
    arena.cluster.kill(nodes, Some(hold)).await?;
    arena.wait(hold).await?;
    arena.until_up(nodes).await?;
    Ok(Outcome::Done(names(nodes)))
}

pub async fn two(arena: &mut Arena, planned: &Planned) -> io::Result<Outcome> {
    if arena.cluster.servers() != 3 {
        return Ok(Outcome::Skipped("it is about three servers".into()));
    }
    let Some(first) = arena.primary().await else { return Ok(no_primary()) };
    arena.begins();
    arena.cluster.kill(&[first], None).await?;
    arena.wait(BETWEEN_TWO).await?;
    let Some(second) = arena.primary().await else {
        arena.fails("nobody led 6 s after the first of two deaths");
        arena.start(&[first])?;
        return Ok(Outcome::Done(first.to_string()));
    };
    arena.cluster.kill(&[second], None).await?;
    arena.wait(LAST_ONE_RESUMES).await?;
    let before = arena.recorder.counts().acks;
    arena.wait(planned.hold).await?;
    if arena.recorder.counts().acks == before {
        arena.fails("the last of three servers acknowledged nothing, 3 s after the second death");
    }
    arena.start(&[first, second])?;
    arena.until_up(&[first, second]).await?;
    Ok(Outcome::Done(names(&[first, second])))
}

pub async fn stop_primary(arena: &mut Arena, planned: &Planned) -> io::Result<Outcome> {
    let Some(server) = arena.primary().await else { return Ok(no_primary()) };
    stop_for(arena, server, planned.hold).await
}

pub async fn stop_backup(arena: &mut Arena, planned: &Planned) -> io::Result<Outcome> {
    let Some(server) = arena.backup(planned).await else { return Ok(no_backup()) };
    stop_for(arena, server, planned.hold).await
}

pub async fn stop_role(arena: &mut Arena, planned: &Planned, role: Node) -> io::Result<Outcome> {
    stop_for(arena, role, planned.hold).await
}

async fn stop_for(arena: &mut Arena, node: Node, hold: Duration) -> io::Result<Outcome> {
    arena.begins();
    arena.cluster.pause(node, true);
    arena.wait(hold).await?;
    arena.cluster.pause(node, false);
    Ok(Outcome::Done(node.to_string()))
}

pub async fn slow_backup(arena: &mut Arena, planned: &Planned) -> io::Result<Outcome> {
    let Some(server) = arena.backup(planned).await else { return Ok(no_backup()) };
    arena.begins();
    let until = tokio::time::Instant::now() + planned.hold;
    while tokio::time::Instant::now() < until {
        arena.cluster.pause(server, true);
        arena.wait(BURST).await?;
        arena.cluster.pause(server, false);
        arena.wait(BREATH).await?;
    }
    Ok(Outcome::Done(server.to_string()))
}

pub fn no_primary() -> Outcome {
    Outcome::Skipped("there was no primary at that time".into())
}

pub fn no_backup() -> Outcome {
    Outcome::Skipped("there was no backup at that time".into())
}

pub fn names(nodes: &[Node]) -> String {
    nodes.iter().map(Node::to_string).collect::<Vec<_>>().join(" ")
}
