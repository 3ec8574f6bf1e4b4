//! A whole cluster in one thread: servers, network, reference, clients, subscribers, and what
//! happens to them. Time goes on in steps of a millisecond; within one everything happens in a
//! fixed order.

mod ending;
mod inject;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rand::RngExt;
use rand::rngs::SmallRng;
use recado_drill::history::{self, Folder, History, Led};
use recado_replication::Sizes;

use crate::activity::Activity;
use crate::client::{CLIENTS, Client};
use crate::disk::Speed;
use crate::faults::Planned;
use crate::proxy::{PROXIES, Proxy};
use crate::reference::Reference;
use crate::seed::dice;
use crate::server::{Server, peers};
use crate::subscriber::{SUBSCRIBERS, Subscriber};
use crate::trace::Trace;
use crate::wire::{Cut, Message, Place, Wire};

/// So many servers there may be at the most, the added ones too.
const MAX_SERVERS: usize = 5;
/// A process that had to stop is started again after so long.
const RESTART_MS: u64 = 700;

/// How a run is laid out, ms.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Faults happen until then.
    pub faults_end_ms: u64,
    /// Clients begin nothing new from then on.
    pub load_end_ms: u64,
    /// By then everything must be well again.
    pub patience_ms: u64,
}

/// What is to be done later: heal what a fault broke.
#[derive(Clone, Debug)]
enum Later {
    Start(usize),
    StartReference,
    Mend(Vec<(Place, Place)>),
    Cut(Vec<(Place, Place)>, Cut),
    FastDisk(usize),
    FastLinks(usize),
    NothingLost,
}

pub struct World {
    now_ms: u64,
    /// Events within this ms, so that times are strictly ordered.
    step: u64,
    dice: SmallRng,
    servers: Vec<Server>,
    /// The reference's replica: the last of `servers`' places.
    witness: usize,
    wire: Wire,
    reference: Reference,
    clients: Vec<Client>,
    subscribers: Vec<Subscriber>,
    proxies: Vec<Proxy>,
    plan: Vec<Planned>,
    later: BTreeMap<(u64, u64), Later>,
    later_count: u64,
    pub history: History,
    pub trace: Trace,
    /// Servers whose folder is empty.
    empty: BTreeSet<usize>,
    activity: Activity,
    /// Which node leads or led in which term.
    won: BTreeSet<(u64, u64)>,
    /// Processes that had to stop, and why.
    pub stopped: Vec<(u64, String, String)>,
    pub log: Vec<String>,
}

impl World {
    pub fn new(seed: u64, folder: &Path, plan: Vec<Planned>, trace: Trace) -> World {
        let mut dice = dice(seed, "world");
        let wire = Wire::new(seed);
        let post = wire.post.clone();
        let few =
            |keep_entries, purge_entries| Sizes { keep_entries, purge_entries, ..Sizes::default() };
        let sizes = match dice.random_range(0..3) {
            0 => few(10, 40),
            1 => few(100, 200),
            _ => Sizes::default(),
        };
        let mut servers: Vec<Server> = (0..=MAX_SERVERS)
            .map(|index| {
                let dir = folder.join(format!("server-{index}"));
                Server::new(seed, index, dir, post.clone(), sizes)
            })
            .collect();
        servers[MAX_SERVERS].witness = true;
        servers[MAX_SERVERS].name = "reference".to_owned();
        let reference = Reference::new(seed, post.clone());
        let asked = MAX_SERVERS.min(3);
        World {
            now_ms: 0,
            step: 0,
            dice,
            servers,
            witness: MAX_SERVERS,
            wire,
            reference,
            clients: (0..CLIENTS).map(|n| Client::new(seed, n, asked, post.clone())).collect(),
            subscribers: (0..SUBSCRIBERS)
                .map(|n| Subscriber::new(seed, n, asked, post.clone()))
                .collect(),
            proxies: (0..PROXIES).map(|n| Proxy::new(seed, n, post.clone())).collect(),
            plan,
            later: BTreeMap::new(),
            later_count: 0,
            history: History::default(),
            trace,
            empty: (0..=MAX_SERVERS).collect(),
            activity: Activity::default(),
            won: BTreeSet::new(),
            stopped: Vec::new(),
            log: Vec::new(),
        }
    }

    /// Runs the whole schedule; gives why it did not come to a good end, if so.
    pub fn run(&mut self, servers: usize, times: Times) -> Result<(), String> {
        self.start_reference();
        for server in 0..servers {
            self.start(server);
        }
        while self.now_ms < times.load_end_ms {
            if self.now_ms == times.faults_end_ms {
                self.heal();
            }
            self.step(false);
        }
        while !self.is_well() {
            if self.now_ms > times.patience_ms {
                let why = self.describe();
                self.end();
                return Err(format!("not well again after {} ms:\n{why}", times.patience_ms));
            }
            self.step(true);
        }
        self.end();
        Ok(())
    }

    fn at_us(&mut self) -> u64 {
        self.step = (self.step + 1).min(999);
        self.now_ms * 1000 + self.step
    }

    fn step(&mut self, ending: bool) {
        self.now_ms += 1;
        self.step = 0;
        let now_ms = self.now_ms;
        while let Some(entry) = self.later.first_entry()
            && entry.key().0 <= now_ms
        {
            let later = entry.remove();
            self.carry_out(later);
        }
        while self.plan.first().is_some_and(|(at_ms, _)| *at_ms <= now_ms) {
            let (_, fault) = self.plan.remove(0);
            self.inject(fault);
        }
        self.wire.tick(now_ms);
        self.end_proxies();
        self.deliver();
        for server in 0..self.servers.len() {
            self.servers[server].tick(now_ms);
            self.look_after(server);
        }
        self.reference.tick(now_ms);
        for client in 0..self.clients.len() {
            let at_us = self.at_us();
            self.clients[client].tick(now_ms, at_us, ending, &mut self.history);
        }
        for subscriber in &mut self.subscribers {
            subscriber.tick(now_ms);
        }
        self.wire.collect(now_ms);
    }

