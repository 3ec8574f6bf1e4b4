//! `demo`: a whole cluster, and a client on it, in one terminal.

use std::process::ExitCode;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::clients;
use crate::failure::Failure;
use crate::logging;
use crate::options::Settings;
use crate::print;
use crate::roles;
use crate::shutdown::Shutdown;
use crate::up::{self, Output, Plan};

/// How often the cluster's thread is looked at.
const LOOK_MS: u64 = 50;

/// What a process ends with after SIGINT or SIGTERM.
const SIGNAL_EXIT: u8 = 130;

/// Runs the cluster on a thread of its own and the client on this one, until the client quits.
///
/// # Errors
/// One sentence when the cluster can't be started or the client fails.
pub fn run(settings: &Settings) -> Result<ExitCode, Failure> {
    let settings = &on_this_machine(settings);
    // The children get the same filter; a wrong one is better said now.
    logging::parse(&settings.log)?;
    let held = up::hold(settings)?;
    let plan = Plan::new(settings);
    plan.check_ports()?;
    let (file, path) = logging::open_file(settings.data_dir(), "demo")?;
    let output = Output::to_file(file, settings.log_format.0)?;
    let signals = Shutdown::on_signals()?;
    print(&format!(
        "starting {}; their logs go to {}\n\
         others join from another terminal with: {}\n",
        plan.counts(),
        path.display(),
        plan.client_command()
    ));

    let (ender, ended) = Shutdown::manual();
    let (failed, failure) = mpsc::channel();
    let cluster_settings = settings.clone();
    let cluster = std::thread::Builder::new().name("cluster".into()).spawn(move || {
        if let Err(failure) = roles::block_on(up::run(&cluster_settings, held, output, ended)) {
            _ = failed.send(failure);
        }
    });
    let cluster = cluster.map_err(|why| Failure::Failed(format!("can't start a thread: {why}")))?;

    let outcome = roles::block_on(async {
        tokio::select! {
            outcome = chat(settings) => outcome,
            () = signals.wait() => Ok(ExitCode::from(SIGNAL_EXIT)),
            () = end_of(&cluster) => Ok(ExitCode::FAILURE),
        }
    });
    print("stopping the cluster\n");
    ender.end();
    _ = cluster.join();
    match failure.try_recv() {
        Ok(failure) => Err(failure),
        Err(_) => outcome,
    }
}

/// What is configured is where people chat every day; here they chat on what they started.
fn on_this_machine(settings: &Settings) -> Settings {
    let (broker, proxy) = up::doors(settings);
    Settings { broker, proxy, ..settings.clone() }
}

async fn chat(settings: &Settings) -> Result<ExitCode, Failure> {
    clients::wait_until_serving(settings).await?;
    clients::chat_here(settings).await
}

async fn end_of<T>(thread: &JoinHandle<T>) {
    while !thread.is_finished() {
        tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Command;
    use crate::config;

    #[test]
    fn a_demo_is_chatted_on_where_it_was_started() {
        let flags = [("broker", "hub"), ("proxy", "hub"), ("listen", "0.0.0.0")];
        let flags = flags.map(|(key, value)| (key.to_owned(), value.into())).to_vec();
        let settings = config::load(Command::Up, flags, None).unwrap().settings;
        let here = on_this_machine(&settings);
        assert_eq!((here.broker.as_str(), here.proxy.as_str()), ("127.0.0.1", "127.0.0.1"));
    }
}
