//! Publishes what the log stored, through every proxy, while this server is the primary.
//!
//! The store itself is the queue: a cursor for each proxy moves through it, and where a proxy is
//! missing its cursor stays. Sending is not arriving, so a marker of ours follows what was sent:
//! when it is back, everything before it has passed the proxy. What has passed all live proxies is
//! published; the next primary goes on behind it. What is not sure is sent again, by this primary
//! over a new connection, by the next one after a fail-over; subscribers tell repeats by `seq`.
//!
//! | part | does |
//! |---|---|
//! | [`passage`] | how far one proxy is, and when a marker is due; pure |
//! | [`watermark`] | what has passed all live proxies; pure |
//! | [`minute`] | what is too old to be sent late; pure |
//! | [`feed`] | events, read and encoded once for all proxies |
//! | [`lane`] | one proxy's sockets |

mod feed;
mod lane;
mod minute;
mod passage;
mod watermark;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::try_join_all;
use recado_protocol::marker::marker_topic;
use recado_replication::Replica;
use recado_storage::StoreError;
use recado_transport::{Publisher, Subscriber};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::clocks::Clocks;
use crate::cluster::Leadership;
use crate::facts::Facts;
use crate::lock::lock;
pub use minute::Minute;
pub use passage::{CATCH_UP_MS, Passage};
pub use watermark::Watermark;

use feed::Feed;
use lane::Lane;
use minute::NOTE_INTERVAL_MS;

/// The part that publishes.
pub struct EventPublisher {
    /// The ways to the proxies and back, in the order of the configuration.
    pub proxies: Vec<(Publisher, Subscriber)>,
    /// Where the events are.
    pub replica: Replica,
    /// Whether this server is the primary.
    pub leadership: watch::Receiver<Leadership>,
    /// For the stamps of elections and markers.
    pub clocks: Arc<Clocks>,
    /// Where the proxies' state is noted.
    pub facts: Arc<Facts>,
    /// This server's name.
    pub name: String,
    /// The random number of this start, which makes its markers its own.
    pub boot: u64,
}

/// What the lanes share.
struct Desk {
    replica: Replica,
    leadership: watch::Receiver<Leadership>,
    clocks: Arc<Clocks>,
    facts: Arc<Facts>,
    name: String,
    marker_topic: String,
    started: Instant,
    feed: Mutex<Feed>,
    minute: Mutex<Minute>,
    watermark: Mutex<Watermark>,
}

impl Desk {
    /// Time since the start, ms.
    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl EventPublisher {
    /// Publishes whenever this server is the primary, until the replica ends.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn run(self) -> Result<(), StoreError> {
        let position = *self.replica.applied().borrow();
        let desk = Arc::new(Desk {
            replica: self.replica,
            leadership: self.leadership,
            clocks: self.clocks,
            facts: self.facts,
            name: self.name,
            marker_topic: marker_topic(self.boot),
            started: Instant::now(),
            feed: Mutex::default(),
            minute: Mutex::new(Minute::new(position)),
            watermark: Mutex::new(Watermark::new(self.proxies.len())),
        });
        let lanes = self.proxies.into_iter().enumerate();
        let lanes = lanes.map(|(number, (publisher, ear))| {
            Lane::new(desk.clone(), number, publisher, ear).run()
        });
        tokio::select! {
            () = note_positions(&desk) => Ok(()),
            ended = try_join_all(lanes) => ended.map(|_| ()),
        }
    }
}

/// Notes the position once a second, for ever: any server may become the primary.
async fn note_positions(desk: &Desk) {
    let applied = desk.replica.applied();
    let mut ticks = interval(Duration::from_millis(NOTE_INTERVAL_MS));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let position = *applied.borrow();
        lock(&desk.minute).note(position, desk.now_ms());
    }
}
