//! The reference's replica: it follows like a backup, serves nobody, and votes when the servers
//! are even in number. ARCHITECTURE.md says which deaths that survives.
//!
//! It has no port of its own. Servers reach it where they reach the reference, so nobody must be
//! told where that is. But it has a thread of its own: no rank and no heartbeat waits until it has
//! checked its data or taken in what the servers wrote.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use recado_replication::peer::FIRST_SERVER_KIND;
use recado_replication::{Peer, Replica, ReplicaConfig, StartError};
use recado_transport::{Envelope, Responder};
use tokio::sync::{mpsc, watch};

use crate::clocks::Clocks;
use crate::config::{ReferenceConfig, WITNESS_NAME};
use crate::error::prepare_folder;
use crate::frames::{Answer, FORWARD};
use crate::links::{Links, WITNESS_ADDRESS};

/// Where it keeps its data, within the reference's folder.
const FOLDER_NAME: &str = "replica";

/// So many messages wait for it; what does not fit is dropped, and servers send again.
const QUEUE_MESSAGES: usize = 1024;

/// Its data folder, within the reference's.
pub fn folder(reference: &Path) -> PathBuf {
    reference.join(FOLDER_NAME)
}

/// What the reference passes on to it.
enum Order {
    /// A message of one of our kinds.
    Take { envelope: Envelope, kind: u8, payload: Bytes },
    /// Stop, with everything on disk.
    Stop,
}

/// The reference's hold on its replica.
pub struct Witness {
    orders: mpsc::Sender<Order>,
    /// How it ended; none as long as it runs.
    ended: watch::Receiver<Option<Result<(), String>>>,
    /// Whether it has opened its data.
    runs: watch::Receiver<bool>,
    /// The servers that are there now.
    listed: watch::Sender<Vec<Peer>>,
}

impl Witness {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(config: &ReferenceConfig, responder: Responder) -> io::Result<Witness> {
        let (orders, received) = mpsc::channel(QUEUE_MESSAGES);
        let (end, ended) = watch::channel(None);
        let (begun, runs) = watch::channel(false);
        let (listed, others) = watch::channel(Vec::new());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let config = config.clone();
        std::thread::Builder::new().name("witness".into()).spawn(move || {
            let result = runtime.block_on(run(&config, responder, received, others, &begun));
            runtime.shutdown_background();
            end.send_replace(Some(result));
        })?;
        Ok(Witness { orders, ended, runs, listed })
    }

    /// Whether it takes part.
    pub fn runs(&self) -> bool {
        *self.runs.borrow()
    }

    /// The servers that are there now.
    pub fn learn_peers(&self, peers: Vec<Peer>) {
        self.listed.send_if_modified(|known| {
            let changed = *known != peers;
            *known = peers;
            changed
        });
    }

    /// Takes a message of one of our kinds.
    pub fn take(&self, envelope: Envelope, kind: u8, payload: Bytes) {
        // Dropped while it is busy starting: whoever sent it sends it again.
        let _ = self.orders.try_send(Order::Take { envelope, kind, payload });
    }

    /// Resolves, with one sentence, when it could not start or had to stop.
    pub async fn failed(&self) -> String {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(Err(why))) => why.clone(),
            _ => "its replica ended".to_owned(),
        }
    }

    /// Stops, with everything on disk.
    pub async fn shutdown(&self) {
        if self.orders.send(Order::Stop).await.is_ok() {
            let _ = self.ended.clone().wait_for(Option::is_some).await;
        }
    }
}

async fn run(
    config: &ReferenceConfig,
    responder: Responder,
    mut orders: mpsc::Receiver<Order>,
    mut listed: watch::Receiver<Vec<Peer>>,
    begun: &watch::Sender<bool>,
) -> Result<(), String> {
    loop {
        match serve(config, &responder, &mut orders, &mut listed, begun).await? {
            Ended::AsTold => return Ok(()),
            Ended::Earlier(why) => {
                begun.send_replace(false);
                set_aside(&folder(&config.data_dir), &why)?;
            }
        }
    }
}

