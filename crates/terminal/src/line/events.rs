//! Prints what the subscription delivers, while commands go on.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use recado_client::ClientEvent;
use recado_protocol::Record;
use tokio::sync::{mpsc, watch};

use super::input::Known;
use super::screen::Screen;
use crate::render;

/// Up to which `seq` each topic was printed.
pub(crate) type Printed = HashMap<String, u64>;

/// Prints until the subscription ends.
pub(crate) async fn print_events(
    mut events: mpsc::Receiver<ClientEvent>,
    screen: Arc<Screen>,
    known: Known,
    proxy: String,
    printed: watch::Sender<Printed>,
) {
    while let Some(event) = events.recv().await {
        match event {
            ClientEvent::Message(record) => {
                if let Some(line) = known.read(|me, names| {
                    let wanted = if record.private {
                        // An inbox that was left a moment ago may still deliver.
                        me == Some(record.to.as_str())
                    } else {
                        names.joined.contains(&record.to)
                    };
                    wanted.then(|| render::message(&record, me, &screen.palette, screen.texts))
                }) {
                    screen.line(&line);
                }
                note_printed(&printed, record);
            }
            ClientEvent::Election { coordinator } => {
                screen.note(&screen.texts.elected(&coordinator))
            }
            ClientEvent::GapFilled { topic, count } => {
                screen.note(&screen.texts.gap_filled(count, &topic));
            }
            ClientEvent::ProxyLost => screen.error(&screen.texts.proxy_lost(&proxy)),
            ClientEvent::ProxyBack => screen.note(&screen.texts.proxy_back()),
        }
    }
}

fn note_printed(printed: &watch::Sender<Printed>, record: Record) {
    if record.seq > 0 {
        printed.send_modify(|printed| {
            printed.insert(record.to, record.seq);
        });
    }
}

/// Waits until this message was printed, or the time is over.
pub(crate) async fn wait_printed(
    printed: &mut watch::Receiver<Printed>,
    topic: &str,
    seq: u64,
    longest: Duration,
) {
    let done = printed.wait_for(|printed| printed.get(topic).is_some_and(|last| *last >= seq));
    // Late is no failure: the message is stored, only its echo is missing.
    drop(tokio::time::timeout(longest, done).await);
}
