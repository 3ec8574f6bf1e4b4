//! Many requests over one connection.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use omq_tokio::Message;
use tokio::sync::oneshot;

use crate::envelope::parts;
use crate::link::{Link, Sink};
use crate::options::Io;
use crate::{AnyOf, CallError, OpenError};

/// How many calls may wait for their answers.
pub const MAX_CALLS_IN_FLIGHT: usize = 64 * 1024;

/// Calls one end point, of several equals perhaps, over one connection, many requests at a time. Clones share it; dropping
/// the last one closes the connection.
#[derive(Clone)]
pub struct Caller(Arc<Shared>);

struct Shared {
    link: Link,
    calls: Arc<Calls>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.link.close();
        self.calls.down();
    }
}

type Answer = oneshot::Sender<Result<Vec<Bytes>, CallError>>;

/// Who waits for which number.
#[derive(Default)]
struct Calls(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    by_number: HashMap<u64, Answer>,
    last: u64,
}

impl Calls {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Calls {
    async fn message(&self, message: Message) {
        // `[number, "", body …]`; anything else, and any number that nobody waits for (a late or
        // second answer), is dropped.
        let Some(number) = message.part_slice(0).and_then(|frame| frame.try_into().ok()) else {
            return;
        };
        if !message.part_slice(1).is_some_and(<[u8]>::is_empty) {
            return;
        }
        let answer = self.waiting().by_number.remove(&u64::from_be_bytes(number));
        if let Some(answer) = answer {
            // Who no longer listens has dropped the receiver; nothing is lost by it.
            let _ = answer.send(Ok(parts(&message, 2..message.len())));
        }
    }

    fn down(&self) {
        let lost = std::mem::take(&mut self.waiting().by_number);
        for answer in lost.into_values() {
            let _ = answer.send(Err(CallError::Disconnected));
        }
    }
}

impl Caller {
    /// Starts connecting, and reconnects for ever.
    pub async fn connect(to: impl Into<AnyOf>) -> Result<Caller, OpenError> {
        let calls = Arc::new(Calls::default());
        let link = Link::start(to.into(), Io::Caller, calls.clone())?;
        Ok(Caller(Arc::new(Shared { link, calls })))
    }

    /// Whether the connection stands now.
    pub fn connected(&self) -> bool {
        self.0.link.connected()
    }

    /// Waits until the connection stands, or the time is over.
    pub async fn wait_connected(&self, timeout: Duration) -> bool {
        self.0.link.wait_connected(timeout).await
    }

    /// The end point of the connection that stands or stood last; empty before the first one.
    pub fn endpoint(&self) -> String {
        self.0.link.endpoint()
    }

    /// The number of the connection that stands; none while there is none.
    pub fn connection(&self) -> Option<u64> {
        self.0.link.connection()
    }

    /// Gives up the connection of this number, behind which nobody is of use; its calls fail with
    /// [`CallError::Disconnected`], and the next end point is tried. Nothing happens when it is
    /// gone already.
    pub fn give_up(&self, connection: u64) {
        self.0.link.give_up(connection);
    }

    /// Queues a request, in order of the calls, without waiting; the answer comes by the returned
    /// future, which needs no polling for the request to leave. Dropping the future forgets the
    /// call: its answer is ignored.
    ///
    /// Fails with [`CallError::NotConnected`] when no connection stands or its queue is full; the
    /// request was certainly not sent then. The future fails with [`CallError::Disconnected`] when
    /// the connection breaks; it has no time limit of its own.
    pub fn start(
        &self,
        body: Vec<Bytes>,
    ) -> Result<
        impl Future<Output = Result<Vec<Bytes>, CallError>> + Send + 'static + use<>,
        CallError,
    > {
        let (sender, receiver) = oneshot::channel();
        // The lock is held over the sending, so that numbers leave in order and the breaking of
        // the connection finds every call whose request it may have taken.
        let mut waiting = self.0.calls.waiting();
        if waiting.by_number.len() >= MAX_CALLS_IN_FLIGHT {
            return Err(CallError::NotConnected);
        }
        let number = waiting.last + 1;
        let head = [Bytes::copy_from_slice(&number.to_be_bytes()), Bytes::new()];
        self.0.link.send(Message::multipart(head.into_iter().chain(body)))?;
        waiting.last = number;
        waiting.by_number.insert(number, sender);
        drop(waiting);
        Ok(Call { receiver, calls: self.0.calls.clone(), number })
    }

    /// A request and its answer.
    pub async fn call(&self, body: Vec<Bytes>, timeout: Duration) -> Result<Vec<Bytes>, CallError> {
        match tokio::time::timeout(timeout, self.start(body)?).await {
            Ok(answer) => answer,
            Err(_) => Err(CallError::TimedOut),
        }
    }

    /// Closes the connection for all clones; calls in flight fail with
    /// [`CallError::Disconnected`].
    pub async fn close(&self) {
        self.0.link.close();
        self.0.calls.down();
    }
}

/// A call in flight; forgets itself when it is dropped.
struct Call {
    receiver: oneshot::Receiver<Result<Vec<Bytes>, CallError>>,
    calls: Arc<Calls>,
    number: u64,
}

impl Future for Call {
    type Output = Result<Vec<Bytes>, CallError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // The sender vanishes unsent only when the caller itself is dropped.
        Pin::new(&mut self.receiver)
            .poll(context)
            .map(|answer| answer.unwrap_or(Err(CallError::Disconnected)))
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.calls.waiting().by_number.remove(&self.number);
    }
}
