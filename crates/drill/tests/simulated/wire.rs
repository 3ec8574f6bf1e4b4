//! The network: messages on their way, each lane in order, over links that can be slow, cut, or
//! dead without a word.
//!
//! Two places are joined by connections as with TCP: nothing is doubled or overtaken within a
//! lane; what breaks is the connection, with all that is on it. A link that only swallows
//! (`Cut::Hold`) looks connected until the pings give it up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use recado_chat::registry::{Answer, Listed, Registration};
use recado_replication::{Lane, NodeId, PeerError, PeerTransport, PendingAnswer};
use tokio::sync::oneshot;

use crate::seed::draw;
use crate::service::{Reply, Request, StoredRow};
use crate::trace::Trace;

/// Answers go a way of their own: lanes from here on.
pub const ANSWERS: u8 = 16;
/// A dead link is taken for a broken connection after so long.
const PING_TIMEOUT_MS: u64 = 4000;
/// Two that could connect do so within this time.
const CONNECT_MS: u64 = 100;

/// Somebody who sends and receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    Server(usize),
    Reference,
    Client(u32),
    Subscriber(u32),
    Proxy(u32),
}

/// What is on its way.
#[derive(Clone, Debug)]
pub enum Message {
    /// One server asks another one.
    Ask { id: u64, lane: u8, kind: u8, body: Bytes },
    /// And is answered.
    Answer { id: u64, body: Bytes },
    /// A server registers, or says that it is alive.
    Register(Registration),
    /// The reference's answer, and its list.
    Registered { boot: u64, answer: Answer, list: Vec<Listed> },
    /// A client asks a server.
    Request { id: u64, request: Request },
    /// And is answered.
    Reply { id: u64, reply: Reply },
    /// The primary publishes, and a proxy passes it on.
    Event(StoredRow),
    /// What a server sends behind its events, and gets back through the proxy.
    Marker { boot: u64, number: u64 },
}

/// How a directed link is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Messages wait until it is mended, or until the pings give up.
    Hold,
    /// The connection is closed.
    Reset,
}

/// A message that was given to the network within a tick.
struct Posted {
    from: Place,
    to: Place,
    lane: u8,
    message: Message,
}

/// What servers' processes share with the network.
#[derive(Default)]
struct Shared {
    outbox: Vec<Posted>,
    /// Which servers are connected, directed, as the side that asks sees it, and by which
    /// connection.
    connected: BTreeMap<(usize, usize), u64>,
    last_connection: u64,
    pending: BTreeMap<u64, Pending>,
    last_id: u64,
    /// How often each proxy died: connections to it have that number.
    deaths: BTreeMap<u32, u64>,
}

/// Somebody waits for an answer.
struct Pending {
    from: usize,
    to: usize,
    answer: oneshot::Sender<Result<Bytes, PeerError>>,
}

/// The way into the network; clones share it.
#[derive(Clone, Default)]
pub struct Post(Arc<Mutex<Shared>>);

impl Post {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap()
    }

    pub fn send(&self, from: Place, to: Place, lane: u8, message: Message) {
        self.lock().outbox.push(Posted { from, to, lane, message });
    }

    fn ask(&self, from: usize, to: usize, lane: Lane, kind: u8, body: Bytes) -> PendingAnswer {
        let (answer, answered) = oneshot::channel();
        let mut shared = self.lock();
        shared.last_id += 1;
        let id = shared.last_id;
        shared.pending.insert(id, Pending { from, to, answer });
        let lane = lane as u8;
        let message = Message::Ask { id, lane, kind, body };
        let (from, to) = (Place::Server(from), Place::Server(to));
        shared.outbox.push(Posted { from, to, lane, message });
        Box::pin(async move { answered.await.unwrap_or(Err(PeerError::Disconnected)) })
    }

    /// The connection to a proxy that stands now.
    pub fn connection(&self, proxy: u32) -> u64 {
        self.lock().deaths.get(&proxy).copied().unwrap_or(0)
    }

    /// An answer arrived for whoever asked.
    pub fn answered(&self, id: u64, body: Bytes) {
        let pending = self.lock().pending.remove(&id);
        if let Some(pending) = pending {
            // Whoever asked may have given up.
            let _ = pending.answer.send(Ok(body));
        }
    }

    /// Connects, unless they are connected.
    fn connect(&self, link: (usize, usize)) {
        let Shared { connected, last_connection, .. } = &mut *self.lock();
        connected.entry(link).or_insert_with(|| {
            *last_connection += 1;
            *last_connection
        });
    }

    /// Breaks the connection over which `from` asks `to`; all that waits on it hears of it.
    fn disconnect(&self, from: usize, to: usize) {
        let broken: Vec<Pending> = {
            let mut shared = self.lock();
            shared.connected.remove(&(from, to));
            let pending = &mut shared.pending;
            let ids: Vec<u64> = pending
                .iter()
                .filter(|(_, p)| (p.from, p.to) == (from, to))
                .map(|(id, _)| *id)
                .collect();
            ids.iter().filter_map(|id| pending.remove(id)).collect()
        };
        for pending in broken {
            let _ = pending.answer.send(Err(PeerError::Disconnected));
        }
    }
}

