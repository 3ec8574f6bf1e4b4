//! The network between the processes: a relay on every directed link.

mod hostile;
mod plug;
mod ports;
pub mod relay;

use std::collections::BTreeMap;
use std::io;

pub use hostile::Hostile;
pub use ports::{Node, Places, Ports, Size};
pub use relay::{Relay, Rules, Way};

/// All links.
pub struct Net {
    /// From clients to each broker and proxy.
    doors: BTreeMap<Node, Relay>,
    links: BTreeMap<(Node, Node), Relay>,
}

impl Net {
    /// Starts the relays.
    ///
    /// # Errors
    /// When the system gives no ports.
    pub async fn start(ports: &Ports) -> io::Result<Net> {
        let size = ports.size;
        let mut doors = BTreeMap::new();
        let mut links = BTreeMap::new();
        for broker in size.brokers() {
            doors.insert(broker, Relay::start(ports.first(broker), Way::Backward).await?);
            for server in size.servers() {
                // Here the server connects, and the broker asks.
                let relay = Relay::start(ports.second(broker), Way::Forward).await?;
                links.insert((server, broker), relay);
            }
        }
        for proxy in size.proxies() {
            doors.insert(proxy, Relay::start(ports.second(proxy), Way::Backward).await?);
            for server in size.servers() {
                // Servers publish to the first port, and hear their own markers on the second.
                let both = [ports.first(proxy), ports.second(proxy)];
                links.insert((server, proxy), Relay::start_row(both, Way::Forward).await?);
            }
        }
        // The reference holds a replica, which speaks with the servers as they do with each other.
        let replicas = || size.servers().chain([Node::Reference]);
        for (from, to) in replicas().flat_map(|from| replicas().map(move |to| (from, to))) {
            if from != to {
                let relay = Relay::start(ports.first(to), Way::Backward).await?;
                links.insert((from, to), relay);
            }
        }
        Ok(Net { doors, links })
    }

    /// The relay by which clients reach a broker or a proxy.
    pub fn door(&self, to: Node) -> Option<&Relay> {
        self.doors.get(&to)
    }

    /// The one of these that most clients use.
    pub fn busiest(&self, nodes: impl Iterator<Item = Node>) -> Option<Node> {
        nodes.max_by_key(|node| self.door(*node).map_or(0, Relay::connections))
    }

    /// The relays by which clients reach the brokers.
    pub fn broker_doors(&self) -> impl Iterator<Item = &Relay> {
        let broker = |node: &Node| matches!(node, Node::Broker(_));
        self.doors.iter().filter(move |(to, _)| broker(to)).map(|(_, relay)| relay)
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

    /// Takes a process's host off the network, or puts it back: nothing comes or goes, no
    /// connection ends, and nobody hears why.
    pub fn unplug(&self, node: Node, unplugged: bool) {
        for ((from, to), relay) in &self.links {
            if *from == node || *to == node {
                relay.change(|rules| rules.unplug(unplugged));
            }
        }
    }

    /// All links between replicas.
    pub fn between_replicas(&self) -> impl Iterator<Item = &Relay> {
        let replica = |node: &Node| matches!(node, Node::Server(_) | Node::Reference);
        self.links.iter().filter(move |((_, to), _)| replica(to)).map(|(_, relay)| relay)
    }

    /// Every link does again what a network should.
    pub fn heal(&self) {
        for relay in self.all() {
            relay.change(|rules| *rules = Rules::default());
        }
        self.forgive_replies();
    }

    /// Acknowledgements that were to be lost, and have not been yet, pass.
    pub fn forgive_replies(&self) {
        for relay in self.all() {
            relay.lose_replies(0);
        }
    }

    /// How many acknowledgements were lost on all links.
    pub fn lost_replies(&self) -> u32 {
        self.all().map(Relay::lost_replies).sum()
    }

    fn all(&self) -> impl Iterator<Item = &Relay> {
        self.links.values().chain(self.doors.values())
    }
}
