//! A whole cluster in one thread: servers, network, reference, clients, subscribers, and what
//! happens to them. Time goes on in steps of a millisecond; within one everything happens in a
//! fixed order.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rand::RngExt;
use rand::rngs::SmallRng;
use recado_drill::history::{self, End, FinalRow, Folder, History, Led, Row, State, Topic};
use recado_replication::Sizes;
use recado_storage::PageLimit;

use crate::activity::Activity;
use crate::client::{CHANNELS, CLIENTS, Client, user};
use crate::disk::Speed;
use crate::faults::{Fault, Planned, Who};
use crate::reference::Reference;
use crate::seed::dice;
use crate::server::{Server, peers};
use crate::service::{self, StoredRow};
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
        let sizes = match dice.random_range(0..3) {
            0 => Sizes { snapshot_entries: 40, keep_entries: 10 },
            1 => Sizes { snapshot_entries: 200, keep_entries: 100 },
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

    fn deliver(&mut self) {
        for (from, to, message) in self.wire.arrivals(self.now_ms, &mut self.trace) {
            let at_us = self.at_us();
            let now = (self.now_ms, at_us);
            match (to, message) {
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

    fn find(&mut self, who: Who) -> Option<usize> {
        match who {
            Who::Primary => self.primary(),
            Who::Backup => {
                let primary = self.primary();
                let rest: Vec<usize> =
                    self.running().into_iter().filter(|s| Some(*s) != primary).collect();
                if rest.is_empty() {
                    return None;
                }
                Some(rest[self.dice.random_range(0..rest.len())])
            }
            Who::Server(server) => Some(server),
        }
        .filter(|server| self.servers[*server].runs())
    }

    fn delay(&mut self, server: usize, delay_ms: (u64, u64)) {
        for other in (0..self.servers.len()).filter(|other| *other != server) {
            self.wire.set_delay(server, other, delay_ms);
            self.wire.set_delay(other, server, delay_ms);
        }
    }

    /// All links of a server: to the others, the witness and the reference.
    fn links_of(&self, server: usize) -> Vec<(Place, Place)> {
        let me = Place::Server(server);
        let others = (0..self.servers.len()).filter(|other| *other != server).map(Place::Server);
        others.chain([Place::Reference]).flat_map(|other| [(me, other), (other, me)]).collect()
    }

    fn note_fault(&mut self, kind: &str, target: String, for_ms: Option<u64>) {
        let from_us = self.at_us();
        let to_us = for_ms.map(|ms| from_us + ms * 1000);
        self.say(format!("{kind} {target}"));
        let (kind, target) = (kind.into(), target.as_str().into());
        self.history.faults.push(history::Fault { kind, target, from_us, to_us });
    }

    fn inject(&mut self, fault: Fault) {
        let who = match &fault {
            Fault::Kill { who, .. }
            | Fault::KillInSync { who, .. }
            | Fault::Wipe { who, .. }
            | Fault::Stop { who, .. }
            | Fault::Isolate { who, .. }
            | Fault::CutOneWay { from: who, .. }
            | Fault::Flap { who, .. }
            | Fault::SlowDisk { who, .. }
            | Fault::SlowLinks { who, .. }
            | Fault::JumpClock { who, .. } => *who,
            _ => return self.inject_everywhere(fault),
        };
        let Some(server) = self.find(who) else { return };
        let name = self.servers[server].name.clone();
        match fault {
            Fault::Kill { power, down_ms, .. } => {
                self.note_fault(if power { "power off" } else { "kill" }, name, Some(down_ms));
                self.crash(server, power, down_ms);
            }
            Fault::KillInSync { syncs, .. } => {
                self.note_fault("kill in a sync", name, None);
                self.servers[server].disk().crash_in(syncs);
            }
            Fault::Wipe { down_ms, .. } => self.wipe(server, down_ms),
            Fault::Stop { for_ms, .. } => {
                self.note_fault("stop", name, Some(for_ms));
                self.servers[server].stopped_until_ms = Some(self.now_ms + for_ms);
            }
            Fault::Isolate { cut, for_ms, .. } => {
                self.note_fault(&format!("isolate ({cut:?})"), name, Some(for_ms));
                let links = self.links_of(server);
                self.carry_out(Later::Cut(links.clone(), cut));
                self.after(for_ms, Later::Mend(links));
            }
            Fault::CutOneWay { to, cut, for_ms, .. } => {
                let Some(to) = self.find(to).filter(|to| *to != server) else { return };
                let target = format!("{name}→{}", self.servers[to].name);
                self.note_fault(&format!("cut one way ({cut:?})"), target, Some(for_ms));
                let links = vec![(Place::Server(server), Place::Server(to))];
                self.carry_out(Later::Cut(links.clone(), cut));
                self.after(for_ms, Later::Mend(links));
            }
            Fault::Flap { cut, times, period_ms, .. } => {
                let for_ms = period_ms * 2 * u64::from(times);
                self.note_fault(&format!("flap ({cut:?})"), name, Some(for_ms));
                let links = self.links_of(server);
                for time in 0..u64::from(times) {
                    self.after(2 * time * period_ms, Later::Cut(links.clone(), cut));
                    self.after((2 * time + 1) * period_ms, Later::Mend(links.clone()));
                }
            }
            Fault::SlowDisk { for_ms, .. } => {
                self.note_fault("slow disk", name, Some(for_ms));
                self.servers[server].disk().set_speed(Speed::SLOW);
                self.after(for_ms, Later::FastDisk(server));
            }
            Fault::SlowLinks { delay_ms, for_ms, .. } => {
                self.note_fault("slow links", format!("{name} {delay_ms} ms"), Some(for_ms));
                self.delay(server, (delay_ms / 2, delay_ms));
                self.after(for_ms, Later::FastLinks(server));
            }
            Fault::JumpClock { by_ms, .. } => {
                self.note_fault("clock jump", format!("{name} {by_ms} ms"), None);
                self.servers[server].jump_clock(by_ms);
            }
            _ => {}
        }
    }

    /// Faults that hit no one server.
    fn inject_everywhere(&mut self, fault: Fault) {
        match fault {
            Fault::KillAll { power, down_ms } => {
                let kind = if power { "power off" } else { "kill" };
                self.note_fault(kind, "all".to_owned(), Some(down_ms));
                for server in self.running() {
                    let more_ms = self.dice.random_range(0..1000);
                    self.crash(server, power, down_ms + more_ms);
                }
            }
            Fault::Reference { power, for_ms } if self.reference.runs() => {
                self.note_fault("kill", "reference".to_owned(), Some(for_ms));
                self.reference.crash();
                self.servers[self.witness].crash(power);
                self.wire.down(self.witness);
                self.after(for_ms, Later::StartReference);
            }
            Fault::LoseEvents { per_mille, for_ms } => {
                self.note_fault("lose events", format!("{per_mille} ‰"), Some(for_ms));
                self.wire.lost_events = per_mille;
                self.after(for_ms, Later::NothingLost);
            }
            Fault::LoseRequests { per_mille, for_ms } => {
                self.note_fault("lose requests", format!("{per_mille} ‰"), Some(for_ms));
                self.wire.lost_requests = per_mille;
                self.after(for_ms, Later::NothingLost);
            }
            Fault::Add => {
                let new = (3..self.witness).find(|server| !self.servers[*server].was_started());
                if let Some(server) = new {
                    self.note_fault("add", self.servers[server].name.clone(), None);
                    self.start(server);
                }
            }
            _ => {}
        }
    }

    /// Nobody can promise anything about a disk that holds the only copy: another active server
    /// must have everything, and must be able to go on.
    fn wipe(&mut self, server: usize, down_ms: u64) {
        let name = self.servers[server].name.clone();
        let Some(primary) = self.primary() else { return };
        let Some(view) = self.servers[primary].view() else { return };
        let safe = view.members.iter().filter(|m| m.member.active && m.alive && m.voter);
        let others = safe.filter(|m| m.member.announced.name != name).count();
        let voters = view.members.iter().filter(|m| m.voter).count()
            + usize::from(view.witness.as_ref().is_some_and(|w| w.voter));
        if others <= voters / 2 || !self.everybody_is_up() {
            return;
        }
        self.note_fault("wipe", name, Some(down_ms));
        self.crash(server, true, down_ms);
        self.servers[server].wipe();
        self.empty.insert(server);
    }

    fn everybody_is_up(&self) -> bool {
        let up = |server: &Server| server.runs() || !server.was_started();
        self.servers.iter().all(|server| up(server) && server.stopped_until_ms.is_none())
            && self.later.values().all(|later| !matches!(later, Later::Start(_)))
    }

    fn heal(&mut self) {
        self.say("heal".to_owned());
        self.plan.clear();
        self.later.clear();
        self.wire.mend_all(self.now_ms);
        self.start_reference();
        for server in 0..self.servers.len() {
            self.servers[server].disk().set_speed(Speed::FAST);
            self.servers[server].disk().crash_in_none();
            self.servers[server].stopped_until_ms = None;
            if self.servers[server].was_started() {
                self.start(server);
            }
        }
    }

    /// All are there, active and level, and nothing is under way.
    fn is_well(&self) -> bool {
        if !self.clients.iter().all(Client::rests) {
            return false;
        }
        let Some(primary) = self.primary() else { return false };
        let Some(view) = self.servers[primary].view() else { return false };
        let started = self.servers[..self.witness].iter().filter(|s| s.was_started());
        let active = view.members.iter().filter(|m| m.member.active).count();
        if started.count() != active || active != view.members.len() {
            return false;
        }
        let there = self.servers.iter().filter(|s| s.was_started());
        let applied: Vec<Option<u64>> =
            there.map(|s| s.replica().map(|replica| *replica.applied().borrow())).collect();
        if applied.iter().any(|at| at.is_none() || *at != applied[0]) {
            return false;
        }
        let Some(replica) = self.servers[primary].replica() else { return false };
        let Ok(rows) = replica.store().reader() else { return false };
        let limit = PageLimit { rows: 1, bytes: 1024 };
        self.subscribers.iter().all(|subscriber| {
            rows.history(service::of(subscriber.topic()), None, None, limit)
                .is_ok_and(|page| page.newest == subscriber.has())
        })
    }

    /// What stands in the way of a good end, for people.
    fn describe(&self) -> String {
        let mut text = String::new();
        for server in self.servers.iter().filter(|s| s.was_started()) {
            let view = server.view().map_or("no replica".to_owned(), |view| format!("{view:?}"));
            text.push_str(&format!("{}: {view}\n", server.name));
        }
        let busy = self.clients.iter().filter(|client| !client.rests()).count();
        let has: Vec<u64> = self.subscribers.iter().map(Subscriber::has).collect();
        text + &format!("{busy} clients wait; subscribers have {has:?}\n")
    }

    /// Reads the final state.
    fn end(&mut self) {
        let at_us = self.at_us();
        let mut end = End { at_us, ..End::default() };
        for server in self.servers.iter().filter(|s| s.was_started()) {
            let name: history::Name = server.name.as_str().into();
            let rows = server.replica().and_then(|r| Some((r.clone(), r.store().reader().ok()?)));
            let Some((replica, rows)) = rows else {
                end.missing.push(name);
                continue;
            };
            let active = replica
                .view()
                .borrow()
                .member(replica.node())
                .is_some_and(|member| member.member.active);
            let position = *replica.applied().borrow();
            end.states.push(State {
                server: name,
                position,
                hash: rows.state_hash().unwrap(),
                active,
            });
            if end.topics.is_empty() {
                end.topics = topics(&rows);
            }
        }
        for state in &end.states {
            self.trace.note(self.now_ms, format_args!("{state:?}"));
        }
        for subscriber in &self.subscribers {
            self.history.subscriptions.push(subscriber.subscription(true));
        }
        self.history.end = Some(end);
    }
}

fn topics(rows: &recado_storage::Reader) -> BTreeMap<Topic, Vec<FinalRow>> {
    let channels = CHANNELS.iter().map(|channel| Topic::channel(channel));
    let inboxes = (0..CLIENTS).map(|client| Topic::inbox(&user(client)));
    channels.chain(inboxes).map(|topic| (topic.clone(), whole(rows, &topic))).collect()
}

fn whole(rows: &recado_storage::Reader, topic: &Topic) -> Vec<FinalRow> {
    let limit = PageLimit { rows: 1000, bytes: 1024 * 1024 };
    let mut all: Vec<FinalRow> = Vec::new();
    loop {
        let after = all.last().map_or(0, |row| row.row.seq);
        let page = rows.history(service::of(topic), Some(after), None, limit).unwrap();
        if page.messages.is_empty() {
            return all;
        }
        for row in page.messages.into_iter().map(StoredRow::of) {
            let (from, text) = (row.from.as_str().into(), row.text.as_str().into());
            let (message_id, timestamp_ms) = (row.id, row.time_ms);
            all.push(FinalRow { row: Row { seq: row.seq, from, text }, message_id, timestamp_ms });
        }
    }
}
