//! A write whose session expired while its answer was missing.
//!
//! The servers execute nothing under an expired id, so whatever the earlier attempts did is done
//! by now, and the history tells. Only when it clearly says *not done* is the write sent again,
//! under a new session.

use std::time::Duration;

use bytes::Bytes;
use recado_protocol::limits::MAX_PAGE_ROWS;
use recado_protocol::message::HistoryOf;
use recado_protocol::{Ack, HistoryQuery, Record, Reply, Request};
use tracing::warn;

use crate::session::Client;

/// How many pages of history are looked through at the most.
const MAX_PAGES: usize = 10;

/// How far the cluster's clock may be behind ours for a message still to count as one that was
/// stored after we sent it.
const MAX_SKEW_MS: u64 = 600_000;

/// What the client knew when it sent the write for the first time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SentMark {
    /// The logical clock just before; a server stamps what it gets with a larger one.
    pub(crate) clock: u64,
    /// The wall clock, ms since the Unix epoch.
    pub(crate) sent_ms: u64,
}

/// Whether the write was done.
pub(crate) enum Found {
    /// Done, and this is its reply.
    Yes(Reply),
    /// Certainly not done.
    No,
    /// It can't be told.
    Unclear,
}

/// What one stored message says about ours.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Ours,
    /// Same sender and text, but it may be an older one.
    Doubtful,
    Other,
}

fn judge(record: &Record, from: &str, message: &str, mark: SentMark) -> Verdict {
    if record.from != from || record.message != message {
        return Verdict::Other;
    }
    let recent = record.timestamp.saturating_add(MAX_SKEW_MS) >= mark.sent_ms;
    match (recent, record.clock > mark.clock) {
        (true, true) => Verdict::Ours,
        (true, false) => Verdict::Doubtful,
        (false, _) => Verdict::Other,
    }
}

impl Client {
    /// Looks into what is stored for the effect of this write.
    pub(crate) async fn look_for(
        &self,
        request: &Request,
        mark: SentMark,
        patience: Duration,
    ) -> Found {
        let (of, from, message) = match request {
            // A login more or less makes no difference.
            Request::Login { .. } => return Found::No,
            Request::Publish { user, channel, message } => {
                (HistoryOf::Channel(channel.clone()), user, message)
            }
            Request::Message { src, dst, message } => (HistoryOf::Inbox(dst.clone()), src, message),
            // That a channel exists does not tell who created it.
            _ => return Found::Unclear,
        };
        let deadline = tokio::time::Instant::now() + patience;
        let mut before = None;
        let mut doubtful = false;
        for _ in 0..MAX_PAGES {
            let left = deadline.saturating_duration_since(tokio::time::Instant::now());
            let query = HistoryQuery { of: of.clone(), after: None, before, limit: MAX_PAGE_ROWS };
            let page = match self.history_within(query, left).await {
                Ok(page) => page.messages,
                Err(error) => {
                    warn!(%error, "can't tell whether a write was done");
                    return Found::Unclear;
                }
            };
            for record in page.iter().rev() {
                match judge(record, from, message, mark) {
                    Verdict::Ours => return Found::Yes(acked(record)),
                    Verdict::Doubtful => doubtful = true,
                    Verdict::Other => {}
                }
            }
            let all_older = page.iter().all(|record| record.timestamp + MAX_SKEW_MS < mark.sent_ms);
            before = page.first().map(|record| record.seq);
            if all_older || before.is_none_or(|seq| seq <= 1) {
                return if doubtful { Found::Unclear } else { Found::No };
            }
        }
        Found::Unclear
    }
}

/// The acknowledgement as far as the history tells it; on how many servers it is, it does not.
fn acked(record: &Record) -> Reply {
    Reply::Acked(Ack { id: Bytes::clone(&record.id), seq: record.seq, stored: 0, members: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: SentMark = SentMark { clock: 50, sent_ms: 10_000_000 };

    fn record(from: &str, message: &str, timestamp: u64, clock: u64) -> Record {
        Record {
            from: from.to_owned(),
            to: "general".to_owned(),
            message: message.to_owned(),
            timestamp,
            clock,
            id: Bytes::new(),
            seq: 1,
            pos: 1,
            private: false,
        }
    }

    #[test]
    fn only_a_message_that_was_stamped_after_the_send_is_ours() {
        let cases = [
            (record("ana", "hi", MARK.sent_ms + 5, 51), Verdict::Ours),
            (record("ana", "hi", MARK.sent_ms - 5, 51), Verdict::Ours),
            (record("ana", "hi", MARK.sent_ms - 5, 50), Verdict::Doubtful),
            (record("ana", "hi", MARK.sent_ms - MAX_SKEW_MS - 1, 51), Verdict::Other),
            (record("bob", "hi", MARK.sent_ms, 51), Verdict::Other),
            (record("ana", "ho", MARK.sent_ms, 51), Verdict::Other),
        ];
        for (record, expected) in cases {
            assert_eq!(judge(&record, "ana", "hi", MARK), expected, "{record:?}");
        }
    }
}
