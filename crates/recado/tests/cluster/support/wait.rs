//! Waiting for a condition, never for a time.

use std::time::{Duration, Instant};

const LOOK_MS: u64 = 20;

/// Looks until the condition gives something; panics after this many seconds.
#[track_caller]
pub fn eventually<T>(what: &str, within_s: u64, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(within_s);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {within_s} s: {what}");
        std::thread::sleep(Duration::from_millis(LOOK_MS));
    }
}

/// The same for conditions that are asked over the network.
pub async fn eventually_async<T, F>(what: &str, within_s: u64, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + Duration::from_secs(within_s);
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {within_s} s: {what}");
        tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
    }
}
