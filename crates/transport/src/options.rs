//! Socket options, one function a role, and the limits behind them.

use std::future::Future;
use std::sync::{LazyLock, mpsc};
use std::time::Duration;

use omq_tokio::endpoint::Endpoint;
use omq_tokio::{
    Context, ContextConfig, Error, KeepAlive, Options, ReconnectPolicy, Socket, SocketType,
};
use recado_protocol::limits::MAX_FRAME_BYTES;

use crate::OpenError;

/// The first wait before a lost connection is dialled again; it doubles from there.
pub const RECONNECT_MIN_MS: u64 = 10;
/// The longest wait before a lost connection is dialled again.
pub const RECONNECT_MAX_MS: u64 = 200;
/// How long one attempt to connect may take, from the name look-up to the end of the handshake.
pub const DIAL_TIMEOUT_MS: u64 = 5_000;
/// The same where another end point can be tried instead.
pub const DIAL_NEXT_MS: u64 = 1_000;

/// What a message may weigh beside its largest frame: routing frames, a header, and the 64 bytes
/// that the library counts for each frame.
const MESSAGE_OVERHEAD_BYTES: usize = 16 * 1024;

/// How many received messages wait for us on one socket. It counts messages of any length, so it
/// is small; what takes them must never wait for anything.
const RECEIVE_QUEUE_MESSAGES: u32 = 64;
/// How many answers wait for one connection of a ROUTER.
const ROUTER_SEND_QUEUE_MESSAGES: u32 = 256;
/// How many requests wait in a DEALER; behind it [`crate::link`] keeps its own queue.
const DEALER_SEND_QUEUE_MESSAGES: u32 = 1024;
/// How many events wait in a subscriber for the application.
const SUBSCRIBER_QUEUE_MESSAGES: u32 = 16 * 1024;
/// How many events wait on either side of the proxy.
const PROXY_QUEUE_MESSAGES: u32 = 16 * 1024;
/// How many bytes of events wait for one subscriber before it loses events. The default of 2 MiB
/// is one burst of ordinary size; behind this one stands only who really lags.
const SUBSCRIBER_SLOT_BYTES: usize = 16 * 1024 * 1024;

/// How often a connecting side asks for a sign of life.
const PING_INTERVAL: Duration = Duration::from_secs(2);
/// After how long without one it gives the connection up.
const PING_TIMEOUT: Duration = Duration::from_secs(4);
/// The same two where another end point can take over: who moves on for nothing loses little, and
/// who stays with a dead one is silent. Together with one more interval, after which the library
/// looks, they make 1.2 s at the most.
const PING_INTERVAL_OF_SEVERAL: Duration = Duration::from_millis(200);
const PING_TIMEOUT_OF_SEVERAL: Duration = Duration::from_millis(800);
/// After how long of silence the bound side may give the connection up.
const PING_TTL: Duration = Duration::from_secs(10);

/// Threads for sockets, shared by all of a process.
///
/// With two of them the library runs the hand-over of received messages on a third. That is what
/// bounds memory: on one thread the readers of some fast connections starve the hand-over, and
/// each may pile up 256 messages of full length before it stops. Measured with 8 connections that
/// send frames of 4 MiB: 58 MiB instead of 1.4 GiB, at the same rate of small requests.
static THREADS: LazyLock<Context> =
    LazyLock::new(|| Context::with_config_and_name(ContextConfig { io_threads: 2 }, "recado"));

/// Which thread does a socket's reading and writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Io {
    /// The caller's runtime: fewest switches between threads. For connecting sides, whose one
    /// peer we know; a bound socket here can be made to hold gigabytes by whoever connects.
    Caller,
    /// Threads of the library's own: for bound sockets.
    Threads,
}

/// Runs work on the thread that hands over what bound sockets receive, and waits for its end.
///
/// A thread of its own would be woken for each batch by the one that hands over, only to wake a
/// socket's thread in turn: with the work there, a broker needs a fifth less processor
/// time for a request. What the work does without waiting holds up the hand-over. None if it panicked.
pub fn run_beside_sockets<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    let (done, outcome) = mpsc::channel();
    // A task: the runtime looks at its main future only now and then, and what is received would
    // pile up meanwhile.
    THREADS.handle().spawn(async move {
        // Fails only when nobody waits any more.
        let _ = done.send(work.await);
    });
    outcome.recv().ok()
}

/// Opens a socket.
pub(crate) fn open(io: Io, kind: SocketType, options: Options) -> Result<Socket, OpenError> {
    match io {
        Io::Caller => Socket::try_new(kind, options).map_err(|error| unusable("a socket", &error)),
        Io::Threads => Ok(THREADS.socket(kind, options)),
    }
}

