//! The reference's rules: ranks, liveness, and who may form the cluster.
//!
//! Time comes in as monotonic ms, the id of a new cluster as a random number; the caller keeps
//! [`Persistent`] on disk. The reference watches, it decides nothing about writes: whatever it
//! says, the cluster's own terms keep two primaries apart.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[cfg(feature = "planted")]
use crate::planted::{self, Bug};

#[cfg(test)]
mod tests;

/// Times that the rules go by, ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// After so long without a heartbeat a server is taken off the list.
    pub silence_ms: u64,
    /// For so long after its start an empty reference lets nobody form a cluster, so that
    /// running servers can say first what they hold.
    pub forming_grace_ms: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { silence_ms: 1500, forming_grace_ms: 500 }
    }
}

/// So many ranks are remembered across a restart of the reference.
const MAX_GIVEN_RANKS: usize = 1024;

/// What a server says of itself. A standard server says its name only.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Registration {
    /// Its name.
    pub name: String,
    /// A random number of this start.
    pub boot: Option<u64>,
    /// Where other servers reach it.
    pub address: Option<String>,
    /// The node id of its data folder.
    pub node: Option<u64>,
    /// The cluster whose data it holds; none when its folder is empty.
    pub cluster: Option<u64>,
}

/// A server on the list.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its rank, from 1.
    pub rank: u64,
    /// Where other servers reach it.
    pub address: Option<String>,
    /// The node id of its data folder.
    pub node: Option<u64>,
}

/// What must outlive the reference: without it, a rank or the right to form the cluster could be
/// given twice.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Persistent {
    /// The last rank that was given, 0 before the first.
    pub last_rank: u64,
    /// The cluster, once there is one.
    pub cluster: Option<u64>,
    /// The node that may form it; none if the cluster was there before this reference.
    pub granted_to: Option<u64>,
    /// The ranks of the listed servers: whoever was running while the reference was away keeps
    /// its own, or its return would move the primary.
    #[serde(default)]
    pub given: BTreeMap<String, Given>,
}

/// A rank that a server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// The start that it was given to; none for a standard server.
    pub boot: Option<u64>,
    /// The rank.
    pub rank: u64,
}

/// The answer to a registration or heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The server's rank.
    pub rank: u64,
    /// The id of the new cluster, if this server is the one that shall form it.
    pub form: Option<u64>,
    /// What must be on disk before this answer may be sent; none if nothing changed.
    pub persist: Option<Persistent>,
}

/// Who is listed, and what was granted.
#[derive(Clone, Debug)]
pub struct Registry {
    limits: Limits,
    persistent: Persistent,
    servers: BTreeMap<String, Server>,
    started_ms: u64,
    last_tick_ms: u64,
    /// Nobody is delisted before.
    patient_until_ms: u64,
    changes: u64,
}

#[derive(Clone, Debug)]
struct Server {
    rank: u64,
    said: Registration,
    heard_ms: u64,
}

impl Registry {
    /// A reference that starts now with what it kept.
    pub fn new(persistent: Persistent, limits: Limits, now_ms: u64) -> Registry {
        Registry {
            limits,
            persistent,
            servers: BTreeMap::new(),
            started_ms: now_ms,
            last_tick_ms: now_ms,
            patient_until_ms: now_ms.saturating_add(limits.silence_ms),
            changes: 0,
        }
    }

    /// A server registers, or says that it is alive: both list it, and give it a rank if it has
    /// none. A name that is listed with the same boot keeps its rank; another boot, or a name that
    /// is not listed, gets a new rank, higher than all before. A server that says no boot is
    /// known by its name alone.
    ///
    /// `fresh_cluster` is a random number, used if this server is the one to form the cluster.
    pub fn register(
        &mut self,
        registration: Registration,
        fresh_cluster: u64,
        now_ms: u64,
    ) -> Answer {
        let before = self.persistent.clone();
        let node = registration.node;
        let empty = registration.cluster.is_none();
        let rank = self.list_server(registration, now_ms);
        self.settle_cluster(node, fresh_cluster, now_ms);
        let form = match self.persistent.granted_to {
            Some(granted) if empty && node == Some(granted) => self.persistent.cluster,
            _ => None,
        };
        let persist = (self.persistent != before).then(|| self.persistent.clone());
        Answer { rank, form, persist }
    }

    /// The listed server that bears this name with another data folder. As long as it is heard of,
    /// the name is not given away: ask before [`Registry::register`]. The same folder may come back
    /// at any moment, since nobody else can be using it.
    pub fn holder(&self, said: &Registration) -> Option<&Registration> {
        let held = &self.servers.get(&said.name)?.said;
        held.node.zip(said.node).is_some_and(|(held, node)| held != node).then_some(held)
    }

    /// A server says that it is alive. The same as [`Registry::register`]: a server that is not
    /// listed any more is registered anew.
    pub fn heartbeat(
        &mut self,
        registration: Registration,
        fresh_cluster: u64,
        now_ms: u64,
    ) -> Answer {
        self.register(registration, fresh_cluster, now_ms)
    }

