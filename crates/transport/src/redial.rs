//! Which end point is dialled next, after which pause, and what is said of those that can't be
//! reached.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::AnyOf;
use crate::options::{DIAL_NEXT_MS, DIAL_TIMEOUT_MS, RECONNECT_MAX_MS, RECONNECT_MIN_MS};

/// For how long nobody is complained of: at a start the others may come a moment later.
const FIRST_COMPLAINT: Duration = Duration::from_secs(1);
/// The longest time from one complaint to the next; it doubles up to there.
const LONGEST_SILENCE: Duration = Duration::from_secs(60);
/// How long is looked for the reason of a complaint.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// Goes round the end points, for ever.
pub(crate) struct Redial {
    to: AnyOf,
    at: usize,
    /// How many were tried since the last one that was reached.
    failed: usize,
    pause_ms: u64,
    complaint: Complaint,
}

impl Redial {
    /// Begins with the first one.
    pub(crate) fn new(to: AnyOf) -> Redial {
        let complaint = Complaint::new(Instant::now());
        Redial { to, at: 0, failed: 0, pause_ms: RECONNECT_MIN_MS, complaint }
    }

    /// The one whose turn it is.
    pub(crate) fn endpoint(&self) -> String {
        self.to.endpoints().get(self.at).cloned().unwrap_or_default()
    }

    /// How long one attempt may take. Where there is another end point, a host that says nothing
    /// is not waited for as long.
    pub(crate) fn patience(&self) -> Duration {
        Duration::from_millis(if self.to.has_others() { DIAL_NEXT_MS } else { DIAL_TIMEOUT_MS })
    }

    /// The connection stands.
    pub(crate) fn reached(&mut self) {
        self.failed = 0;
        self.pause_ms = RECONNECT_MIN_MS;
        if self.complaint.end()
            && let Some(name) = self.to.name()
        {
            tracing::info!("{name} is reached at {}", self.endpoint());
        }
    }

    /// The connection that stood is gone: the next one's turn, at once if there is another.
    pub(crate) async fn lost(&mut self) {
        self.gone();
        if !self.move_on() {
            tokio::time::sleep(Duration::from_millis(self.pause_ms)).await;
        }
    }

    /// The connection that stood is gone, and somebody else dials the same end point again.
    pub(crate) fn gone(&mut self) {
        self.complaint = Complaint::new(Instant::now());
    }

    /// Somebody else dials the end point and does not reach it.
    pub(crate) fn still_away(&mut self) {
        self.complain();
    }

    /// The attempt failed. Waits only when all were tried.
    pub(crate) async fn failed(&mut self) {
        self.failed += 1;
        self.complain();
        self.move_on();
        if self.failed.is_multiple_of(self.to.endpoints().len().max(1)) {
            tokio::time::sleep(Duration::from_millis(self.pause_ms)).await;
            self.pause_ms = (self.pause_ms * 2).min(RECONNECT_MAX_MS);
        }
    }

    /// Whether there is another one.
    fn move_on(&mut self) -> bool {
        self.at = (self.at + 1) % self.to.endpoints().len().max(1);
        self.to.has_others()
    }

    fn complain(&mut self) {
        let Some(name) = self.to.name() else { return };
        if !self.complaint.is_due(Instant::now()) {
            return;
        }
        let to = self.to.clone();
        // Beside the next attempts: the look for the reason takes its time.
        tokio::spawn(async move {
            let mut each = Vec::new();
            for endpoint in to.endpoints() {
                each.push(format!("{endpoint}: {}", why(endpoint).await));
            }
            tracing::warn!("{name} can't be reached ({}); trying again", each.join("; "));
        });
    }
}

/// When it is time to say that nobody is reached: not at once, and ever less often.
#[derive(Debug)]
struct Complaint {
    due: Instant,
    silence: Duration,
    told: bool,
}

impl Complaint {
    fn new(now: Instant) -> Complaint {
        Complaint { due: now + FIRST_COMPLAINT, silence: FIRST_COMPLAINT, told: false }
    }

    fn is_due(&mut self, now: Instant) -> bool {
        if now < self.due {
            return false;
        }
        self.silence = (self.silence * 2).min(LONGEST_SILENCE);
        self.due = now + self.silence;
        self.told = true;
        true
    }

    /// Whether something was said whose end is to be said too.
    fn end(&mut self) -> bool {
        std::mem::take(&mut self.told)
    }
}

/// Why an end point can't be reached, as far as a look at it tells.
async fn why(endpoint: &str) -> String {
    let address = endpoint.trim_start_matches("tcp://");
    match timeout(PROBE_TIMEOUT, TcpStream::connect(address)).await {
        Ok(Ok(_)) => "what listens there does not answer as ZeroMQ does".into(),
        Ok(Err(error)) => unreached(&error),
        Err(_) => unreached(&ErrorKind::TimedOut.into()),
    }
}

/// Why nothing was reached, for people.
pub fn unreached(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => "nothing listens there".to_owned(),
        ErrorKind::TimedOut => "no answer in time: the host is off, or can't be reached".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redial(hosts: &[&str]) -> Redial {
        let endpoints = hosts.iter().map(|host| format!("tcp://{host}:1"));
        Redial::new(AnyOf::from(endpoints.collect::<Vec<_>>()))
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_one_is_tried_at_once_and_a_whole_round_is_followed_by_a_pause() {
        let mut redial = redial(&["a", "b"]);
        redial.reached();
        let start = Instant::now();
        redial.lost().await;
        assert_eq!((redial.endpoint().as_str(), start.elapsed()), ("tcp://b:1", Duration::ZERO));
        redial.failed().await;
        assert_eq!((redial.endpoint().as_str(), start.elapsed()), ("tcp://a:1", Duration::ZERO));
        redial.failed().await;
        assert_eq!(redial.endpoint(), "tcp://b:1");
        assert_eq!(start.elapsed(), Duration::from_millis(RECONNECT_MIN_MS));
        redial.failed().await;
        redial.failed().await;
        assert_eq!(start.elapsed(), Duration::from_millis(3 * RECONNECT_MIN_MS));
        redial.reached();
        assert_eq!(redial.pause_ms, RECONNECT_MIN_MS);
    }

    #[tokio::test(start_paused = true)]
    async fn the_only_one_is_dialled_again_after_a_pause_that_stays_bounded() {
        let mut redial = redial(&["a"]);
        for _ in 0..20 {
            redial.failed().await;
        }
        assert_eq!(redial.endpoint(), "tcp://a:1");
        assert_eq!(redial.pause_ms, RECONNECT_MAX_MS);
    }

    #[test]
    fn complaints_begin_after_a_moment_and_become_rarer() {
        let start = Instant::now();
        let mut complaint = Complaint::new(start);
        let told: Vec<u64> = (0..200)
            .filter(|second| complaint.is_due(start + Duration::from_secs(*second)))
            .collect();
        assert_eq!(told, [1, 3, 7, 15, 31, 63, 123, 183]);
        assert!(complaint.end() && !complaint.end());
    }
}
