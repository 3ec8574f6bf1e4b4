//! What the service needs of replication, as a small trait: the real thing, or a fake in tests.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use recado_chat::{Command, Origin};
use recado_replication::{
    Committed, Lane, NodeId, PeerError, PeerTransport, PendingAnswer, ProposeError, ReadError,
    Replica, View,
};
use recado_storage::{Reader, Store};
use tokio::sync::watch;

use crate::clocks::Clocks;
use crate::frames;
use crate::journal;
use crate::links::Links;

/// Who leads; the part of the view that rarely changes, so that waiting for a change of it does
/// not wake anybody at every applied entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leadership {
    /// The election term.
    pub term: u64,
    /// The primary, if one is known.
    pub primary: Option<NodeId>,
    /// Whether it is this node, and ready.
    pub is_primary: bool,
    /// How many members are alive, as far as this node sees.
    pub alive: usize,
}

impl Leadership {
    fn of(view: &View) -> Leadership {
        Leadership {
            term: view.term,
            primary: view.primary,
            is_primary: view.is_primary,
            alive: view.members.iter().filter(|member| member.alive).count(),
        }
    }
}

/// The cluster, as one server's service sees it.
pub trait Cluster: Clone + Send + Sync + 'static {
    /// Who leads, and its changes.
    fn leadership(&self) -> &watch::Receiver<Leadership>;

    /// The whole view, as it is now.
    fn view(&self) -> Arc<View>;

    /// Proposes a command and waits until every active server has it.
    fn propose(
        &self,
        command: Command,
        origin: Option<Origin>,
    ) -> impl Future<Output = Result<Committed, ProposeError>> + Send;

    /// A view of the rows that shows all that was acknowledged before.
    fn read(&self) -> impl Future<Output = Result<Reader, ReadError>> + Send;

    /// Hands a client's request ([`frames::Forward`]) to another server.
    ///
    /// # Errors
    /// When there is no connection: it was certainly not delivered.
    fn forward(&self, to: NodeId, message: Bytes) -> Result<PendingAnswer, PeerError>;
}

/// This server's replica and its connections to the others.
#[derive(Clone)]
pub struct Node {
    replica: Replica,
    links: Links,
    leadership: watch::Receiver<Leadership>,
}

impl Node {
    /// Starts following the replica's view.
    pub fn new(replica: Replica, links: Links, clocks: Arc<Clocks>) -> Node {
        let mut views = replica.view();
        let mut seen = views.borrow_and_update().clone();
        let first = Leadership::of(&seen);
        let (now, leadership) = watch::channel(first);
        let store = replica.store().clone();
        tokio::spawn(async move {
            while views.changed().await.is_ok() {
                let view = views.borrow_and_update().clone();
                journal::note(&seen, &view);
                let new = Leadership::of(&view);
                // Before anybody here knows that this is the primary, and proposes.
                if new.is_primary && !seen.is_primary {
                    go_on_behind(&store, &clocks);
                }
                now.send_if_modified(|old| std::mem::replace(old, new) != new);
                seen = view;
            }
        });
        Node { replica, links, leadership }
    }
}

/// Takes the logical clock behind what earlier primaries stamped.
fn go_on_behind(store: &Store, clocks: &Clocks) {
    match store.reader().and_then(|reader| reader.newest_clock()) {
        Ok(clock) => clocks.observe_trusted(clock),
        Err(error) => tracing::error!(%error, "can't read the clock of the newest message"),
    }
}

impl Cluster for Node {
    fn leadership(&self) -> &watch::Receiver<Leadership> {
        &self.leadership
    }

    fn view(&self) -> Arc<View> {
        self.replica.view().borrow().clone()
    }

    fn propose(
        &self,
        command: Command,
        origin: Option<Origin>,
    ) -> impl Future<Output = Result<Committed, ProposeError>> + Send {
        self.replica.propose(command, origin)
    }

    fn read(&self) -> impl Future<Output = Result<Reader, ReadError>> + Send {
        self.replica.read()
    }

    fn forward(&self, to: NodeId, message: Bytes) -> Result<PendingAnswer, PeerError> {
        let sealed = frames::seal(self.replica.cluster(), &message);
        self.links.send(to, Lane::Forward, frames::FORWARD, sealed)
    }
}