    /// Takes silent servers off the list and gives their names. Call it often, at least every
    /// half of the silence limit: a longer pause means that the reference itself was stopped and
    /// could hear nobody, so all get one full limit to be heard again.
    pub fn expire(&mut self, now_ms: u64) -> Vec<String> {
        let limit_ms = self.limits.silence_ms;
        if now_ms.saturating_sub(self.last_tick_ms) > limit_ms / 2 {
            self.patient_until_ms = now_ms.saturating_add(limit_ms);
        }
        self.last_tick_ms = now_ms;
        if now_ms < self.patient_until_ms {
            return Vec::new();
        }
        let silent = |server: &Server| now_ms.saturating_sub(server.heard_ms) > limit_ms;
        let gone: Vec<String> =
            self.servers.iter().filter(|(_, s)| silent(s)).map(|(name, _)| name.clone()).collect();
        for name in &gone {
            self.servers.remove(name);
            // Not worth a write of its own: were it lost, the server would get back a rank that
            // was its own and nobody else's.
            self.persistent.given.remove(name);
            self.changes += 1;
        }
        gone
    }

    /// The listed servers, by rank.
    pub fn list(&self) -> Vec<Listed> {
        let mut list: Vec<Listed> = self
            .servers
            .iter()
            .map(|(name, server)| Listed {
                name: name.clone(),
                rank: server.rank,
                address: server.said.address.clone(),
                node: server.said.node,
            })
            .collect();
        list.sort_by_key(|listed| listed.rank);
        list
    }

    /// What was or is to be kept.
    pub fn persistent(&self) -> &Persistent {
        &self.persistent
    }

    /// Grows whenever the list changes.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    fn list_server(&mut self, mut said: Registration, now_ms: u64) -> u64 {
        if let Some(server) = self.servers.get_mut(&said.name) {
            let same_start = match (server.said.boot, said.boot) {
                (Some(known), Some(boot)) => known == boot,
                _ => true,
            };
            if same_start {
                server.heard_ms = now_ms;
                // A plain heartbeat of a server that said more before takes nothing back.
                said.boot = said.boot.or(server.said.boot);
                said.address = said.address.or_else(|| server.said.address.clone());
                said.node = said.node.or(server.said.node);
                said.cluster = said.cluster.or(server.said.cluster);
                if server.said != said {
                    server.said = said;
                    self.changes += 1;
                }
                return server.rank;
            }
        }
        let kept = self.persistent.given.get(&said.name);
        let own = |given: &&Given| said.boot.is_none() || given.boot == said.boot;
        #[cfg(feature = "planted")]
        let own = |given: &&Given| own(given) || planted::on(Bug::RankAgain);
        let kept = kept.filter(own);
        let rank = match kept {
            Some(given) => given.rank,
            None => self.give_rank(&said),
        };
        self.servers.insert(said.name.clone(), Server { rank, said, heard_ms: now_ms });
        self.changes += 1;
        rank
    }

    /// A rank that nobody had before.
    fn give_rank(&mut self, to: &Registration) -> u64 {
        let rank = self.persistent.last_rank.saturating_add(1);
        self.persistent.last_rank = rank;
        self.persistent.given.insert(to.name.clone(), Given { boot: to.boot, rank });
        if self.persistent.given.len() > MAX_GIVEN_RANKS {
            // Names that came once and never again, the oldest first.
            let servers = &self.servers;
            let given = self.persistent.given.iter();
            let oldest = given
                .filter(|(name, _)| !servers.contains_key(*name) && **name != to.name)
                .min_by_key(|(_, given)| given.rank)
                .map(|(name, _)| name.clone());
            oldest.map(|name| self.persistent.given.remove(&name));
        }
        rank
    }

    /// Who may form the cluster is decided once. As long as any listed server holds data there is
    /// a cluster already, and this reference takes it over; else the listed server with the lowest
    /// rank is the one when it asks after the grace, for ever: were it lost before it formed the
    /// cluster, an operator empties the reference's folder.
    fn settle_cluster(&mut self, asking: Option<u64>, fresh_cluster: u64, now_ms: u64) {
        if self.persistent.cluster.is_some() {
            return;
        }
        // The lowest rank decides if servers bring data of different clusters.
        let held = self.servers.values().filter(|server| server.said.cluster.is_some());
        if let Some(server) = held.min_by_key(|server| server.rank) {
            self.persistent.cluster = server.said.cluster;
            return;
        }
        let grace_over = now_ms.saturating_sub(self.started_ms) >= self.limits.forming_grace_ms;
        let able = self.servers.values().filter(|server| server.said.node.is_some());
        let first = able.min_by_key(|server| server.rank).and_then(|server| server.said.node);
        if grace_over && first.is_some() && first == asking {
            self.persistent.cluster = Some(fresh_cluster);
            self.persistent.granted_to = first;
        }
    }
}
