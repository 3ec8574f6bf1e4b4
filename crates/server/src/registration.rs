//! Registers with the reference and keeps saying so.
//!
//! The reference watches and does not decide: when it is away, this part keeps trying, and the
//! server goes on. The task that sends heartbeats waits for nothing else, so that a slow disk is
//! never taken for a dead server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use recado_protocol::reference::{Listed, ReferenceReply, ReferenceRequest, Registration};
use recado_protocol::{Code, Refusal, codec};
use recado_replication::{Peer, Replica, name_taken};
use recado_transport::Caller;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use crate::clocks::Clocks;
use crate::config::{HEARTBEAT_INTERVAL_MS, MAX_PENDING_HEARTBEATS, REFERENCE_TIMEOUT_MS};
use crate::facts::{Facts, ReferenceFacts};
use crate::namesake::{Namesake, Search};

/// The reference counts as connected for this long after its last answer.
const FRESH_MS: u64 = 1000;

/// Between two attempts to form the cluster.
const FORM_PAUSE_MS: u64 = 1000;

/// Who registers.
pub struct Registrar {
    /// The way to the reference.
    pub caller: Caller,
    /// Looks for a server of the same name when the reference says that there is one.
    pub search: Search,
    /// Whose rank it is.
    pub replica: Replica,
    /// For the stamps of messages.
    pub clocks: Arc<Clocks>,
    /// Where the reference's state is noted.
    pub facts: Arc<Facts>,
    /// The server's name.
    pub name: String,
    /// Where other servers reach it.
    pub address: String,
}

/// What the registration remembers from one answer to the next.
struct State {
    registered: bool,
    last_answer: Option<Instant>,
    rank: u64,
    peers: Vec<Peer>,
    forming: Arc<AtomicBool>,
    warned: bool,
    /// Whether the reference refused this server last.
    refused: bool,
    /// The search for the server that has the name.
    searching: Option<BoxFuture<'static, Option<Namesake>>>,
}

impl Registrar {
    /// Registers, then sends heartbeats. Ends, with one sentence, only when another server of this
    /// name is there.
    pub async fn run(self) -> String {
        let mut state = State {
            registered: false,
            last_answer: None,
            rank: 0,
            peers: Vec::new(),
            forming: Arc::default(),
            warned: false,
            refused: false,
            searching: None,
        };
        let mut boot = self.replica.boot();
        // Else the first beat would be lost, and the whole start a quarter of a second slower.
        self.caller.wait_connected(Duration::from_millis(REFERENCE_TIMEOUT_MS)).await;
        let mut beats = interval(Duration::from_millis(HEARTBEAT_INTERVAL_MS));
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut pending: FuturesUnordered<BoxFuture<'static, Option<Bytes>>> =
            FuturesUnordered::new();
        loop {
            tokio::select! {
                _ = beats.tick() => {
                    self.note_silence(&mut state);
                    if pending.len() < MAX_PENDING_HEARTBEATS {
                        pending.extend(self.beat(state.registered));
                    }
                }
                // The cluster dropped this server: under a new number it gets a new rank.
                Ok(()) = boot.changed() => state.registered = false,
                Some(answer) = pending.next() => {
                    if let Some(body) = answer {
                        self.heard(&mut state, &body);
                    }
                }
                found = found(&mut state.searching) => {
                    // Who was removed hears so from everybody that it meets, and ends for that.
                    if let Some(Namesake { address, removed: false, .. }) = found {
                        return name_taken(&self.name, &address);
                    }
                }
            }
        }
    }

