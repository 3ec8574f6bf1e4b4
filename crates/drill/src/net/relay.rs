//! One directed link: a TCP relay that can cut, hold, delay, fall silent, and lose a reply.
//!
//! A direction that is held delivers nothing, not even the end of a connection: that is what a
//! peer sees of a network that is gone. What was sent meanwhile arrives late when it comes back,
//! as it would after TCP's own repeats.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::plug::Plug;

/// How much a relay takes from a connection at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// How many connections one port of a relay carries at a time; more are refused.
const MAX_CONNECTIONS: usize = 256;

/// How many times free ports in a row are looked for.
const PORT_TRIES: u32 = 100;

/// Only in an acknowledgement: what makes a chunk worth losing.
const ACKNOWLEDGEMENT: &[u8] = b"seq";

/// Which way bytes go over a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From whoever connects to whoever listens.
    Forward,
    /// Back over the same connection.
    Backward,
}

/// What a link does with bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Connections are closed, and new ones too.
    pub cut: bool,
    /// Nothing arrives at the listener.
    pub hold_forward: bool,
    /// Nothing arrives at the connecting side.
    pub hold_backward: bool,
    /// How long each chunk is kept back, ms.
    pub delay_ms: u64,
    /// Attempts to connect get no answer at all.
    pub deaf: bool,
}

impl Rules {
    /// What is left of a link when the host at one of its ends is off the network: nothing.
    pub fn unplug(&mut self, unplugged: bool) {
        (self.hold_forward, self.hold_backward, self.deaf) = (unplugged, unplugged, unplugged);
    }

    fn holds(&self, way: Way) -> bool {
        match way {
            Way::Forward => self.hold_forward,
            Way::Backward => self.hold_backward,
        }
    }
}

/// The relay of one link; it ends when this is dropped.
pub struct Relay {
    port: u16,
    shared: Arc<Shared>,
    _task: JoinSet<()>,
}

struct Shared {
    rules: watch::Sender<Rules>,
    /// How many acknowledgements are still to be lost.
    losses: AtomicU32,
    lost: AtomicU32,
    /// How many connections there are.
    connections: AtomicUsize,
    /// The way in which acknowledgements travel on this link.
    replies: Way,
}

impl Relay {
    /// Listens on a free port, for a target on this machine.
    ///
    /// # Errors
    /// When the system gives no port.
    pub async fn start(target: u16, replies: Way) -> io::Result<Relay> {
        Relay::start_row([target], replies).await
    }

    /// Listens on free ports in a row, one for each target: whoever knows the first address derives
    /// the others from it. All of them are one link.
    ///
    /// # Errors
    /// When the system gives no such ports.
    pub async fn start_row<const N: usize>(targets: [u16; N], replies: Way) -> io::Result<Relay> {
        let listeners = listen_in_a_row(N).await?;
        let port =
            listeners.first().map_or(Ok(0), |first| first.local_addr().map(|at| at.port()))?;
        let shared = Arc::new(Shared {
            rules: watch::Sender::new(Rules::default()),
            losses: AtomicU32::new(0),
            lost: AtomicU32::new(0),
            connections: AtomicUsize::new(0),
            replies,
        });
        let mut task = JoinSet::new();
        for (listener, target) in listeners.into_iter().zip(targets) {
            task.spawn(accept(listener, target, shared.clone()));
        }
        Ok(Relay { port, shared, _task: task })
    }

    /// Where to connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Changes what the link does, for connections that stand too.
    pub fn change(&self, change: impl FnOnce(&mut Rules)) {
        self.shared.rules.send_modify(change);
    }

    /// Loses the next acknowledgements, each with its connection.
    pub fn lose_replies(&self, count: u32) {
        self.shared.losses.store(count, Ordering::Relaxed);
    }

    /// How many connections it carries.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// How many acknowledgements were lost so far.
    pub fn lost_replies(&self) -> u32 {
        self.shared.lost.load(Ordering::Relaxed)
    }
}

/// So many listeners on free ports that follow each other.
async fn listen_in_a_row(count: usize) -> io::Result<Vec<TcpListener>> {
    let mut tries = PORT_TRIES;
    loop {
        match try_to_listen_in_a_row(count).await {
            // Another process has a port behind the one that was free.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries > 0 => tries -= 1,
            result => return result,
        }
    }
}

async fn try_to_listen_in_a_row(count: usize) -> io::Result<Vec<TcpListener>> {
    let first = TcpListener::bind(("127.0.0.1", 0)).await?;
    let mut port = first.local_addr()?.port();
    let mut listeners = vec![first];
    while listeners.len() < count {
        port = port.checked_add(1).ok_or(io::ErrorKind::AddrInUse)?;
        listeners.push(TcpListener::bind(("127.0.0.1", port)).await?);
    }
    Ok(listeners)
}

