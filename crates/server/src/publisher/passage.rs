//! How far the events of one reign are through one proxy.
//!
//! Sending is not passing: what was sent may be in a buffer that dies with its connection or its
//! proxy. So a marker is sent behind it, and what was sent before the marker counts as passed when
//! the marker comes back through the proxy while the same connection stands. The first thing on a
//! connection is a marker alone: until it is back nobody knows whether the way is open, and a PUB
//! drops what it is given before the proxy has asked for it.

use std::collections::VecDeque;

use super::minute::Minute;

/// Markers are at least so far apart.
pub const MARKER_INTERVAL_MS: u64 = 50;
/// A marker that is not back after so long may be lost: another one follows.
pub const MARKER_RETRY_MS: u64 = 300;
/// With something on its way and no marker back for so long, the proxy is not live.
pub const LATE_MS: u64 = 1000;
/// So many bytes may be on their way before a marker has to come back.
pub const MAX_UNSETTLED_BYTES: u64 = 8 * 1024 * 1024;
/// So many markers are remembered that are not back.
const MAX_MARKERS: usize = 8;

/// A marker on its way: everything up to its position was sent before it.
#[derive(Clone, Copy, Debug)]
struct Marker {
    number: u64,
    position: u64,
    bytes: u64,
    sent_ms: u64,
}

/// How far the events are through one proxy. Times are ms on any clock that only goes forward.
#[derive(Debug)]
pub struct Passage {
    /// The connection that stands, if one does.
    connection: Option<u64>,
    /// The watermark at the start, as long as the proxy has not been there since.
    absent_from: Option<u64>,
    /// Whether events may be sent: a marker came back over this connection, or can't be heard now.
    open: bool,
    /// Sent up to this position.
    cursor: u64,
    /// Passed up to this position, for sure.
    settled: u64,
    markers: VecDeque<Marker>,
    last_number: u64,
    last_marker_ms: Option<u64>,
    /// Since when something is on its way and nothing came back.
    waiting_since_ms: Option<u64>,
    sent_bytes: u64,
    settled_bytes: u64,
}

impl Passage {
    /// At the start of a reign: through a proxy that is there, events go on behind the watermark.
    /// Markers are numbered behind `last_number`.
    pub fn start(
        watermark: u64,
        connection: Option<u64>,
        last_number: u64,
        minute: &Minute,
        now_ms: u64,
    ) -> Passage {
        let begin = minute.not_too_old(watermark, now_ms);
        Passage {
            connection,
            absent_from: Some(watermark),
            open: false,
            cursor: begin,
            settled: begin,
            markers: VecDeque::new(),
            last_number,
            last_marker_ms: None,
            waiting_since_ms: connection.is_some().then_some(now_ms),
            sent_bytes: 0,
            settled_bytes: 0,
        }
    }

    /// What is known of the connection now. With a new one everything goes again that is not
    /// settled, but nothing that is too old. True if it is another one than before.
    pub fn connected(&mut self, connection: Option<u64>, minute: &Minute, now_ms: u64) -> bool {
        if connection == self.connection {
            return false;
        }
        self.connection = connection;
        self.open = false;
        self.markers.clear();
        self.waiting_since_ms = connection.is_some().then_some(now_ms);
        self.settled_bytes = self.sent_bytes;
        if connection.is_some() {
            self.begin(minute, now_ms);
        }
        self.cursor = self.settled;
        true
    }

    /// Where to go on, when the proxy is back.
    fn begin(&mut self, minute: &Minute, now_ms: u64) {
        self.settled = match self.absent_from.take() {
            // Others may have passed events meanwhile that this one never got.
            Some(watermark) => minute.after_absence(watermark, now_ms),
            None => minute.not_too_old(self.settled, now_ms),
        };
    }

    /// Markers can't be heard now: events are sent all the same, and none counts as passed.
    pub fn cannot_hear(&mut self) {
        self.open = true;
        self.absent_from = None;
    }

    /// How many positions are sent and not surely passed.
    pub fn unsettled(&self) -> u64 {
        self.cursor.saturating_sub(self.settled)
    }

    /// How many positions up to this one have not surely passed.
    pub fn behind(&self, position: u64) -> u64 {
        position.saturating_sub(self.settled)
    }

    /// Behind which position to go on sending; none when nothing may be sent now.
    pub fn may_send(&self) -> Option<u64> {
        let room = self.sent_bytes - self.settled_bytes < MAX_UNSETTLED_BYTES;
        (self.open && room).then_some(self.cursor)
    }

    /// Everything up to this position was sent: so many bytes more.
    pub fn sent(&mut self, position: u64, bytes: u64, now_ms: u64) {
        if bytes == 0 && self.cursor == self.settled {
            // Positions without events need no marker.
            self.settled = self.settled.max(position);
        }
        self.cursor = self.cursor.max(position);
        self.sent_bytes += bytes;
        if self.cursor > self.settled {
            self.waiting_since_ms.get_or_insert(now_ms);
        }
    }

