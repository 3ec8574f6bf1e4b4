//! What systemd is told, where it started the role as a service of `Type=notify`.
//!
//! `READY=1` means that the role takes part: its ports are bound and its data is open. It does not
//! wait for a primary, a majority or a publisher: on a cold start of three hosts each would wait
//! for the others, and a start that waits for another host may time out. Whether it is of use yet
//! is what `/readyz` says, and `systemctl status` shows the same sentences.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{Instant, sleep, timeout_at};

use crate::Vitals;
use crate::vitals::Phase;

/// How often what is missing is looked at, ms.
const LOOK_EVERY_MS: u64 = 1000;

/// While a role opens its data the start may take so much longer, again and again, ms.
const MORE_TIME_MS: u32 = 30_000;

/// This process as a service.
#[derive(Debug)]
pub(crate) struct Service {
    /// Between two signs of life; none when nobody waits for them.
    every: Option<Duration>,
}

impl Service {
    /// None when systemd did not ask to be told.
    pub(crate) fn of_environment() -> Option<Service> {
        std::env::var_os("NOTIFY_SOCKET")?;
        // Half of what it allows, so that one sign that comes late is no death.
        Some(Service { every: sd_notify::watchdog_enabled().map(|limit| limit / 2) })
    }

    /// Tells all there is to tell, for ever.
    pub(crate) async fn tell(self, vitals: Vitals) {
        tokio::join!(self.tell_phases(&vitals), self.tell_lives(&vitals));
    }

    /// Where the role is on its way, and what is missing.
    async fn tell_phases(&self, vitals: &Vitals) {
        let mut phase = vitals.phase();
        let mut told_phase = Phase::Starting;
        let mut told_status = String::new();
        loop {
            let now = *phase.borrow_and_update();
            let mut news = Vec::new();
            match now {
                Phase::Starting => {
                    news.push(NotifyState::ExtendTimeoutUsec(MORE_TIME_MS.saturating_mul(1000)));
                }
                Phase::Serving if told_phase != now => news.push(NotifyState::Ready),
                Phase::Stopping if told_phase != now => news.push(NotifyState::Stopping),
                Phase::Serving | Phase::Stopping => {}
            }
            told_phase = now;
            let status = status(&vitals.missing());
            if status != told_status {
                told_status.clone_from(&status);
                news.push(NotifyState::Status(&status));
            }
            send(&news);
            let next = Instant::now() + Duration::from_millis(LOOK_EVERY_MS);
            // Time is up, or the phase changed: both are looked at above.
            _ = timeout_at(next, phase.changed()).await;
        }
    }

    /// Signs of life, as long as the role's loop turns.
    async fn tell_lives(&self, vitals: &Vitals) {
        let Some(every) = self.every else { return };
        loop {
            if vitals.hangs().is_none() {
                send(&[NotifyState::Watchdog]);
            }
            sleep(every).await;
        }
    }
}

/// One line.
fn status(missing: &[String]) -> String {
    if missing.is_empty() { "ready".to_owned() } else { missing.join("; ") }
}

fn send(news: &[NotifyState<'_>]) {
    if news.is_empty() {
        return;
    }
    if let Err(why) = sd_notify::notify(news) {
        tracing::debug!(%why, "systemd can't be told");
    }
}
