//! The network between the processes: a relay on every directed link.

mod hostile;
pub mod relay;

use std::collections::BTreeMap;
use std::fmt;
use std::io;

pub use hostile::Hostile;
pub use relay::{Relay, Rules, Way};

/// Where the processes really listen.
#[derive(Clone, Debug)]
pub struct Ports {
    /// The first of the row; broker, proxy and reference have fixed places in it.
    pub base: u16,
    /// How many servers there are.
    pub servers: usize,
}

/// A process that others reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Node {
    /// The reference.
    Reference,
    /// The broker.
    Broker,
    /// The proxy.
    Proxy,
    /// A server, counted from 0.
    Server(usize),
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Node::Reference => f.write_str("reference"),
            Node::Broker => f.write_str("broker"),
            Node::Proxy => f.write_str("proxy"),
            Node::Server(index) => write!(f, "server-{}", index + 1),
        }
    }
}

impl Ports {
    /// The broker's port for clients.
    pub fn front(&self) -> u16 {
        self.base
    }

    /// The broker's port for servers.
    pub fn back(&self) -> u16 {
        self.base + 1
    }

    /// The proxy's port for publishers.
    pub fn publishers(&self) -> u16 {
        self.base + 2
    }

    /// The proxy's port for subscribers.
    pub fn subscribers(&self) -> u16 {
        self.base + 3
    }

    /// The reference's port.
    pub fn reference(&self) -> u16 {
        self.base + 4
    }

    /// A server's own port.
    pub fn server(&self, index: usize) -> u16 {
        self.base + 5 + u16::try_from(index).unwrap_or(0)
    }

    /// Where the replica of a server, or of the reference, is reached.
    fn replica(&self, node: Node) -> u16 {
        match node {
            Node::Server(index) => self.server(index),
            _ => self.reference(),
        }
    }

    /// Every port that is listened on, with its owner.
    pub fn all(&self) -> Vec<(Node, u16)> {
        let mut all = vec![
            (Node::Broker, self.front()),
            (Node::Broker, self.back()),
            (Node::Proxy, self.publishers()),
            (Node::Proxy, self.subscribers()),
            (Node::Reference, self.reference()),
        ];
        all.extend((0..self.servers).map(|index| (Node::Server(index), self.server(index))));
        all
    }
}

/// All links.
pub struct Net {
    /// Clients to the broker.
    pub to_broker: Relay,
    /// Subscribers to the proxy.
    pub to_proxy: Relay,
    links: BTreeMap<(Node, Node), Relay>,
}

impl Net {
    /// Starts the relays.
    ///
    /// # Errors
    /// When the system gives no ports.
    pub async fn start(ports: &Ports) -> io::Result<Net> {
        let to_broker = Relay::start(ports.front(), Way::Backward).await?;
        let to_proxy = Relay::start(ports.subscribers(), Way::Backward).await?;
        let mut links = BTreeMap::new();
        let servers = || (0..ports.servers).map(Node::Server);
        for from in servers() {
            for (to, port, replies) in [
                // Here the server connects, and the broker asks.
                (Node::Broker, ports.back(), Way::Forward),
                (Node::Proxy, ports.publishers(), Way::Forward),
            ] {
                links.insert((from, to), Relay::start(port, replies).await?);
            }
        }
        // The reference holds a replica, which speaks with the servers as they do with each other.
        let replicas = || servers().chain([Node::Reference]);
        for (from, to) in replicas().flat_map(|from| replicas().map(move |to| (from, to))) {
            if from != to {
                let relay = Relay::start(ports.replica(to), Way::Backward).await?;
                links.insert((from, to), relay);
            }
        }
        Ok(Net { to_broker, to_proxy, links })
    }

    /// The relay by which one process reaches another.
    pub fn link(&self, from: Node, to: Node) -> Option<&Relay> {
        self.links.get(&(from, to))
    }

    /// The port by which one process reaches another; 0 when there is no such link.
    pub fn port(&self, from: Node, to: Node) -> u16 {
        self.link(from, to).map_or(0, Relay::port)
    }

    /// Holds (or lets pass) what one replica sends to another, over the connections of both.
    pub fn hold(&self, from: Node, to: Node, hold: bool) {
        if let Some(link) = self.link(from, to) {
            link.change(|rules| rules.hold_forward = hold);
        }
        if let Some(link) = self.link(to, from) {
            link.change(|rules| rules.hold_backward = hold);
        }
    }

    /// All links between replicas.
    pub fn between_replicas(&self) -> impl Iterator<Item = &Relay> {
        let replica = |node: &Node| matches!(node, Node::Server(_) | Node::Reference);
        self.links.iter().filter(move |((_, to), _)| replica(to)).map(|(_, relay)| relay)
    }

    /// Every link does again what a network should.
    pub fn heal(&self) {
        for relay in self.links.values().chain([&self.to_broker, &self.to_proxy]) {
            relay.change(|rules| *rules = Rules::default());
        }
        self.forgive_replies();
    }

    /// Acknowledgements that were to be lost, and have not been yet, pass.
    pub fn forgive_replies(&self) {
        for relay in self.links.values().chain([&self.to_broker, &self.to_proxy]) {
            relay.lose_replies(0);
        }
    }

    /// How many acknowledgements were lost on all links.
    pub fn lost_replies(&self) -> u32 {
        let relays = self.links.values().chain([&self.to_broker, &self.to_proxy]);
        relays.map(Relay::lost_replies).sum()
    }
}
