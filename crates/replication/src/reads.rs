//! Linearizable reads: the read index, asked for once for all reads that wait.

use std::sync::Arc;
use std::time::Duration;

use openraft::raft::ReadPolicy;
#[cfg(feature = "planted")]
use recado_chat::planted::{self, Bug};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::network::{call, kind};
use crate::peer::Lane;
use crate::shared::Shared;

/// So many reads may wait.
const QUEUE_READS: usize = 4096;
/// How long a round may take.
const ROUND_TIMEOUT: Duration = Duration::from_millis(1000);

/// Where reads ask; clones share the queue.
#[derive(Clone)]
pub struct Reads {
    queue: mpsc::Sender<oneshot::Sender<Option<u64>>>,
}

impl Reads {
    /// Starts the task that asks.
    pub fn start(shared: Arc<Shared>) -> (Reads, JoinHandle<()>) {
        let (queue, waiting) = mpsc::channel(QUEUE_READS);
        let task = tokio::spawn(run(shared, waiting));
        (Reads { queue }, task)
    }

    /// The position that must be applied before a read that begins now; none when no primary
    /// confirms it.
    pub async fn confirm(&self) -> Option<u64> {
        let (sender, index) = oneshot::channel();
        self.queue.try_send(sender).ok()?;
        index.await.ok().flatten()
    }
}

/// One round at a time: reads that come while it is on its way wait for the next, since the
/// answer may be older than they are.
async fn run(shared: Arc<Shared>, mut waiting: mpsc::Receiver<oneshot::Sender<Option<u64>>>) {
    let mut round = Vec::new();
    while waiting.recv_many(&mut round, QUEUE_READS).await > 0 {
        let index = tokio::time::timeout(ROUND_TIMEOUT, ask(&shared)).await.ok().flatten();
        for read in round.drain(..) {
            // A reader that is gone no longer cares.
            let _ = read.send(index);
        }
    }
}

async fn ask(shared: &Shared) -> Option<u64> {
    let engine = shared.engine()?;
    #[cfg(feature = "planted")]
    if planted::on(if engine.is_leader() { Bug::StalePrimary } else { Bug::StaleBackup }) {
        return Some(*shared.position.borrow());
    }
    if engine.is_leader() {
        let (read, _) = engine.get_read_log_id(ReadPolicy::ReadIndex).await.ok()?;
        return Some(read.log_id().index);
    }
    let primary = engine.current_leader().await.filter(|node| *node != shared.node)?;
    let index: Option<u64> =
        call(shared, primary, Lane::Control, kind::READ_INDEX, &(), ROUND_TIMEOUT).await.ok()?;
    index
}