    fn beat(&self, registered: bool) -> Option<BoxFuture<'static, Option<Bytes>>> {
        let registration = Registration {
            user: self.name.clone(),
            boot: Some(*self.replica.boot().borrow()),
            address: Some(self.address.clone()),
            node: Some(self.replica.node()),
            cluster: self.replica.cluster(),
        };
        let request = if registered {
            ReferenceRequest::Heartbeat(registration)
        } else {
            ReferenceRequest::Rank(registration)
        };
        let body = codec::encode_reference_request(&request, self.clocks.stamp_message());
        let answer = self.caller.start(vec![body]).ok()?;
        Some(Box::pin(async move {
            let limit = Duration::from_millis(REFERENCE_TIMEOUT_MS);
            timeout(limit, answer).await.ok()?.ok()?.into_iter().next()
        }))
    }

    /// Says once, and not every quarter of a second, that the reference is away.
    fn note_silence(&self, state: &mut State) {
        let fresh = state.last_answer.is_some_and(|at| at.elapsed().as_millis() < FRESH_MS.into());
        if fresh {
            return;
        }
        self.facts
            .reference
            .send_if_modified(|known| std::mem::take(known) != ReferenceFacts::default());
        // At the start silence is normal for a moment.
        if state.last_answer.is_some() && !state.warned {
            tracing::warn!("the reference does not answer; going on without it");
            state.warned = true;
        } else {
            tracing::debug!("the reference does not answer");
        }
    }

    fn heard(&self, state: &mut State, body: &[u8]) {
        let (reply, stamp) = match codec::decode_reference_reply(body) {
            Ok(reply) => reply,
            Err(error) => return tracing::debug!(%error, "the reference can't be understood"),
        };
        self.clocks.observe(stamp.clock);
        let (pid, http) = match reply {
            ReferenceReply::Rank { rank, form, list } => {
                state.registered = true;
                state.refused = false;
                self.learn(state, rank, form, &list);
                let known = self.facts.reference.borrow();
                (known.pid, known.http.clone())
            }
            ReferenceReply::Heartbeat { rank, form, list, pid, http } => {
                self.learn(state, rank, form, &list);
                (Some(pid).filter(|pid| *pid != 0), http)
            }
            ReferenceReply::Refused(refusal) => {
                self.refused(state, &refusal);
                let known = self.facts.reference.borrow();
                (known.pid, known.http.clone())
            }
            ReferenceReply::List(_) | ReferenceReply::Status { .. } => return,
        };
        if std::mem::take(&mut state.warned) {
            tracing::info!("the reference answers again");
        }
        state.last_answer = Some(Instant::now());
        let facts = ReferenceFacts { connected: true, pid, http };
        self.facts.reference.send_if_modified(|known| {
            let changed = *known != facts;
            *known = facts;
            changed
        });
    }

    /// Whoever takes part already does not give way to a newcomer that came first at a reference
    /// which had forgotten everybody.
    fn refused(&self, state: &mut State, refusal: &Refusal) {
        state.registered = false;
        if !std::mem::replace(&mut state.refused, true) {
            tracing::warn!(%refusal, "the reference refuses this server");
        }
        if refusal.code == Code::NameTaken && !self.takes_part() && state.searching.is_none() {
            let boot = *self.replica.boot().borrow();
            let search = Search { boot, ..self.search.clone() };
            state.searching = Some(Box::pin(async move { search.run(None).await }));
        }
    }

    /// Whether the cluster knows this start of this server.
    fn takes_part(&self) -> bool {
        let boot = *self.replica.boot().borrow();
        let view = self.replica.view();
        let view = view.borrow();
        view.member(self.replica.node()).is_some_and(|row| row.member.announced.boot == boot)
    }

    fn learn(&self, state: &mut State, rank: u64, form: Option<u64>, list: &[Listed]) {
        if rank != state.rank {
            tracing::info!(rank, "the reference gave this server its rank");
            state.rank = rank;
            self.replica.set_rank(rank);
        }
        let peers = peers(list, self.replica.node());
        if !list.is_empty() && peers != state.peers {
            tracing::debug!(?peers, "the reference's list changed");
            self.replica.learn_peers(&peers);
            state.peers = peers;
        }
        if let Some(cluster) = form
            && !state.forming.swap(true, Ordering::Relaxed)
        {
            tokio::spawn(form_cluster(self.replica.clone(), cluster, state.forming.clone()));
        }
    }
}

/// Resolves when a search ends, and forgets it; never while there is none.
async fn found(searching: &mut Option<BoxFuture<'static, Option<Namesake>>>) -> Option<Namesake> {
    let Some(search) = searching else { return std::future::pending().await };
    let found = search.await;
    *searching = None;
    found
}

/// Forms the cluster, away from the heartbeats: it waits for the disk.
async fn form_cluster(replica: Replica, cluster: u64, forming: Arc<AtomicBool>) {
    match replica.form(cluster).await {
        Ok(()) => tracing::info!(cluster, "formed the cluster, as the reference granted"),
        Err(error) => {
            tracing::error!(%error, "can't form the cluster");
            sleep(Duration::from_millis(FORM_PAUSE_MS)).await;
            forming.store(false, Ordering::Relaxed);
        }
    }
}

/// The listed servers that can be reached, without the node that asks.
pub fn peers(list: &[Listed], own: u64) -> Vec<Peer> {
    list.iter()
        .filter_map(|listed| {
            let node = listed.node.filter(|node| *node != own)?;
            let address = listed.address.clone()?;
            Some(Peer { node, address, rank: listed.rank })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_others_that_say_where_they_are_become_peers() {
        let listed = |rank, node, address: Option<&str>| Listed {
            name: "s".into(),
            rank,
            address: address.map(str::to_owned),
            node,
        };
        let list = [
            listed(1, Some(7), Some("tcp://127.0.0.1:1")),
            listed(2, Some(8), Some("tcp://127.0.0.1:2")),
            listed(3, None, Some("tcp://127.0.0.1:3")),
            listed(4, Some(9), None),
        ];
        let peer = Peer { node: 8, address: "tcp://127.0.0.1:2".into(), rank: 2 };
        assert_eq!(peers(&list, 7), [peer]);
    }
}
