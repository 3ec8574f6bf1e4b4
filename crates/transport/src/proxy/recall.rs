//! The events of a proxy's first seconds, for subscribers that come back later than they passed.
//!
//! When a proxy was killed and is started again, publishers are back within a fraction of a second
//! and send what it missed; plain subscribers come back when their own interval is over. So a
//! proxy that hears from a publisher that it is back holds events for a moment, keeps what passes
//! in its first seconds, and sends those of a topic again that passed before somebody subscribed
//! to it. Who needs nothing again gets nothing again, as a rule; subscribers tell repeats by `seq`.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

/// After the start nothing passes for so long: who comes back at once misses nothing.
pub const HOLD_MS: u64 = 300;
/// Events pass again at these times after the start, to those who came too late for them.
const PASSES_MS: [u64; 2] = [1000, 5250];
/// So many bytes are kept; the oldest go first.
const MAX_KEPT_BYTES: usize = 32 * 1024 * 1024;
/// What keeping one event takes beside its bytes.
const KEPT_OVERHEAD_BYTES: usize = 128;
/// So many different late topics are told apart; behind that everything passes again.
const MAX_LATE_TOPICS: usize = 64 * 1024;
/// Late topics are told apart by so many bytes: each event is compared with each length that was
/// asked for, and a stranger may ask for all of them.
const MAX_LATE_BYTES: usize = 64;

/// A topic and a body.
pub type Frames = (Bytes, Bytes);

/// What passed in a proxy's first seconds. Times are ms since its start.
#[derive(Debug, Default)]
pub struct Recall {
    /// Whether a publisher said that the proxy is back, in time.
    active: bool,
    passes_done: usize,
    kept: VecDeque<Frames>,
    kept_bytes: usize,
    /// How many events passed before those that are kept.
    forgotten: u64,
    /// Topics that were asked for late, each with how many events had passed by then.
    late: HashMap<Bytes, u64>,
    /// The shortest and the longest of them.
    lengths: Option<(usize, usize)>,
}

impl Recall {
    /// A publisher was connected before this start. Gives how long to hold events from now on.
    pub fn begin(&mut self, now_ms: u64) -> u64 {
        if now_ms >= PASSES_MS[PASSES_MS.len() - 1] {
            return 0;
        }
        self.active = true;
        HOLD_MS.saturating_sub(now_ms)
    }

    /// An event passes.
    pub fn passed(&mut self, topic: &[u8], body: &[u8]) {
        if !self.active {
            return;
        }
        // Copied: a part of a message that is kept keeps all that was received with it.
        self.kept.push_back((Bytes::copy_from_slice(topic), Bytes::copy_from_slice(body)));
        self.kept_bytes += weight(topic, body);
        while self.kept_bytes > MAX_KEPT_BYTES {
            let Some((topic, body)) = self.kept.pop_front() else { break };
            self.kept_bytes -= weight(&topic, &body);
            self.forgotten += 1;
        }
    }

    /// Somebody subscribed to what begins so.
    pub fn subscribed(&mut self, prefix: &Bytes) {
        let passed = self.forgotten + self.kept.len() as u64;
        if !self.active || self.kept.is_empty() {
            return;
        }
        let length = prefix.len().min(MAX_LATE_BYTES);
        let known = self.late.contains_key(&prefix[..length]) || self.late.len() < MAX_LATE_TOPICS;
        let prefix = if known { Bytes::copy_from_slice(&prefix[..length]) } else { Bytes::new() };
        let length = prefix.len();
        let (shortest, longest) = self.lengths.unwrap_or((length, length));
        self.lengths = Some((shortest.min(length), longest.max(length)));
        self.late.insert(prefix, passed);
    }

    /// When the next pass is due; none when there is none any more.
    pub fn due_ms(&self) -> Option<u64> {
        PASSES_MS.get(self.passes_done).copied().filter(|_| self.active)
    }

    /// What passes again now, in order. After the last pass nothing is kept any more.
    pub fn again(&mut self, now_ms: u64) -> Vec<Frames> {
        if self.due_ms().is_none_or(|due_ms| due_ms > now_ms) {
            return Vec::new();
        }
        while PASSES_MS.get(self.passes_done).is_some_and(|due_ms| *due_ms <= now_ms) {
            self.passes_done += 1;
        }
        let numbered = self.kept.iter().zip(self.forgotten..);
        let missed = numbered.filter(|((topic, _), number)| self.missed(topic, *number));
        let missed = missed.map(|(event, _)| event.clone()).collect();
        self.late.clear();
        self.lengths = None;
        if self.due_ms().is_none() {
            *self = Recall { passes_done: self.passes_done, ..Recall::default() };
        }
        missed
    }

