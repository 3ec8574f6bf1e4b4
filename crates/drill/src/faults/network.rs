//! Networks that divide, delay, and lose what matters.

use std::io;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{Outcome, Planned, kill};
use crate::arena::Arena;
use crate::net::Node;

/// A flapping partition holds or passes at the longest for so long, ms.
const FLAP_MS: u64 = 800;
/// The longest delay of a chunk of bytes, ms.
const DELAY_MS: u64 = 40;
/// How many acknowledgements are lost at a time.
const LOST_REPLIES: u32 = 5;

/// The server that is divided from the others: in half of the cases the primary.
async fn outsider(arena: &mut Arena, planned: &Planned) -> Option<Node> {
    match planned.pick % 2 {
        0 => arena.primary().await,
        _ => arena.backup(planned).await,
    }
}

/// All replicas but this one.
fn others(arena: &Arena, server: Node) -> Vec<Node> {
    let servers = (0..arena.cluster.servers()).map(Node::Server);
    servers.chain([Node::Reference]).filter(|other| *other != server).collect()
}

/// Both ways between one server and all others, the reference too; clients and broker still
/// reach everybody, so that the minority is asked.
fn divide(arena: &Arena, server: Node, hold: bool) {
    for other in others(arena, server) {
        arena.net.hold(server, other, hold);
        arena.net.hold(other, server, hold);
    }
}

pub async fn partition(arena: &mut Arena, planned: &Planned) -> io::Result<Outcome> {
    let Some(server) = outsider(arena, planned).await else { return Ok(kill::no_primary()) };
    let refused = planned.pick.is_multiple_of(3);
    arena.begins();
    divide(arena, server, true);
    if refused {
        cut(arena, server, true);
    }
    arena.wait(planned.hold).await?;
    divide(arena, server, false);
    cut(arena, server, false);
    let how = if refused { "refused" } else { "silent" };
    Ok(Outcome::Done(format!("{server} | others, {how}")))
}

/// The whole host of a server: brokers and proxies don't reach it either.
pub async fn unplug(arena: &mut Arena, planned: &Planned) -> io::Result<Outcome> {
    let Some(server) = outsider(arena, planned).await else { return Ok(kill::no_primary()) };
    arena.begins();
    arena.net.unplug(server, true);
    arena.wait(planned.hold).await?;
    arena.net.unplug(server, false);
    Ok(Outcome::Done(server.to_string()))
}

/// Closes the connections too, so that the partition shows at once.
fn cut(arena: &Arena, server: Node, cut: bool) {
    for other in others(arena, server) {
        let links = [arena.net.link(server, other), arena.net.link(other, server)];
        for link in links.into_iter().flatten() {
            link.change(|rules| rules.cut = cut);
        }
    }
}

pub async fn one_way(arena: &mut Arena, planned: &Planned) -> io::Result<Outcome> {
    let Some(server) = outsider(arena, planned).await else { return Ok(kill::no_primary()) };
    let all = others(arena, server);
    // One of the others, or all.
    let others = match planned.choose(all.len() + 1) {
        0 => all,
        one => vec![all[one - 1]],
    };
    let mute = planned.pick % 4 < 2;
    arena.begins();
    for hold in [true, false] {
        for other in &others {
            let (from, to) = if mute { (server, *other) } else { (*other, server) };
            arena.net.hold(from, to, hold);
        }
        if hold {
            arena.wait(planned.hold).await?;
        }
    }
    let (server, others) = (server.to_string(), kill::names(&others));
    let (from, to) = if mute { (server, others) } else { (others, server) };
    Ok(Outcome::Done(format!("{from} → {to}")))
}

pub async fn flapping(arena: &mut Arena, planned: &Planned) -> io::Result<Outcome> {
    let Some(server) = outsider(arena, planned).await else { return Ok(kill::no_primary()) };
    let mut rng = StdRng::seed_from_u64(planned.pick);
    let until = tokio::time::Instant::now() + planned.hold;
    arena.begins();
    while tokio::time::Instant::now() < until {
        for hold in [true, false] {
            divide(arena, server, hold);
            arena.wait(Duration::from_millis(rng.random_range(20..=FLAP_MS))).await?;
        }
    }
    Ok(Outcome::Done(format!("{server} | others")))
}

pub async fn slow(arena: &mut Arena, planned: &Planned) -> io::Result<Outcome> {
    let mut rng = StdRng::seed_from_u64(planned.pick);
    arena.begins();
    for link in arena.net.between_replicas() {
        let delay_ms = rng.random_range(1..=DELAY_MS);
        link.change(|rules| rules.delay_ms = delay_ms);
    }
    arena.wait(planned.hold).await?;
    for link in arena.net.between_replicas() {
        link.change(|rules| rules.delay_ms = 0);
    }
    Ok(Outcome::Done(format!("up to {DELAY_MS} ms a chunk")))
}

/// Between client and broker, or between broker and the servers; with a fail-over in between in
/// half of the cases.
pub async fn reply_lost(arena: &mut Arena, planned: &Planned) -> io::Result<Outcome> {
    let before = arena.net.lost_replies();
    let at_client = planned.pick.is_multiple_of(2);
    arena.begins();
    if at_client {
        arena.net.broker_doors().for_each(|door| door.lose_replies(LOST_REPLIES));
    } else {
        let size = arena.cluster.ports().size;
        let links = size.servers().flat_map(|server| size.brokers().map(move |to| (server, to)));
        for link in links.filter_map(|(server, broker)| arena.net.link(server, broker)) {
            link.lose_replies(1);
        }
    }
    let fail_over = planned.pick % 4 < 2;
    if fail_over {
        // The reply is lost first, then whoever gave it dies before the request is repeated.
        arena.until(Duration::from_secs(2), |arena| arena.net.lost_replies() > before).await?;
        let primary = arena.primary().await;
        if let Some(primary) = primary {
            arena.cluster.kill(&[primary], Some(planned.hold)).await?;
            arena.wait(planned.hold).await?;
            arena.until_up(&[primary]).await?;
        }
    } else {
        arena.wait(planned.hold).await?;
    }
    let lost = arena.net.lost_replies() - before;
    arena.net.forgive_replies();
    let place = if at_client { "client" } else { "broker" };
    let then = if fail_over { ", then the primary killed" } else { "" };
    Ok(Outcome::Done(format!("{lost} before the {place}{then}")))
}
