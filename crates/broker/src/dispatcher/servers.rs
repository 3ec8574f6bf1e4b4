//! Who can take requests.

use bytes::Bytes;
use recado_protocol::limits::MAX_TOLD_SERVERS;
use recado_protocol::reply::Scrub;
use std::collections::VecDeque;

use super::Connected;

/// How many connections that are gone are remembered, so that what they still had on the way
/// does not bring them back.
const DEPARTED: usize = 256;

/// A server as the broker knows it, by its connection.
#[derive(Debug)]
pub(super) struct Server {
    /// Counts connections; an attempt names its server by it.
    pub(super) key: u64,
    /// Where to send.
    pub(super) identity: Bytes,
    pub(super) name: String,
    pub(super) boot: u64,
    pub(super) credit: u32,
    /// It says that it is the primary; two may say so for a moment.
    pub(super) leads: bool,
    pub(super) serving: bool,
    /// Where it serves HTTP, if it does.
    pub(super) http: Option<String>,
    /// Why it can't answer, if it says so.
    pub(super) why: Option<String>,
    pub(super) scrub: Scrub,
    pub(super) heard_ms: u64,
    /// When it came.
    pub(super) since_ms: u64,
    /// Whether it was told how the broker is.
    pub(super) told: bool,
    /// Heard of in time.
    pub(super) live: bool,
    /// Attempts that are not answered.
    pub(super) in_flight: u32,
}

/// What a server says of itself.
pub(super) struct Announcement {
    pub(super) name: String,
    pub(super) boot: u64,
    pub(super) credit: u32,
    pub(super) primary: bool,
    pub(super) serving: bool,
    pub(super) http: Option<String>,
    pub(super) why: Option<String>,
    pub(super) scrub: Scrub,
}

/// Whom to send a request to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// The server at this index.
    Server(usize),
    /// All who could take it have no credit left now.
    Busy,
    /// Nobody else could take it.
    Nobody,
}

/// What became of a sign of life.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Announced {
    /// The keys of connections that this one replaces.
    pub(super) replaced: Vec<u64>,
    /// The key of the server, if it has just become the primary after another one.
    pub(super) took_over: Option<u64>,
}

#[derive(Debug, Default)]
pub(super) struct Servers {
    all: Vec<Server>,
    cursor: usize,
    last_key: u64,
    /// The key of the server that was the last to begin to say that it is the primary.
    primary: Option<u64>,
    departed: VecDeque<Bytes>,
}

impl Servers {
    pub(super) fn get(&mut self, index: usize) -> &mut Server {
        &mut self.all[index]
    }

    pub(super) fn by_key(&mut self, key: u64) -> Option<&mut Server> {
        self.all.iter_mut().find(|server| server.key == key)
    }

    /// How many are heard of in time.
    pub(super) fn live(&self) -> usize {
        self.all.iter().filter(|server| server.live).count()
    }

    /// The server of this name, if one is heard of in time.
    pub(super) fn named(&self, name: &str) -> Option<&Server> {
        self.all.iter().find(|server| server.live && server.name == name)
    }

    /// Why none that is heard of in time can answer, by the first one that says so.
    pub(super) fn why(&self) -> Option<String> {
        if self.any_serving() {
            return None;
        }
        let says =
            |server: &Server| Some(format!("{} says: {}", server.name, server.why.as_ref()?));
        self.all.iter().filter(|server| server.live).find_map(says)
    }

    /// A server that can tell how the cluster is although it can't answer anything else: the one
    /// that says why, if there is one.
    pub(super) fn narrator(&self) -> Option<usize> {
        let live = |server: &Server| server.live && server.in_flight < server.credit;
        let telling = self.all.iter().position(|server| live(server) && server.why.is_some());
        telling.or_else(|| self.all.iter().position(live))
    }

    /// The connections of those who are to be told how the broker is: all, or only new ones.
    pub(super) fn untold(&mut self, all: bool) -> Vec<Bytes> {
        let told = self.all.iter_mut().filter(|server| all || !server.told);
        told.map(|server| {
            server.told = true;
            server.identity.clone()
        })
        .collect()
    }

    /// All that are connected.
    pub(super) fn connected(&self) -> Vec<Connected> {
        let connected =
            |server: &Server| Connected { name: server.name.clone(), since_ms: server.since_ms };
        self.all.iter().map(connected).collect()
    }

    /// Whether any is heard of in time and can answer.
    pub(super) fn any_serving(&self) -> bool {
        self.all.iter().any(|server| server.live && server.serving)
    }

    /// A sign of life.
    pub(super) fn announced(
        &mut self,
        identity: &Bytes,
        said: Announcement,
        now: u64,
    ) -> Announced {
        if self.departed.contains(identity) {
            return Announced::default();
        }
        let known = self.all.iter().position(|server| server.identity == *identity);
        let mut replaced = if known.is_some() { Vec::new() } else { self.replace(&said) };
        if known.is_none() && self.all.len() >= MAX_TOLD_SERVERS {
            let Some(silent) = self.give_up_silent() else {
                tracing::debug!(name = said.name, "too many servers; this one gets no requests");
                return Announced { replaced, took_over: None };
            };
            replaced.push(silent);
        }
        let index = known.unwrap_or_else(|| self.add(identity, &said, now));
        let server = &mut self.all[index];
        server.credit = said.credit;
        server.serving = said.serving;
        server.http = said.http;
        server.why = said.why.filter(|_| !said.serving);
        server.scrub = said.scrub;
        server.heard_ms = now;
        server.live = true;
        let key = server.key;
        let led = std::mem::replace(&mut server.leads, said.primary);
        let begins = said.primary && !led;
        // Who was unsure for a moment has all that was handed on to it.
        let took_over = begins && self.primary.replace(key) != Some(key);
        Announced { replaced, took_over: took_over.then_some(key) }
    }

