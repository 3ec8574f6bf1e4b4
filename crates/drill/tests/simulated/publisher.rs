//! Publishes what the store holds while its server is the primary, through all proxies: the server
//! crate's rules, with simulated sockets.

use std::sync::Arc;

use recado_replication::Replica;
use recado_server::{CATCH_UP_MS, Minute, Passage, Watermark};

use crate::proxy::PROXIES;
use crate::service::{Process, StoredRow};
use crate::wire::{Message, Place, Post};

const PAGE_ROWS: usize = 256;
/// How often the position is noted.
const NOTE_MS: u64 = 1000;

/// How far the events of one reign are.
#[derive(Default)]
pub struct Publisher {
    term: Option<u64>,
    ways: Vec<Passage>,
    last_number: u64,
    /// The connection to each proxy, and when it came back after a break.
    connections: [(Option<u64>, Option<u64>); PROXIES as usize],
    watermark: Option<Watermark>,
    minute: Option<Minute>,
    noted_at_ms: u64,
}

impl Publisher {
    /// Publishes what is new.
    pub fn publish(&mut self, process: Arc<Process>, me: Place, now_ms: u64, post: &Post) {
        let Some(replica) = process.replica() else { return };
        let applied = *replica.applied().borrow();
        let minute = self.minute.get_or_insert_with(|| Minute::new(applied));
        if now_ms >= self.noted_at_ms + NOTE_MS {
            self.noted_at_ms = now_ms;
            minute.note(applied, now_ms);
        }
        for (proxy, (known, came_back_ms)) in (0..PROXIES).zip(&mut self.connections) {
            let connection = Some(post.connection(proxy));
            if *known != connection {
                *came_back_ms = known.is_some().then_some(now_ms);
                *known = connection;
            }
        }
        let view = replica.view().borrow().clone();
        let markers = std::mem::take(&mut *process.markers.lock().unwrap());
        if !view.is_primary {
            self.term = None;
            return;
        }
        if self.term != Some(view.term) && !self.start(&replica, view.term, now_ms) {
            return;
        }
        let boot = *replica.boot().borrow();
        if let Publisher { ways, minute: Some(minute), .. } = self {
            for (proxy, marker_boot, number) in markers {
                if marker_boot == boot {
                    let connection = Some(post.connection(proxy));
                    ways[proxy as usize].heard(number, connection, minute, now_ms);
                }
            }
        }
        for proxy in 0..PROXIES {
            self.send(&replica, (me, proxy), (boot, applied), now_ms, post);
        }
    }

    /// Begins a reign.
    fn start(&mut self, replica: &Replica, term: u64, now_ms: u64) -> bool {
        let Ok(position) = replica.store().reader().and_then(|rows| rows.watermark()) else {
            return false;
        };
        let Some(minute) = &self.minute else { return false };
        self.term = Some(term);
        self.watermark
            .get_or_insert_with(|| Watermark::new(PROXIES as usize))
            .start(term, position);
        let way = |proxy: u32| {
            let (connection, came_back_ms) = self.connections[proxy as usize];
            let came_back = came_back_ms.is_some_and(|at_ms| now_ms < at_ms + CATCH_UP_MS);
            Passage::start(position, connection, came_back, minute, now_ms)
        };
        self.ways = (0..PROXIES).map(way).collect();
        true
    }

    /// Sends what is new through one proxy, and the marker that is due.
    fn send(
        &mut self,
        replica: &Replica,
        (me, proxy): (Place, u32),
        (boot, applied): (u64, u64),
        now_ms: u64,
        post: &Post,
    ) {
        let to = Place::Proxy(proxy);
        let index = proxy as usize;
        let (Some(minute), Some(way)) = (&self.minute, self.ways.get_mut(index)) else { return };
        way.connected(Some(post.connection(proxy)), minute, now_ms);
        while let Some(cursor) = way.may_send().filter(|cursor| *cursor < applied) {
            let page = replica.store().reader();
            let page = page.and_then(|rows| rows.publishable(cursor, applied, PAGE_ROWS));
            let Ok(page) = page else { return };
            let bytes = page.messages.len() as u64;
            for stored in page.messages {
                post.send(me, to, 0, Message::Event(StoredRow::of(stored)));
            }
            way.sent(page.through, bytes, now_ms);
        }
        if way.wants_marker(now_ms) {
            // The same seed must give the same numbers, and nobody guesses here.
            self.last_number += 1;
            post.send(me, to, 0, Message::Marker { boot, number: self.last_number });
            way.marked(self.last_number, now_ms);
        }
        let standing = way.standing(now_ms);
        let (Some(term), Some(watermark)) = (self.term, &mut self.watermark) else { return };
        if let Some(position) = watermark.note(term, index, standing) {
            replica.set_published(position);
        }
    }
}
