//! What clients ask servers, and how a server answers: what the server crate's service does,
//! without the protocol's bytes. A backup hands writes on to the primary it knows.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use recado_chat::{Command, Origin, Outcome};
use recado_drill::history::Topic;
use recado_replication::peer::FIRST_SERVER_KIND;
use recado_replication::{Lane, PeerTransport, ProposeError, Replica};
use recado_storage::{HistoryOf, PageLimit, StoredMessage};
use serde::{Deserialize, Serialize};

use crate::wire::Transport;

/// The kind of forwarded requests among servers.
pub const FORWARD: u8 = FIRST_SERVER_KIND;
/// How long a backup waits for the primary's answer.
const FORWARD_TIMEOUT: Duration = Duration::from_secs(4);
/// How often it looks whether it is still the primary's.
const FORWARD_LOOK: Duration = Duration::from_millis(25);
const PAGE: PageLimit = PageLimit { rows: 100, bytes: 1024 * 1024 };

/// What a client asks.
#[derive(Clone, Debug)]
pub enum Request {
    Write {
        command: Command,
        origin: Option<Origin>,
    },
    /// A page of history: behind this number from the oldest on, or the newest.
    Page {
        topic: Topic,
        after: Option<u64>,
    },
}

/// A message as a server tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRow {
    pub topic: Topic,
    pub from: String,
    pub text: String,
    pub seq: u64,
    pub id: [u8; 16],
    pub time_ms: u64,
}

impl StoredRow {
    pub fn of(stored: StoredMessage) -> StoredRow {
        let topic =
            if stored.private { Topic::inbox(&stored.to) } else { Topic::channel(&stored.to) };
        StoredRow {
            topic,
            from: stored.from,
            text: stored.text,
            seq: stored.seq,
            id: stored.id,
            time_ms: stored.timestamp,
        }
    }
}

/// What a server answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Reply {
    Done,
    Stored {
        id: [u8; 16],
        seq: u64,
        stored: u32,
        members: u32,
    },
    Refused(String),
    /// Certainly not done here: ask another one.
    Elsewhere,
    /// It may be done.
    Perhaps,
    #[serde(skip)]
    Page {
        rows: Vec<StoredRow>,
        newest: u64,
    },
}

/// What the tasks of one process share.
pub struct Process {
    pub transport: Arc<Transport>,
    pub replica: Mutex<Option<Replica>>,
    pub failed: Mutex<Option<String>>,
    /// Markers that came back: through which proxy, from which start, which number.
    pub markers: Mutex<Vec<(u32, u64, u64)>>,
}

impl Process {
    pub fn replica(&self) -> Option<Replica> {
        self.replica.lock().unwrap().clone()
    }

    /// Answers a client.
    pub async fn serve(&self, request: Request) -> Reply {
        let Some(replica) = self.replica() else { return Reply::Elsewhere };
        match request {
            Request::Write { command, origin } => self.write(&replica, command, origin).await,
            Request::Page { topic, after } => page(&replica, &topic, after).await,
        }
    }

    async fn write(&self, replica: &Replica, command: Command, origin: Option<Origin>) -> Reply {
        let view = replica.view().borrow().clone();
        if view.is_primary {
            return propose(replica, command, origin).await;
        }
        let Some(primary) = view.primary else { return Reply::Elsewhere };
        let Ok(body) = rmp_serde::to_vec(&(command, origin)) else { return Reply::Elsewhere };
        let sent = self.transport.send(primary, Lane::Forward, FORWARD, body.into());
        let Ok(mut answer) = sent else { return Reply::Elsewhere };
        let deadline = tokio::time::Instant::now() + FORWARD_TIMEOUT;
        loop {
            match tokio::time::timeout(FORWARD_LOOK, &mut answer).await {
                Ok(Ok(body)) => return rmp_serde::from_slice(&body).unwrap_or(Reply::Perhaps),
                Ok(Err(_)) => return Reply::Perhaps,
                Err(_) => {
                    let still = replica.view().borrow().primary == Some(primary);
                    if !still || tokio::time::Instant::now() >= deadline {
                        return Reply::Perhaps;
                    }
                }
            }
        }
    }

    /// Answers another server; none when there is nothing to say.
    pub async fn answer(&self, kind: u8, body: Bytes) -> Option<Bytes> {
        let replica = self.replica()?;
        if kind < FIRST_SERVER_KIND {
            return replica.handle_peer(kind, body).await;
        }
        let (command, origin) = rmp_serde::from_slice(&body).ok()?;
        let primary = replica.view().borrow().is_primary;
        let reply =
            if primary { propose(&replica, command, origin).await } else { Reply::Elsewhere };
        rmp_serde::to_vec(&reply).ok().map(Bytes::from)
    }
}

async fn propose(replica: &Replica, command: Command, origin: Option<Origin>) -> Reply {
    match replica.propose(command, origin).await {
        Ok(committed) => match committed.outcome {
            Outcome::Stored { id, seq } => {
                Reply::Stored { id, seq, stored: committed.stored, members: committed.members }
            }
            Outcome::Refused(refusal) => Reply::Refused(format!("{refusal:?}")),
            _ => Reply::Done,
        },
        Err(ProposeError::NotPrimary { .. } | ProposeError::Busy | ProposeError::TooFew { .. }) => {
            Reply::Elsewhere
        }
        Err(ProposeError::OutOfBounds(why)) => Reply::Refused(why),
        Err(ProposeError::Uncertain) => Reply::Perhaps,
    }
}

async fn page(replica: &Replica, topic: &Topic, after: Option<u64>) -> Reply {
    let Ok(rows) = replica.read().await else { return Reply::Elsewhere };
    match rows.history(of(topic), after, None, PAGE) {
        Ok(page) => Reply::Page {
            rows: page.messages.into_iter().map(StoredRow::of).collect(),
            newest: page.newest,
        },
        Err(error) => Reply::Refused(error.to_string()),
    }
}

/// A topic, as the store names it.
pub fn of(topic: &Topic) -> HistoryOf<'_> {
    match topic {
        Topic::Channel(name) => HistoryOf::Channel(name),
        Topic::Inbox(name) => HistoryOf::Inbox(name),
    }
}
