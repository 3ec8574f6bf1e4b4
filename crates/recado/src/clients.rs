//! The commands that talk to a running cluster: client, bot, bench, export, import.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use recado_client::{Client, ClientConfig, ClientError};
use recado_protocol::Request;

use crate::address::Endpoints;
use crate::failure::Failure;
use crate::options::Settings;
use crate::roles::block_on;
use crate::shutdown::Shutdown;

/// How long a cluster that is just starting may take to answer.
const START_MS: u64 = 30_000;

fn config(settings: &Settings) -> Result<ClientConfig, Failure> {
    let at = Endpoints::to_connect(settings)?;
    Ok(ClientConfig::new(at.front, at.xpub))
}

async fn connect(settings: &Settings) -> Result<Client, Failure> {
    Client::connect(config(settings)?).await.map_err(Failure::failed)
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
    let config = config(settings)?;
    _ = config;
    Ok(ExitCode::SUCCESS)
}

/// Runs a bot until the shutdown.
///
/// # Errors
/// One sentence.
pub fn bot(settings: &Settings, shutdown: Shutdown) -> Result<(), Failure> {
    block_on(async {
        let _client = connect(settings).await?;
        shutdown.wait().await;
        Ok(())
    })
}

/// Measures.
///
/// # Errors
/// One sentence.
pub fn bench(settings: &Settings, json: bool, shutdown: Shutdown) -> Result<(), Failure> {
    _ = (settings, json, shutdown);
    Ok(())
}

/// Writes the four files.
///
/// # Errors
/// One sentence.
pub fn export(settings: &Settings, dir: &Path, shutdown: Shutdown) -> Result<(), Failure> {
    _ = (settings, dir, shutdown);
    Ok(())
}

/// Reads the four files.
///
/// # Errors
/// One sentence.
pub fn import(settings: &Settings, dir: &Path, shutdown: Shutdown) -> Result<(), Failure> {
    _ = (settings, dir, shutdown);
    Ok(())
}

#[allow(dead_code)]
fn explain(error: ClientError) -> Failure {
    Failure::failed(error)
}
