//! Events read from the store and encoded once, for all proxies.
//!
//! The newest pages are kept, so that proxies that keep pace share them; for one that lags, pages
//! are read again from the store.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use recado_protocol::{Event, codec};
use recado_replication::Replica;
use recado_storage::StoreError;

use crate::config::PUBLISH_PAGE_ROWS;
use crate::service::record;

/// About how many bytes of encoded events are kept.
const MAX_FEED_BYTES: u64 = 1024 * 1024;

/// A topic and a body.
pub type Frames = (Bytes, Bytes);

/// The events behind one position and up to another.
#[derive(Clone, Debug)]
pub struct Page {
    /// It begins behind this position …
    after: u64,
    /// … and ends with this one.
    pub through: u64,
    /// In the log's order.
    pub events: Arc<[Frames]>,
    /// How many bytes the events have.
    pub bytes: u64,
}

/// Reads events from the store and encodes them.
pub fn read(replica: &Replica, after: u64, upto: u64) -> Result<Page, StoreError> {
    let found = replica.store().reader()?.publishable(after, upto, PUBLISH_PAGE_ROWS)?;
    let events: Arc<[Frames]> = found
        .messages
        .into_iter()
        .map(|stored| {
            let record = record(stored);
            let private = record.private;
            frames(&if private { Event::Private(record) } else { Event::Publication(record) })
        })
        .collect();
    let bytes = events.iter().map(|(topic, body)| (topic.len() + body.len()) as u64).sum();
    Ok(Page { after, through: found.through, events, bytes })
}

/// An event as it leaves.
pub fn frames(event: &Event) -> Frames {
    #[cfg(not(feature = "planted"))]
    let topic = event.topic();
    #[cfg(feature = "planted")]
    let topic = crate::planted::topic(event);
    (Bytes::copy_from_slice(topic.as_bytes()), codec::encode_event(event))
}

/// The newest pages, each beginning where the one before ends.
#[derive(Debug, Default)]
pub struct Feed {
    pages: VecDeque<Page>,
    bytes: u64,
}

impl Feed {
    /// The page behind a position, which may end before `upto`. `read` makes pages of what stands
    /// behind one position and up to another.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn page<E>(
        &mut self,
        after: u64,
        upto: u64,
        read: impl FnOnce(u64, u64) -> Result<Page, E>,
    ) -> Result<Page, E> {
        if let Some(page) = self.pages.iter().rev().find(|page| page.after == after) {
            return Ok(page.clone());
        }
        // Who lags gets pages that end where kept ones begin.
        let boundaries = self.pages.iter().flat_map(|page| [page.after, page.through]);
        if let Some(boundary) = boundaries.filter(|boundary| *boundary > after).min() {
            return read(after, boundary.min(upto));
        }
        let page = read(after, upto)?;
        if self.pages.back().is_some_and(|last| last.through != after) {
            self.pages.clear();
            self.bytes = 0;
        }
        self.bytes += page.bytes;
        self.pages.push_back(page.clone());
        while self.bytes > MAX_FEED_BYTES || self.pages.len() > PUBLISH_PAGE_ROWS {
            let Some(oldest) = self.pages.pop_front() else { break };
            self.bytes -= oldest.bytes;
        }
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(after: u64, through: u64, bytes: u64) -> Page {
        Page { after, through, events: Arc::default(), bytes }
    }

    /// Asks, and gives the bounds of the page and of what was read for it.
    fn ask(feed: &mut Feed, after: u64, upto: u64) -> ((u64, u64), Option<(u64, u64)>) {
        let mut asked = None;
        let got = feed.page(after, upto, |after, upto| {
            asked = Some((after, upto));
            // The store gives ten positions at a time.
            Ok::<_, ()>(page(after, upto.min(after + 10), 1000))
        });
        let got = got.unwrap();
        ((got.after, got.through), asked)
    }

    #[test]
    fn what_one_proxy_was_sent_is_not_read_again_for_the_next() {
        let mut feed = Feed::default();
        assert_eq!(ask(&mut feed, 5, 30), ((5, 15), Some((5, 30))));
        assert_eq!(ask(&mut feed, 15, 30), ((15, 25), Some((15, 30))));
        assert_eq!(ask(&mut feed, 5, 40), ((5, 15), None));
        assert_eq!(ask(&mut feed, 15, 40), ((15, 25), None));
        assert_eq!(ask(&mut feed, 25, 40), ((25, 35), Some((25, 40))));
    }

    #[test]
    fn who_lags_meets_the_others_where_a_page_begins() {
        let mut feed = Feed::default();
        ask(&mut feed, 100, 130);
        ask(&mut feed, 110, 130);
        assert_eq!(ask(&mut feed, 85, 130), ((85, 95), Some((85, 100))));
        assert_eq!(ask(&mut feed, 95, 130), ((95, 100), Some((95, 100))));
        assert_eq!(ask(&mut feed, 100, 130), ((100, 110), None));
        assert_eq!(ask(&mut feed, 113, 130), ((113, 120), Some((113, 120))));
        assert_eq!(ask(&mut feed, 120, 130), ((120, 130), Some((120, 130))));
    }

    #[test]
    fn it_keeps_so_much_and_no_gaps() {
        let mut feed = Feed::default();
        for number in 0..2000 {
            ask(&mut feed, number * 10, 1_000_000);
        }
        assert!(feed.bytes <= MAX_FEED_BYTES && feed.pages.len() <= PUBLISH_PAGE_ROWS);
        ask(&mut feed, 900_000, 1_000_000);
        assert_eq!(feed.pages.len(), 1);
    }
}
