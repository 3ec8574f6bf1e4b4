//! Faults, carried out: what breaks at once, and what is mended when.

use rand::RngExt;
use recado_drill::history;

use super::{Later, World};
use crate::disk::Speed;
use crate::faults::{Fault, Who};
use crate::proxy::PROXIES;
use crate::server::Server;
use crate::wire::Place;

impl World {
    pub(super) fn find(&mut self, who: Who) -> Option<usize> {
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

    pub(super) fn delay(&mut self, server: usize, delay_ms: (u64, u64)) {
        for other in (0..self.servers.len()).filter(|other| *other != server) {
            self.wire.set_delay(server, other, delay_ms);
            self.wire.set_delay(other, server, delay_ms);
        }
    }

    /// All links of a server: to the others, the witness and the reference.
    pub(super) fn links_of(&self, server: usize) -> Vec<(Place, Place)> {
        let me = Place::Server(server);
        let others = (0..self.servers.len()).filter(|other| *other != server).map(Place::Server);
        others.chain([Place::Reference]).flat_map(|other| [(me, other), (other, me)]).collect()
    }

    pub(super) fn note_fault(&mut self, kind: &str, target: String, for_ms: Option<u64>) {
        let from_us = self.at_us();
        let to_us = for_ms.map(|ms| from_us + ms * 1000);
        self.say(format!("{kind} {target}"));
        let (kind, target) = (kind.into(), target.as_str().into());
        self.history.faults.push(history::Fault { kind, target, from_us, to_us });
    }

    pub(super) fn inject(&mut self, fault: Fault) {
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
    pub(super) fn inject_everywhere(&mut self, fault: Fault) {
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
    pub(super) fn wipe(&mut self, server: usize, down_ms: u64) {
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

    pub(super) fn everybody_is_up(&self) -> bool {
        let up = |server: &Server| server.runs() || !server.was_started();
        self.servers.iter().all(|server| up(server) && server.stopped_until_ms.is_none())
            && self.later.values().all(|later| !matches!(later, Later::Start(_)))
    }

    pub(super) fn heal(&mut self) {
        self.say("heal".to_owned());
        self.plan.clear();
        self.later.clear();
        self.wire.mend_all(self.now_ms);
        for proxy in 0..PROXIES {
            // One that hangs has lost what came meanwhile: it dies for the last time.
            self.wire.proxy_dies(proxy);
            self.proxies[proxy as usize].stays();
        }
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
}