    /// The number of the marker to be sent now, if one is due; [`Passage::marked`] notes it.
    pub fn marker(&self, now_ms: u64) -> Option<u64> {
        (self.marker_due_ms()? <= now_ms).then_some(self.last_number + 1)
    }

    /// The marker that was due was sent.
    pub fn marked(&mut self, now_ms: u64) {
        self.last_number += 1;
        self.last_marker_ms = Some(now_ms);
        if self.markers.len() == MAX_MARKERS {
            self.markers.pop_front();
        }
        self.markers.push_back(Marker {
            number: self.last_number,
            position: self.cursor,
            bytes: self.sent_bytes,
            sent_ms: now_ms,
        });
    }

    /// A marker came back while this connection stood; true if more is settled than before.
    pub fn heard(
        &mut self,
        number: u64,
        connection: Option<u64>,
        minute: &Minute,
        now_ms: u64,
    ) -> bool {
        if connection.is_none() || connection != self.connection {
            return false;
        }
        let Some(index) = self.markers.iter().position(|marker| marker.number == number) else {
            return false;
        };
        let Some(marker) = self.markers.drain(..=index).next_back() else { return false };
        if !self.open {
            self.open = true;
            // A proxy that stood still when the reign began may lack what the last primary sent; one
            // that answers at once goes on at the watermark.
            if self.is_late(now_ms) && self.absent_from.is_some() {
                self.begin(minute, now_ms);
                self.cursor = self.settled;
                self.waiting_since_ms = None;
                return false;
            }
            self.absent_from = None;
        }
        self.settled = self.settled.max(marker.position);
        self.settled_bytes = marker.bytes;
        self.waiting_since_ms = (self.settled < self.cursor).then_some(now_ms);
        true
    }

    /// How far events have passed for sure, if the proxy is live.
    pub fn standing(&self, now_ms: u64) -> Option<u64> {
        (self.connection.is_some() && !self.is_late(now_ms)).then_some(self.settled)
    }

    fn is_late(&self, now_ms: u64) -> bool {
        self.waiting_since_ms.is_some_and(|since_ms| now_ms >= since_ms + LATE_MS)
    }

    /// When to have a look again, if nothing else happens.
    pub fn due_ms(&self, now_ms: u64) -> Option<u64> {
        let late_ms = self.waiting_since_ms.map(|since_ms| since_ms + LATE_MS);
        let late_ms = late_ms.filter(|late_ms| *late_ms > now_ms);
        self.marker_due_ms().into_iter().chain(late_ms).min()
    }

    /// The number of the last marker.
    pub fn last_number(&self) -> u64 {
        self.last_number
    }

