//! A way to a port that can be stopped: connections stand, and nothing comes through.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A relay to one port of this machine; it ends with the test's runtime.
pub struct Relay {
    address: SocketAddr,
    flows: watch::Sender<bool>,
}

impl Relay {
    /// Starts passing connections on to `target` (`tcp://host:port`).
    pub async fn start(target: &str) -> Relay {
        let target = target.trim_start_matches("tcp://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let flows = watch::Sender::new(true);
        let tap = flows.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(&target).await else { continue };
                let ((near_in, near_out), (far_in, far_out)) =
                    (near.into_split(), far.into_split());
                tokio::spawn(pass(near_in, far_out, tap.subscribe()));
                tokio::spawn(pass(far_in, near_out, tap.subscribe()));
            }
        });
        Relay { address, flows }
    }

    /// Where to connect.
    pub fn endpoint(&self) -> String {
        format!("tcp://{}", self.address)
    }

    /// Lets bytes through, or holds them up.
    pub fn flow(&self, flows: bool) {
        self.flows.send_replace(flows);
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut flows: watch::Receiver<bool>) {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        if flows.wait_for(|flows| *flows).await.is_err() {
            return;
        }
        match from.read(&mut bytes).await {
            Ok(0) | Err(_) => return,
            Ok(count) => {
                if to.write_all(&bytes[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}
