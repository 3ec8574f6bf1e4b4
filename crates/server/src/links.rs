//! Connections to the other servers: for every node one for each lane.
//!
//! Connecting takes time and the callers of [`PeerTransport`] have none, so one task owns the
//! connecting; everybody else only looks into the table that it fills.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use futures::FutureExt;
use recado_replication::{Lane, NodeId, PeerError, PeerTransport, PendingAnswer};
use recado_transport::{CallError, Caller};
use tokio::sync::mpsc;

/// The address that the reference's replica announces: it is reached where the reference is,
/// and each server knows best where that is.
pub const WITNESS_ADDRESS: &str = "reference";

const LANES: [Lane; 4] = [Lane::Control, Lane::Log, Lane::Snapshot, Lane::Forward];

/// The connections; clones share them.
#[derive(Clone)]
pub struct Links {
    table: Arc<RwLock<HashMap<NodeId, Link>>>,
    wanted: mpsc::UnboundedSender<(NodeId, String)>,
    reference: Arc<str>,
}

/// The connections to one node.
struct Link {
    callers: [Caller; LANES.len()],
}

impl Links {
    /// No connections yet, and the task that will make them; it ends with the last clone.
    /// [`WITNESS_ADDRESS`] stands for `reference`.
    pub fn start(reference: &str) -> Links {
        let (wanted, wishes) = mpsc::unbounded_channel();
        let links = Links { table: Arc::default(), wanted, reference: reference.into() };
        tokio::spawn(connect_all(links.table.clone(), wishes));
        links
    }

    /// A message in the standard's form, of one body frame, instead of one of our numbered kinds.
    ///
    /// # Errors
    /// [`PeerError::NotConnected`] at once when there is no connection.
    pub fn send_standard(&self, node: NodeId, body: Bytes) -> Result<PendingAnswer, PeerError> {
        self.send_frames(node, Lane::Control, vec![body])
    }

    fn send_frames(
        &self,
        node: NodeId,
        lane: Lane,
        frames: Vec<Bytes>,
    ) -> Result<PendingAnswer, PeerError> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let link = table.get(&node).ok_or(PeerError::NotConnected)?;
        let answer = link.callers[lane as usize].start(frames).map_err(peer_error)?;
        Ok(answer
            .map(|result| match result {
                Ok(frames) => Ok(frames.into_iter().next().unwrap_or_default()),
                Err(error) => Err(peer_error(error)),
            })
            .boxed())
    }
}

impl PeerTransport for Links {
    fn set_address(&self, node: NodeId, address: &str) {
        let address = if address == WITNESS_ADDRESS { &self.reference } else { address };
        // The task is there as long as `self` is; if the runtime is going down, nobody minds.
        let _ = self.wanted.send((node, address.to_owned()));
    }

    fn connected(&self, node: NodeId, lane: Lane) -> bool {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table.get(&node).is_some_and(|link| link.callers[lane as usize].connected())
    }

    fn send(
        &self,
        node: NodeId,
        lane: Lane,
        kind: u8,
        body: Bytes,
    ) -> Result<PendingAnswer, PeerError> {
        self.send_frames(node, lane, vec![Bytes::copy_from_slice(&[kind]), body])
    }
}

fn peer_error(error: CallError) -> PeerError {
    match error {
        CallError::NotConnected => PeerError::NotConnected,
        CallError::Disconnected | CallError::TimedOut => PeerError::Disconnected,
    }
}

/// Makes the connections that are wished for, and replaces those whose address changed.
async fn connect_all(
    table: Arc<RwLock<HashMap<NodeId, Link>>>,
    mut wishes: mpsc::UnboundedReceiver<(NodeId, String)>,
) {
    let mut addresses: HashMap<NodeId, String> = HashMap::new();
    while let Some((node, address)) = wishes.recv().await {
        if addresses.get(&node) == Some(&address) {
            continue;
        }
        let link = match connect_one(&address).await {
            Ok(link) => link,
            Err(error) => {
                tracing::warn!(node, %address, %error, "another server's address can't be used");
                continue;
            }
        };
        tracing::debug!(node, %address, "connecting to another server");
        addresses.insert(node, address);
        let old = table.write().unwrap_or_else(PoisonError::into_inner).insert(node, link);
        if let Some(old) = old {
            close(old).await;
        }
    }
    let links = std::mem::take(&mut *table.write().unwrap_or_else(PoisonError::into_inner));
    for link in links.into_values() {
        close(link).await;
    }
}

async fn connect_one(address: &str) -> Result<Link, recado_transport::OpenError> {
    let (control, log, snapshot, forward) = tokio::try_join!(
        Caller::connect(address),
        Caller::connect(address),
        Caller::connect(address),
        Caller::connect(address)
    )?;
    Ok(Link { callers: [control, log, snapshot, forward] })
}

async fn close(link: Link) {
    for caller in link.callers {
        caller.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_are_numbered_as_the_table_has_them() {
        for (index, lane) in LANES.into_iter().enumerate() {
            assert_eq!(lane as usize, index);
        }
    }

    #[tokio::test]
    async fn a_node_nobody_told_us_of_is_not_connected() {
        let links = Links::start("");
        let refused = links.send(7, Lane::Log, 1, Bytes::new()).err();
        assert_eq!(refused, Some(PeerError::NotConnected));
        assert!(!links.connected(7, Lane::Control));
    }
}