    /// Whether somebody who subscribed later than it passed would have got it.
    fn missed(&self, topic: &[u8], number: u64) -> bool {
        let Some((shortest, longest)) = self.lengths else { return false };
        (shortest..=longest.min(topic.len()))
            .any(|length| self.late.get(&topic[..length]).is_some_and(|passed| number < *passed))
    }
}

/// What an event counts for in what is kept.
fn weight(topic: &[u8], body: &[u8]) -> usize {
    topic.len() + body.len() + KEPT_OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn began() -> Recall {
        let mut recall = Recall::default();
        recall.begin(100);
        recall
    }

    fn bodies(events: Vec<Frames>) -> Vec<Bytes> {
        events.into_iter().map(|(_, body)| body).collect()
    }

    #[test]
    fn a_first_start_keeps_and_repeats_nothing() {
        let mut recall = Recall::default();
        recall.passed(b"t", b"1");
        recall.subscribed(&"t".into());
        assert_eq!((recall.due_ms(), recall.again(10_000)), (None, Vec::new()));
        assert!(recall.kept.is_empty());
    }

    #[test]
    fn who_is_back_at_once_is_waited_for_and_nothing_is_repeated() {
        let mut recall = Recall::default();
        assert_eq!(recall.begin(100), HOLD_MS - 100);
        assert_eq!(recall.begin(400), 0);
        recall.subscribed(&"t".into());
        recall.passed(b"t", b"1");
        assert_eq!(recall.again(1000), []);
        assert_eq!(recall.again(5250), []);
        assert_eq!((recall.due_ms(), recall.kept.len()), (None, 0));
    }

    #[test]
    fn what_passed_before_a_subscription_passes_again_and_only_that() {
        let mut recall = began();
        recall.passed(b"topic", b"1");
        recall.passed(b"other", b"2");
        recall.subscribed(&"top".into());
        recall.passed(b"topic", b"3");
        assert_eq!(recall.again(999), []);
        assert_eq!(bodies(recall.again(1000)), ["1"]);
        recall.subscribed(&"topic".into());
        recall.subscribed(&"topics".into());
        recall.passed(b"topic", b"4");
        assert_eq!(bodies(recall.again(6000)), ["1", "3"]);
        recall.subscribed(&Bytes::new());
        assert_eq!(recall.again(9000), []);
    }

    #[test]
    fn who_asks_for_everything_gets_everything() {
        let mut recall = began();
        recall.passed(b"a", b"1");
        recall.passed(b"b", b"2");
        recall.subscribed(&Bytes::new());
        assert_eq!(bodies(recall.again(1000)), ["1", "2"]);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut recall = began();
        let body = vec![0; 1024 * 1024];
        for _ in 0..100 {
            recall.passed(b"t", &body);
        }
        assert!(recall.kept_bytes <= MAX_KEPT_BYTES);
        assert_eq!(recall.forgotten + recall.kept.len() as u64, 100);
        recall.subscribed(&"t".into());
        assert_eq!(recall.again(1000).len(), recall.kept.len());
        for number in 0..2 * MAX_LATE_TOPICS {
            recall.subscribed(&Bytes::from(number.to_string()));
        }
        assert!(recall.late.len() <= MAX_LATE_TOPICS + 1);
    }

    #[test]
    fn many_small_events_and_long_topics_are_bounded_too() {
        let mut recall = began();
        for _ in 0..MAX_KEPT_BYTES / KEPT_OVERHEAD_BYTES + 1000 {
            recall.passed(b"", b"");
        }
        assert!(recall.kept.len() <= MAX_KEPT_BYTES / KEPT_OVERHEAD_BYTES);
        let long = vec![b'x'; 1000];
        recall.passed(&long, b"1");
        for length in 0..1000 {
            recall.subscribed(&Bytes::copy_from_slice(&long[..length]));
        }
        assert!(recall.late.len() <= MAX_LATE_BYTES + 1);
        recall.late.retain(|topic, _| !topic.is_empty());
        assert_eq!(bodies(recall.again(1000)), ["1"]);
    }

    #[test]
    fn long_after_the_start_nothing_begins() {
        let mut recall = Recall::default();
        assert_eq!(recall.begin(60_000), 0);
        recall.passed(b"t", b"1");
        assert!(recall.kept.is_empty());
    }
}
