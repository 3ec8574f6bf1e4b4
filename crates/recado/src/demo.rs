//! `demo`: a whole cluster, and a client on it, in one terminal.

use std::process::ExitCode;

use crate::clients;
use crate::failure::Failure;
use crate::logging;
use crate::options::Settings;
use crate::roles;
use crate::shutdown::Shutdown;
use crate::up::{self, Output};

/// Runs the cluster on a thread of its own and the client on this one, until the client quits.
///
/// # Errors
/// One sentence when the cluster can't be started or the client fails.
pub fn run(settings: &Settings) -> Result<ExitCode, Failure> {
    let filter = logging::parse(&settings.log)?;
    drop(filter);
    let (file, path) = logging::open_file(settings.data_dir(), "demo")?;
    let output = Output::to_file(file)?;
    let (ender, ended) = Shutdown::manual();
    let signals = Shutdown::on_signals()?;
    crate::print(&format!(
        "starting {} servers and {} bots; their logs go to {}\n",
        settings.servers,
        settings.bots,
        path.display()
    ));

    let cluster_settings = settings.clone();
    let (failed, failure) = std::sync::mpsc::channel();
    let cluster = std::thread::Builder::new().name("cluster".into()).spawn(move || {
        let outcome = roles::block_on(up::run(&cluster_settings, output, ended));
        if let Err(failure) = outcome {
            _ = failed.send(failure);
        }
    });
    let cluster = cluster.map_err(|why| Failure::Failed(format!("can't start a thread: {why}")))?;

    let outcome = roles::block_on(async {
        tokio::select! {
            ready = clients::wait_until_serving(settings) => ready.map(|()| true),
            () = signals.clone().wait() => Ok(false),
            () = thread_end(&cluster) => Ok(false),
        }
    });
    let outcome = match outcome {
        Ok(true) => clients::client(settings),
        Ok(false) => Ok(ExitCode::SUCCESS),
        Err(failure) => Err(failure),
    };
    crate::print("stopping the cluster\n");
    ender.end();
    _ = cluster.join();
    match failure.try_recv() {
        Ok(failure) => Err(failure),
        Err(_) => outcome,
    }
}

/// How often the cluster's thread is looked at.
const LOOK_MS: u64 = 50;

async fn thread_end<T>(thread: &std::thread::JoinHandle<T>) {
    while !thread.is_finished() {
        tokio::time::sleep(std::time::Duration::from_millis(LOOK_MS)).await;
    }
}
