//! Publishes what the store holds while its server is the primary, and remembers how far that
//! surely got: what the server crate's publisher does.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::service::{Process, StoredRow};
use crate::wire::{Message, Place, Post};

/// What was sent so long ago counts as published.
const PUBLISHED_AFTER_MS: u64 = 1000;
const PAGE_ROWS: usize = 256;

/// How far the events of one reign are.
#[derive(Default)]
pub struct Publisher {
    term: Option<u64>,
    cursor: u64,
    on_the_way: VecDeque<(u64, u64)>,
    looked_at: u64,
}

impl Publisher {
    /// Publishes what is new.
    pub fn publish(&mut self, process: Arc<Process>, me: Place, now_ms: u64, post: &Post) {
        let Some(replica) = process.replica() else { return };
        let view = replica.view().borrow().clone();
        if !view.is_primary {
            self.term = None;
            return;
        }
        let applied = *replica.applied().borrow();
        if self.term != Some(view.term) {
            let Ok(watermark) = replica.store().reader().and_then(|rows| rows.watermark()) else {
                return;
            };
            *self = Publisher { term: Some(view.term), cursor: watermark, ..Publisher::default() };
        }
        if applied != self.looked_at {
            let Ok(rows) = replica.store().reader() else { return };
            self.looked_at = applied;
            while self.cursor < applied {
                let Ok(page) = rows.publishable(self.cursor, applied, PAGE_ROWS) else { return };
                for stored in page.messages {
                    let row = StoredRow::of(stored);
                    for subscriber in 0..crate::subscriber::SUBSCRIBERS {
                        let to = Place::Subscriber(subscriber);
                        post.send(me, to, 0, Message::Event(row.clone()));
                    }
                }
                self.cursor = page.through;
            }
            self.on_the_way.push_back((self.cursor, now_ms));
        }
        while let Some((position, sent_ms)) = self.on_the_way.front().copied()
            && sent_ms + PUBLISHED_AFTER_MS <= now_ms
        {
            self.on_the_way.pop_front();
            replica.set_published(position);
        }
    }
}
