//! Messages as they come, each once and in order.
//!
//! The proxy may drop, repeat, and miss what was published before it knew of a subscription. So
//! a topic is subscribed to first, then its history is read, and both are merged by `seq`. A gap
//! is filled from the history at once; a missed *last* message shows no gap, so a topic that is
//! silent is compared with the history every [`IDLE_CHECK`].

mod inlet;
mod topic;
mod worker;

use std::time::Duration;

use recado_protocol::Record;
use recado_transport::Subscriber;
use tokio::sync::{mpsc, oneshot};

use crate::error::ClientError;
use crate::session::{Client, anywhere};

pub(crate) use topic::Kind;

/// How long a topic may be silent before the history is asked for a missed last message.
pub const IDLE_CHECK: Duration = Duration::from_secs(4);

/// How many events wait for a slow reader in the channel; as many again wait before it. What the
/// proxy sends then waits within a number of bytes, and the rest is found in the history later.
pub const MAX_WAITING_EVENTS: usize = 1024;

/// How many commands to the subscription wait at the most.
const MAX_WAITING_COMMANDS: usize = 64;

/// What a subscription delivers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientEvent {
    /// A message of a joined channel or inbox. Those with a `seq` come in its order.
    Message(Record),
    /// A new primary took over.
    Election {
        /// The new primary's name.
        coordinator: String,
    },
    /// So many messages of this topic, delivered just now, came from the history.
    GapFilled {
        /// The channel or user.
        topic: String,
        /// How many messages.
        count: usize,
    },
    /// No proxy is connected; nothing comes in until one is back.
    ProxyLost,
    /// A proxy is back; what was missed is being fetched.
    ProxyBack,
}

/// Which messages of a topic are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// What is stored from now on.
    Now,
    /// What is stored behind this `seq`.
    After(u64),
    /// So many of the newest ones first, at most a page.
    Newest(usize),
}

/// What is asked of the worker.
pub(crate) enum Command {
    Join { name: String, kind: Kind, start: StartAt, done: oneshot::Sender<JoinResult> },
    Leave { name: String, done: oneshot::Sender<bool> },
}

pub(crate) type JoinResult = Result<(), ClientError>;

/// The handle to a subscription. Clones share it; it ends when all of them, or the receiver of
/// its events, are gone.
#[derive(Clone)]
pub struct Subscription {
    commands: mpsc::Sender<Command>,
}

impl Client {
    /// Connects to one of the proxies and starts to deliver events. Elections are subscribed to from the
    /// start.
    ///
    /// # Errors
    /// Only when a proxy's address can't be used at all.
    pub async fn subscribe(
        &self,
    ) -> Result<(Subscription, mpsc::Receiver<ClientEvent>), ClientError> {
        let subscriber = Subscriber::connect(anywhere(&self.config().proxies)).await?;
        let (commands, inbox) = mpsc::channel(MAX_WAITING_COMMANDS);
        let (out, events) = mpsc::channel(MAX_WAITING_EVENTS);
        worker::spawn(self.clone(), subscriber, inbox, out);
        Ok((Subscription { commands }, events))
    }
}

impl Subscription {
    /// Joins a channel. What is acknowledged after this returned will be delivered.
    ///
    /// # Errors
    /// A refusal when there is no such channel; otherwise as [`Client::request`].
    pub async fn join(&self, channel: &str, start: StartAt) -> Result<(), ClientError> {
        self.add(channel, Kind::Channel, start).await
    }

    /// Starts to deliver the private messages that this user receives.
    ///
    /// # Errors
    /// A refusal when there is no such user; otherwise as [`Client::request`].
    pub async fn open_inbox(&self, user: &str, start: StartAt) -> Result<(), ClientError> {
        self.add(user, Kind::Inbox, start).await
    }

    /// Leaves a channel or closes an inbox; false when it was not joined.
    pub async fn leave(&self, topic: &str) -> bool {
        let (done, left) = oneshot::channel();
        let command = Command::Leave { name: topic.to_owned(), done };
        self.commands.send(command).await.is_ok() && left.await.unwrap_or(false)
    }

    async fn add(&self, name: &str, kind: Kind, start: StartAt) -> Result<(), ClientError> {
        let (done, joined) = oneshot::channel();
        let command = Command::Join { name: name.to_owned(), kind, start, done };
        // The worker ends early only when the receiver of its events is gone.
        let ended = || ClientError::Unavailable { waited_ms: 0, why: None };
        self.commands.send(command).await.map_err(|_| ended())?;
        joined.await.map_err(|_| ended())?
    }
}
