use std::sync::atomic::{AtomicBool, AtomicU64};

use openraft::{ChangeMembers, EmptyNode};

use super::*;
use crate::peer::{Lane, PeerError, PendingAnswer};

/// Nobody else is there.
struct Alone;

impl PeerTransport for Alone {
    fn set_address(&self, _node: NodeId, _address: &str) {}

    fn connection(&self, _node: NodeId, _lane: Lane) -> Option<u64> {
        None
    }

    fn send(
        &self,
        _node: NodeId,
        _lane: Lane,
        _kind: u8,
        _body: Bytes,
    ) -> Result<PendingAnswer, PeerError> {
        Err(PeerError::NotConnected)
    }
}

struct Counter(AtomicU64);

impl StampSource for Counter {
    fn stamp(&self) -> Stamp {
        let count = self.0.fetch_add(1, Ordering::Relaxed);
        Stamp { time_ms: count, clock: count }
    }
}

async fn alone(dir: &std::path::Path) -> Replica {
    let config = ReplicaConfig {
        dir: dir.to_owned(),
        name: "server-1".into(),
        address: "memory://server-1".into(),
        boot: 1,
        pid: 1,
        min_copies: None,
        witness: false,
        timing: Timing::default(),
        sizes: Sizes::default(),
        metrics: Metrics::default(),
    };
    let clock = Arc::new(Counter(AtomicU64::new(1)));
    let (_, listed) = tokio::sync::watch::channel(Vec::new());
    let replica = Replica::start(config, Arc::new(Alone), clock, listed).await.unwrap();
    replica.set_rank(1);
    replica.form(1).await.unwrap();
    replica.view().wait_for(|view| view.is_primary).await.unwrap();
    replica
}

/// Publishes one after the other until told to stop; gives each text with the number that its
/// answer named.
async fn publish_on(replica: Replica, writer: u64, done: Arc<AtomicBool>) -> Vec<(String, u64)> {
    let mut acked = Vec::new();
    while !done.load(Ordering::Relaxed) {
        let message = format!("{writer}-{}", acked.len());
        let (user, channel) = ("ana".to_owned(), "general".to_owned());
        let command = Command::Publish { user, channel, message: message.clone() };
        match replica.propose(command, None).await.unwrap().outcome {
            Outcome::Stored { seq, .. } => acked.push((message, seq)),
            other => panic!("the answer to a publication is {other:?}"),
        }
    }
    acked
}

#[tokio::test]
async fn every_writer_gets_its_own_answer_between_entries_of_the_consensus() {
    const WRITERS: u64 = 32;
    const CHANGES: u64 = 300;
    let dir = tempfile::tempdir().unwrap();
    let replica = alone(dir.path()).await;
    replica.propose(Command::Channel { channel: "general".into() }, None).await.unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| tokio::spawn(publish_on(replica.clone(), writer, done.clone())))
        .collect();
    for node in 0..CHANGES {
        let learner = ChangeMembers::AddNodes([(1 + node, EmptyNode::new())].into());
        // The supervisor takes strangers out meanwhile; either may find the other's under way.
        let _ = replica.engine.change_membership(learner, true).await;
    }
    done.store(true, Ordering::Relaxed);
    let rows = replica.read().await.unwrap();
    for writer in writers {
        for (message, seq) in writer.await.unwrap() {
            let limit = recado_storage::PageLimit { rows: 1, bytes: 1024 };
            let channel = recado_storage::HistoryOf::Channel("general");
            let page = rows.history(channel, Some(seq - 1), None, limit).unwrap();
            let stored = page.messages.first().map(|stored| stored.text.as_str());
            // The last ones may be behind the view.
            if let Some(stored) = stored {
                assert_eq!(stored, message, "the answer with seq {seq} is somebody else's");
            }
        }
    }
}
