//! Group commit: one batch in the engine, everything that comes meanwhile makes the next one.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use openraft::errors::ClientWriteError;
#[cfg(feature = "planted")]
use recado_chat::planted::{self, Bug};
use recado_chat::{Command, LogEntry, Origin, Outcome};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::bounds;
use crate::metrics::Metrics;
use crate::replica::{Committed, ProposeError};
use crate::shared::{Shared, Waiting, lock};
use crate::types::{Engine, LogId};

/// So many proposals may wait for the next batch.
const QUEUE_PROPOSALS: usize = 8192;
/// So many make one batch.
const BATCH_PROPOSALS: usize = 1024;

/// So many entries make a batch behind which waiting for more pays.
pub const LARGE_BATCH: usize = 8;
/// How long a batch waits at the most to become as large as the one before.
const GATHER: Duration = Duration::from_millis(1);

/// A command on its way into the log.
struct Proposal {
    command: Command,
    origin: Option<Origin>,
    reply: oneshot::Sender<Result<Committed, ProposeError>>,
    /// Whether it is refused while too few servers are active. Member changes are not: they may
    /// bring more.
    write: bool,
    /// Whether the reply waits behind the gate. Only the replica's own member changes don't:
    /// the gate may be waiting for just them.
    gated: bool,
}

/// Where commands go; clones share the queue.
#[derive(Clone)]
pub struct Proposals {
    queue: mpsc::Sender<Proposal>,
    metrics: Metrics,
    /// A witness that leads changes members and proposes nothing else.
    witness: bool,
}

impl Proposals {
    /// Starts the task that proposes.
    pub fn start(
        shared: Arc<Shared>,
        flushed: watch::Receiver<Option<LogId>>,
    ) -> (Proposals, JoinHandle<()>) {
        let (queue, waiting) = mpsc::channel(QUEUE_PROPOSALS);
        let witness = shared.config.witness;
        let metrics = shared.config.metrics.clone();
        let task = tokio::spawn(run(shared, flushed, waiting));
        (Proposals { queue, metrics, witness }, task)
    }

    /// Proposes a command and waits until it is on every active backup's disk.
    pub async fn propose(
        &self,
        command: Command,
        origin: Option<Origin>,
    ) -> Result<Committed, ProposeError> {
        if self.witness {
            return Err(ProposeError::NotPrimary { primary: None });
        }
        let asked = Instant::now();
        let committed = self.submit(command, origin, true).await;
        match &committed {
            // It is decided and stored everywhere too, but not what people call written.
            Ok(Committed { outcome: Outcome::Refused(_), .. }) => {}
            Ok(_) => {
                self.metrics.acked_writes.inc();
                self.metrics.ack_seconds.observe(asked.elapsed().as_secs_f64());
            }
            Err(ProposeError::Uncertain) => _ = self.metrics.unknown_writes.inc(),
            Err(
                ProposeError::NotPrimary { .. }
                | ProposeError::Busy
                | ProposeError::OutOfBounds(_)
                | ProposeError::TooFew { .. },
            ) => {}
        }
        committed
    }

    /// Proposes a change of the member table and waits until it is applied here.
    pub async fn change_members(
        &self,
        change: recado_chat::MemberCommand,
    ) -> Result<Committed, ProposeError> {
        self.submit(Command::Member(change), None, false).await
    }

    async fn submit(
        &self,
        command: Command,
        origin: Option<Origin>,
        gated: bool,
    ) -> Result<Committed, ProposeError> {
        let (reply, result) = oneshot::channel();
        let write = !matches!(command, Command::Member(_));
        self.queue
            .try_send(Proposal { command, origin, reply, write, gated })
            .map_err(|_| ProposeError::Busy)?;
        result.await.unwrap_or(Err(ProposeError::Uncertain))
    }
}

