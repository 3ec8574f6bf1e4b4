//! One topic's messages, put in order.
//!
//! The rule: each `seq` is delivered once, and never before the one below it. Messages come from
//! two sides, the proxy (which may drop, repeat and start in the middle) and the history (which
//! has everything, later); the timeline does not care which.

use std::collections::BTreeMap;

use recado_protocol::Record;

/// How many messages wait for an earlier one at the most; more are fetched again later.
pub const MAX_PARKED_MESSAGES: usize = 4096;

/// How many bytes of such messages wait at about the most.
pub const MAX_PARKED_BYTES: usize = 4 * 1024 * 1024;

/// What a message costs in memory beside its texts, about.
const RECORD_BYTES: usize = 160;

/// One topic's messages, put in order.
#[derive(Debug)]
pub struct Timeline {
    next: u64,
    newest: u64,
    parked: BTreeMap<u64, Record>,
    parked_bytes: usize,
}

impl Timeline {
    /// A timeline whose first message is the one with this `seq`.
    pub fn starting_at(next: u64) -> Timeline {
        let next = next.max(1);
        Timeline { next, newest: next - 1, parked: BTreeMap::new(), parked_bytes: 0 }
    }

    /// The `seq` of the last message that was delivered, 0 before the first.
    pub fn last(&self) -> u64 {
        self.next - 1
    }

    /// Whether a message is known to exist that could not be delivered yet.
    pub fn behind(&self) -> bool {
        self.newest >= self.next
    }

    /// The history says that this is the newest `seq` there is.
    pub fn note_newest(&mut self, newest: u64) {
        self.newest = self.newest.max(newest);
    }

    /// Takes a message in and gives back what can be delivered now, in order.
    pub fn offer(&mut self, record: Record) -> Vec<Record> {
        if record.seq < self.next {
            return Vec::new();
        }
        self.newest = self.newest.max(record.seq);
        if record.seq > self.next {
            self.park(record);
            return Vec::new();
        }
        self.next += 1;
        let mut ready = vec![record];
        while let Some(record) = self.parked.remove(&self.next) {
            self.parked_bytes -= cost(&record);
            self.next += 1;
            ready.push(record);
        }
        ready
    }

    /// Takes in a page of history that was asked for behind `after`. Where the history itself
    /// begins later than that, what lies before it is gone for good and is not waited for.
    pub fn merge_page(&mut self, after: u64, page: Vec<Record>) -> Vec<Record> {
        if let Some(first) = page.first()
            && after >= self.last()
            && first.seq > self.next
        {
            self.next = first.seq;
            let later = self.parked.split_off(&first.seq);
            self.parked = later;
            self.parked_bytes = self.parked.values().map(cost).sum();
        }
        let mut ready = Vec::with_capacity(page.len());
        for record in page {
            ready.append(&mut self.offer(record));
        }
        ready
    }

    fn park(&mut self, record: Record) {
        self.parked_bytes += cost(&record);
        if let Some(repeat) = self.parked.insert(record.seq, record) {
            self.parked_bytes -= cost(&repeat);
        }
        // The newest ones go first: they would have to wait the longest.
        while self.parked.len() > MAX_PARKED_MESSAGES || self.parked_bytes > MAX_PARKED_BYTES {
            match self.parked.pop_last() {
                Some((_, dropped)) => self.parked_bytes -= cost(&dropped),
                None => break,
            }
        }
    }
}

