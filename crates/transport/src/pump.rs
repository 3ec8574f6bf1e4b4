//! Two sockets joined frame by frame: the plain broker.

use std::future::Future;

use omq_tokio::{Proxy, Socket, SocketType};

use crate::OpenError;
use crate::options::{self, Io};

/// The literal ROUTER–DEALER pump between clients and servers, until `shutdown` ends.
pub struct PlainPump {
    front: Socket,
    back: Socket,
    endpoints: [String; 2],
}

impl PlainPump {
    /// Binds a ROUTER for clients at `front` and a DEALER for servers at `back`.
    pub async fn bind(front: &str, back: &str) -> Result<PlainPump, OpenError> {
        let router = options::open(Io::Threads, SocketType::Router, options::pump())?;
        let dealer = options::open(Io::Threads, SocketType::Dealer, options::pump())?;
        let endpoints = [options::bind(&router, front).await?, options::bind(&dealer, back).await?];
        Ok(PlainPump { front: router, back: dealer, endpoints })
    }

    /// Where clients and servers connect, with the real ports.
    pub fn endpoints(&self) -> [&str; 2] {
        [&self.endpoints[0], &self.endpoints[1]]
    }

    /// Who is connected, to be asked while it runs.
    pub fn connections(&self) -> Connections {
        Connections { sources: self.back.clone(), sinks: self.front.clone() }
    }

    /// Passes messages both ways until `shutdown` ends.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let pump = Proxy::new(self.front.clone(), self.back.clone()).run();
        tokio::select! {
            ended = pump => tracing::warn!(?ended, "the pump stopped by itself"),
            () = shutdown => {}
        }
        release(self.front, &self.endpoints[0]).await;
        release(self.back, &self.endpoints[1]).await;
    }
}

/// Who is connected to two joined sockets.
pub struct Connections {
    sources: Socket,
    sinks: Socket,
}

impl Connections {
    /// The two sockets: that of servers, and that of clients.
    pub(crate) fn of(sources: &Socket, sinks: &Socket) -> Connections {
        Connections { sources: sources.clone(), sinks: sinks.clone() }
    }

    /// How many servers are connected: publishers, or those who answer.
    pub fn servers(&self) -> usize {
        self.sources.ready_peer_count()
    }

    /// How many clients are connected: subscribers, or those who ask.
    pub fn clients(&self) -> usize {
        self.sinks.ready_peer_count()
    }
}

/// Closes a bound socket; its port is free afterwards.
pub(crate) async fn release(socket: Socket, endpoint: &str) {
    if let Ok(endpoint) = options::check(endpoint) {
        // Fails only when it is closed already.
        let _ = socket.unbind(endpoint).await;
    }
    let _ = socket.close().await;
}