    fn marker_due_ms(&self) -> Option<u64> {
        if self.connection.is_none() || (self.open && self.cursor <= self.settled) {
            return None;
        }
        let retry_ms = self.markers.back().map(|marker| marker.sent_ms + MARKER_RETRY_MS);
        Some(retry_ms.unwrap_or_else(|| match self.last_marker_ms {
            Some(last_ms) => last_ms + MARKER_INTERVAL_MS,
            None => 0,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Option<u64> = Some(1);

    fn young() -> Minute {
        Minute::new(0)
    }

    /// One whose first marker is back.
    fn passage(watermark: u64) -> Passage {
        let mut passage = Passage::start(watermark, HERE, 0, &young(), 0);
        open(&mut passage, HERE, 0);
        passage.last_marker_ms = None;
        passage
    }

    /// Sends a marker alone, which comes back at once.
    fn open(passage: &mut Passage, connection: Option<u64>, now_ms: u64) {
        assert_eq!(passage.may_send(), None);
        let number = mark(passage, now_ms);
        assert!(passage.heard(number, connection, &young(), now_ms));
    }

    /// Sends the marker that is due.
    fn mark(passage: &mut Passage, now_ms: u64) -> u64 {
        let number = passage.marker(now_ms).unwrap();
        passage.marked(now_ms);
        number
    }

    #[test]
    fn only_what_was_sent_before_a_marker_that_is_back_has_passed() {
        let mut passage = passage(3);
        passage.sent(5, 10, 0);
        let first = mark(&mut passage, 0);
        passage.sent(7, 10, 1);
        assert_eq!(passage.standing(2), Some(3));
        assert!(passage.heard(first, HERE, &young(), 2));
        assert_eq!(passage.standing(2), Some(5));
        assert!(!passage.heard(first, HERE, &young(), 3));
        let second = mark(&mut passage, MARKER_INTERVAL_MS);
        assert!(passage.heard(second, HERE, &young(), 60));
        assert_eq!((passage.standing(60), passage.due_ms(60)), (Some(7), None));
    }

    #[test]
    fn one_marker_is_on_its_way_at_a_time_and_none_when_nothing_is() {
        let mut passage = passage(0);
        assert_eq!(passage.marker(1_000_000), None);
        passage.sent(1, 10, 100);
        let first = mark(&mut passage, 100);
        passage.sent(2, 10, 101);
        assert_eq!(passage.marker(100 + MARKER_RETRY_MS - 1), None);
        passage.heard(first, HERE, &young(), 102);
        assert_eq!(passage.marker(100 + MARKER_INTERVAL_MS - 1), None);
        assert_eq!(passage.due_ms(102), Some(100 + MARKER_INTERVAL_MS));
        mark(&mut passage, 100 + MARKER_INTERVAL_MS);
    }

    #[test]
    fn a_lost_marker_is_followed_by_another_and_a_late_one_counts_all_the_same() {
        let mut passage = passage(0);
        passage.sent(1, 10, 0);
        let first = mark(&mut passage, 0);
        let second = mark(&mut passage, MARKER_RETRY_MS);
        assert_ne!(first, second);
        assert!(passage.heard(first, HERE, &young(), 400));
        assert!(passage.heard(second, HERE, &young(), 401));
        assert_eq!(passage.standing(401), Some(1));
    }

    #[test]
    fn a_proxy_that_returns_no_marker_is_not_live_until_it_does() {
        let mut passage = passage(0);
        passage.sent(1, 10, 50);
        let number = mark(&mut passage, 50);
        assert_eq!(passage.standing(50 + LATE_MS - 1), Some(0));
        assert_eq!(passage.standing(50 + LATE_MS), None);
        assert!(passage.heard(number, HERE, &young(), 5000));
        assert_eq!(passage.standing(5000), Some(1));
    }

    #[test]
    fn a_new_connection_sends_again_what_is_not_settled_and_takes_no_older_marker() {
        let mut passage = passage(0);
        passage.sent(5, 10, 0);
        let first = mark(&mut passage, 0);
        passage.heard(first, HERE, &young(), 1);
        passage.sent(9, 10, 60);
        let lost = mark(&mut passage, 60);
        // The marker may come back when the connection that it vouches for is gone already.
        assert!(!passage.heard(lost, Some(3), &young(), 61));
        assert!(passage.connected(None, &young(), 62));
        assert_eq!((passage.may_send(), passage.standing(62)), (None, None));
        assert!(passage.connected(Some(3), &young(), 63));
        assert_eq!(passage.may_send(), None, "nobody knows whether the proxy listens");
        open(&mut passage, Some(3), 1000);
        assert_eq!(passage.may_send(), Some(5));
        assert!(!passage.heard(lost, Some(3), &young(), 64));
        assert!(!passage.connected(Some(3), &young(), 65));
    }

    #[test]
    fn what_is_on_its_way_is_bounded() {
        let mut passage = passage(0);
        passage.sent(1, MAX_UNSETTLED_BYTES, 0);
        assert_eq!(passage.may_send(), None);
        let number = mark(&mut passage, 0);
        passage.heard(number, HERE, &young(), 1);
        assert_eq!(passage.may_send(), Some(1));
    }

    #[test]
    fn who_is_away_at_the_start_gets_what_a_minute_allows() {
        let mut minute = Minute::new(0);
        minute.note(500, 1_000);
        minute.note(700, 30_000);
        let mut passage = Passage::start(800, None, 0, &minute, 30_500);
        assert_eq!((passage.may_send(), passage.standing(30_500)), (None, None));
        passage.connected(HERE, &minute, 61_000);
        open(&mut passage, HERE, 61_000);
        assert_eq!(passage.may_send(), Some(500));
        // The next time it is as with everybody: what is not settled, but nothing too old.
        passage.connected(None, &minute, 62_000);
        passage.connected(Some(3), &minute, 62_001);
        open(&mut passage, Some(3), 62_001);
        assert_eq!(passage.may_send(), Some(500));
        passage.connected(None, &minute, 63_000);
        passage.connected(Some(5), &minute, 95_000);
        open(&mut passage, Some(5), 95_000);
        assert_eq!(passage.may_send(), Some(700));
    }

    #[test]
    fn who_stood_still_at_the_start_gets_what_a_minute_allows_and_who_answers_does_not() {
        let mut minute = Minute::new(0);
        minute.note(500, 1_000);
        let start = || Passage::start(800, HERE, 0, &minute, 60_500);
        let mut quick = start();
        let number = mark(&mut quick, 60_500);
        assert!(quick.heard(number, HERE, &minute, 60_501));
        assert_eq!(quick.may_send(), Some(800));
        let mut slow = start();
        let number = mark(&mut slow, 60_500);
        assert_eq!(slow.standing(60_500 + LATE_MS), None);
        slow.heard(number, HERE, &minute, 63_000);
        assert_eq!((slow.may_send(), slow.standing(63_000)), (Some(500), Some(500)));
        assert_eq!(slow.due_ms(63_000), None, "all is open, and nothing is on its way");
    }

    #[test]
    fn positions_without_events_need_no_marker() {
        let mut passage = passage(0);
        passage.sent(100, 0, 0);
        assert_eq!((passage.standing(0), passage.marker(1000)), (Some(100), None));
    }
}
