//! The thread beside the role.

use std::future::Future;
use std::io;
use std::net::TcpListener;

use crate::http::{self, Pages};
use crate::systemd::Service;
use crate::{Registry, Vitals};

/// Why nobody can watch, in one sentence.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The address can't be listened on.
    #[error(
        "can't serve HTTP on {address}: {why}; stop what listens there, or choose another --http"
    )]
    Address {
        /// What was asked for.
        address: String,
        /// What is wrong with it.
        why: io::Error,
    },
    /// The system gives no thread.
    #[error("can't start the thread that is watched: {0}")]
    Thread(io::Error),
}

/// Starts the thread that shows a role: by HTTP at `address` (`HOST:PORT`), if there is one, and
/// to systemd, if that started this process and wants to be told. Without either nothing is
/// started. `stopping` resolves when the role is told to stop.
///
/// # Errors
/// The address can't be listened on, or there is no thread.
pub fn start(
    address: Option<&str>,
    vitals: Vitals,
    registry: Registry,
    stopping: impl Future<Output = ()> + Send + 'static,
) -> Result<(), WatchError> {
    let service = Service::of_environment();
    let listener = address.map(listen).transpose()?;
    if listener.is_none() && service.is_none() {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(WatchError::Thread)?;
    let work = async move {
        let serving = async {
            match listener {
                Some(listener) => http::serve(listener, Pages::new(vitals.clone(), registry)).await,
                None => std::future::pending().await,
            }
        };
        let telling = async {
            match service {
                Some(service) => service.tell(vitals.clone()).await,
                None => std::future::pending().await,
            }
        };
        let ending = async {
            stopping.await;
            vitals.stops();
            // The pages stay until the process ends: that it stops is something to see.
            std::future::pending::<()>().await;
        };
        tokio::join!(serving, telling, ending);
    };
    let thread = std::thread::Builder::new().name("watch".into());
    thread.spawn(move || runtime.block_on(work)).map(drop).map_err(WatchError::Thread)
}

fn listen(address: &str) -> Result<TcpListener, WatchError> {
    let bound = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    bound.map_err(|why| WatchError::Address { address: address.to_owned(), why })
}