/// One process's connections to the other servers.
pub struct Transport {
    pub me: usize,
    pub post: Post,
    pub addresses: Mutex<BTreeMap<NodeId, usize>>,
}

impl Transport {
    fn place(&self, node: NodeId) -> Option<usize> {
        self.addresses.lock().unwrap().get(&node).copied()
    }
}

/// The address of a server, and back.
pub fn address(server: usize) -> String {
    format!("sim://{server}")
}

fn parse(address: &str) -> Option<usize> {
    address.strip_prefix("sim://")?.parse().ok()
}

impl PeerTransport for Transport {
    fn set_address(&self, node: NodeId, address: &str) {
        if let Some(server) = parse(address).filter(|server| *server != self.me) {
            self.addresses.lock().unwrap().insert(node, server);
        }
    }

    fn connection(&self, node: NodeId, _lane: Lane) -> Option<u64> {
        let to = self.place(node)?;
        self.post.lock().connected.get(&(self.me, to)).copied()
    }

    fn send(
        &self,
        node: NodeId,
        lane: Lane,
        kind: u8,
        body: Bytes,
    ) -> Result<PendingAnswer, PeerError> {
        if self.connection(node, lane).is_none() {
            return Err(PeerError::NotConnected);
        }
        let to = self.place(node).ok_or(PeerError::NotConnected)?;
        Ok(self.post.ask(self.me, to, lane, kind, body))
    }
}

/// What arrives when: first by time, then by link, then in the order of sending.
type Slot = (u64, Place, Place, u8, u64);

/// Messages on their way.
pub struct Wire {
    pub post: Post,
    seed: u64,
    queue: BTreeMap<Slot, Message>,
    /// On each lane: how many were sent, and when the last one arrives.
    lanes: BTreeMap<(Place, Place, u8), (u64, u64)>,
    /// Delays of links between servers, ms: at least, and how much more.
    delays: BTreeMap<(usize, usize), (u64, u64)>,
    cuts: BTreeMap<(Place, Place), (Cut, u64)>,
    held: BTreeMap<(Place, Place), Vec<(u8, Message)>>,
    /// Running processes, and when two of them are connected at the earliest.
    alive: BTreeSet<usize>,
    connecting: BTreeMap<(usize, usize), u64>,
    /// Of a thousand events to subscribers, so many are dropped.
    pub lost_events: u64,
    /// Of a thousand clients' messages, requests or replies, so many are lost.
    pub lost_requests: u64,
}

impl Wire {
    pub fn new(seed: u64) -> Wire {
        Wire {
            post: Post::default(),
            seed,
            queue: BTreeMap::new(),
            lanes: BTreeMap::new(),
            delays: BTreeMap::new(),
            cuts: BTreeMap::new(),
            held: BTreeMap::new(),
            alive: BTreeSet::new(),
            connecting: BTreeMap::new(),
            lost_events: 0,
            lost_requests: 0,
        }
    }

    /// A process is there.
    pub fn up(&mut self, server: usize) {
        self.alive.insert(server);
    }

    /// A process is gone, and with it all its connections.
    pub fn down(&mut self, server: usize) {
        self.alive.remove(&server);
        let place = Place::Server(server);
        // What is already on its way from it still arrives.
        self.queue.retain(|(_, _, to, _, _), _| *to != place);
        self.held.retain(|(from, to), _| *from != place && *to != place);
        self.break_connections();
    }

    pub fn set_delay(&mut self, from: usize, to: usize, delay_ms: (u64, u64)) {
        self.delays.insert((from, to), delay_ms);
    }

    pub fn cut(&mut self, from: Place, to: Place, cut: Cut, now_ms: u64) {
        self.cuts.insert((from, to), (cut, now_ms));
        if cut == Cut::Reset {
            self.lose(from, to);
        }
        self.break_connections();
    }

    pub fn mend(&mut self, from: Place, to: Place, now_ms: u64) {
        self.cuts.remove(&(from, to));
        for (lane, message) in self.held.remove(&(from, to)).unwrap_or_default() {
            self.enqueue(from, to, lane, message, now_ms);
        }
    }

    pub fn mend_all(&mut self, now_ms: u64) {
        let cut: Vec<(Place, Place)> = self.cuts.keys().copied().collect();
        for (from, to) in cut {
            self.mend(from, to, now_ms);
        }
        self.delays.clear();
        self.lost_events = 0;
        self.lost_requests = 0;
    }

    /// What is between these two is lost.
    fn lose(&mut self, from: Place, to: Place) {
        self.held.remove(&(from, to));
        self.queue.retain(|(_, f, t, _, _), _| (*f, *t) != (from, to));
    }