fn cost(record: &Record) -> usize {
    RECORD_BYTES + record.from.len() + record.to.len() + record.message.len()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn record(seq: u64) -> Record {
        Record {
            from: "ana".to_owned(),
            to: "general".to_owned(),
            message: format!("message {seq}"),
            timestamp: seq,
            clock: seq,
            id: Bytes::new(),
            seq,
            pos: seq,
            private: false,
        }
    }

    fn seqs(records: &[Record]) -> Vec<u64> {
        records.iter().map(|record| record.seq).collect()
    }

    #[test]
    fn a_message_waits_for_the_one_before_it() {
        let mut timeline = Timeline::starting_at(1);
        assert_eq!(seqs(&timeline.offer(record(1))), [1]);
        assert!(timeline.offer(record(3)).is_empty());
        assert!(timeline.behind());
        assert_eq!(seqs(&timeline.offer(record(2))), [2, 3]);
        assert!(!timeline.behind());
    }

    #[test]
    fn repeats_are_dropped_whether_delivered_or_parked() {
        let mut timeline = Timeline::starting_at(5);
        assert!(timeline.offer(record(4)).is_empty());
        assert!(timeline.offer(record(6)).is_empty());
        assert!(timeline.offer(record(6)).is_empty());
        assert_eq!(seqs(&timeline.offer(record(5))), [5, 6]);
        assert!(timeline.offer(record(5)).is_empty());
        assert_eq!((timeline.last(), timeline.parked_bytes), (6, 0));
    }

    #[test]
    fn a_newest_that_nobody_sent_shows_a_gap() {
        let mut timeline = Timeline::starting_at(1);
        timeline.note_newest(2);
        assert!(timeline.behind());
        assert_eq!(seqs(&timeline.merge_page(0, vec![record(1), record(2)])), [1, 2]);
        assert!(!timeline.behind());
    }

    #[test]
    fn a_history_that_begins_later_is_not_waited_for() {
        let mut timeline = Timeline::starting_at(1);
        assert!(timeline.offer(record(9)).is_empty());
        assert_eq!(seqs(&timeline.merge_page(0, vec![record(7), record(8)])), [7, 8, 9]);
    }

    #[test]
    fn an_old_page_does_not_skip_anything() {
        let mut timeline = Timeline::starting_at(1);
        timeline.offer(record(1));
        timeline.offer(record(2));
        assert!(timeline.merge_page(0, vec![record(1), record(2)]).is_empty());
        assert_eq!(timeline.last(), 2);
    }

    #[test]
    fn parking_is_bounded_and_what_was_let_go_is_still_missed() {
        let mut timeline = Timeline::starting_at(1);
        let last = MAX_PARKED_MESSAGES as u64 + 100;
        for seq in 2..=last {
            timeline.offer(record(seq));
        }
        assert_eq!(timeline.parked.len(), MAX_PARKED_MESSAGES);
        let delivered = timeline.offer(record(1)).len() as u64;
        assert_eq!(delivered, MAX_PARKED_MESSAGES as u64 + 1);
        assert!(timeline.behind(), "the rest is known to exist");
    }

    #[test]
    fn parking_is_bounded_in_bytes() {
        let mut timeline = Timeline::starting_at(1);
        for seq in 2..=200 {
            timeline.offer(Record { message: "x".repeat(64 * 1024), ..record(seq) });
        }
        assert!(timeline.parked_bytes <= MAX_PARKED_BYTES);
        assert!(!timeline.parked.is_empty());
    }

    proptest! {
        /// Any order, any repeats, anything lost: with the gaps filled from history, each message
        /// comes once and in order.
        #[test]
        fn every_message_comes_once_and_in_order(
            start in 1u64..5,
            count in 1u64..60,
            arrivals in prop::collection::vec(0u64..70, 0..200),
            page_rows in 1usize..20,
            fetch_every in 1usize..10,
        ) {
            let newest = start + count - 1;
            let mut timeline = Timeline::starting_at(start);
            let mut delivered = Vec::new();
            let fetch = |timeline: &mut Timeline, delivered: &mut Vec<Record>| {
                let after = timeline.last();
                let page: Vec<Record> =
                    (after + 1..=newest).take(page_rows).map(record).collect();
                delivered.extend(timeline.merge_page(after, page));
            };
            for (i, arrival) in arrivals.iter().enumerate() {
                if *arrival >= 1 && *arrival <= newest {
                    delivered.extend(timeline.offer(record(*arrival)));
                }
                if i % fetch_every == 0 && timeline.behind() {
                    fetch(&mut timeline, &mut delivered);
                }
            }
            timeline.note_newest(newest);
            while timeline.behind() {
                fetch(&mut timeline, &mut delivered);
            }
            prop_assert_eq!(seqs(&delivered), (start..=newest).collect::<Vec<_>>());
        }
    }
}
