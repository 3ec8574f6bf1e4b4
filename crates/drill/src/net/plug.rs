//! A listener that does not answer, as a host that is gone: who connects gets neither a connection
//! nor a refusal.
//!
//! To close the listener would refuse, and to leave it alone would let the system take connections
//! by itself. So its queue is made as short as can be and filled with connections of our own; the
//! system drops every further attempt, which its sender repeats ever more rarely, as it would
//! towards a host that is gone.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

/// How many connections wait to be taken, usually.
const QUEUE: i32 = 1024;
/// After so long without an answer the queue is full.
const NO_ANSWER: Duration = Duration::from_millis(50);
/// So many fill a queue of any system that we know; it is one on Linux.
const MAX_FILLERS: usize = 16;

/// A listener's queue, full; it is as before when [`Plug::pull`] was called.
pub struct Plug {
    fillers: Vec<TcpStream>,
}

impl Plug {
    /// Fills the queue of a listener, from which nobody must take meanwhile.
    ///
    /// # Errors
    /// When the queue can't be changed.
    pub async fn put(listener: &TcpListener) -> io::Result<Plug> {
        rustix::net::listen(listener, 0)?;
        let address = listener.local_addr()?;
        let mut fillers = Vec::new();
        while fillers.len() < MAX_FILLERS {
            match tokio::time::timeout(NO_ANSWER, TcpStream::connect(address)).await {
                Ok(Ok(filler)) => fillers.push(filler),
                Ok(Err(_)) | Err(_) => break,
            }
        }
        Ok(Plug { fillers })
    }

    /// Opens the listener again. Gives the addresses of the connections that are to be thrown away.
    ///
    /// # Errors
    /// When the queue can't be changed.
    pub fn pull(self, listener: &TcpListener) -> io::Result<Vec<SocketAddr>> {
        rustix::net::listen(listener, QUEUE)?;
        self.fillers.iter().map(TcpStream::local_addr).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_queue_answers_nobody_until_it_is_emptied() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let plug = Plug::put(&listener).await.unwrap();
        let attempt = tokio::time::timeout(NO_ANSWER * 4, TcpStream::connect(address)).await;
        assert!(attempt.is_err(), "{attempt:?}");
        let ours = plug.pull(&listener).unwrap();
        let later = tokio::spawn(TcpStream::connect(address));
        loop {
            let (_, from) = listener.accept().await.unwrap();
            if !ours.contains(&from) {
                break;
            }
        }
        later.await.unwrap().unwrap();
    }
}
