//! Disks that fail, stand still, hang or are slow in the middle of an fsync. The drill's own disks
//! do it; on real ones strace does what it can.

use std::io;
use std::time::Duration;

use super::{Outcome, Planned, kill, strace};
use crate::arena::Arena;
use crate::disk::{Disks, Mishap, Power};
use crate::net::Node;

/// The highest number of an fsync that fails.
const MAX_FSYNC: u64 = 200;
/// How long the n-th fsync is waited for.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// How long a server may take to stop after a failed fsync.
pub const MUST_STOP: Duration = Duration::from_secs(5);
/// How often a disk is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// After a disk hangs, others must acknowledge again within so long.
const OTHERS_LEAD: Duration = Duration::from_secs(3);
/// Then they are watched for so long.
const OTHERS_GO_ON: Duration = Duration::from_secs(1);
/// How much longer slow syncs take, ms.
const SLOWER_MS: std::ops::RangeInclusive<u64> = 100..=300;
/// How much longer they take under strace, which slows the start too, ms.
const SLOWER_UNDER_STRACE_MS: u64 = 30;
/// By then nobody waits for a slow backup any more.
const SET_ASIDE: Duration = Duration::from_secs(10);

/// Which fsync. Where nothing else is tried, each in its turn; else early ones, where a starting
/// server writes its votes and identity, are as likely as all later ones together.
pub fn number(planned: &Planned) -> u64 {
    if planned.alone {
        return planned.turn % MAX_FSYNC + 1;
    }
    let n = planned.pick / 16;
    if planned.pick.is_multiple_of(2) { n % 20 + 1 } else { n % MAX_FSYNC + 1 }
}

pub fn done(server: Node, n: u64, came: bool, what: &str) -> Outcome {
    Outcome::Done(if came {
        format!("{server}, fsync {n}: {what}")
    } else {
        format!("{server}, fsync {n}: not reached")
    })
}

/// Kills a server that may have died already, and starts it.
pub async fn again(arena: &mut Arena, server: Node) -> io::Result<()> {
    // Also who is dead: its disk forgets.
    arena.cluster.kill(&[server], None).await?;
    arena.expect_death(server, false);
    arena.start(&[server])?;
    arena.until_up(&[server]).await
}

/// A server's disk, where it is one of the drill's.
async fn on<T, F>(arena: &mut Arena, server: Node, order: F) -> io::Result<T>
where
    F: AsyncFnOnce(&mut Disks, usize) -> io::Result<T>,
{
    match arena.cluster.disk(server) {
        Some((disks, number)) => order(disks, number).await,
        None => Err(io::Error::other("there are no disks of the drill's own")),
    }
}

/// Starts a server again on a disk on which something will happen in the n-th sync from then on.
async fn struck(arena: &mut Arena, server: Node, n: u64, mishap: Mishap) -> io::Result<()> {
    arena.begins();
    arena.cluster.kill(&[server], None).await?;
    on(arena, server, async |disks, disk| disks.plan(disk, Some((n, mishap))).await).await?;
    arena.expect_death(server, true);
    arena.start(&[server])
}

pub async fn crash_at_fsync(arena: &mut Arena, planned: &Planned) -> io::Result<Outcome> {
    if arena.cluster.disks().is_none() {
        return strace::crash_at_fsync(arena, planned).await;
    }
    let n = number(planned);
    let server = target(arena, planned);
    let (mishap, where_to) = match planned.pick / 4 % 2 {
        0 => (Mishap::StillBefore, "before"),
        _ => (Mishap::StillBehind, "behind"),
    };
    struck(arena, server, n, mishap).await?;
    let came = looked(arena, server, |look| look.power == Power::Still).await?;
    again(arena, server).await?;
    Ok(done(server, n, came, &format!("its disk stood still {where_to} it")))
}

pub async fn fsync_error(arena: &mut Arena, planned: &Planned) -> io::Result<Outcome> {
    if arena.cluster.disks().is_none() {
        return strace::fsync_error(arena, planned).await;
    }
    let n = number(planned);
    let server = target(arena, planned);
    // Only this one fails: whoever tries again succeeds, and has lost what the first lost.
    struck(arena, server, n, Mishap::Fails).await?;
    let failed = looked(arena, server, |look| look.failed > 0).await?;
    if failed && !arena.until(MUST_STOP, |arena| arena.died(server)).await? {
        arena.fails(&format!("{server} went on after its fsync number {n} had failed"));
    }
    again(arena, server).await?;
    Ok(done(server, n, failed, "stopped after it"))
}

