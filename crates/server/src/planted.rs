//! The bugs that are planted in this crate, out of the way of its code.

use std::sync::Mutex;

use bytes::Bytes;
use recado_chat::Command;
use recado_chat::planted::{Bug, on};
use recado_protocol::{Event, Record, codec};
use recado_replication::Replica;
use recado_storage::{HistoryOf, PageLimit};
use recado_transport::Publisher;
use tokio::sync::Notify;

use crate::lock::lock;

/// What was proposed and not published yet. One a process: there is one server in it.
static PROPOSED: Mutex<Vec<Command>> = Mutex::new(Vec::new());
static MORE: Notify = Notify::const_new();

/// The topic on which an event leaves.
pub fn topic(event: &Event) -> &str {
    match event {
        Event::Private(record) if on(Bug::WrongTopic) => &record.from,
        event => event.topic(),
    }
}

/// A command is about to be proposed.
pub fn proposed(command: &Command) {
    if on(Bug::PublishBeforeCommit) {
        lock(&PROPOSED).push(command.clone());
        MORE.notify_one();
    }
}

/// Publishes what is proposed at once, under the number that it should get; for ever.
pub async fn publish_early(publisher: Publisher, replica: Replica) {
    while on(Bug::PublishBeforeCommit) {
        MORE.notified().await;
        let proposed = std::mem::take(&mut *lock(&PROPOSED));
        for command in proposed {
            let Some(event) = event(&replica, command) else { continue };
            let topic = Bytes::copy_from_slice(event.topic().as_bytes());
            // The same event comes again once it is committed.
            let _ = publisher.publish(topic, codec::encode_event(&event)).await;
        }
    }
}

/// The event that a command should lead to, if it is a message.
fn event(replica: &Replica, command: Command) -> Option<Event> {
    let (from, to, message, private) = match command {
        Command::Publish { user, channel, message } => (user, channel, message, false),
        Command::Message { src, dst, message } => (src, dst, message, true),
        _ => return None,
    };
    let reader = replica.store().reader().ok()?;
    let of = if private { HistoryOf::Inbox(&to) } else { HistoryOf::Channel(&to) };
    let newest = reader.history(of, None, None, PageLimit { rows: 1, bytes: 1 }).ok()?.newest;
    let (seq, pos) = (newest + 1, reader.position().ok()? + 1);
    let (id, timestamp, clock) = (Bytes::from_static(&[0; 16]), 0, 0);
    let record = Record { from, to, message, timestamp, clock, id, seq, pos, private };
    Some(if private { Event::Private(record) } else { Event::Publication(record) })
}