async fn run(
    shared: Arc<Shared>,
    mut flushed: watch::Receiver<Option<LogId>>,
    mut waiting: mpsc::Receiver<Proposal>,
) {
    let mut batch = Vec::new();
    let mut last_stamp_ms = 0;
    let mut before = 0;
    while waiting.recv_many(&mut batch, BATCH_PROPOSALS).await > 0 {
        gather(&mut batch, before, &mut waiting).await;
        before = batch.len();
        shared.config.metrics.queued_writes.set(waiting.len() as i64);
        // The gate knows when the supervisor saw this node win, and whether a majority still
        // answers: without one the batch would be stuck, and all that come behind it.
        let leads = lock(&shared.gate).lease_holds(Instant::now());
        let Some(engine) = shared.engine().filter(|_| leads) else {
            let primary = match shared.engine() {
                Some(engine) => engine.current_leader().await,
                None => None,
            };
            for proposal in batch.drain(..) {
                let _ = proposal.reply.send(Err(ProposeError::NotPrimary { primary }));
            }
            continue;
        };
        refuse_with_too_few(&shared, &mut batch);
        let term = lock(&shared.gate).term();
        let on_its_way = async {
            let last = commit(&shared, engine, &mut batch, &mut last_stamp_ms).await;
            // One batch at a time is on its way to this node's own disk too.
            if let Some(last) = last
                && flushed.wait_for(|upto| *upto >= Some(last)).await.is_ok()
            {
                lock(&shared.gate).flushed(last.leader_id.term, last.index);
                shared.release();
            }
        };
        // A disk that hangs is not waited for: whoever asked may ask the successor.
        tokio::select! {
            biased;
            () = on_its_way => {}
            () = given_up(&shared, term) => batch.clear(),
        }
    }
}

