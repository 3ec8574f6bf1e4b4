//! Chatting on a test's cluster through the client library.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use recado_client::{Client, ClientConfig};
use recado_protocol::message::HistoryOf;
use recado_protocol::{HistoryQuery, Record};
use tokio::task::JoinSet;

use super::Cluster;

/// Rows in a page of history.
const PAGE_ROWS: usize = 500;

/// How long a client tries: longer than any fail-over.
const PATIENCE: Duration = Duration::from_secs(60);

pub async fn connect(cluster: &Cluster) -> Client {
    let mut config = ClientConfig::new(cluster.doors("broker"), cluster.doors("proxy"));
    config.patience = PATIENCE;
    Client::connect(config).await.unwrap()
}

/// A whole history, oldest first.
pub async fn history(client: &Client, of: HistoryOf) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    loop {
        let by_position = matches!(of, HistoryOf::Conversation { .. });
        let after = records.last().map_or(0, |r| if by_position { r.pos } else { r.seq });
        let query =
            HistoryQuery { of: of.clone(), after: Some(after), before: None, limit: PAGE_ROWS };
        let page = client.history(query).await.unwrap().messages;
        if page.is_empty() {
            return records;
        }
        records.extend(page);
    }
}

pub async fn channel_history(client: &Client, channel: &str) -> Vec<Record> {
    history(client, HistoryOf::Channel(channel.to_owned())).await
}

/// Panics unless `seq` is 1, 2, 3 … and times and clocks never run backwards.
#[track_caller]
pub fn check_order(records: &[Record]) {
    for (index, record) in records.iter().enumerate() {
        assert_eq!(record.seq, index as u64 + 1, "a gap or a repeat at {record:?}");
    }
    for pair in records.windows(2) {
        assert!(pair[0].timestamp <= pair[1].timestamp, "time ran backwards: {pair:?}");
        assert!(pair[0].clock < pair[1].clock, "the clock stood or ran backwards: {pair:?}");
        assert!(pair[0].pos < pair[1].pos, "the log's order is another: {pair:?}");
    }
}

/// Clients that publish one message after the other until they are stopped.
pub struct Load {
    ended: Arc<AtomicBool>,
    tasks: JoinSet<Vec<(String, Instant)>>,
}

impl Load {
    /// Starts so many clients, each with a connection and a session of its own.
    pub async fn start(cluster: &Cluster, channel: &str, clients: usize) -> Load {
        let ended = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for number in 0..clients {
            let (client, ended) = (connect(cluster).await, ended.clone());
            let channel = channel.to_owned();
            tasks.spawn(async move {
                let mut acked = Vec::new();
                let mut count = 0;
                while !ended.load(Ordering::Relaxed) {
                    count += 1;
                    let text = format!("{number}-{count}");
                    // Repeated under its id until it is acknowledged: it is there once.
                    client.publish("load", &channel, &text).await.unwrap();
                    acked.push((text, Instant::now()));
                }
                acked
            });
        }
        Load { ended, tasks }
    }

    /// Stops them, and returns every acknowledged text with the time of its acknowledgement.
    pub async fn stop(mut self) -> Vec<(String, Instant)> {
        self.ended.store(true, Ordering::Relaxed);
        let mut all = Vec::new();
        while let Some(acked) = self.tasks.join_next().await {
            all.extend(acked.unwrap());
        }
        all.sort_by_key(|(_, at)| *at);
        all
    }
}

/// Panics unless each acknowledged text is in the history once, and nothing is there twice.
#[track_caller]
pub fn check_acked(acked: &[(String, Instant)], records: &[Record]) {
    let stored: BTreeSet<&str> = records.iter().map(|r| r.message.as_str()).collect();
    assert_eq!(stored.len(), records.len(), "something was stored twice");
    let lost: Vec<_> = acked.iter().filter(|(text, _)| !stored.contains(text.as_str())).collect();
    assert!(lost.is_empty(), "{} acknowledged messages are lost: {lost:?}", lost.len());
}

/// The longest time without an acknowledgement after an event.
pub fn longest_gap(acked: &[(String, Instant)], from: Instant) -> Duration {
    let mut last = from;
    let mut longest = Duration::ZERO;
    for (_, at) in acked.iter().filter(|(_, at)| *at >= from) {
        longest = longest.max(*at - last);
        last = *at;
    }
    longest
}