/// Each in its turn where nothing else is tried.
fn target(arena: &Arena, planned: &Planned) -> Node {
    let servers = arena.cluster.servers();
    let turn = usize::try_from(planned.turn).unwrap_or(0);
    Node::Server(if planned.alone { turn % servers } else { planned.choose(servers) })
}

/// Waits until a disk looks like this; false when it does not in time.
async fn looked(
    arena: &mut Arena,
    server: Node,
    like: impl Fn(&crate::disk::Look) -> bool,
) -> io::Result<bool> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while tokio::time::Instant::now() < deadline {
        if like(&on(arena, server, async |disks, disk| disks.look(disk).await).await?) {
            return Ok(true);
        }
        arena.wait(LOOK_EVERY).await?;
    }
    Ok(false)
}

/// The primary in half of the cases, else a backup.
async fn primary_or_backup(arena: &mut Arena, planned: &Planned) -> Option<(Node, &'static str)> {
    if (planned.pick / 4).is_multiple_of(2) {
        arena.primary().await.map(|node| (node, "primary"))
    } else {
        arena.backup(planned).await.map(|node| (node, "backup"))
    }
}

pub async fn hang(arena: &mut Arena, planned: &Planned) -> io::Result<Outcome> {
    if arena.cluster.disks().is_none() {
        return Ok(Outcome::Skipped("it needs disks of the drill's own".into()));
    }
    let Some((server, role)) = primary_or_backup(arena, planned).await else {
        return Ok(kill::no_primary());
    };
    // It may end rather than wait for its disk.
    arena.expect_death(server, true);
    arena.begins();
    on(arena, server, async |disks, disk| disks.hang(disk, true).await).await?;
    arena.wait(OTHERS_LEAD).await?;
    let before = arena.recorder.counts().acks;
    arena.wait(OTHERS_GO_ON).await?;
    if arena.recorder.counts().acks == before {
        arena.fails(&format!(
            "nothing was acknowledged {} s after the disk of the {role} began to hang",
            OTHERS_LEAD.as_secs()
        ));
    }
    arena.wait(planned.hold.saturating_sub(OTHERS_LEAD + OTHERS_GO_ON)).await?;
    on(arena, server, async |disks, disk| disks.hang(disk, false).await).await?;
    arena.until_up(&[server]).await?;
    arena.expect_death(server, false);
    Ok(Outcome::Done(format!("{server}, the {role}")))
}

pub async fn slow(arena: &mut Arena, planned: &Planned) -> io::Result<Outcome> {
    if arena.cluster.disks().is_none() {
        let slower = Duration::from_millis(SLOWER_UNDER_STRACE_MS);
        return strace::slow(arena, planned, slower).await;
    }
    let Some((server, role)) = primary_or_backup(arena, planned).await else {
        return Ok(kill::no_primary());
    };
    let (low, high) = (*SLOWER_MS.start(), *SLOWER_MS.end());
    let slower = Duration::from_millis(low + planned.pick / 8 % (high - low + 1));
    arena.begins();
    on(arena, server, async |disks, disk| disks.slow_down(disk, slower).await).await?;
    arena.wait(SET_ASIDE).await?;
    let from_us = arena.recorder.now_us();
    arena.wait(planned.hold.saturating_sub(SET_ASIDE).max(OTHERS_GO_ON)).await?;
    let waited = median_wait(arena, from_us);
    on(arena, server, async |disks, disk| disks.slow_down(disk, Duration::ZERO).await).await?;
    let ms = |time: Duration| time.as_millis();
    if waited.is_none_or(|waited| waited > slower / 2) {
        arena.fails(&format!(
            "writers still waited for the {role}'s disk, {} ms slower, after {} s",
            ms(slower),
            SET_ASIDE.as_secs()
        ));
    }
    let waited = waited.map_or("nothing".into(), |waited| format!("a median of {} ms", ms(waited)));
    Ok(Outcome::Done(format!(
        "{server}, the {role}, {} ms more each; after {} s writers waited {waited}",
        ms(slower),
        SET_ASIDE.as_secs()
    )))
}

/// How long those waited for their acknowledgements who got one since then; none when nobody did.
fn median_wait(arena: &Arena, from_us: u64) -> Option<Duration> {
    let history = arena.recorder.history();
    let newest =
        history.writes.iter().rev().filter_map(|write| write.first_ack().map(|ack| (write, ack)));
    let mut waits: Vec<u64> = newest
        .filter(|(_, ack)| ack.at_us >= from_us)
        .map(|(write, ack)| ack.at_us.saturating_sub(write.sent_at_us()))
        .collect();
    waits.sort_unstable();
    waits.get(waits.len() / 2).map(|us| Duration::from_micros(*us))
}