/// How a replica ended that had no trouble.
enum Ended {
    /// It was told to.
    AsTold,
    /// The servers made a new generation of the cluster without it; their words.
    Earlier(String),
}

/// Keeps what an earlier generation left, out of the way: the new one needs a replica that begins
/// with nothing, and nobody has said that this one has nothing more than the new one.
fn set_aside(dir: &Path, why: &str) -> Result<(), String> {
    let number = (1u64..).find(|number| !aside(dir, *number).exists()).unwrap_or_default();
    let aside = aside(dir, number);
    let moved = std::fs::rename(dir, &aside);
    let moved = moved.and_then(|()| std::fs::File::open(dir.parent().unwrap_or(dir))?.sync_all());
    moved.map_err(|error| format!("{why}; it can't be moved aside: {error}"))?;
    tracing::warn!(
        "the reference's replica is of an earlier generation of the cluster; it is kept in {}, and \
         the replica begins anew. Remove that folder when nobody needs it any more",
        aside.display()
    );
    Ok(())
}

fn aside(dir: &Path, number: u64) -> PathBuf {
    dir.with_file_name(format!("{FOLDER_NAME}.earlier-{number}"))
}

async fn serve(
    config: &ReferenceConfig,
    responder: &Responder,
    orders: &mut mpsc::Receiver<Order>,
    listed: &mut watch::Receiver<Vec<Peer>>,
    begun: &watch::Sender<bool>,
) -> Result<Ended, String> {
    let replica = tokio::select! {
        replica = start(config, listed.clone()) => replica.map_err(|error| error.to_string())?,
        // What comes meanwhile is sent again.
        () = told_to_stop(orders) => return Ok(Ended::AsTold),
    };
    replica.learn_peers(&listed.borrow_and_update());
    begun.send_replace(true);
    loop {
        let order = tokio::select! {
            why = replica.failed() => {
                replica.shutdown().await;
                let earlier = replica.is_of_an_earlier_generation();
                return if earlier { Ok(Ended::Earlier(why)) } else { Err(why) };
            }
            order = orders.recv() => order,
            // Its sender goes only together with that of the orders.
            Ok(()) = listed.changed() => {
                replica.learn_peers(&listed.borrow_and_update());
                continue;
            }
        };
        match order {
            Some(Order::Take { envelope, kind, payload }) => {
                take(&replica, responder, envelope, kind, payload);
            }
            Some(Order::Stop) | None => {
                replica.shutdown().await;
                return Ok(Ended::AsTold);
            }
        }
    }
}

async fn told_to_stop(orders: &mut mpsc::Receiver<Order>) {
    while let Some(order) = orders.recv().await {
        if matches!(order, Order::Stop) {
            return;
        }
    }
}

async fn start(
    config: &ReferenceConfig,
    listed: watch::Receiver<Vec<Peer>>,
) -> Result<Replica, StartError> {
    let dir = folder(&config.data_dir);
    prepare_folder(&dir).map_err(|error| StartError::Failed(error.to_string()))?;
    let replica = ReplicaConfig {
        dir,
        name: WITNESS_NAME.to_owned(),
        address: WITNESS_ADDRESS.to_owned(),
        boot: rand::random(),
        pid: std::process::id(),
        timing: config.timing,
        sizes: config.sizes,
        metrics: config.metrics.replica.clone(),
        min_copies: None,
        witness: true,
    };
    // It is the reference, and never asks where that is.
    let links = Arc::new(Links::start(config.routes.clone()));
    Replica::start(replica, links, Arc::new(Clocks::new(0)), listed).await
}

fn take(replica: &Replica, responder: &Responder, envelope: Envelope, kind: u8, payload: Bytes) {
    match kind {
        0..FIRST_SERVER_KIND => {
            let answer = replica.handle_peer(kind, payload);
            let responder = responder.clone();
            tokio::spawn(async move {
                if let Some(answer) = answer.await {
                    responder.send(&envelope, vec![answer]);
                }
            });
        }
        // Clients' requests are for servers.
        FORWARD => responder.send(&envelope, vec![Answer::ELSEWHERE.encode()]),
        _ => {}
    }
}
