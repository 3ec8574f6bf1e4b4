//! How fast a server that comes back is sent what it lacks of the log: as fast as leaves most of
//! the time to those who write, unless it would never be level at that.

use std::time::Duration;

use tokio::time::Instant;

/// Parts of rest for one of work.
const REST: u32 = 2;
/// The longest rest between two messages.
const MAX_REST: Duration = Duration::from_millis(250);
/// Who lacks less than this is about level: it is to be active soon, and never waits.
const ABOUT_LEVEL_ENTRIES: u64 = 4096;
/// It is looked so often whether it comes nearer.
const WINDOW: Duration = Duration::from_secs(1);
/// It must come nearer by this part of what it lacks in each window, to be level within some
/// twenty of them.
const NEARER_PART: u64 = 16;

/// How one server catches up.
#[derive(Debug, Default)]
pub struct CatchUp {
    /// When this window began, and what the server lacked then.
    window: Option<(Instant, u64)>,
    hurries: bool,
}

impl CatchUp {
    /// A message took so long and was answered, and the server lacks so many entries now. Says how
    /// long to wait before the next one.
    pub fn rest(&mut self, took: Duration, lacks: u64, now: Instant) -> Duration {
        if lacks < ABOUT_LEVEL_ENTRIES {
            *self = CatchUp::default();
            return Duration::ZERO;
        }
        let (begun, lacked) = *self.window.get_or_insert((now, lacks));
        if now.duration_since(begun) >= WINDOW {
            self.hurries = lacks > lacked - lacked / NEARER_PART;
            self.window = Some((now, lacks));
        }
        if self.hurries { Duration::ZERO } else { took.saturating_mul(REST).min(MAX_REST) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOOK: Duration = Duration::from_millis(10);

    #[test]
    fn who_comes_nearer_leaves_time_to_the_others() {
        let (mut catch_up, now) = (CatchUp::default(), Instant::now());
        assert_eq!(catch_up.rest(TOOK, 100_000, now), TOOK * REST);
        assert_eq!(catch_up.rest(TOOK, 90_000, now + WINDOW), TOOK * REST);
        assert_eq!(catch_up.rest(TOOK, ABOUT_LEVEL_ENTRIES - 1, now + WINDOW), Duration::ZERO);
    }

    #[test]
    fn who_would_never_be_level_hurries_until_it_comes_nearer() {
        let (mut catch_up, now) = (CatchUp::default(), Instant::now());
        catch_up.rest(TOOK, 100_000, now);
        assert_eq!(catch_up.rest(TOOK, 99_000, now + WINDOW), Duration::ZERO);
        assert_eq!(catch_up.rest(TOOK, 98_000, now + WINDOW + TOOK), Duration::ZERO);
        assert_eq!(catch_up.rest(TOOK, 80_000, now + 2 * WINDOW), TOOK * REST);
    }
}
