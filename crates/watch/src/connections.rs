//! Connections to the pages, bounded in number and in patience.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

/// How many connections there may be at a time; more wait to be taken.
const MAX_CONNECTIONS: usize = 16;

/// How long nothing may move on a connection, ms: who says nothing must not keep others out. A
/// scraper whose connection is gone by its next round opens another one.
const SILENCE_MS: u64 = 10_000;

/// How long a connection may last, ms, however little moves on it.
const AGE_MS: u64 = 60_000;

/// A listener whose connections are bounded.
pub(crate) struct Bounded {
    inner: tokio::net::TcpListener,
    free: Arc<Semaphore>,
}

impl Bounded {
    pub(crate) fn new(listener: TcpListener) -> io::Result<Bounded> {
        let inner = tokio::net::TcpListener::from_std(listener)?;
        Ok(Bounded { inner, free: Arc::new(Semaphore::new(MAX_CONNECTIONS)) })
    }
}

impl Listener for Bounded {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        // Fails only when the semaphore is closed, which nobody does.
        let permit = self.free.clone().acquire_owned().await.ok();
        let (stream, from) = Listener::accept(&mut self.inner).await;
        let ends = Instant::now() + Duration::from_millis(AGE_MS);
        (Connection { stream, patience: Box::pin(sleep(silence())), ends, _permit: permit }, from)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }
}

fn silence() -> Duration {
    Duration::from_millis(SILENCE_MS)
}

/// One connection; it ends when nothing moves on it.
pub(crate) struct Connection {
    stream: TcpStream,
    patience: Pin<Box<Sleep>>,
    ends: Instant,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Connection {
    /// Something moved, or it is waited on with the patience that is left.
    fn or_lose_patience<T>(
        &mut self,
        moved: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if moved.is_ready() && Instant::now() < self.ends {
            let until = (Instant::now() + silence()).min(self.ends);
            self.patience.as_mut().reset(until);
            return moved;
        }
        ready!(self.patience.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let moved = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.or_lose_patience(moved, context)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let moved = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.or_lose_patience(moved, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_on_which_nothing_moves_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let mut bounded = Bounded::new(listener).unwrap();
        let _silent = std::net::TcpStream::connect(address).unwrap();
        let (mut connection, _) = bounded.accept().await;
        assert_eq!(bounded.free.available_permits(), MAX_CONNECTIONS - 1);
        tokio::time::pause();
        let read = tokio::io::AsyncReadExt::read_u8(&mut connection).await;
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(connection);
        assert_eq!(bounded.free.available_permits(), MAX_CONNECTIONS);
    }
}