    /// The same start of the same server by a new connection: the old one is broken.
    fn replace(&mut self, said: &Announcement) -> Vec<u64> {
        let same = |server: &&Server| server.name == said.name && server.boot == said.boot;
        let replaced: Vec<Bytes> =
            self.all.iter().filter(same).map(|server| server.identity.clone()).collect();
        replaced.iter().filter_map(|old| self.remove(old)).collect()
    }

    /// Makes room in the place of whoever was silent longest; none if all are heard of in time.
    fn give_up_silent(&mut self) -> Option<u64> {
        let silent = self.all.iter().enumerate().filter(|(_, server)| !server.live);
        let (index, _) = silent.min_by_key(|(_, server)| server.heard_ms)?;
        Some(self.all.remove(index).key)
    }

    fn add(&mut self, identity: &Bytes, said: &Announcement, now: u64) -> usize {
        self.last_key += 1;
        tracing::info!(name = said.name, serving = said.serving, "a server is here");
        self.all.push(Server {
            key: self.last_key,
            identity: identity.clone(),
            name: said.name.clone(),
            boot: said.boot,
            credit: said.credit,
            leads: false,
            serving: said.serving,
            http: None,
            why: None,
            scrub: Scrub::default(),
            heard_ms: 0,
            since_ms: now,
            told: false,
            live: true,
            in_flight: 0,
        });
        self.all.len() - 1
    }

    /// An answer is a sign of life too.
    pub(super) fn heard(&mut self, key: u64, now: u64) {
        if let Some(server) = self.by_key(key) {
            server.heard_ms = now;
        }
    }

    /// A connection is gone, or its server leaves; gives its key.
    pub(super) fn remove(&mut self, identity: &Bytes) -> Option<u64> {
        let index = self.all.iter().position(|server| server.identity == *identity)?;
        let server = self.all.remove(index);
        tracing::info!(name = server.name, "a server is gone");
        self.departed.push_back(server.identity);
        if self.departed.len() > DEPARTED {
            self.departed.pop_front();
        }
        Some(server.key)
    }

    /// Those who have just been silent for too long; they get nothing until they are heard again.
    pub(super) fn silent(&mut self, silence_ms: u64, now: u64) -> Vec<u64> {
        let late = |server: &&mut Server| server.live && now > server.heard_ms + silence_ms;
        self.all
            .iter_mut()
            .filter(late)
            .map(|server| {
                tracing::warn!(name = server.name, "a server is silent");
                server.live = false;
                server.key
            })
            .collect()
    }

    /// For a write the primary, which would have to carry it out anyway, if it has room and was not
    /// tried before. Otherwise the next server in turn that is live, serving, and does not hold
    /// the request already; if possible one that it was not with before.
    pub(super) fn choose(
        &mut self,
        write: bool,
        holding: impl Fn(u64) -> bool,
        tried: impl Fn(u64) -> bool,
    ) -> Choice {
        if write && let Some(index) = self.primary(&tried) {
            return Choice::Server(index);
        }
        let count = self.all.len();
        let mut second = None;
        let mut any = false;
        for step in 1..=count {
            let index = (self.cursor + step) % count;
            let server = &self.all[index];
            if !server.live || !server.serving || holding(server.key) {
                continue;
            }
            any = true;
            if server.in_flight >= server.credit {
                continue;
            }
            if !tried(server.key) {
                self.cursor = index;
                return Choice::Server(index);
            }
            second = second.or(Some(index));
        }
        match second {
            Some(index) => {
                self.cursor = index;
                Choice::Server(index)
            }
            None if any => Choice::Busy,
            None => Choice::Nobody,
        }
    }

    /// The newest primary, if it has room and was not tried before.
    fn primary(&self, tried: impl Fn(u64) -> bool) -> Option<usize> {
        let index = self.all.iter().position(|server| Some(server.key) == self.primary)?;
        let server = &self.all[index];
        let can = server.leads
            && server.live
            && server.serving
            && server.in_flight < server.credit
            && !tried(server.key);
        can.then_some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_invents_servers_fills_no_more_than_the_list_holds() {
        let mut servers = Servers::default();
        for number in 0..2 * MAX_TOLD_SERVERS as u64 {
            let said = Announcement {
                name: format!("server-{number}"),
                boot: number,
                credit: 1,
                primary: false,
                serving: true,
                http: None,
                why: None,
                scrub: Scrub::default(),
            };
            servers.announced(&Bytes::copy_from_slice(&number.to_be_bytes()), said, 0);
        }
        assert_eq!(servers.live(), MAX_TOLD_SERVERS);
        assert_eq!(servers.connected().len(), MAX_TOLD_SERVERS);
        // They said so once and are silent: a real one gets a place.
        servers.silent(1000, 5000);
        let said = Announcement {
            name: "real".into(),
            boot: 7,
            credit: 1,
            primary: true,
            serving: true,
            http: None,
            why: None,
            scrub: Scrub::default(),
        };
        let announced = servers.announced(&Bytes::from_static(b"real"), said, 5000);
        assert_eq!(announced.replaced.len(), 1);
        assert!(servers.any_serving());
        assert_eq!(servers.connected().len(), MAX_TOLD_SERVERS);
    }
}
