//! Strangers at every port.

use std::fs;
use std::io;

use super::{Outcome, Planned};
use crate::arena::Arena;
use crate::net::{Hostile, Node};

/// How much more memory a role may have after it than before, bytes.
const MAX_GROWTH_BYTES: u64 = 256 * 1024 * 1024;

pub async fn hostile(arena: &mut Arena, planned: &Planned) -> io::Result<Outcome> {
    let ports = arena.cluster.ports().all();
    let before = memory(arena);
    arena.begins();
    let hostile = Hostile::start(&ports, planned.pick);
    arena.wait(planned.hold).await?;
    let sent = hostile.stop().await;
    for ((node, before), (_, after)) in before.iter().zip(memory(arena)) {
        if after > before + MAX_GROWTH_BYTES {
            let grown = (after - before) / (1024 * 1024);
            arena.fails(&format!("{node} grew by {grown} MiB while strangers sent nonsense"));
        }
    }
    Ok(Outcome::Done(format!("{} connections to {} ports", sent, ports.len())))
}

/// What each process holds in memory, bytes.
fn memory(arena: &mut Arena) -> Vec<(Node, u64)> {
    let nodes: Vec<_> = arena.cluster.nodes().collect();
    nodes.into_iter().map(|node| (node, resident(arena.cluster.pid(node)))).collect()
}

fn resident(pid: Option<u32>) -> u64 {
    let Some(pid) = pid else { return 0 };
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
