//! A fake cluster for tests: one node, a real store in a throw-away folder, no network and no
//! disk to wait for.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::FutureExt;
use recado_chat::{Command, LogEntry, Origin};
use recado_protocol::{Code, Incoming, Reply, Request, RequestId, codec};
use recado_replication::{
    Committed, NodeId, PeerError, PendingAnswer, ProposeError, ReadError, StampSource, View,
};
use recado_storage::{Logged, Marks, Reader, Store};
use tokio::sync::watch;

use super::{Asked, Service};
use crate::clocks::Clocks;
use crate::cluster::{Cluster, Leadership};
use crate::facts::Facts;
use crate::frames::Answer;

pub const OWN: NodeId = 1;
pub const OTHER: NodeId = 2;
pub const LIMIT_BYTES: usize = 100;

/// What the fake does with the next proposals.
#[derive(Clone, Copy, PartialEq)]
pub enum Mood {
    Commits,
    Fails(&'static str),
}

/// What the fake's primary elsewhere says to forwarded requests.
#[derive(Clone)]
pub enum Far {
    Away,
    Silent,
    Breaks,
    Says(Answer),
}

#[derive(Clone)]
pub struct Fake {
    store: Store,
    clocks: Arc<Clocks>,
    pub position: Arc<Mutex<u64>>,
    leadership: watch::Receiver<Leadership>,
    pub mood: Arc<Mutex<Mood>>,
    pub far: Arc<Mutex<Far>>,
    pub forwarded: Arc<Mutex<Vec<Bytes>>>,
    pub readable: Arc<Mutex<bool>>,
}

impl Cluster for Fake {
    fn leadership(&self) -> &watch::Receiver<Leadership> {
        &self.leadership
    }

    fn view(&self) -> Arc<View> {
        let now = *self.leadership.borrow();
        Arc::new(View {
            node: OWN,
            term: now.term,
            primary: now.primary,
            is_primary: now.is_primary,
            applied: *self.position.lock().unwrap(),
            members: Vec::new(),
            witness: None,
            min_copies: 1,
            joint: false,
            lacks: None,
        })
    }

    async fn propose(
        &self,
        command: Command,
        origin: Option<Origin>,
    ) -> Result<Committed, ProposeError> {
        match *self.mood.lock().unwrap() {
            Mood::Commits => {}
            Mood::Fails("busy") => return Err(ProposeError::Busy),
            Mood::Fails("uncertain") => return Err(ProposeError::Uncertain),
            Mood::Fails(_) => return Err(ProposeError::NotPrimary { primary: None }),
        }
        let stamp = self.clocks.stamp();
        let mut position = self.position.lock().unwrap();
        *position += 1;
        let entry = LogEntry { stamp, origin, published: 0, command };
        let batch = [Logged { position: *position, entry: Some(entry) }];
        let applied = self.store.apply(&batch, &Marks::default()).unwrap();
        let outcome = applied.into_iter().next().unwrap().outcome;
        Ok(Committed { outcome, position: *position, stamp, stored: 2, members: 3 })
    }

    async fn read(&self) -> Result<Reader, ReadError> {
        if *self.readable.lock().unwrap() {
            Ok(self.store.reader().unwrap())
        } else {
            Err(ReadError)
        }
    }

    fn forward(&self, to: NodeId, message: Bytes) -> Result<PendingAnswer, PeerError> {
        assert_eq!(to, OTHER);
        self.forwarded.lock().unwrap().push(message);
        match self.far.lock().unwrap().clone() {
            Far::Away => Err(PeerError::NotConnected),
            Far::Silent => Ok(futures::future::pending().boxed()),
            Far::Breaks => Ok(async { Err(PeerError::Disconnected) }.boxed()),
            Far::Says(answer) => Ok(async move { Ok(answer.encode()) }.boxed()),
        }
    }
}

/// A service with its fake, and the strings that move it.
pub struct Stage {
    pub service: Service<Fake>,
    pub leads: watch::Sender<Leadership>,
    _folder: tempfile::TempDir,
}

pub fn leadership(primary: Option<NodeId>) -> Leadership {
    Leadership { term: 1, primary, is_primary: primary == Some(OWN), alive: 2 }
}

pub fn stage(primary: Option<NodeId>) -> Stage {
    let folder = tempfile::tempdir().unwrap();
    let (leads, leadership) = watch::channel(leadership(primary));
    let clocks = Arc::new(Clocks::new(0));
    let fake = Fake {
        store: Store::open(folder.path()).unwrap(),
        clocks: clocks.clone(),
        position: Arc::default(),
        leadership,
        mood: Arc::new(Mutex::new(Mood::Commits)),
        far: Arc::new(Mutex::new(Far::Away)),
        forwarded: Arc::default(),
        readable: Arc::new(Mutex::new(true)),
    };
    let facts = Arc::new(Facts::new("tcp://reference", &[], &["tcp://proxy".into()]));
    Stage { service: Service::new(fake, clocks, facts, LIMIT_BYTES), leads, _folder: folder }
}

impl Stage {
    pub fn fake(&self) -> &Fake {
        self.service.cluster()
    }

    pub async fn ask(&self, body: Bytes, id: Option<RequestId>) -> Answer {
        self.service.answer(Asked { body, id, forwarded: false }).await
    }

    /// The reply to a request without an id.
    pub async fn reply(&self, request: Request) -> Reply {
        self.reply_to(request, None).await
    }

    pub async fn reply_to(&self, request: Request, id: Option<RequestId>) -> Reply {
        let service = request.service();
        match self.ask(body(request, id), None).await {
            Answer::Done(body) => {
                let (named, reply, _) = codec::decode_reply(&body).unwrap();
                assert_eq!(named, service);
                reply
            }
            again => panic!("{service}: {again:?}"),
        }
    }

    pub async fn code(&self, request: Request) -> Code {
        match self.reply(request).await {
            Reply::Refused(refusal) => {
                assert!(!refusal.text.is_empty());
                refusal.code
            }
            other => panic!("{other:?}"),
        }
    }
}

pub fn body(request: Request, id: Option<RequestId>) -> Bytes {
    codec::encode_request(
        &Incoming { request, clock: 7, id },
        codec::Stamp { timestamp: 1, clock: 7 },
    )
}
