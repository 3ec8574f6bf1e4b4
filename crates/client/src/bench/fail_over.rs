//! The longest time without an acknowledgement while primaries die.

use std::time::Duration;

use recado_protocol::Status;
use recado_protocol::reply::{MemberStatus, Role};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::figures::{Samples, micros, ms};
use super::load::Work;
use super::{BenchConfig, BenchError, BenchReport, Crowd, Window};
use crate::session::{Client, ClientConfig};

/// How long a cluster may take until all its servers are active again. One that flaps, as on a
/// machine with too much to do, is kept waiting for up to a minute.
const WHOLE_TIMEOUT: Duration = Duration::from_secs(180);

/// How often it is asked.
const STATUS_INTERVAL: Duration = Duration::from_millis(100);

/// How long the load runs on a whole cluster before the next primary is killed.
const STEADY: Duration = Duration::from_secs(1);

/// What was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct FailOverReport {
    /// For each kill, in order, the longest time without any acknowledgement from just before it
    /// until all servers were active again, ms.
    pub gaps_ms: Vec<f64>,
    /// All acknowledgements.
    pub acks: u64,
    /// Requests that brought anything else.
    pub errors: u64,
    /// What the first of them was.
    pub first_error: Option<String>,
}

/// Kills the primary so many times by calling `kill`, each time on a cluster of which all servers
/// are active, while the clients of the configuration publish.
///
/// # Errors
/// As [`super::run_writes`]; also when `kill` fails (with its sentence), or when not all servers
/// are active again within three minutes.
pub async fn run_fail_over(
    config: &BenchConfig,
    kills: usize,
    mut kill: impl FnMut(&MemberStatus) -> Result<(), String>,
) -> Result<FailOverReport, BenchError> {
    let asking = Client::connect(ClientConfig::new(&config.brokers, "")).await?;
    let servers = wait_whole(&asking, None).await?.members.len();
    let crowd = Crowd::gather(config).await?;
    let begin = Instant::now();
    let longest_run = (WHOLE_TIMEOUT + STEADY) * u32::try_from(kills + 1).unwrap_or(u32::MAX);
    let window = Window { begin, end: begin + longest_run };
    let (stop, stopped) = watch::channel(());
    let mut running: JoinSet<Samples> = JoinSet::new();
    for mut client in crowd.clients {
        let mut stopped = stopped.clone();
        running.spawn(async move {
            let mut samples = Samples::default();
            tokio::select! {
                () = client.run(Work::Publish, window, &mut samples) => {}
                _ = stopped.changed() => {}
            }
            samples
        });
    }
    let mut killed_at = Vec::with_capacity(kills);
    for _ in 0..kills {
        tokio::time::sleep(STEADY).await;
        let status = wait_whole(&asking, Some(servers)).await?;
        let primary = status.members.iter().find(|member| member.role == Role::Primary);
        // Nobody else than who was waited for.
        let primary =
            primary.ok_or_else(|| BenchError::Setup("no server is the primary".into()))?;
        let at = begin.elapsed();
        kill(primary).map_err(BenchError::Setup)?;
        wait_gone(&asking, primary, servers).await?;
        killed_at.push((micros(at), micros(begin.elapsed())));
    }
    // Its send fails only when all clients ended, which is what it is for.
    _ = stop.send(());
    let mut samples = Samples::default();
    while let Some(done) = running.join_next().await {
        match done {
            Ok(more) => samples.add(more),
            Err(error) => samples.error(&format!("a client ended early: {error}")),
        }
    }
    asking.close().await;
    let times_us = samples.times_us();
    let gaps_ms = killed_at.iter().map(|kill| ms(gap_around(&times_us, *kill))).collect();
    let report = samples.report(begin.elapsed());
    let BenchReport { answers: acks, errors, first_error, .. } = report;
    Ok(FailOverReport { gaps_ms, acks, errors, first_error })
}

/// The longest step between two times that touches this stretch; its ends count as times only
/// where there is none beyond them.
fn gap_around(sorted: &[u64], (from, to): (u64, u64)) -> u64 {
    let first = sorted.partition_point(|at| *at <= from);
    let mut last = if first > 0 { sorted[first - 1] } else { from };
    let mut longest = 0;
    for at in &sorted[first..] {
        longest = longest.max(at - last);
        last = *at;
        if last >= to {
            return longest;
        }
    }
    longest.max(to.saturating_sub(last))
}

/// Waits until there are so many members and all of them are active.
async fn wait_whole(client: &Client, servers: Option<usize>) -> Result<Status, BenchError> {
    let deadline = Instant::now() + WHOLE_TIMEOUT;
    loop {
        let status = client.status().await?;
        if is_whole(&status) && servers.is_none_or(|servers| servers == status.members.len()) {
            return Ok(status);
        }
        if Instant::now() >= deadline {
            return Err(BenchError::Setup(format!(
                "not all servers are active after {} s; see who is missing with `recado status`, \
                 and let what starts them start them again",
                WHOLE_TIMEOUT.as_secs()
            )));
        }
        tokio::time::sleep(STATUS_INTERVAL).await;
    }
}

/// Waits until another process leads a whole cluster.
async fn wait_gone(
    client: &Client,
    killed: &MemberStatus,
    servers: usize,
) -> Result<(), BenchError> {
    loop {
        let status = wait_whole(client, Some(servers)).await?;
        let there = |member: &MemberStatus| member.pid == killed.pid && member.name == killed.name;
        if !status.members.iter().any(there) {
            return Ok(());
        }
        tokio::time::sleep(STATUS_INTERVAL).await;
    }
}

fn is_whole(status: &Status) -> bool {
    let primaries = status.members.iter().filter(|member| member.role == Role::Primary).count();
    let active = |member: &MemberStatus| matches!(member.role, Role::Primary | Role::Backup);
    primaries == 1 && status.members.iter().all(active)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gap_of_a_kill_is_the_longest_that_touches_it() {
        let times = [10, 20, 90, 100, 400, 410];
        assert_eq!(gap_around(&times, (25, 95)), 70);
        assert_eq!(gap_around(&times, (95, 120)), 300);
        assert_eq!(gap_around(&times, (405, 600)), 190);
        assert_eq!(gap_around(&[], (5, 50)), 45);
    }
}
