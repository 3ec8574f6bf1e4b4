//! Who there is, and where everybody really listens.

use std::fmt;

/// Which port of a cluster is whose, counted from its port base. It is the program's own table.
#[derive(Clone, Copy, Debug)]
pub struct Places {
    /// How many ports a cluster has for itself.
    pub ports: u16,
    /// The first port of the broker of this number, from 1; the one for servers is the next.
    pub broker: fn(u16) -> u16,
    /// The first port of the proxy of this number, from 1; the one for subscribers is the next.
    pub proxy: fn(u16) -> u16,
    /// The reference's port.
    pub reference: u16,
    /// The port of the server of this number, from 1.
    pub server: fn(u16) -> u16,
}

/// How many there are of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Servers.
    pub servers: usize,
    /// Brokers.
    pub brokers: usize,
    /// Proxies.
    pub proxies: usize,
}

/// A process that others reach; those of which there are several are counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Node {
    /// The reference.
    Reference,
    /// A broker.
    Broker(usize),
    /// A proxy.
    Proxy(usize),
    /// A server.
    Server(usize),
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Node::Reference => f.write_str("reference"),
            Node::Broker(0) => f.write_str("broker"),
            Node::Broker(index) => write!(f, "broker-{}", index + 1),
            Node::Proxy(0) => f.write_str("proxy"),
            Node::Proxy(index) => write!(f, "proxy-{}", index + 1),
            Node::Server(index) => write!(f, "server-{}", index + 1),
        }
    }
}

impl Size {
    /// All servers.
    pub fn servers(self) -> impl Iterator<Item = Node> {
        (0..self.servers).map(Node::Server)
    }

    /// All brokers.
    pub fn brokers(self) -> impl Iterator<Item = Node> {
        (0..self.brokers).map(Node::Broker)
    }

    /// All proxies.
    pub fn proxies(self) -> impl Iterator<Item = Node> {
        (0..self.proxies).map(Node::Proxy)
    }
}

/// Where the processes really listen.
#[derive(Clone, Debug)]
pub struct Ports {
    /// The port base.
    pub base: u16,
    /// Whose port is where from there on.
    pub places: Places,
    /// How many there are of each.
    pub size: Size,
}

impl Ports {
    /// The port of a server or of the reference; that of a broker for clients, that of a proxy for
    /// publishers.
    pub fn first(&self, node: Node) -> u16 {
        let number = |index: usize| u16::try_from(index).unwrap_or(0) + 1;
        self.base
            + match node {
                Node::Reference => self.places.reference,
                Node::Broker(index) => (self.places.broker)(number(index)),
                Node::Proxy(index) => (self.places.proxy)(number(index)),
                Node::Server(index) => (self.places.server)(number(index)),
            }
    }

    /// The port of a broker for servers, that of a proxy for subscribers.
    pub fn second(&self, node: Node) -> u16 {
        self.first(node) + 1
    }

    /// Every port that is listened on.
    pub fn all(&self) -> Vec<u16> {
        let middle = self.size.brokers().chain(self.size.proxies());
        let pairs = middle.flat_map(|node| [self.first(node), self.second(node)]);
        let replicas = self.size.servers().chain([Node::Reference]);
        pairs.chain(replicas.map(|node| self.first(node))).collect()
    }
}
