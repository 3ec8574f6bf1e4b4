//! One joined topic: what to ask the history for, and what to deliver.

use std::time::Duration;

use recado_protocol::limits::MAX_PAGE_ROWS;
use recado_protocol::message::HistoryOf;
use recado_protocol::{Event, HistoryQuery, HistoryReply, Record};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::warn;

use super::{IDLE_CHECK, JoinResult, StartAt};
use crate::timeline::{MAX_PARKED_MESSAGES, Timeline};

/// How many rows are fetched at a time to fill a gap.
const FILL_PAGE_ROWS: usize = MAX_PAGE_ROWS;

/// How long a new subscription may take to reach the proxy; what is published before is not sent
/// to us, so the history is looked at more often.
const SETTLING: Duration = Duration::from_secs(1);

/// How often it is looked at meanwhile.
const SETTLING_CHECK: Duration = Duration::from_millis(250);

/// What a topic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Channel,
    Inbox,
}

/// One joined topic.
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// Tells this joining from an earlier one of the same name.
    pub(crate) joining: u64,
    start: StartAt,
    state: State,
    /// Who waits for the first answer of the history.
    pub(crate) waiting: Vec<oneshot::Sender<JoinResult>>,
    /// A fetch is under way, or waits for its turn.
    pub(crate) fetching: bool,
    /// When the history is to be asked again if nothing comes before.
    pub(crate) check_at: Instant,
    /// Until then the proxy may not know yet that we want this topic.
    settled_at: Instant,
}

enum State {
    /// Subscribed, but where to start is not known yet; what came so far.
    Starting(Vec<Record>),
    Running(Timeline),
    /// The server keeps no history (a standard server): messages go through as they come.
    Bare,
}

/// What came out of a page of history.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    pub(crate) records: Vec<Record>,
    /// How many of them filled a gap.
    pub(crate) filled: usize,
}

impl Topic {
    pub(crate) fn new(name: String, kind: Kind, joining: u64, start: StartAt) -> Topic {
        Topic {
            name,
            kind,
            joining,
            start,
            state: State::Starting(Vec::new()),
            waiting: Vec::new(),
            fetching: false,
            check_at: Instant::now(),
            settled_at: Instant::now() + SETTLING,
        }
    }

    /// Something was heard of the topic: the next look at the history can wait.
    pub(crate) fn heard(&mut self, now: Instant) {
        let wait = if now < self.settled_at { SETTLING_CHECK } else { IDLE_CHECK };
        self.check_at = now + wait;
    }

    /// The proxy came back: the history is looked at now, and again until it surely knows us.
    pub(crate) fn resettle(&mut self, now: Instant) {
        self.check_at = now;
        self.settled_at = now + SETTLING;
    }

    /// The record of an event, if it belongs to this topic. A publication on a topic that is
    /// joined as an inbox is somebody else's doing and not shown.
    pub(crate) fn accepts(&self, event: Event) -> Option<Record> {
        match (self.kind, event) {
            (Kind::Channel, Event::Publication(record)) | (Kind::Inbox, Event::Private(record))
                if record.to == self.name =>
            {
                Some(record)
            }
            _ => None,
        }
    }

    /// Takes in a message from the proxy; gives what can be delivered.
    pub(crate) fn offer(&mut self, record: Record) -> Vec<Record> {
        match &mut self.state {
            // A standard server numbers nothing.
            _ if record.seq == 0 => vec![record],
            State::Bare => vec![record],
            State::Running(timeline) => timeline.offer(record),
            State::Starting(early) => {
                // What does not fit is found in the history later.
                if early.len() < MAX_PARKED_MESSAGES {
                    early.push(record);
                }
                Vec::new()
            }
        }
    }

    /// Whether the history holds something that is missing here.
    pub(crate) fn behind(&self) -> bool {
        match &self.state {
            State::Starting(_) => true,
            State::Running(timeline) => timeline.behind(),
            State::Bare => false,
        }
    }

    pub(crate) fn starting(&self) -> bool {
        matches!(self.state, State::Starting(_))
    }

    pub(crate) fn bare(&self) -> bool {
        matches!(self.state, State::Bare)
    }

    /// What to ask the history next.
    pub(crate) fn query(&self) -> HistoryQuery {
        let of = match self.kind {
            Kind::Channel => HistoryOf::Channel(self.name.clone()),
            Kind::Inbox => HistoryOf::Inbox(self.name.clone()),
        };
        let (after, limit) = match (&self.state, self.start) {
            (State::Running(timeline), _) => (Some(timeline.last()), FILL_PAGE_ROWS),
            (_, StartAt::After(seq)) => (Some(seq), FILL_PAGE_ROWS),
            (_, StartAt::Newest(count)) => (None, count.clamp(1, MAX_PAGE_ROWS)),
            // One row is the least that brings the newest number along.
            (_, StartAt::Now) => (None, 1),
        };
        HistoryQuery { of, after, before: None, limit }
    }

