//! The engine's watch channels: tokio's, but whoever waits is woken in the order of waiting. Tokio
//! wakes in random order, and no simulation could be repeated exactly.

use std::pin::pin;
use std::sync::Arc;

use openraft::async_runtime::watch::{self, RecvError, SendError};
use openraft::{OptionalSend, OptionalSync};
use tokio::sync::Notify;
use tokio::sync::watch as channel;
use tokio::task::coop::consume_budget;

/// The kind of channel.
pub struct Watch;

/// The sending half; clones share it.
pub struct Sender<T>(Arc<Sending<T>>);

/// Dropped in this order: who is woken by the end finds the channel closed.
struct Sending<T> {
    channel: channel::Sender<T>,
    changes: Changes,
}

/// Wakes everybody when it is dropped.
struct Changes(Arc<Notify>);

impl Drop for Changes {
    fn drop(&mut self) {
        self.0.notify_waiters();
    }
}

/// A receiving half.
pub struct Receiver<T> {
    channel: channel::Receiver<T>,
    changes: Arc<Notify>,
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Sender(self.0.clone())
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Receiver { channel: self.channel.clone(), changes: self.changes.clone() }
    }
}

impl watch::Watch for Watch {
    type Sender<T: OptionalSend + OptionalSync> = Sender<T>;
    type Receiver<T: OptionalSend + OptionalSync> = Receiver<T>;
    type Ref<'a, T: OptionalSend + 'a> = channel::Ref<'a, T>;

    fn channel<T: OptionalSend + OptionalSync>(first: T) -> (Sender<T>, Receiver<T>) {
        let (sender, receiver) = channel::channel(first);
        let changes = Arc::new(Notify::new());
        let sending = Sending { channel: sender, changes: Changes(changes.clone()) };
        (Sender(Arc::new(sending)), Receiver { channel: receiver, changes })
    }
}

impl<T: OptionalSend + OptionalSync> watch::WatchSender<Watch, T> for Sender<T> {
    fn send(&self, value: T) -> Result<(), SendError<T>> {
        self.0.channel.send(value).map_err(|error| SendError(error.0))?;
        self.0.changes.0.notify_waiters();
        Ok(())
    }

    fn send_if_modified<F>(&self, modify: F) -> bool
    where
        F: FnOnce(&mut T) -> bool,
    {
        let modified = self.0.channel.send_if_modified(modify);
        if modified {
            self.0.changes.0.notify_waiters();
        }
        modified
    }

    fn borrow_watched(&self) -> channel::Ref<'_, T> {
        self.0.channel.borrow()
    }

    fn subscribe(&self) -> Receiver<T> {
        Receiver { channel: self.0.channel.subscribe(), changes: self.0.changes.0.clone() }
    }
}

impl<T: OptionalSend + OptionalSync> watch::WatchReceiver<Watch, T> for Receiver<T> {
    async fn changed(&mut self) -> Result<(), RecvError> {
        consume_budget().await;
        loop {
            let mut woken = pin!(self.changes.notified());
            // From here on no change is missed.
            woken.as_mut().enable();
            let closed = self.channel.has_changed().is_err();
            if self.channel.borrow_and_update().has_changed() {
                return Ok(());
            }
            if closed {
                return Err(RecvError(()));
            }
            woken.await;
        }
    }

    fn borrow_watched(&self) -> channel::Ref<'_, T> {
        self.channel.borrow()
    }

    fn borrow_and_update(&mut self) -> channel::Ref<'_, T> {
        self.channel.borrow_and_update()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use openraft::async_runtime::watch::{Watch as _, WatchReceiver, WatchSender};

    use super::*;

    #[tokio::test]
    async fn who_waits_is_woken_in_the_order_of_waiting() {
        let (sender, receiver) = Watch::channel(0);
        let woken = Arc::new(Mutex::new(Vec::new()));
        let tasks: Vec<_> = (0..32)
            .map(|number| {
                let (mut receiver, woken) = (receiver.clone(), woken.clone());
                tokio::spawn(async move {
                    receiver.changed().await.unwrap();
                    woken.lock().unwrap().push(number);
                })
            })
            .collect();
        tokio::task::yield_now().await;
        sender.send(1).unwrap();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*woken.lock().unwrap(), (0..32).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn the_last_value_is_seen_before_the_end() {
        let (sender, mut receiver) = Watch::channel(0);
        sender.send(1).unwrap();
        drop(sender.clone());
        drop(sender);
        assert_eq!(receiver.changed().await, Ok(()));
        assert_eq!(*receiver.borrow_watched(), 1);
        assert!(receiver.changed().await.is_err());
    }

    #[tokio::test]
    async fn the_end_wakes_who_waits() {
        let (sender, mut receiver) = Watch::channel(0);
        let waiting = tokio::spawn(async move { receiver.changed().await });
        tokio::task::yield_now().await;
        drop(sender);
        assert!(waiting.await.unwrap().is_err());
    }
}
