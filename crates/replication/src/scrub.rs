//! Reads all rows in the background, now and then, since what nobody reads nobody verifies.
//!
//! What it finds damaged ends the replica (the store tells it), like damage that a reader meets.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use recado_metrics::count;
use recado_storage::{Scrub, ScrubStep, Store, StoreError};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use crate::shared::Shared;

/// So many rows are read at a time, in about a millisecond: a view of the rows that is held for
/// longer keeps old pages from being used again.
const STEP_ROWS: usize = 2_000;
/// So many rows are read in a second at the most: ten million messages in some ten minutes, for a
/// few hundredths of a processor.
const ROWS_PER_SECOND: u64 = 50_000;

/// Scrubs as long as nothing is damaged.
pub async fn run(shared: Arc<Shared>, store: Store) {
    let timing = shared.config.timing;
    sleep(Duration::from_millis(timing.scrub_after_ms)).await;
    loop {
        match pass(&shared, store.clone()).await {
            Ok(ScrubStep::Whole) => {
                let metrics = &shared.config.metrics;
                metrics.scrub_passes.inc();
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                metrics.scrub_end_seconds.set(now.as_secs_f64());
                let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
                shared.scrub_ended_ms.store(now_ms, Ordering::Relaxed);
                tracing::debug!("all rows were read, and are as they were written");
            }
            // The rows of a snapshot are new ones.
            Ok(_) => continue,
            // It was told.
            Err(StoreError::Damaged(_)) => return,
            Err(StoreError::Failed(why)) => {
                tracing::warn!("the rows can't be checked in the background: {why}");
            }
        }
        sleep(Duration::from_millis(timing.scrub_every_ms)).await;
    }
}

/// Reads all rows once.
async fn pass(shared: &Shared, store: Store) -> Result<ScrubStep, StoreError> {
    let metrics = &shared.config.metrics;
    let mut scrub = on_thread(move || Scrub::begin(&store)).await?;
    let ended = loop {
        let begun = Instant::now();
        let (back, step) = on_thread(move || {
            let step = scrub.step(STEP_ROWS)?;
            Ok((scrub, step))
        })
        .await?;
        scrub = back;
        let ScrubStep::More { rows } = step else { break step };
        let (done, total) = scrub.progress();
        metrics.scrubbed_rows.inc_by(rows);
        let left = total.saturating_sub(done);
        metrics.scrub_left_rows.set(count(left));
        shared.scrub_left_rows.store(left, Ordering::Relaxed);
        let pace = Duration::from_millis(rows * 1000 / ROWS_PER_SECOND);
        // Where the disk is slow, at least half of the time is for others.
        sleep(pace.saturating_sub(begun.elapsed()).max(begun.elapsed())).await;
    };
    metrics.scrub_left_rows.set(0);
    shared.scrub_left_rows.store(0, Ordering::Relaxed);
    Ok(ended)
}

/// Reading may wait for a disk.
async fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(StoreError::Failed(error.to_string())))
}
