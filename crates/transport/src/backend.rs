//! A server's link towards the broker, ours or a plain pump.
//!
//! | direction | frames |
//! |---|---|
//! | server → our broker | `["", header]` or `["", header, body]` |
//! | our broker → server | `["", header, body]` |
//! | plain pump → server | `[client's identity, …, "", body]` |
//! | server → plain pump | the same envelope, then the body of the reply |

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use omq_tokio::Message;
use tokio::sync::{Mutex, mpsc, watch};

use crate::envelope::{Envelope, split};
use crate::link::{Link, Sink};
use crate::options::Io;
use crate::{AnyOf, CallError, OpenError};

/// How many requests wait here for the server; behind them the connection is not read. Our
/// broker's credit is the nearer bound, a plain pump has none.
const WAITING_REQUESTS: usize = 1024;

/// A request, by the way it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromBroker {
    /// From our broker: decode the header, answer with [`BackendLink::send`].
    Dealt {
        /// The header frame.
        header: Bytes,
        /// The client's request, untouched.
        body: Bytes,
    },
    /// From a plain ROUTER–DEALER pump: answer with [`BackendLink::reply`].
    Plain {
        /// The way back to the client.
        envelope: Envelope,
        /// The client's request.
        body: Bytes,
    },
}

/// A server's DEALER towards the broker; reconnects for ever. Clones share it.
#[derive(Clone)]
pub struct BackendLink(Arc<Shared>);

struct Shared {
    link: Link,
    requests: Mutex<mpsc::Receiver<FromBroker>>,
}

struct Inbox(mpsc::Sender<FromBroker>);

impl Sink for Inbox {
    async fn message(&self, message: Message) {
        if let Some(request) = read(&message) {
            // Fails only when the link is being dropped.
            let _ = self.0.send(request).await;
        }
    }

    fn down(&self) {}
}

/// Tells the two kinds of broker apart by the first frame.
fn read(message: &Message) -> Option<FromBroker> {
    if message.part_slice(0)?.is_empty() {
        let [_, header, body]: [Bytes; 3] = message.try_as_parts().ok()?;
        return Some(FromBroker::Dealt { header, body });
    }
    let mut incoming = split(message)?;
    let body = incoming.body.swap_remove(0);
    Some(FromBroker::Plain { envelope: incoming.envelope, body })
}

impl BackendLink {
    /// Starts connecting.
    pub async fn connect(to: impl Into<AnyOf>) -> Result<BackendLink, OpenError> {
        let (sender, receiver) = mpsc::channel(WAITING_REQUESTS);
        let link = Link::start(to.into(), Io::Caller, Arc::new(Inbox(sender)))?;
        Ok(BackendLink(Arc::new(Shared { link, requests: Mutex::new(receiver) })))
    }

    /// Whether the connection stands now.
    pub fn connected(&self) -> bool {
        self.0.link.connected()
    }

    /// Waits until the connection stands, or the time is over.
    pub async fn wait_connected(&self, timeout: Duration) -> bool {
        self.0.link.wait_connected(timeout).await
    }

    /// Follows the connection: odd numbers mean connected, and each connection has its own. A
    /// server says that it is ready at once when the number becomes odd.
    pub fn connections(&self) -> watch::Receiver<u64> {
        self.0.link.watch()
    }

    /// Queues a header, and the body of a reply if there is one, for our broker. Fails at once
    /// when no connection stands; nothing is ever delivered by a later connection.
    pub fn send(&self, header: Bytes, body: Option<Bytes>) -> Result<(), CallError> {
        let frames = [Bytes::new(), header].into_iter().chain(body);
        self.0.link.send(Message::multipart(frames))
    }

    /// Queues the reply to a request that came [`FromBroker::Plain`].
    pub fn reply(&self, envelope: &Envelope, body: Bytes) -> Result<(), CallError> {
        self.0.link.send(Message::multipart(envelope.frames.iter().cloned().chain([body])))
    }

    /// Takes what has come, at least one, at most `max`; none when the link is closed.
    pub async fn receive(&self, max: usize) -> Option<Vec<FromBroker>> {
        let mut requests = Vec::new();
        let count = self.0.requests.lock().await.recv_many(&mut requests, max.max(1)).await;
        (count > 0).then_some(requests)
    }

    /// Closes the connection and starts no other.
    pub async fn close(&self) {
        self.0.link.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(frames: &[&[u8]]) -> Message {
        Message::multipart(frames.iter().map(|frame| Bytes::copy_from_slice(frame)))
    }

    #[test]
    fn both_kinds_of_broker_are_understood() {
        assert_eq!(
            read(&message(&[b"", b"header", b"body"])),
            Some(FromBroker::Dealt { header: "header".into(), body: "body".into() })
        );
        let Some(FromBroker::Plain { envelope, body }) =
            read(&message(&[b"\0client", b"", b"body"]))
        else {
            panic!("a plain request");
        };
        assert_eq!(envelope.frames, [&b"\0client"[..], b""]);
        assert_eq!(body, &b"body"[..]);
    }

    #[test]
    fn other_shapes_are_dropped() {
        assert_eq!(read(&message(&[b""])), None);
        assert_eq!(read(&message(&[b"", b"header"])), None);
        assert_eq!(read(&message(&[b"", b"a", b"b", b"c"])), None);
        assert_eq!(read(&message(&[b"client", b"body"])), None);
    }
}
