//! When a process shall end: a signal, or the death of the `up` that started it.

use std::convert::Infallible;
use std::io::Read;
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::failure::Failure;

/// How long a child goes on after its parent died, if its clean end hangs.
const ORPHAN_GRACE_MS: u64 = 5000;

/// A second signal so soon after the first is its echo: some tools signal a process and its whole
/// group.
const ECHO_MS: u64 = 300;

/// The exit code after a second signal, as shells have it for SIGINT.
const FORCED_EXIT: i32 = 130;

/// Tells when to end. Clones share it.
#[derive(Clone)]
pub struct Shutdown {
    wanted: watch::Receiver<bool>,
}

/// Makes a [`Shutdown`] end.
#[derive(Clone)]
pub struct Ender(watch::Sender<bool>);

impl Shutdown {
    /// A shutdown that only its [`Ender`] brings about.
    pub fn manual() -> (Ender, Shutdown) {
        let (sender, wanted) = watch::channel(false);
        (Ender(sender), Shutdown { wanted })
    }

    /// Listens for SIGINT and SIGTERM: the first asks for a clean end, a second one ends the
    /// process at once. The listener has a thread of its own, so that a role that hangs can't
    /// keep the second signal from being heard.
    ///
    /// # Errors
    /// When the system gives no thread or no signal handler.
    pub fn on_signals() -> Result<Shutdown, Failure> {
        let (ender, shutdown) = Shutdown::manual();
        let listen = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
            runtime.block_on(async {
                let mut interrupt = signal(SignalKind::interrupt())?;
                let mut terminate = signal(SignalKind::terminate())?;
                let mut first: Option<Instant> = None;
                loop {
                    tokio::select! {
                        _ = interrupt.recv() => {}
                        _ = terminate.recv() => {}
                    }
                    match first {
                        Some(at) if at.elapsed() < Duration::from_millis(ECHO_MS) => {}
                        Some(_) => std::process::exit(FORCED_EXIT),
                        None => {
                            first = Some(Instant::now());
                            ender.end();
                        }
                    }
                }
            })
        };
        spawn("signals", move || {
            let Err(why): std::io::Result<Infallible> = listen();
            tracing::error!("can't listen for signals: {why}");
        })?;
        Ok(shutdown)
    }

    /// Ends also when standard input closes: it is a pipe to the parent.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn or_with_parent(self) -> Result<Shutdown, Failure> {
        let (ender, shutdown) = Shutdown::manual();
        let orphan = ender.clone();
        spawn("parent", move || {
            let mut byte = [0];
            // The parent never writes; what comes is the end, or an error that means as much.
            while matches!(std::io::stdin().read(&mut byte), Ok(1)) {}
            orphan.end();
            std::thread::sleep(Duration::from_millis(ORPHAN_GRACE_MS));
            std::process::exit(1);
        })?;
        spawn("shutdown", move || {
            if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() {
                runtime.block_on(self.wait());
            }
            ender.end();
        })?;
        Ok(shutdown)
    }

    /// Resolves when the end is wanted.
    pub async fn wait(mut self) {
        // A lost sender means that nobody can ask any more: go on.
        if self.wanted.wait_for(|wanted| *wanted).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether the end is wanted.
    pub fn wanted(&self) -> bool {
        *self.wanted.borrow()
    }
}

impl Ender {
    /// Asks for the end.
    pub fn end(&self) {
        self.0.send_replace(true);
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    thread.map(|_| ()).map_err(|why| Failure::Failed(format!("can't start a thread: {why}")))
}
