//! Closed loop: each client has one request in flight, so that the cluster sets the pace.

use recado_protocol::limits::DEFAULT_PAGE_ROWS;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::figures::Samples;
use super::load::{LoadClient, Work};
use super::{BenchConfig, BenchError, BenchReport, Crowd};
use crate::error::ClientError;

/// How often a channel's page may be filled up in vain before the run is given up.
const MAX_FAILED_FILLS: usize = 100;

/// What reading brought, round by round.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadReport {
    /// Pages of a channel's newest messages.
    pub history: Vec<BenchReport>,
    /// Lists of all channels.
    pub channels: Vec<BenchReport>,
}

/// Measures acknowledged messages, one report a round.
///
/// # Errors
/// When the load can't be set up: no connection, or the cluster refuses a channel or a session.
pub async fn run_writes(config: &BenchConfig) -> Result<Vec<BenchReport>, ClientError> {
    let mut crowd = Crowd::gather(config).await?;
    let mut reports = Vec::with_capacity(config.rounds);
    for _ in 0..config.rounds.max(1) {
        reports.push(crowd.round(config, Work::Publish).await);
    }
    crowd.leave().await;
    Ok(reports)
}

/// Measures pages of history and lists of channels, one after the other in each round.
///
/// # Errors
/// As [`run_writes`]; also when the channels can't be filled with a page each.
pub async fn run_reads(config: &BenchConfig) -> Result<ReadReport, BenchError> {
    let mut crowd = Crowd::gather(config).await?;
    crowd.fill_channels().await?;
    let mut report = ReadReport { history: Vec::new(), channels: Vec::new() };
    for _ in 0..config.rounds.max(1) {
        report.history.push(crowd.round(config, Work::History).await);
        report.channels.push(crowd.round(config, Work::Channels).await);
    }
    crowd.leave().await;
    Ok(report)
}

impl Crowd {
    async fn round(&mut self, config: &BenchConfig, work: Work) -> BenchReport {
        let window = config.window_from(Instant::now());
        let mut running: JoinSet<(LoadClient, Samples)> = JoinSet::new();
        for mut client in self.clients.drain(..) {
            running.spawn(async move {
                let mut samples = Samples::default();
                client.run(work, window, &mut samples).await;
                (client, samples)
            });
        }
        let mut samples = Samples::default();
        while let Some(done) = running.join_next().await {
            match done {
                Ok((client, more)) => {
                    self.clients.push(client);
                    samples.add(more);
                }
                Err(error) => samples.error(&format!("a client ended early: {error}")),
            }
        }
        samples.report(window.length())
    }

    /// Publishes until each channel has a full page.
    async fn fill_channels(&mut self) -> Result<(), BenchError> {
        let mut full = Vec::new();
        for client in &mut self.clients {
            if full.iter().any(|channel| channel == client.channel()) {
                continue;
            }
            let mut failed = 0;
            // Numbers in a channel have no gaps: this one tells how much is there.
            loop {
                match client.publish().await {
                    Ok(ack) if ack.seq >= DEFAULT_PAGE_ROWS as u64 => break,
                    Ok(_) => {}
                    Err(why) if failed == MAX_FAILED_FILLS => {
                        return Err(BenchError::Setup(format!(
                            "the channels to be read can't be filled: {why}; look at the servers' \
                             logs"
                        )));
                    }
                    Err(_) => failed += 1,
                }
            }
            full.push(client.channel().to_owned());
        }
        Ok(())
    }
}
