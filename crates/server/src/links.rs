//! Connections to the other servers: for every node one for each lane.
//!
//! Connecting takes time and the callers of [`PeerTransport`] have none, so one task owns the
//! connecting; everybody else only looks into the table that it fills.

use std::collections::{BTreeMap, HashMap};
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
}

/// The connections to one node.
struct Link {
    callers: [Caller; LANES.len()],
}

impl Links {
    /// No connections yet, and the task that will make them; it ends with the last clone. An
    /// address that is among the routes' keys is reached by the address beside it, so
    /// [`WITNESS_ADDRESS`] should be one of them.
    pub fn start(routes: BTreeMap<String, String>) -> Links {
        let (wanted, wishes) = mpsc::unbounded_channel();
        let links = Links { table: Arc::default(), wanted };
        tokio::spawn(connect_all(links.table.clone(), wishes, routes));
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
        // The task is there as long as `self` is; if the runtime is going down, nobody minds.
        let _ = self.wanted.send((node, address.to_owned()));
    }

    fn connection(&self, node: NodeId, lane: Lane) -> Option<u64> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table.get(&node)?.callers[lane as usize].connection()
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
    routes: BTreeMap<String, String>,
) {
    let mut addresses: HashMap<NodeId, String> = HashMap::new();
    while let Some((node, address)) = wishes.recv().await {
        if addresses.get(&node) == Some(&address) {
            continue;
        }
        let link = match connect_one(routes.get(&address).unwrap_or(&address)).await {
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
    use recado_transport::Responder;

    use super::*;

    #[test]
    fn lanes_are_numbered_as_the_table_has_them() {
        for (index, lane) in LANES.into_iter().enumerate() {
            assert_eq!(lane as usize, index);
        }
    }

    #[tokio::test]
    async fn a_node_nobody_told_us_of_is_not_connected() {
        let links = Links::start(BTreeMap::new());
        let refused = links.send(7, Lane::Log, 1, Bytes::new()).err();
        assert_eq!(refused, Some(PeerError::NotConnected));
        assert_eq!(links.connection(7, Lane::Control), None);
    }

    #[tokio::test]
    async fn an_address_with_a_route_is_reached_there() {
        let advertised = Responder::bind("tcp://127.0.0.1:0").await.unwrap();
        let real = Responder::bind("tcp://127.0.0.1:0").await.unwrap();
        let route = (advertised.endpoint().to_owned(), real.endpoint().to_owned());
        let links = Links::start([route].into());
        links.set_address(7, advertised.endpoint());
        let answer = async {
            while links.send(7, Lane::Control, 1, Bytes::new()).is_err() {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), answer).await.unwrap();
        let asked = tokio::select! {
            batch = advertised.receive(1) => panic!("asked at the old address: {batch:?}"),
            batch = real.receive(1) => batch.unwrap(),
        };
        assert_eq!(asked.len(), 1);
    }
}