    fn end_proxies(&mut self) {
        for proxy in 0..PROXIES {
            if self.proxies[proxy as usize].dies(self.now_ms) {
                self.wire.proxy_dies(proxy);
                self.say(format!("proxy {proxy} dies and is back"));
            }
        }
    }

    fn deliver(&mut self) {
        for (from, to, message) in self.wire.arrivals(self.now_ms, &mut self.trace) {
            let at_us = self.at_us();
            let now = (self.now_ms, at_us);
            match (to, message) {
                (Place::Proxy(proxy), message) => {
                    self.proxies[proxy as usize].take(from, message, self.now_ms);
                }
                (Place::Server(server), message) => self.servers[server].deliver(from, message),
                (Place::Reference, Message::Register(said)) => {
                    self.reference.take(from, said, now, &mut self.history);
                    let peers = peers(self.reference.list());
                    if let Some(witness) = self.servers[self.witness].replica() {
                        witness.learn_peers(&peers);
                    }
                }
                (Place::Client(client), Message::Reply { id, reply }) => {
                    self.clients[client as usize].take(id, reply, now, &mut self.history);
                }
                (Place::Subscriber(subscriber), Message::Reply { id, reply }) => {
                    let subscriber = &mut self.subscribers[subscriber as usize];
                    subscriber.take(id, reply, at_us, &mut self.history);
                }
                (Place::Subscriber(subscriber), Message::Event(row)) => {
                    self.subscribers[subscriber as usize].event(row, now, &mut self.history);
                }
                _ => {}
            }
        }
    }

    /// Notes what a server says of itself, and starts it again when it had to stop.
    fn look_after(&mut self, server: usize) {
        let at_us = self.now_ms * 1000 + 999;
        let s = &mut self.servers[server];
        let name: history::Name = s.name.as_str().into();
        if let Some(node) = s.new_node()
            // A folder that was emptied gets a node id anew, whatever it was before.
            && (self.empty.remove(&server)
                || !self.history.folders.iter().any(|f| f.node == node && f.server == name))
        {
            self.history.folders.push(Folder { server: name.clone(), node, at_us });
        }
        if let Some(view) = s.view()
            && view.is_primary
        {
            self.activity.look(&view, at_us, &mut self.history);
        }
        // Who wins a term leads in it, whether or not it ever gets as far as serving.
        if let Some(replica) = s.replica()
            && let Some(term) = replica.won_term()
            && self.won.insert((replica.node(), term))
        {
            self.history.led.push(Led { server: name, node: replica.node(), term, at_us });
            self.say(format!("{} leads in term {term}", self.servers[server].name));
        }
        if self.servers[server].disk().wants_crash() {
            self.say(format!("{} dies in a sync", self.servers[server].name));
            self.crash(server, true, RESTART_MS);
        } else if let Some(why) = self.servers[server].failed() {
            let name = self.servers[server].name.clone();
            self.say(format!("{name} stops: {why}"));
            self.stopped.push((self.now_ms, name, why));
            self.crash(server, false, RESTART_MS);
        }
    }

    fn say(&mut self, what: String) {
        self.trace.note(self.now_ms, format_args!("{what}"));
        self.log.push(format!("{:>7} ms  {what}", self.now_ms));
    }

    fn start(&mut self, server: usize) {
        if self.servers[server].runs() {
            return;
        }
        self.servers[server].start(self.now_ms);
        self.wire.up(server);
        self.say(format!("{} starts", self.servers[server].name));
    }

    fn start_reference(&mut self) {
        if !self.reference.runs() {
            self.reference.start(self.now_ms);
            self.start(self.witness);
        }
    }

    fn crash(&mut self, server: usize, power: bool, down_ms: u64) {
        if !self.servers[server].runs() {
            return;
        }
        self.servers[server].crash(power);
        self.wire.down(server);
        self.after(down_ms, Later::Start(server));
    }

    fn after(&mut self, in_ms: u64, later: Later) {
        self.later_count += 1;
        self.later.insert((self.now_ms + in_ms.max(1), self.later_count), later);
    }

    fn carry_out(&mut self, later: Later) {
        match later {
            Later::Start(server) if server == self.witness => {
                if self.reference.runs() {
                    self.start(server);
                }
            }
            Later::Start(server) => self.start(server),
            Later::StartReference => self.start_reference(),
            Later::Mend(links) => {
                for (from, to) in links {
                    self.wire.mend(from, to, self.now_ms);
                }
            }
            Later::Cut(links, cut) => {
                for (from, to) in links {
                    self.wire.cut(from, to, cut, self.now_ms);
                }
            }
            Later::FastDisk(server) => self.servers[server].disk().set_speed(Speed::FAST),
            Later::FastLinks(server) => self.delay(server, (1, 1)),
            Later::NothingLost => {
                self.wire.lost_events = 0;
                self.wire.lost_requests = 0;
            }
        }
    }

    fn running(&self) -> Vec<usize> {
        (0..self.witness).filter(|server| self.servers[*server].runs()).collect()
    }

    fn primary(&self) -> Option<usize> {
        let leads = |server: &usize| self.servers[*server].view().is_some_and(|v| v.is_primary);
        self.running().into_iter().find(leads)
    }
}