async fn accept(listener: TcpListener, target: u16, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    let mut rules = shared.rules.subscribe();
    // Our own, by which the listener was made deaf.
    let mut fillers = Vec::new();
    loop {
        if rules.borrow_and_update().deaf {
            fillers.extend(stay_deaf(&listener, &mut rules).await);
        }
        tokio::select! {
            taken = listener.accept() => match taken {
                Ok((_, from)) if fillers.contains(&from) => fillers.retain(|own| *own != from),
                // A cut link takes nobody; nor does one that is full.
                Ok((client, _)) if !shared.rules.borrow().cut
                    && connections.len() < MAX_CONNECTIONS =>
                {
                    connections.spawn(carry(client, target, shared.clone()));
                }
                Ok(_) => {}
                // Out of descriptors: whoever connects tries again.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
            // The sender lives as long as the relay.
            _ = rules.changed() => {}
        }
    }
}

/// Answers nobody as long as the rules say so. Gives the connections of our own that are still to
/// be taken, and thrown away.
async fn stay_deaf(listener: &TcpListener, rules: &mut watch::Receiver<Rules>) -> Vec<SocketAddr> {
    let plug = Plug::put(listener).await;
    _ = rules.wait_for(|rules| !rules.deaf).await;
    // Where the system can't do it, connections are taken, and nothing goes over them.
    plug.and_then(|plug| plug.pull(listener)).unwrap_or_default()
}

/// Carries one connection until both sides are done, the link is cut or a reply was lost.
async fn carry(client: TcpStream, target: u16, shared: Arc<Shared>) {
    shared.connections.fetch_add(1, Ordering::Relaxed);
    let mut rules = shared.rules.subscribe();
    let work = async {
        // A network that is gone answers no attempt to connect either.
        until_passing(&mut shared.rules.subscribe(), Way::Forward).await;
        let Ok(server) = TcpStream::connect(("127.0.0.1", target)).await else { return };
        // Failing only costs time.
        _ = client.set_nodelay(true);
        _ = server.set_nodelay(true);
        let (client_reads, client_writes) = client.into_split();
        let (server_reads, server_writes) = server.into_split();
        let forward = pump(&shared, Way::Forward, client_reads, server_writes);
        let backward = pump(&shared, Way::Backward, server_reads, client_writes);
        tokio::pin!(forward, backward);
        tokio::select! {
            end = &mut forward => if end == End::Closed { _ = backward.await },
            end = &mut backward => if end == End::Closed { _ = forward.await },
        }
    };
    tokio::select! {
        () = work => {}
        _ = rules.wait_for(|rules| rules.cut) => {}
    }
    shared.connections.fetch_sub(1, Ordering::Relaxed);
}

/// Why a pump ended.
#[derive(PartialEq, Eq)]
enum End {
    /// Its reader came to an end, or its writer takes no more.
    Closed,
    /// A reply was lost, and the connection goes with it.
    Lost,
}

/// Carries bytes one way.
async fn pump(shared: &Shared, way: Way, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> End {
    let mut rules = shared.rules.subscribe();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        until_passing(&mut rules, way).await;
        let read = from.read(&mut chunk).await.unwrap_or(0);
        // The rules may have changed while nothing came.
        until_passing(&mut rules, way).await;
        let bytes = &chunk[..read];
        if bytes.is_empty() {
            _ = to.shutdown().await;
            return End::Closed;
        }
        if way == shared.replies && shared.loses(bytes) {
            return End::Lost;
        }
        let delay_ms = rules.borrow().delay_ms;
        if delay_ms > 0 {
            tokio::time::sleep(Duration::from_millis(delay_ms)).await;
        }
        // That the other side is gone shows as the end of the other way.
        if to.write_all(bytes).await.is_err() {
            return End::Closed;
        }
    }
}

async fn until_passing(rules: &mut watch::Receiver<Rules>, way: Way) {
    // The sender lives as long as the relay.
    _ = rules.wait_for(|rules| !rules.holds(way)).await;
}

impl Shared {
    /// Whether this chunk is one that shall be lost.
    fn loses(&self, bytes: &[u8]) -> bool {
        if !bytes.windows(ACKNOWLEDGEMENT.len()).any(|window| window == ACKNOWLEDGEMENT) {
            return false;
        }
        let left = |left: u32| left.checked_sub(1);
        let loses = self.losses.try_update(Ordering::Relaxed, Ordering::Relaxed, left).is_ok();
        if loses {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        loses
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_millis(100);
    const LATE: Duration = Duration::from_secs(20);

    /// A relay, and the two ends of a connection through it.
    async fn pair(replies: Way) -> (Relay, TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = listener.local_addr().unwrap().port();
        let relay = Relay::start(target, replies).await.unwrap();
        let client = TcpStream::connect(("127.0.0.1", relay.port())).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        (relay, client, server)
    }

    async fn read(stream: &mut TcpStream) -> Vec<u8> {
        let mut bytes = vec![0; 64];
        let count = timeout(LATE, stream.read(&mut bytes)).await.unwrap().unwrap_or(0);
        bytes.truncate(count);
        bytes
    }

    async fn brings_nothing(stream: &mut TcpStream) -> bool {
        timeout(SOON, stream.read(&mut [0; 64])).await.is_err()
    }

    #[tokio::test]
    async fn bytes_and_the_end_pass_both_ways() {
        let (_relay, mut client, mut server) = pair(Way::Backward).await;
        client.write_all(b"ask").await.unwrap();
        assert_eq!(read(&mut server).await, b"ask");
        server.write_all(b"answer").await.unwrap();
        assert_eq!(read(&mut client).await, b"answer");
        drop(client);
        assert_eq!(read(&mut server).await, b"");
    }

    #[tokio::test]
    async fn ports_in_a_row_are_one_link() {
        let mut listeners = Vec::new();
        for _ in 0..2 {
            listeners.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
        }
        let target = |index: usize| listeners[index].local_addr().unwrap().port();
        let relay = Relay::start_row([target(0), target(1)], Way::Forward).await.unwrap();
        for (listener, port) in listeners.iter().zip(relay.port()..) {
            let mut client = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let (mut server, _) = listener.accept().await.unwrap();
            client.write_all(b"ask").await.unwrap();
            assert_eq!(read(&mut server).await, b"ask");
            relay.change(|rules| rules.cut = true);
            assert_eq!(read(&mut client).await, b"");
            relay.change(|rules| rules.cut = false);
        }
    }

    #[tokio::test]
    async fn what_is_held_one_way_arrives_late_and_the_other_way_goes_on() {
        let (relay, mut client, mut server) = pair(Way::Backward).await;
        relay.change(|rules| rules.hold_forward = true);
        client.write_all(b"ask").await.unwrap();
        server.write_all(b"news").await.unwrap();
        assert_eq!(read(&mut client).await, b"news");
        assert!(brings_nothing(&mut server).await);
        relay.change(|rules| rules.hold_forward = false);
        assert_eq!(read(&mut server).await, b"ask");
    }

    #[tokio::test]
    async fn nobody_hears_of_a_death_through_a_held_link() {
        let (relay, mut client, server) = pair(Way::Backward).await;
        relay.change(|rules| rules.hold_backward = true);
        drop(server);
        assert!(brings_nothing(&mut client).await);
        relay.change(|rules| rules.hold_backward = false);
        assert_eq!(read(&mut client).await, b"");
    }

    #[tokio::test]
    async fn nobody_gets_through_to_a_host_that_is_unplugged_and_nobody_is_told() {
        let (relay, mut client, mut server) = pair(Way::Backward).await;
        relay.change(|rules| rules.unplug(true));
        client.write_all(b"ask").await.unwrap();
        assert!(brings_nothing(&mut server).await);
        let mut next = tokio::spawn(TcpStream::connect(("127.0.0.1", relay.port())));
        assert!(timeout(SOON * 3, &mut next).await.is_err(), "it got an answer");
        drop(server);
        assert!(brings_nothing(&mut client).await);
        relay.change(|rules| rules.unplug(false));
        assert_eq!(read(&mut client).await, b"");
        timeout(LATE, next).await.unwrap().unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_cut_link_closes_and_takes_nobody() {
        let (relay, mut client, mut server) = pair(Way::Backward).await;
        relay.change(|rules| rules.cut = true);
        assert_eq!(read(&mut client).await, b"");
        assert_eq!(read(&mut server).await, b"");
        let mut next = TcpStream::connect(("127.0.0.1", relay.port())).await.unwrap();
        assert_eq!(read(&mut next).await, b"");
    }

    #[tokio::test]
    async fn one_acknowledgement_is_lost_with_its_connection() {
        let (relay, mut client, mut server) = pair(Way::Backward).await;
        relay.lose_replies(1);
        server.write_all(b"hello").await.unwrap();
        assert_eq!(read(&mut client).await, b"hello");
        server.write_all(b"stored: seq 7").await.unwrap();
        assert_eq!(read(&mut client).await, b"");
        assert_eq!(relay.lost_replies(), 1);
    }
}
