//! The way through one proxy: sends events and markers, and listens for the markers.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use recado_protocol::marker::{PROXY_BACK_TOPIC, PROXY_FACTS_TOPIC, ProxyFacts};
use recado_protocol::{Event, codec};
use recado_storage::StoreError;
use recado_transport::{Publisher, Subscriber};
use tokio::time::{Instant, sleep_until};

use super::Desk;
use super::feed::{self, Page};
use super::passage::{CATCH_UP_MS, MARKER_INTERVAL_MS, Passage};
use crate::lock::lock;

/// One proxy's sockets, and who uses them.
pub struct Lane {
    desk: Arc<Desk>,
    /// The proxy's place in the configuration.
    number: usize,
    publisher: Publisher,
    ear: Subscriber,
    reign: Option<Reign>,
    /// The connection, as it was when it was last looked at, and whether there ever was one.
    connection: Option<u64>,
    was_connected: bool,
    /// When the connection came back after a break.
    came_back_ms: Option<u64>,
}

/// What is under way while this server is the primary.
struct Reign {
    term: u64,
    passage: Passage,
    /// Whether this proxy was told who the primary is.
    announced: bool,
    /// A page that is being sent, and how many of its events are.
    page: Option<(Page, usize)>,
    /// The queue to the proxy is full.
    blocked: bool,
}

impl Lane {
    /// A way through this proxy.
    pub fn new(desk: Arc<Desk>, number: usize, publisher: Publisher, ear: Subscriber) -> Lane {
        Lane {
            desk,
            number,
            publisher,
            ear,
            reign: None,
            connection: None,
            was_connected: false,
            came_back_ms: None,
        }
    }

    /// Publishes whenever this server is the primary, until the replica ends.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn run(mut self) -> Result<(), StoreError> {
        self.ear.subscribe(self.desk.marker_topic.as_bytes()).await;
        self.ear.subscribe(PROXY_FACTS_TOPIC).await;
        let mut leadership = self.desk.leadership.clone();
        let mut applied = self.desk.replica.applied();
        let mut connections = self.publisher.changes();
        loop {
            let now = *leadership.borrow_and_update();
            self.follow(now.is_primary.then_some(now.term))?;
            let upto = *applied.borrow_and_update();
            connections.borrow_and_update();
            let more = self.advance(upto)?;
            let reigns = self.reign.is_some();
            let blocked = self.reign.as_ref().is_some_and(|reign| reign.blocked);
            let due = self.due();
            tokio::select! {
                biased;
                changed = leadership.changed() => if changed.is_err() { return Ok(()) },
                heard = self.ear.receive() => match heard {
                    Some((topic, body)) => self.heard(&topic, &body),
                    None => return Ok(()),
                },
                changed = connections.changed() => if changed.is_err() { return Ok(()) },
                () = tokio::task::yield_now(), if more => {}
                () = self.publisher.room(), if blocked => {}
                changed = applied.changed(), if reigns => if changed.is_err() { return Ok(()) },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            }
        }
    }

    /// Begins or ends a reign when the leadership says so.
    fn follow(&mut self, term: Option<u64>) -> Result<(), StoreError> {
        if term == self.reign.as_ref().map(|reign| reign.term) {
            return Ok(());
        }
        self.reign = None;
        let Some(term) = term else { return Ok(()) };
        let watermark = self.desk.replica.store().reader()?.watermark()?;
        lock(&self.desk.watermark).start(term, watermark);
        let minute = lock(&self.desk.minute);
        let connection = self.publisher.connection();
        let now_ms = self.desk.now_ms();
        let came_back = self.came_back_ms.is_some_and(|at_ms| now_ms < at_ms + CATCH_UP_MS);
        let passage = Passage::start(watermark, connection, came_back, &minute, now_ms);
        self.reign = Some(Reign { term, passage, announced: false, page: None, blocked: false });
        Ok(())
    }

    /// Does what can be done now; true if there is more to do at once.
    fn advance(&mut self, upto: u64) -> Result<bool, StoreError> {
        let connection = self.publisher.connection();
        if self.connection != connection {
            self.connection = connection;
            self.greet();
        }
        let now_ms = self.desk.now_ms();
        let mut live = connection.is_some();
        let mut behind = 0;
        let mut more = false;
        if let Some(reign) = &mut self.reign {
            let unsettled = reign.passage.unsettled();
            if reign.passage.connected(connection, &lock(&self.desk.minute), now_ms) {
                self.desk.facts.metrics.rewound_positions.inc_by(unsettled);
                reign.page = None;
                reign.blocked = false;
            }
            if connection.is_some() && !self.ear.connected() {
                reign.passage.cannot_hear();
            }
            more = reign.send(&self.desk, &self.publisher, upto)?;
            reign.mark(&self.desk, &self.publisher);
            if reign.blocked {
                self.desk.facts.metrics.blocked_publishes.inc();
            }
            let standing = reign.passage.standing(self.desk.now_ms());
            live = standing.is_some();
            behind = reign.passage.behind(upto);
            let moved = lock(&self.desk.watermark).note(reign.term, self.number, standing);
            if let Some(position) = moved {
                self.desk.replica.set_published(position);
            }
        }
        self.desk.facts.proxy_is(self.number, connection.is_some(), live, behind);
        Ok(more)
    }

    /// With every connection but the first, tells the proxy that it is back, before anything else.
    fn greet(&mut self) {
        if self.connection.is_none() {
            return;
        }
        if self.was_connected {
            self.came_back_ms = Some(self.desk.now_ms());
            let body = codec::encode_marker(0, self.desk.clocks.stamp_message());
            // A new connection's queue has room; if it is gone again, the next one is told.
            let _ = self.publisher.try_publish(Bytes::from_static(PROXY_BACK_TOPIC), body);
        }
        self.was_connected = true;
    }

    /// Something came through the proxy.
    fn heard(&mut self, topic: &[u8], body: &[u8]) {
        if topic == PROXY_FACTS_TOPIC {
            match codec::decode_proxy_facts(body) {
                Ok(said) => self.told(said),
                Err(error) => tracing::debug!(%error, "a proxy's facts can't be understood"),
            }
            return;
        }
        let Some(reign) = &mut self.reign else { return };
        if topic != self.desk.marker_topic.as_bytes() {
            return;
        }
        if let Ok(number) = codec::decode_marker(body) {
            let connection = self.publisher.connection();
            let minute = lock(&self.desk.minute);
            reign.passage.heard(number, connection, &minute, self.desk.now_ms());
        }
    }

    fn told(&self, said: ProxyFacts) {
        self.desk.facts.proxy_told(self.number, said);
    }

    /// When to have a look again, if nothing else happens.
    fn due(&self) -> Option<Instant> {
        let reign = self.reign.as_ref()?;
        let now_ms = self.desk.now_ms();
        let due_ms = reign.passage.due_ms(now_ms)?;
        // What is due finds no room: it is looked at now and then, not all the time.
        let due_ms = if reign.blocked { due_ms.max(now_ms + MARKER_INTERVAL_MS) } else { due_ms };
        Some(self.desk.started + Duration::from_millis(due_ms))
    }
}