/// What every socket has in common: a bound on frames, and TCP keep-alive against peers that
/// vanish without a word.
fn common() -> Options {
    let options = Options::default()
        .max_message_size(MAX_FRAME_BYTES + MESSAGE_OVERHEAD_BYTES)
        .recv_hwm(RECEIVE_QUEUE_MESSAGES)
        // The path for large messages keeps up to 64 MiB of buffers a connection.
        .disable_large_message_path()
        .reconnect(ReconnectPolicy::Exponential {
            min: Duration::from_millis(RECONNECT_MIN_MS),
            max: Duration::from_millis(RECONNECT_MAX_MS),
        });
    options.tcp_keepalive(KeepAlive::Enabled {
        idle: Duration::from_secs(10),
        intvl: Duration::from_secs(5),
        cnt: 3,
    })
}

/// No second attempt worth waiting for: the library says that the first one failed only when it
/// plans another, and whoever hears that gives the socket up.
const ONE_ATTEMPT: ReconnectPolicy = ReconnectPolicy::Fixed(Duration::from_secs(3600));

/// Signs of life inside ZeroMQ. Only connecting sides ask: a standard client may speak a dialect
/// that never answers, and must not lose its connection for it.
fn pinging(options: Options, several: bool) -> Options {
    let (interval, timeout) = match several {
        true => (PING_INTERVAL_OF_SEVERAL, PING_TIMEOUT_OF_SEVERAL),
        false => (PING_INTERVAL, PING_TIMEOUT),
    };
    options.heartbeat_interval(interval).heartbeat_timeout(timeout).heartbeat_ttl(PING_TTL)
}

/// A DEALER for one connection. It never dials twice: what is queued in it dies with it and is
/// not delivered late.
pub(crate) fn dealer(several: bool) -> Options {
    pinging(common(), several)
        .send_hwm(DEALER_SEND_QUEUE_MESSAGES)
        .reconnect(ReconnectPolicy::Disabled)
        .handshake_timeout(Duration::from_millis(DIAL_TIMEOUT_MS))
}

/// A bound ROUTER.
pub(crate) fn router() -> Options {
    common().send_hwm(ROUTER_SEND_QUEUE_MESSAGES).router_mandatory(true).monitor_capacity(4096)
}

/// The two sockets of the plain pump: answers to somebody who is gone vanish, as with any ROUTER.
pub(crate) fn pump() -> Options {
    common().send_hwm(ROUTER_SEND_QUEUE_MESSAGES)
}

/// How long an identity may be in ZMTP.
const MAX_IDENTITY_BYTES: usize = 255;

/// A PUB that waits for its proxy instead of dropping, and tells it this name if it can.
pub(crate) fn publisher(name: &str) -> Options {
    let mut options = pinging(common(), false).send_hwm(PROXY_QUEUE_MESSAGES);
    options.xpub_nodrop = true;
    if (1..=MAX_IDENTITY_BYTES).contains(&name.len()) {
        options = options.identity(name.to_owned());
    }
    options
}

/// A SUB for one connection.
pub(crate) fn subscriber(several: bool) -> Options {
    pinging(common(), several)
        .recv_hwm(SUBSCRIBER_QUEUE_MESSAGES)
        .reconnect(ONE_ATTEMPT)
        .handshake_timeout(Duration::from_millis(DIAL_TIMEOUT_MS))
}

/// The proxy's side towards publishers.
pub(crate) fn xsub() -> Options {
    common().recv_hwm(PROXY_QUEUE_MESSAGES)
}

/// The proxy's side towards subscribers.
pub(crate) fn xpub() -> Options {
    common()
        .send_hwm(PROXY_QUEUE_MESSAGES)
        .transmit_slot_cap(SUBSCRIBER_SLOT_BYTES)
        .monitor_capacity(16 * 1024)
        .subscription_admission(|request| request.prefix.len() <= crate::MAX_TOPIC_BYTES)
}

/// Checks that an end point is one that we use: `tcp://host:port`.
pub(crate) fn check(endpoint: &str) -> Result<Endpoint, OpenError> {
    match endpoint.parse::<Endpoint>() {
        Ok(parsed @ Endpoint::Tcp { .. }) => Ok(parsed),
        Ok(_) => Err(OpenError::Unusable {
            endpoint: endpoint.into(),
            why: "it must look like tcp://host:port".into(),
        }),
        Err(error) => Err(unusable(endpoint, &error)),
    }
}

/// Binds and gives the real address.
pub(crate) async fn bind(socket: &Socket, endpoint: &str) -> Result<String, OpenError> {
    let parsed = check(endpoint)?;
    match socket.bind(parsed).await {
        Ok(bound) => Ok(bound.to_string()),
        Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::AddrInUse => {
            Err(OpenError::InUse { endpoint: endpoint.into() })
        }
        Err(error) => Err(unusable(endpoint, &error)),
    }
}

/// An [`OpenError::Unusable`] out of a library's error.
pub(crate) fn unusable(endpoint: &str, error: &Error) -> OpenError {
    OpenError::Unusable { endpoint: endpoint.into(), why: error.to_string() }
}
