//! Servers get their ranks in the order in which they ask for them. Started all at once they race,
//! and `server-3` may get rank 1. So each waits for its turn: until the reference lists the one
//! before it. That costs a fresh cluster nothing, since it waits longer for its forming anyway.

use std::time::{Duration, Instant};

use recado_transport::Caller;

use crate::shutdown::Shutdown;
use crate::status;
use crate::up::plan::Plan;

/// How long the turns of all servers may take together. The order is for people only; nothing
/// depends on it, so nothing may wait long for it.
const ALL_TURNS_MS: u64 = 600;

/// How often the reference is asked.
const ASK_EVERY_MS: u64 = 5;

/// Who comes next.
pub struct Turns {
    servers: Vec<String>,
    reference: String,
    patience: Duration,
    caller: Option<Caller>,
}

impl Turns {
    /// The servers of a plan, one after the other.
    pub fn new(plan: &Plan) -> Turns {
        let [_, servers, _] = plan.stages();
        Turns {
            servers: servers.iter().map(|role| role.name.clone()).collect(),
            reference: plan.reference(),
            patience: Duration::from_millis(ALL_TURNS_MS),
            caller: None,
        }
    }

    /// Waits before a role is started. Only servers wait, and only for the server before them.
    pub async fn before(&mut self, name: &str, shutdown: &Shutdown) {
        let Some(at) = self.servers.iter().position(|server| server == name) else { return };
        let Some(previous) = at.checked_sub(1).and_then(|before| self.servers.get(before)) else {
            return;
        };
        let previous = previous.clone();
        let started = Instant::now();
        let patience = self.patience;
        tokio::select! {
            () = self.until_listed(&previous) => {}
            () = tokio::time::sleep(patience) => {}
            () = shutdown.clone().wait() => {}
        }
        self.patience = patience.saturating_sub(started.elapsed());
    }

    async fn until_listed(&mut self, server: &str) {
        if self.caller.is_none() {
            self.caller = Caller::connect(&self.reference).await.ok();
        }
        let Some(caller) = &self.caller else { return };
        while !status::is_listed(caller, server).await {
            tokio::time::sleep(Duration::from_millis(ASK_EVERY_MS)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Command;
    use crate::roles;

    #[test]
    fn nobody_waits_long_for_a_reference_that_is_not_there() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let base = free.local_addr().unwrap().port() - crate::port_table::REFERENCE;
        drop(free);
        let flags = vec![("port-base".to_owned(), u64::from(base).into())];
        let mut turns = Turns::new(&Plan::new(
            &crate::config::load(Command::Up, flags, None).unwrap().settings,
        ));
        let (ender, shutdown) = Shutdown::manual();
        let started = Instant::now();
        let all = async {
            for name in ["broker", "server-1", "server-2", "server-3"] {
                turns.before(name, &shutdown).await;
            }
            Ok(())
        };
        roles::block_on(all).unwrap();
        let waited = started.elapsed();
        assert!(waited >= Duration::from_millis(ALL_TURNS_MS), "{waited:?}");
        assert!(waited < Duration::from_millis(ALL_TURNS_MS * 5), "{waited:?}");
        drop(ender);
    }
}
