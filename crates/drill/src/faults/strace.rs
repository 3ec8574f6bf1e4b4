//! What befalls syncs on a real disk. strace does it: a server is killed and started again under
//! it. It counts for each thread by itself; the log has one that does little else.

use std::io;
use std::time::Duration;

use super::disk::{MUST_STOP, PATIENCE, again, done, number};
use super::{Outcome, Planned, kill};
use crate::arena::Arena;
use crate::cluster::Inject;
use crate::net::Node;

/// What waits for the disk.
const FSYNC: &str = "fdatasync,fsync";

/// Starts one of the servers again under strace, and tells which; none when there is no strace.
async fn under(
    arena: &mut Arena,
    planned: &Planned,
    what: &str,
) -> io::Result<Result<(Node, Inject), Outcome>> {
    if let Err(why) = works() {
        return Ok(Err(Outcome::Skipped(why)));
    }
    let server = Node::Server(planned.choose(arena.cluster.servers()));
    let turn = arena.turn();
    let report = arena.cluster.own_file(&format!("strace-{turn}"));
    let inject = Inject { expression: format!("{FSYNC}:{what}"), report };
    arena.begins();
    arena.cluster.kill(&[server], None).await?;
    arena.cluster.set_inject(server, Some(inject.clone()));
    arena.expect_death(server, true);
    arena.start(&[server])?;
    Ok(Ok((server, inject)))
}

fn works() -> Result<(), String> {
    let tried = std::process::Command::new("strace")
        .args(["-f", "--seccomp-bpf", "-qq", "-e", "trace=fdatasync"])
        .args(["-e", "inject=fdatasync:error=EIO:when=1", "true"])
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status();
    match tried {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err("strace has no right to trace here".into()),
        Err(_) => Err("there is no strace on this machine".into()),
    }
}

pub async fn crash_at_fsync(arena: &mut Arena, planned: &Planned) -> io::Result<Outcome> {
    let n = number(planned);
    let (server, _inject) = match under(arena, planned, &format!("signal=KILL:when={n}")).await? {
        Ok(started) => started,
        Err(skipped) => return Ok(skipped),
    };
    let died = arena.until(PATIENCE, |arena| arena.died(server)).await?;
    finish(arena, server).await?;
    Ok(done(server, n, died, "died in it"))
}

pub async fn fsync_error(arena: &mut Arena, planned: &Planned) -> io::Result<Outcome> {
    let n = number(planned);
    // Only this one fails: whoever tries again succeeds, and has lost what the first lost.
    let (server, inject) = match under(arena, planned, &format!("error=EIO:when={n}")).await? {
        Ok(started) => started,
        Err(skipped) => return Ok(skipped),
    };
    let failed = |arena: &mut Arena| inject.count() > 0 || arena.died(server);
    let failed = arena.until(PATIENCE, failed).await?;
    if failed && !arena.until(MUST_STOP, |arena| arena.died(server)).await? {
        arena.fails(&format!("{server} went on after its fsync number {n} had failed"));
    }
    finish(arena, server).await?;
    Ok(done(server, n, failed, "stopped after it"))
}

/// Off strace, and running.
async fn finish(arena: &mut Arena, server: Node) -> io::Result<()> {
    arena.cluster.set_inject(server, None);
    again(arena, server).await
}

/// Syncs of a backup take longer from its next start on, until this is over.
pub async fn slow(arena: &mut Arena, planned: &Planned, slower: Duration) -> io::Result<Outcome> {
    let Some(server) = arena.backup(planned).await else { return Ok(kill::no_backup()) };
    if let Err(why) = works() {
        return Ok(Outcome::Skipped(why));
    }
    let turn = arena.turn();
    let report = arena.cluster.own_file(&format!("strace-{turn}"));
    let expression = format!("{FSYNC}:delay_enter={}", slower.as_micros());
    arena.begins();
    arena.cluster.kill(&[server], None).await?;
    arena.cluster.set_inject(server, Some(Inject { expression, report }));
    arena.start(&[server])?;
    arena.wait(planned.hold).await?;
    finish(arena, server).await?;
    Ok(Outcome::Done(format!("{server}, {} ms more each", slower.as_millis())))
}
