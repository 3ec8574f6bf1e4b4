//! Open loop: messages are due at fixed times, whether or not the ones before were answered.
//!
//! Each latency counts from the time at which its message was due. A cluster that stands still for
//! a second so shows a second's worth of long latencies, where a closed loop would show one: it
//! would just not have sent the others. (Leaving those out is known as coordinated omission.)

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::figures::Samples;
use super::load::{ANSWER_TIMEOUT, LoadClient, Work};
use super::{BenchConfig, BenchReport, Crowd, Window};
use crate::error::ClientError;

/// How many messages that are due wait for a free client. When they are more, the pace maker
/// waits, which changes when they leave, but not when they were due.
const MAX_DUE_MESSAGES: usize = 64 * 1024;

/// A message that leaves later than this after it was due counts as behind.
const BEHIND: Duration = Duration::from_millis(1);

/// What was measured in one round.
#[derive(Clone, Debug, PartialEq)]
pub struct LatencyReport {
    /// The latencies, from when each message was due until its acknowledgement was decoded, and
    /// the errors, of all messages that were due within the window.
    pub answers: BenchReport,
    /// How many messages were due within the window.
    pub due: u64,
    /// How many of them left more than 1 ms after they were due, because no client was free or
    /// the load generator itself came late.
    pub behind: u64,
    /// How many of them got no answer within 10 s after the window, or were never sent.
    pub unanswered: u64,
}

/// What one client saw.
#[derive(Default)]
struct Seen {
    samples: Samples,
    behind: u64,
    unanswered: u64,
}

/// Sends `rate_per_s` messages per second, shared by all clients, and measures how long each
/// takes; one report a round.
///
/// # Errors
/// As [`super::run_writes`].
pub async fn run_latency(
    config: &BenchConfig,
    rate_per_s: u32,
) -> Result<Vec<LatencyReport>, ClientError> {
    let mut crowd = Crowd::gather(config).await?;
    let mut reports = Vec::with_capacity(config.rounds);
    for _ in 0..config.rounds.max(1) {
        let interval = Duration::from_secs(1) / rate_per_s.max(1);
        let start = Instant::now();
        reports.push(crowd.open_round(start, config.window_from(start), interval).await);
    }
    crowd.leave().await;
    Ok(reports)
}

impl Crowd {
    async fn open_round(
        &mut self,
        start: Instant,
        window: Window,
        interval: Duration,
    ) -> LatencyReport {
        let (sender, due) = mpsc::channel(MAX_DUE_MESSAGES);
        let pace = tokio::task::spawn_blocking(move || keep_pace(start, window, interval, &sender));
        let due = Arc::new(Mutex::new(due));
        let mut running: JoinSet<(LoadClient, Seen)> = JoinSet::new();
        for mut client in self.clients.drain(..) {
            let due = Arc::clone(&due);
            running.spawn(async move {
                let seen = send_what_is_due(&mut client, &due, window).await;
                (client, seen)
            });
        }
        let mut all = Seen::default();
        while let Some(done) = running.join_next().await {
            match done {
                Ok((client, seen)) => {
                    self.clients.push(client);
                    all.samples.add(seen.samples);
                    all.behind += seen.behind;
                    all.unanswered += seen.unanswered;
                }
                Err(error) => all.samples.error(&format!("a client ended early: {error}")),
            }
        }
        let due = pace.await.unwrap_or(0);
        LatencyReport {
            answers: all.samples.report(window.length()),
            due,
            behind: all.behind,
            unanswered: all.unanswered,
        }
    }
}

/// Passes on the time of each message when it has come, and returns how many were due within the
/// window. On a thread of its own, since the runtime's timer ticks in whole milliseconds.
fn keep_pace(
    start: Instant,
    window: Window,
    interval: Duration,
    sender: &mpsc::Sender<Instant>,
) -> u64 {
    let mut counted = 0;
    let mut due = start;
    while due < window.end {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if sender.blocking_send(due).is_err() {
            break;
        }
        counted += u64::from(window.has(due));
        due += interval;
    }
    counted
}

async fn send_what_is_due(
    client: &mut LoadClient,
    due: &Mutex<mpsc::Receiver<Instant>>,
    window: Window,
) -> Seen {
    let deadline = window.end + ANSWER_TIMEOUT;
    let mut seen = Seen::default();
    loop {
        let Some(due) = due.lock().await.recv().await else { return seen };
        let counts = window.has(due);
        if due.elapsed() > BEHIND {
            seen.behind += u64::from(counts);
        }
        match tokio::time::timeout_at(deadline, client.once(Work::Publish)).await {
            Ok(Ok(())) if counts => {
                seen.samples.answer(due - window.begin, due.elapsed());
            }
            Ok(Err(why)) if counts => seen.samples.error(&why),
            Ok(_) => {}
            Err(_) => seen.unanswered += u64::from(counts),
        }
    }
}
