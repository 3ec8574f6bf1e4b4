//! Several faults at a time, of those that destroy nothing.

use std::io;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{Outcome, Planned};
use crate::arena::Arena;
use crate::net::Node;

/// Between two steps, ms.
const STEP_MS: std::ops::RangeInclusive<u64> = 50..=900;
/// How long a process stays dead, ms.
const DEAD_MS: std::ops::RangeInclusive<u64> = 50..=2500;

pub async fn chaos(arena: &mut Arena, planned: &Planned) -> io::Result<Outcome> {
    let mut rng = StdRng::seed_from_u64(planned.pick);
    let until = tokio::time::Instant::now() + planned.hold;
    let servers = arena.cluster.servers();
    let size = arena.cluster.ports().size;
    let others: Vec<_> =
        [Node::Reference].into_iter().chain(size.brokers()).chain(size.proxies()).collect();
    let mut steps = 0;
    arena.begins();
    while tokio::time::Instant::now() < until {
        let node = Node::Server(rng.random_range(0..servers));
        match rng.random_range(0..6) {
            0 => {
                let dead = Duration::from_millis(rng.random_range(DEAD_MS));
                arena.cluster.kill(&[node], Some(dead)).await?;
            }
            1 => arena.cluster.pause(node, true),
            2 => arena.cluster.pause(node, false),
            3 => {
                let role = others[rng.random_range(0..others.len())];
                let dead = Duration::from_millis(rng.random_range(DEAD_MS));
                arena.cluster.kill(&[role], Some(dead)).await?;
            }
            4 => {
                let other = Node::Server(rng.random_range(0..servers));
                arena.net.hold(node, other, rng.random_bool(0.6));
            }
            _ => arena.net.heal(),
        }
        steps += 1;
        arena.wait(Duration::from_millis(rng.random_range(STEP_MS))).await?;
    }
    arena.net.heal();
    for server in (0..servers).map(Node::Server) {
        arena.cluster.pause(server, false);
    }
    let nodes: Vec<_> = arena.cluster.nodes().collect();
    arena.until_up(&nodes).await?;
    Ok(Outcome::Done(format!("{steps} steps")))
}