    /// A proxy dies with all that is on its way to it and from it, and is back.
    pub fn proxy_dies(&mut self, proxy: u32) {
        let place = Place::Proxy(proxy);
        self.queue.retain(|(_, from, to, _, _), _| *from != place && *to != place);
        self.held.retain(|(from, to), _| *from != place && *to != place);
        *self.post.lock().deaths.entry(proxy).or_default() += 1;
    }

    /// Whether a connection between two servers could stand: it carries asks one way and answers
    /// the other.
    fn possible(&self, from: usize, to: usize) -> bool {
        let (a, b) = (Place::Server(from), Place::Server(to));
        let broken = |link: &(Place, Place)| matches!(self.cuts.get(link), Some((Cut::Reset, _)));
        self.alive.contains(&from)
            && self.alive.contains(&to)
            && !broken(&(a, b))
            && !broken(&(b, a))
    }

    fn break_connections(&mut self) {
        let standing: Vec<(usize, usize)> = self.post.lock().connected.keys().copied().collect();
        for (from, to) in standing {
            if !self.possible(from, to) {
                self.post.disconnect(from, to);
                self.connecting.remove(&(from, to));
            }
        }
    }

    /// Connects who can be, and gives up links that were dead for too long.
    pub fn tick(&mut self, now_ms: u64) {
        let dead: Vec<(Place, Place)> = self
            .cuts
            .iter()
            .filter(|(_, (cut, since))| *cut == Cut::Hold && now_ms > since + PING_TIMEOUT_MS)
            .map(|(link, _)| *link)
            .collect();
        for (from, to) in dead {
            self.cut(from, to, Cut::Reset, now_ms);
        }
        let alive: Vec<usize> = self.alive.iter().copied().collect();
        for from in &alive {
            for to in alive.iter().filter(|to| *to != from) {
                let link = (*from, *to);
                if !self.possible(*from, *to) {
                    self.connecting.remove(&link);
                    continue;
                }
                let draw = draw(self.seed, (link, now_ms));
                let at = *self.connecting.entry(link).or_insert(now_ms + 1 + draw % CONNECT_MS);
                if at <= now_ms {
                    self.post.connect(link);
                }
            }
        }
    }

    /// Takes what was posted.
    pub fn collect(&mut self, now_ms: u64) {
        let posted = std::mem::take(&mut self.post.lock().outbox);
        for Posted { from, to, lane, message } in posted {
            let lost = match (&message, from, to) {
                (Message::Event(_), _, Place::Subscriber(_)) => self.lost_events,
                (_, Place::Client(_) | Place::Subscriber(_), _)
                | (_, _, Place::Client(_) | Place::Subscriber(_)) => self.lost_requests,
                _ => 0,
            };
            let count = self.lanes.get(&(from, to, lane)).map_or(0, |(count, _)| *count);
            if lost > 0 && draw(self.seed, ("lost", from, to, lane, count, now_ms)) % 1000 < lost {
                continue;
            }
            if let (Message::Request { id, .. }, Place::Server(server)) = (&message, to)
                && !self.alive.contains(&server)
            {
                let reply = Message::Reply { id: *id, reply: Reply::Elsewhere };
                self.enqueue(to, from, lane, reply, now_ms);
                continue;
            }
            match self.cuts.get(&(from, to)) {
                None => self.enqueue(from, to, lane, message, now_ms),
                Some((Cut::Hold, _)) => {
                    self.held.entry((from, to)).or_default().push((lane, message));
                }
                Some((Cut::Reset, _)) => {}
            }
        }
    }

    fn enqueue(&mut self, from: Place, to: Place, lane: u8, message: Message, now_ms: u64) {
        if let Place::Server(to) = to
            && !self.alive.contains(&to)
        {
            return;
        }
        let (base, jitter) = match (from, to) {
            (Place::Server(a), Place::Server(b)) => {
                self.delays.get(&(a, b)).copied().unwrap_or((1, 1))
            }
            _ => (1, 1),
        };
        let seed = self.seed;
        let (count, last) = self.lanes.entry((from, to, lane)).or_default();
        *count += 1;
        let due = now_ms + base + draw(seed, (from, to, lane, *count)) % (jitter + 1);
        *last = due.max(*last);
        self.queue.insert((*last, from, to, lane, *count), message);
    }

    /// What arrives by now, in order.
    pub fn arrivals(&mut self, now_ms: u64, trace: &mut Trace) -> Vec<(Place, Place, Message)> {
        let mut arrived = Vec::new();
        while let Some(entry) = self.queue.first_entry() {
            if entry.key().0 > now_ms {
                break;
            }
            let ((_, from, to, lane, _), message) = entry.remove_entry();
            trace.note(now_ms, format_args!("{from:?} {to:?} {lane} {message:?}"));
            arrived.push((from, to, message));
        }
        arrived
    }
}
