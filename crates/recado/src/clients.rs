//! The commands that talk to a running cluster: client, bot, export, import.

use std::fmt::Write;
use std::future::Future;
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use recado_client::transfer::{self, Counts};
use recado_client::{BotConfig, Client, ClientConfig, run_bot};
use recado_protocol::Request;
use recado_terminal::{ChatConfig, Language, LineConfig, run_chat, run_line_client};

use crate::address::Endpoints;
use crate::failure::Failure;
use crate::options::Settings;
use crate::print;
use crate::roles::block_on;
use crate::shutdown::Shutdown;
use crate::status;

/// How long a cluster that is just starting may take to answer.
const START_MS: u64 = 30_000;

async fn connect(settings: &Settings) -> Result<Client, Failure> {
    let at = Endpoints::to_connect(settings)?;
    Client::connect(ClientConfig::new(at.fronts, at.xpubs)).await.map_err(Failure::failed)
}

/// Connects for a task that is done once: without a broker that is said at once, rather than after
/// the patience that a chat has.
///
/// # Errors
/// One sentence.
pub async fn connect_now(settings: &Settings) -> Result<Client, Failure> {
    let client = connect(settings).await?;
    if client.wait_connected(Duration::from_millis(status::CONNECT_MS)).await {
        if let Some(why) = status::why_not(&client.config().brokers).await {
            let patience = client.config().patience.as_secs();
            tracing::warn!("no server leads: {why}; trying for {patience} s");
        }
        return Ok(client);
    }
    Err(status::no_broker(client.config().brokers.endpoints()))
}

/// Waits until a server answers through the broker.
///
/// # Errors
/// When none does for half a minute.
pub async fn wait_until_serving(settings: &Settings) -> Result<(), Failure> {
    let client = connect(settings).await?;
    let patience = Duration::from_millis(START_MS);
    client.request_within(Request::Channels, patience).await.map_err(Failure::failed)?;
    client.close().await;
    Ok(())
}

/// Runs the line client.
///
/// # Errors
/// One sentence.
pub fn client(settings: &Settings) -> Result<ExitCode, Failure> {
    block_on(line_client(settings))
}

/// Runs the chat on the full screen, or line by line where there is none or that is wanted.
///
/// # Errors
/// One sentence.
pub fn chat(settings: &Settings) -> Result<ExitCode, Failure> {
    block_on(chat_here(settings))
}

/// Whether the chat takes the whole screen; then nothing else may be written to the terminal.
pub fn takes_the_screen(settings: &Settings) -> bool {
    !settings.line && std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// The chat as a future; its outcome is the exit code.
///
/// # Errors
/// One sentence.
pub async fn chat_here(settings: &Settings) -> Result<ExitCode, Failure> {
    if !takes_the_screen(settings) {
        return line_client(settings).await;
    }
    let at = Endpoints::to_connect(settings)?;
    let mut config = ChatConfig::new(at.fronts, at.xpubs);
    config.user = settings.user.clone();
    config.theme = settings.theme.0;
    config.notify = settings.notifications.0;
    config.language = language(settings);
    config.keys = settings.keymap().map_err(|wrong| Failure::Usage(wrong.why))?;
    Ok(ExitCode::from(run_chat(config).await))
}

fn language(settings: &Settings) -> Language {
    settings.lang.map_or_else(Language::of_environment, |lang| lang.0)
}

/// The line client as a future; its outcome is the exit code.
///
/// # Errors
/// One sentence.
pub async fn line_client(settings: &Settings) -> Result<ExitCode, Failure> {
    let at = Endpoints::to_connect(settings)?;
    let mut config = LineConfig::new(at.fronts, at.xpubs);
    config.user = settings.user.clone();
    config.language = language(settings);
    Ok(ExitCode::from(run_line_client(config).await))
}

/// Runs a bot until the shutdown.
///
/// # Errors
/// One sentence.
pub fn bot(settings: &Settings, shutdown: Shutdown) -> Result<(), Failure> {
    let at = Endpoints::to_connect(settings)?;
    let config = BotConfig {
        brokers: at.fronts.into(),
        proxies: at.xpubs.into(),
        seed: settings.seed,
        pace: Duration::from_millis(settings.pace_ms),
    };
    block_on(async { run_bot(config, shutdown.wait()).await.map_err(Failure::failed) })
}

/// Writes the four files.
///
/// # Errors
/// One sentence.
pub fn export(settings: &Settings, dir: &Path, shutdown: Shutdown) -> Result<(), Failure> {
    let work = async {
        let client = connect_now(settings).await?;
        transfer::export(&client, dir).await.map_err(Failure::failed)
    };
    let report = block_on(unless_stopped(shutdown, work))?;
    print(&format!(
        "{} users, {} channels, {} private messages and {} publications are in {}\n",
        report.users,
        report.channels,
        report.messages,
        report.publications,
        dir.display()
    ));
    Ok(())
}

/// Reads the four files.
///
/// # Errors
/// One sentence.
pub fn import(settings: &Settings, dir: &Path, shutdown: Shutdown) -> Result<(), Failure> {
    let work = async {
        let client = connect_now(settings).await?;
        transfer::import(&client, dir).await.map_err(Failure::failed)
    };
    let report = block_on(unless_stopped(shutdown, work))?;
    let mut text = String::new();
    for file in &report.missing_files {
        _ = writeln!(text, "{file} is not in {} and counts as empty", dir.display());
    }
    for conflict in &report.conflicts {
        _ = writeln!(text, "left out: {}: {}", conflict.row, conflict.refusal.text);
    }
    for (table, counts) in [
        ("users", &report.users),
        ("channels", &report.channels),
        ("private messages", &report.messages),
        ("publications", &report.publications),
    ] {
        _ = writeln!(text, "{table}: {}", describe(counts));
    }
    print(&text);
    Ok(())
}

fn describe(counts: &Counts) -> String {
    let Counts { stored, known, left_out } = counts;
    format!("{stored} stored, {known} there already, {left_out} left out")
}

/// Does the work, unless the shutdown comes first.
///
/// # Errors
/// Those of the work; also when it was stopped.
pub async fn unless_stopped<T>(
    shutdown: Shutdown,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        outcome = work => outcome,
        () = shutdown.wait() => Err(Failure::Failed("stopped before the end".into())),
    }
}
