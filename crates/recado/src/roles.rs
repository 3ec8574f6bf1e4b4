//! The roles that listen: broker, proxy, reference, server.

use std::future::Future;
use std::path::PathBuf;

use recado_broker::{BrokerConfig, ProxyConfig, run_broker, run_proxy};
use recado_server::{
    Proxy, ReferenceConfig, ReferenceMetrics, ServerConfig, ServerError, Sizes, run_reference,
    run_server,
};
use recado_watch::Vitals;

use crate::address::{self, Endpoints, Own};
use crate::disk;
use crate::failure::Failure;
use crate::hold::Held;
use crate::options::Settings;
use crate::port_table::{self, MAX_SERVERS};
use crate::ports;
use crate::runfile::{self, Running};
use crate::server_name;
use crate::shown::Shown;
use crate::shutdown::Shutdown;

/// Runs a role where its sockets are.
fn serve<T: Send + 'static>(
    work: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> Result<T, Failure> {
    let outcome = recado_transport::run_beside_sockets(work);
    outcome.unwrap_or_else(|| Err(Failure::Failed("the role ended in a panic".to_owned())))
}

/// Runs work on a current-thread runtime of its own.
///
/// # Errors
/// Those of the work.
pub fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|why| Failure::Failed(format!("can't start the runtime: {why}")))?;
    let outcome = runtime.block_on(work);
    // Nothing that still runs (a blocking read of the terminal) may hold up the end.
    runtime.shutdown_background();
    outcome
}

/// Runs the broker.
///
/// # Errors
/// One sentence.
pub fn broker(settings: &Settings, shutdown: Shutdown) -> Result<(), Failure> {
    let [front, back] = Own::of(settings).broker(settings.number);
    let name = numbered("broker", settings.number);
    let mut shown = Shown::default();
    let metrics = shown.broker();
    let vitals = shown.start(settings, &shutdown)?;
    let (_running, http) = begin(settings, &name, &[("clients", &front), ("servers", &back)])?;
    let config = BrokerConfig {
        plain: settings.plain,
        http,
        vitals,
        metrics,
        ..BrokerConfig::new(front, back)
    };
    serve(async move { run_broker(config, shutdown.wait()).await.map_err(Failure::failed) })
}

/// Runs the proxy.
///
/// # Errors
/// One sentence.
pub fn proxy(settings: &Settings, shutdown: Shutdown) -> Result<(), Failure> {
    let [publishers, subscribers] = Own::of(settings).proxy(settings.number);
    let name = numbered("proxy", settings.number);
    let ports = [("publishers", publishers.as_str()), ("subscribers", &subscribers)];
    let mut shown = Shown::default();
    let metrics = shown.proxy();
    let vitals = shown.start(settings, &shutdown)?;
    let (_running, http) = begin(settings, &name, &ports)?;
    let config = ProxyConfig { publishers, subscribers, http, vitals, metrics };
    serve(async move { run_proxy(config, shutdown.wait()).await.map_err(Failure::failed) })
}

/// Runs the reference.
///
/// # Errors
/// One sentence.
pub fn reference(settings: &Settings, shutdown: Shutdown) -> Result<(), Failure> {
    let data_dir = settings.data_dir().join("reference");
    let _held = hold(settings, "reference", "choose another --data-dir")?;
    let mut shown = Shown::default();
    let metrics = shown.reference(&data_dir);
    let vitals = shown.start(settings, &shutdown)?;
    disk::with_room(&data_dir.clone(), &shutdown.clone(), || {
        run_reference_in(settings, data_dir, vitals, metrics, shutdown)
    })
}

fn run_reference_in(
    settings: &Settings,
    data_dir: PathBuf,
    vitals: Vitals,
    metrics: ReferenceMetrics,
    shutdown: Shutdown,
) -> Result<(), Failure> {
    let endpoint = Own::of(settings).reference();
    let (_running, http) = begin(settings, "reference", &[("servers", &endpoint)])?;
    let config = ReferenceConfig {
        http,
        vitals,
        metrics,
        witness: !settings.no_replica,
        sizes: Sizes::keeping(settings.keep_log.0),
        routes: address::routes(settings.route.as_deref().unwrap_or_default())?,
        ..ReferenceConfig::new(endpoint, data_dir)
    };
    serve(async move { run_reference(config, shutdown.wait()).await.map_err(Failure::failed) })
}

