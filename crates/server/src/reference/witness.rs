//! The reference's replica: it follows like a backup, serves nobody, and votes when the servers
//! are even in number. ARCHITECTURE.md says which deaths that survives.
//!
//! It has no port of its own. Servers reach it where they reach the reference, so nobody must be
//! told where that is.

use std::sync::Arc;

use bytes::Bytes;
use recado_replication::peer::FIRST_SERVER_KIND;
use recado_replication::{Peer, Replica, ReplicaConfig, Sizes};
use recado_transport::{Envelope, Responder};

use crate::clocks::Clocks;
use crate::config::{ReferenceConfig, WITNESS_NAME};
use crate::error::{ReferenceError, prepare_folder};
use crate::frames::{Answer, FORWARD};
use crate::links::{Links, WITNESS_ADDRESS};

/// Where it keeps its data, within the reference's folder.
const FOLDER_NAME: &str = "replica";

/// The replica and the socket that it shares.
pub struct Witness {
    replica: Replica,
    responder: Responder,
    peers: Vec<Peer>,
}

impl Witness {
    /// Starts following, as soon as there is somebody to follow.
    ///
    /// # Errors
    /// Its folder can't be used.
    pub async fn start(
        config: &ReferenceConfig,
        responder: Responder,
    ) -> Result<Witness, ReferenceError> {
        let dir = config.data_dir.join(FOLDER_NAME);
        prepare_folder(&dir)?;
        let replica = ReplicaConfig {
            dir,
            name: WITNESS_NAME.to_owned(),
            address: WITNESS_ADDRESS.to_owned(),
            boot: rand::random(),
            pid: std::process::id(),
            timing: config.timing,
            sizes: Sizes::default(),
            witness: true,
        };
        // Never asked for itself, it needs no address for the reference.
        let links = Arc::new(Links::start(""));
        let replica = Replica::start(replica, links, Arc::new(Clocks::new(0))).await?;
        Ok(Witness { replica, responder, peers: Vec::new() })
    }

    /// Its node id.
    pub fn node(&self) -> u64 {
        self.replica.node()
    }

    /// The servers that are there now.
    pub fn learn_peers(&mut self, peers: Vec<Peer>) {
        if peers != self.peers {
            self.replica.learn_peers(&peers);
            self.peers = peers;
        }
    }

    /// Takes a message of one of our kinds.
    pub fn take(&self, envelope: Envelope, kind: u8, payload: Bytes) {
        match kind {
            0..FIRST_SERVER_KIND => {
                let answer = self.replica.handle_peer(kind, payload);
                let responder = self.responder.clone();
                tokio::spawn(async move {
                    if let Some(answer) = answer.await {
                        responder.send(&envelope, vec![answer]);
                    }
                });
            }
            // Clients' requests are for servers.
            FORWARD => self.responder.send(&envelope, vec![Answer::ELSEWHERE.encode()]),
            _ => {}
        }
    }

    /// Resolves, with one sentence, when it had to stop.
    pub async fn failed(&self) -> String {
        self.replica.failed().await
    }

    /// Stops, with everything on disk.
    pub async fn shutdown(&self) {
        self.replica.shutdown().await;
    }
}