impl Reign {
    /// Sends a page at the most; true if there is more.
    fn send(&mut self, desk: &Desk, publisher: &Publisher, upto: u64) -> Result<bool, StoreError> {
        self.blocked = false;
        let Some(cursor) = self.passage.may_send() else { return Ok(false) };
        if !self.announced {
            let (topic, body) = feed::frames(&election(desk));
            if !self.took(publisher, topic, body) {
                return Ok(false);
            }
            self.announced = true;
        }
        let (page, sent) = match self.page.take() {
            Some(begun) => begun,
            None if cursor >= upto => return Ok(false),
            None => {
                let read = |after, upto| feed::read(&desk.replica, after, upto);
                (lock(&desk.feed).page(cursor, upto, read)?, 0)
            }
        };
        for (index, (topic, body)) in page.events.iter().enumerate().skip(sent) {
            if !self.took(publisher, topic.clone(), body.clone()) {
                self.page = Some((page, index));
                return Ok(false);
            }
            desk.facts.metrics.published_events.inc();
        }
        self.passage.sent(page.through, page.bytes, desk.now_ms());
        Ok(self.passage.may_send().is_some_and(|cursor| cursor < upto))
    }

    /// Sends the marker that is due, if one is.
    fn mark(&mut self, desk: &Desk, publisher: &Publisher) {
        let now_ms = desk.now_ms();
        // A page that is sent in part ends at no position.
        if self.page.is_some() || !self.passage.wants_marker(now_ms) {
            return;
        }
        let number = rand::random();
        let topic = Bytes::copy_from_slice(desk.marker_topic.as_bytes());
        let body = codec::encode_marker(number, desk.clocks.stamp_message());
        // What finds no room now is due again when there is some, or when the time is over.
        if self.took(publisher, topic, body) {
            self.passage.marked(number, now_ms);
        }
    }

    /// Whether it left; if not, the queue is full or the connection gone.
    fn took(&mut self, publisher: &Publisher, topic: Bytes, body: Bytes) -> bool {
        let taken = publisher.try_publish(topic, body);
        self.blocked = taken == Ok(false);
        taken == Ok(true)
    }
}

fn election(desk: &Desk) -> Event {
    let stamp = desk.clocks.stamp_message();
    Event::Election {
        coordinator: desk.name.clone(),
        timestamp: stamp.timestamp,
        clock: stamp.clock,
    }
}