/// Resolves when this node gave this term up because of its own disk.
async fn given_up(shared: &Shared, term: Option<u64>) {
    let mut gave_up = shared.gave_up.subscribe();
    let this_one = |gave_up: &Option<(u64, Instant)>| {
        gave_up.is_some_and(|(given, _)| term.is_none_or(|term| given >= term))
    };
    if gave_up.wait_for(this_one).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Refuses the writes of a batch while fewer servers are active than writes need.
fn refuse_with_too_few(shared: &Shared, batch: &mut Vec<Proposal>) {
    let (too_few, needed) = {
        let gate = lock(&shared.gate);
        (gate.too_few(), gate.min_copies())
    };
    let Some(active) = too_few else { return };
    let refused: Vec<Proposal> = batch.extract_if(.., |proposal| proposal.write).collect();
    for proposal in refused {
        let _ = proposal.reply.send(Err(ProposeError::TooFew { active, needed }));
    }
}

/// Waits for company where there was much before. Clients that were answered together ask again
/// one after the other: the first of them would make a batch of its own, whose cost on every
/// server is that of a large one. Who is alone, or one of few, is never kept waiting. It ends when
/// as many are there as before: more would mean to wait for who may not come.
async fn gather(batch: &mut Vec<Proposal>, before: usize, waiting: &mut mpsc::Receiver<Proposal>) {
    if before < LARGE_BATCH || batch.len() >= before {
        return;
    }
    let latest = Instant::now() + GATHER;
    while batch.len() < before {
        let room = BATCH_PROPOSALS - batch.len();
        match timeout_at(latest, waiting.recv_many(batch, room)).await {
            Ok(more) if more > 0 => {}
            // Time is up, or nobody can propose any more.
            _ => return,
        }
    }
}

/// Puts a batch into the log and hands its replies to the gate. Gives the last entry that was
/// applied.
async fn commit(
    shared: &Shared,
    engine: &Engine,
    batch: &mut Vec<Proposal>,
    last_stamp_ms: &mut u64,
) -> Option<LogId> {
    let published = shared.published();
    let mut payloads = Vec::with_capacity(batch.len());
    let mut sent = Vec::with_capacity(batch.len());
    for Proposal { command, origin, reply, write, gated } in batch.drain(..) {
        let mut stamp = bounds::cut(shared.stamps.stamp());
        stamp.time_ms = stamp.time_ms.max(*last_stamp_ms);
        *last_stamp_ms = stamp.time_ms;
        #[cfg(feature = "planted")]
        let gated = gated && !planted_repeat(origin);
        match bounds::admit(&LogEntry { stamp, origin, published, command }) {
            Ok(payload) => {
                payloads.push(payload);
                sent.push((stamp, reply, gated.then_some(write)));
            }
            Err(why) => _ = reply.send(Err(ProposeError::OutOfBounds(why))),
        }
    }
    if payloads.is_empty() {
        return None;
    }
    shared.config.metrics.batch_entries.observe(payloads.len() as f64);
    let mut sent = sent.into_iter();
    let mut last = None;
    if let Ok(mut results) = engine.client_write_many(payloads).await {
        while let Some(result) = results.next().await {
            let Some((stamp, reply, gated)) = sent.next() else { break };
            match result {
                Ok(Ok(write)) => {
                    last = Some(write.log_id);
                    let Some(outcome) = write.response.outcome else {
                        let _ = reply.send(Err(ProposeError::Uncertain));
                        continue;
                    };
                    let position = write.log_id.index;
                    let waiting = Waiting { outcome, position, stamp, reply };
                    settle(shared, waiting, write.log_id.leader_id.term, gated);
                }
                Ok(Err(ClientWriteError::ForwardToLeader(to))) => {
                    // Rejected before it was appended: certainly not done.
                    let primary = to.leader_id;
                    let _ = reply.send(Err(ProposeError::NotPrimary { primary }));
                }
                Ok(Err(_)) | Err(_) => {
                    let _ = reply.send(Err(ProposeError::Uncertain));
                }
            }
        }
    }
    for (_, reply, _) in sent {
        let _ = reply.send(Err(ProposeError::Uncertain));
    }
    last
}

/// An applied entry's reply: through the gate, as a write's or another one's, or right away.
fn settle(shared: &Shared, waiting: Waiting, term: u64, gated: Option<bool>) {
    let Some(write) = gated else {
        let Waiting { outcome, position, stamp, reply } = waiting;
        let members = shared.server_count();
        let stored = lock(&shared.gate).stored(position);
        let _ = reply.send(Ok(Committed { outcome, position, stamp, stored, members }));
        return;
    };
    let mut gate = lock(&shared.gate);
    if gate.term() == Some(term) {
        let position = waiting.position;
        gate.hold(position, waiting, write, Instant::now());
    } else {
        drop(gate);
        Shared::abandon(vec![waiting]);
    }
}

/// Whether this is a repeat that goes around the gate.
#[cfg(feature = "planted")]
fn planted_repeat(origin: Option<Origin>) -> bool {
    planted::on(Bug::RepeatSkipsGate)
        && origin.is_some_and(|origin| planted::is_repeat(origin.session, origin.n))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANY: usize = 40;

    fn proposal() -> Proposal {
        let command = Command::Login { user: "ana".into() };
        let reply = oneshot::channel().0;
        Proposal { command, origin: None, reply, write: true, gated: true }
    }

    /// How long a batch of one waits behind one of `before`, while so many more come one by one, and
    /// how many it has then.
    async fn gathered(before: usize, more: usize) -> (Duration, usize) {
        let (queue, mut waiting) = mpsc::channel(QUEUE_PROPOSALS);
        let sender = tokio::spawn(async move {
            for _ in 0..more {
                tokio::task::yield_now().await;
                queue.send(proposal()).await.expect("the queue is open");
            }
            // Keeps the queue open.
            std::future::pending::<()>().await;
        });
        let begun = Instant::now();
        let mut batch = vec![proposal()];
        gather(&mut batch, before, &mut waiting).await;
        sender.abort();
        (begun.elapsed(), batch.len())
    }

    #[tokio::test(start_paused = true)]
    async fn behind_few_nobody_waits() {
        assert_eq!(gathered(LARGE_BATCH - 1, MANY).await, (Duration::ZERO, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_ends_when_as_many_are_there_as_before() {
        let (waited, count) = gathered(MANY / 2, MANY).await;
        assert!(waited < GATHER, "{waited:?}");
        assert!((MANY / 2..=MANY).contains(&count), "{count}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_ends_in_time_when_fewer_come() {
        let (waited, count) = gathered(MANY, MANY / 2).await;
        assert!(waited >= GATHER && waited < GATHER * 3, "{waited:?}");
        assert_eq!(count, MANY / 2 + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_a_queue_that_is_closed() {
        let (queue, mut waiting) = mpsc::channel(1);
        drop(queue);
        let begun = Instant::now();
        gather(&mut vec![proposal()], MANY, &mut waiting).await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}
