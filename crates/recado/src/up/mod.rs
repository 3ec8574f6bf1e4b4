//! `up`: a whole cluster as child processes of this one.

mod child;
mod output;
mod plan;
mod turns;

use std::time::Duration;

use tokio::task::JoinSet;

use crate::failure::Failure;
use crate::options::Settings;
use crate::runfile::Running;
use crate::shutdown::{Ender, Shutdown};
pub use output::Output;
pub use plan::{Plan, doors};
use turns::Turns;

/// How long the last lines are waited for at the end.
const LAST_LINES_MS: u64 = 1000;

/// Starts the cluster and keeps it running until the shutdown.
///
/// # Errors
/// When a port is in use or the data folder can't be written: nothing was started then. And when
/// with `--no-restart` everything has died.
pub async fn run(settings: &Settings, output: Output, shutdown: Shutdown) -> Result<(), Failure> {
    let plan = Plan::new(settings);
    plan.check_ports()?;
    let _running = Running::announce(plan.data_dir(), "up", &[], None)?;
    output.plain(&plan.table());
    let outcome = supervise(&plan, &output, &shutdown, !settings.no_restart).await;
    if outcome.is_ok() {
        output.plain("everything is stopped\n");
    }
    output.finish(Duration::from_millis(LAST_LINES_MS));
    outcome
}

async fn supervise(
    plan: &Plan,
    output: &Output,
    shutdown: &Shutdown,
    restart: bool,
) -> Result<(), Failure> {
    let mut stages: Vec<(Ender, JoinSet<()>)> = Vec::new();
    let mut turns = Turns::new(plan);
    for stage in plan.stages() {
        let (ender, ended) = Shutdown::manual();
        let mut tasks = JoinSet::new();
        for role in stage {
            turns.before(&role.name, shutdown).await;
            let line = output.prefixed(&role.name, plan.name_width());
            tasks.spawn(child::supervise(role.clone(), line, ended.clone(), restart));
        }
        stages.push((ender, tasks));
    }
    let all_dead = async {
        for (_, tasks) in &mut stages {
            while tasks.join_next().await.is_some() {}
        }
    };
    let outcome = tokio::select! {
        () = shutdown.clone().wait() => Ok(()),
        () = all_dead => {
            Err(Failure::Failed("everything that was started has died; see the lines above".into()))
        }
    };
    // Whoever speaks ends before those it speaks to: bots, servers, then what is between them.
    for (ender, mut tasks) in stages.into_iter().rev() {
        ender.end();
        while tasks.join_next().await.is_some() {}
    }
    outcome
}