/// Runs a server.
///
/// # Errors
/// One sentence.
pub fn server(settings: &Settings, shutdown: Shutdown) -> Result<(), Failure> {
    let name = server_name::of(settings)?;
    // Wrong usage is said before anything is made.
    Endpoints::to_connect(settings)?;
    host_for_others(settings)?;
    let data_dir = settings.data_dir().join(&name);
    let _held = hold(settings, &name, "give this server another --data-dir or --name")?;
    let mut shown = Shown::default();
    let metrics = shown.server(&data_dir);
    let vitals = shown.start(settings, &shutdown)?;
    disk::with_room(&data_dir.clone(), &shutdown.clone(), || {
        run_server_in(settings, name, data_dir, vitals, metrics, shutdown)
    })
}

/// Holds the folder of a role that keeps data, under its name.
fn hold(settings: &Settings, name: &str, else_what: &str) -> Result<Held, Failure> {
    let dir = settings.data_dir().join(name);
    Held::take(&dir, || {
        let process = runfile::read(settings.data_dir(), name);
        let process = process.map(|file| format!(" ({})", file.pid)).unwrap_or_default();
        let dir = dir.display();
        format!("{dir} is in use by another process{process}; stop that one, or {else_what}")
    })
}

/// The host under which other servers reach this one.
fn host_for_others(settings: &Settings) -> Result<&str, Failure> {
    match &settings.advertise {
        Some(host) => Ok(host),
        None if address::is_unspecified(&settings.listen) => Err(Failure::Usage(format!(
            "with --listen {} other servers can't know where this one is; give its host with \
             --advertise",
            settings.listen
        ))),
        None => Ok(&settings.listen),
    }
}

fn run_server_in(
    settings: &Settings,
    name: String,
    data_dir: PathBuf,
    vitals: Vitals,
    metrics: recado_server::Metrics,
    shutdown: Shutdown,
) -> Result<(), Failure> {
    let at = Endpoints::to_connect(settings)?;
    let host = host_for_others(settings)?;
    let first = settings.port_base + port_table::FIRST_SERVER;
    // Held until this function ends: the server has its port long before.
    let (port, _claim) = match settings.port {
        Some(port) => (port, None),
        None => {
            let (port, claim) = ports::claim_free(&settings.listen, first, MAX_SERVERS)?;
            (port, Some(claim))
        }
    };
    let endpoint = address::endpoint(&settings.listen, port);
    let (_running, http) = begin(settings, &name, &[("servers", &endpoint)])?;
    let proxies = at.xsubs.into_iter().zip(at.xpubs);
    let proxies =
        proxies.map(|(publishers, subscribers)| Proxy { publishers, subscribers }).collect();
    let config = ServerConfig {
        name,
        data_dir,
        endpoint,
        advertise: Some(address::endpoint(host, port)),
        routes: address::routes(settings.route.as_deref().unwrap_or_default())?,
        brokers: at.backs,
        proxies,
        reference: at.reference,
        clock_offset_ms: settings.clock_offset_ms,
        message_limit_bytes: usize::try_from(settings.message_limit_bytes).unwrap_or(usize::MAX),
        min_copies: settings.min_copies.map(u32::from),
        timing: recado_server::Timing::default(),
        sizes: Sizes::keeping(settings.keep_log.0),
        http,
        vitals,
        metrics,
    };
    let failure = |error: ServerError| match error {
        ServerError::Removed(why) => Failure::Final(why),
        other => Failure::failed(other),
    };
    serve(async move { run_server(config, shutdown.wait()).await.map_err(failure) })
}

/// The name of a role of which there may be several; the first one needs no number.
pub fn numbered(role: &str, number: u16) -> String {
    if number == 1 { role.to_owned() } else { format!("{role}-{number}") }
}

/// Looks before anything is touched whether the ports are free, then says that the role runs; gives
/// where others find its pages.
fn begin(
    settings: &Settings,
    name: &str,
    endpoints: &[(&str, &str)],
) -> Result<(Running, Option<String>), Failure> {
    for (_, endpoint) in endpoints {
        ports::check_free(endpoint)?;
    }
    let advertise = settings.advertise.as_deref();
    let http = settings.http.as_deref().and_then(|http| address::shown_http(http, advertise));
    let running = Running::announce(settings.data_dir(), name, endpoints, http.as_deref())?;
    let list: Vec<_> = endpoints.iter().map(|(whom, at)| format!("{at} for {whom}")).collect();
    tracing::debug!("{name} {} listens on {}", env!("CARGO_PKG_VERSION"), list.join(", "));
    Ok((running, http))
}