    /// Takes in the answer to [`Topic::query`].
    pub(crate) fn merge(&mut self, after: Option<u64>, page: HistoryReply) -> Merged {
        match &mut self.state {
            State::Bare => Merged::default(),
            State::Starting(early) => {
                let early = std::mem::take(early);
                let mut timeline = Timeline::starting_at(first_seq(self.start, &page, &early));
                timeline.note_newest(page.newest);
                let rows = if self.start == StartAt::Now { Vec::new() } else { page.messages };
                let mut records = timeline.merge_page(after.unwrap_or(0), rows);
                for record in early {
                    records.append(&mut timeline.offer(record));
                }
                self.state = State::Running(timeline);
                Merged { records, filled: 0 }
            }
            State::Running(timeline) => {
                let after = after.unwrap_or(0);
                if page.newest < after {
                    // Reads never go backwards: this is another cluster, or one that was emptied.
                    warn!(topic = self.name, "the history starts anew");
                    self.state = State::Running(Timeline::starting_at(1));
                    return Merged::default();
                }
                timeline.note_newest(page.newest);
                let last = timeline.last();
                let fetched = page.messages.iter().filter(|record| record.seq > last).count();
                let records = timeline.merge_page(after, page.messages);
                Merged { records, filled: fetched }
            }
        }
    }

    /// The server keeps no history: whatever waited is delivered, and from now on all that comes.
    pub(crate) fn go_bare(&mut self) -> Vec<Record> {
        match std::mem::replace(&mut self.state, State::Bare) {
            State::Starting(early) => early,
            State::Running(_) | State::Bare => Vec::new(),
        }
    }
}

/// Where the timeline starts. A message that came through the proxy after joining is never
/// skipped, also when the history was read after it was stored.
fn first_seq(start: StartAt, page: &HistoryReply, early: &[Record]) -> u64 {
    let base = match start {
        StartAt::After(seq) => return seq.saturating_add(1),
        StartAt::Newest(count) if count > 0 => {
            page.messages.first().map_or(page.newest + 1, |record| record.seq)
        }
        StartAt::Newest(_) | StartAt::Now => page.newest + 1,
    };
    early.iter().map(|record| record.seq).fold(base, u64::min)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

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

    fn page(rows: std::ops::RangeInclusive<u64>, newest: u64) -> HistoryReply {
        HistoryReply { messages: rows.map(record).collect(), newest }
    }

    fn topic(start: StartAt) -> Topic {
        Topic::new("general".to_owned(), Kind::Channel, 1, start)
    }

    fn seqs(records: &[Record]) -> Vec<u64> {
        records.iter().map(|record| record.seq).collect()
    }

    #[test]
    fn joining_now_delivers_nothing_old() {
        let mut topic = topic(StartAt::Now);
        assert!(seqs(&topic.merge(None, page(7..=7, 7)).records).is_empty());
        assert_eq!(seqs(&topic.offer(record(8))), [8]);
    }

    #[test]
    fn what_came_before_the_history_answered_is_delivered_though_it_is_in_the_history() {
        let mut topic = topic(StartAt::Now);
        assert!(topic.offer(record(6)).is_empty());
        let merged = topic.merge(None, page(7..=7, 7));
        assert_eq!(seqs(&merged.records), [6]);
        assert!(topic.behind(), "7 is stored and did not come yet");
        assert_eq!(topic.query().after, Some(6));
        let merged = topic.merge(Some(6), page(7..=7, 7));
        assert_eq!((seqs(&merged.records), merged.filled), (vec![7], 1));
    }

    #[test]
    fn joining_with_the_newest_ones_delivers_them_first() {
        let mut topic = topic(StartAt::Newest(3));
        topic.offer(record(8));
        assert_eq!(seqs(&topic.merge(None, page(5..=7, 7)).records), [5, 6, 7, 8]);
    }

    #[test]
    fn joining_after_a_seq_reads_on_until_the_end() {
        let mut topic = topic(StartAt::After(2));
        assert_eq!(topic.query().after, Some(2));
        assert_eq!(seqs(&topic.merge(Some(2), page(3..=4, 6)).records), [3, 4]);
        assert!(topic.behind());
        assert_eq!(seqs(&topic.merge(Some(4), page(5..=6, 6)).records), [5, 6]);
        assert!(!topic.behind());
    }

    #[test]
    fn joining_an_empty_channel_delivers_its_first_message() {
        let mut topic = topic(StartAt::Newest(10));
        assert!(topic.merge(None, HistoryReply { messages: vec![], newest: 0 }).records.is_empty());
        assert_eq!(seqs(&topic.offer(record(1))), [1]);
    }

    #[test]
    fn messages_without_a_number_go_through_as_they_come() {
        let mut topic = topic(StartAt::Now);
        assert_eq!(seqs(&topic.offer(record(0))), [0]);
        topic.go_bare();
        assert_eq!(seqs(&topic.offer(record(0))), [0]);
        assert!(!topic.behind());
    }

    #[test]
    fn a_private_message_on_a_channels_topic_is_not_accepted() {
        let topic = topic(StartAt::Now);
        let private = Record { private: true, ..record(1) };
        assert!(topic.accepts(Event::Private(private)).is_none());
        assert!(topic.accepts(Event::Publication(record(1))).is_some());
        let other = Record { to: "general2".to_owned(), ..record(1) };
        assert!(topic.accepts(Event::Publication(other)).is_none());
    }

    #[test]
    fn an_emptied_cluster_starts_the_topic_anew() {
        let mut topic = topic(StartAt::After(9));
        topic.merge(Some(9), page(10..=12, 12));
        topic.merge(Some(12), HistoryReply { messages: vec![], newest: 1 });
        assert_eq!(topic.query().after, Some(0));
        assert_eq!(seqs(&topic.merge(Some(0), page(1..=1, 1)).records), [1]);
    }
}
