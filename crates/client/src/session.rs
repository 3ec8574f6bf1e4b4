//! Requests to the cluster, each of which takes effect at most once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::RngExt;
use recado_protocol::codec::{Stamp, decode_reply, encode_request};
use recado_protocol::limits::SESSION_WINDOW_REQUESTS;
use recado_protocol::{Code, Incoming, Refusal, Reply, Request, RequestId};
use recado_transport::{AnyOf, CallError, Caller};
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::debug;

use crate::backoff::Backoff;
use crate::clock::{LogicalClock, now_ms};
use crate::error::ClientError;
use crate::expired::{Found, SentMark};
use crate::window::Window;

/// A broker that refuses after so long has looked for a server in vain. One that refuses at once has
/// too much to do, and to go to the next with everything in flight would only move the crowd.
const LOOKED_FOR_SERVERS: Duration = Duration::from_secs(2);

/// Where the cluster is, and how patient a client is.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The brokers, `tcp://host:5555`, of which one is used at a time.
    pub brokers: AnyOf,
    /// The proxies, `tcp://host:5558`, likewise.
    pub proxies: AnyOf,
    /// How long one request is tried in all, repeats included.
    pub patience: Duration,
    /// How long one attempt waits for its answer. The broker answers within 5 s even when no
    /// server does, so less than that only makes for needless repeats.
    pub attempt: Duration,
}

impl ClientConfig {
    /// How long one request is tried in all, unless another time is set.
    pub const DEFAULT_PATIENCE: Duration = Duration::from_secs(30);
    /// How long one attempt waits for its answer, unless another time is set.
    pub const DEFAULT_ATTEMPT: Duration = Duration::from_secs(6);

    /// A client of these brokers and proxies, with the default patience.
    pub fn new(brokers: impl Into<AnyOf>, proxies: impl Into<AnyOf>) -> ClientConfig {
        ClientConfig {
            brokers: brokers.into(),
            proxies: proxies.into(),
            patience: ClientConfig::DEFAULT_PATIENCE,
            attempt: ClientConfig::DEFAULT_ATTEMPT,
        }
    }
}

/// One connection to the broker and one session. Clones share both; any number of requests may
/// be in flight.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    config: ClientConfig,
    caller: Caller,
    clock: LogicalClock,
    /// Never held across an await.
    session: Mutex<SessionState>,
    /// One caller opens a session while the others wait for it.
    opening: tokio::sync::Mutex<()>,
    /// A number of the window came free, or the session changed.
    moved: Notify,
}

enum SessionState {
    Closed,
    Open {
        session: u64,
        window: Window,
    },
    /// The servers know no sessions (a standard server): writes carry no id and are sent once.
    Unsupported,
}

/// What one attempt gave.
enum Attempt {
    Answer(Reply),
    Refused(Refusal),
    /// Certainly not done by this attempt, and why, if the broker knows.
    NotDone(Option<String>),
    MayBeDone,
    /// The session is gone; not done by this attempt.
    Expired,
    Garbled(String),
}

/// A request id in use; gives its number back when dropped.
struct HeldId {
    id: RequestId,
    shared: Arc<Shared>,
}

impl Drop for HeldId {
    fn drop(&mut self) {
        if let SessionState::Open { session, window } = &mut *self.shared.session()
            && *session == self.id.session
        {
            window.settle(self.id.n);
        }
        self.shared.moved.notify_waiters();
    }
}

impl Shared {
    fn session(&self) -> MutexGuard<'_, SessionState> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Client {
    /// Starts connecting to one of the brokers, and reconnects for ever; does not wait for it. The
    /// session is opened by the first write, and holds at all of them.
    ///
    /// # Errors
    /// Only when the address can't be used at all.
    pub async fn connect(config: ClientConfig) -> Result<Client, ClientError> {
        let caller = Caller::connect(anywhere(&config.brokers)).await?;
        Ok(Client {
            shared: Arc::new(Shared {
                config,
                caller,
                clock: LogicalClock::default(),
                session: Mutex::new(SessionState::Closed),
                opening: tokio::sync::Mutex::new(()),
                moved: Notify::new(),
            }),
        })
    }

    /// How this client was set up.
    pub fn config(&self) -> &ClientConfig {
        &self.shared.config
    }

    /// The logical clock of this client.
    pub fn clock(&self) -> &LogicalClock {
        &self.shared.clock
    }

    /// The broker that is connected, or was last; all of them before the first one was.
    pub fn broker(&self) -> String {
        let endpoint = self.shared.caller.endpoint();
        if endpoint.is_empty() { self.shared.config.brokers.to_string() } else { endpoint }
    }

    /// Whether a broker is connected now.
    pub fn connected(&self) -> bool {
        self.shared.caller.connected()
    }

    /// Waits until a broker is connected, or the time is over.
    pub async fn wait_connected(&self, timeout: Duration) -> bool {
        self.shared.caller.wait_connected(timeout).await
    }

    /// Closes the connection, for all clones.
    pub async fn close(&self) {
        self.shared.caller.close().await;
    }

    /// Asks the cluster, and asks again until it answers or the patience of the configuration is
    /// over. A write takes effect at most once, however often it had to be sent.
    ///
    /// # Errors
    /// A refusal comes back as [`ClientError::Refused`], never as an `Ok` reply.
    pub async fn request(&self, request: Request) -> Result<Reply, ClientError> {
        self.request_within(request, self.shared.config.patience).await
    }

    /// As [`Client::request`], with a patience of its own.
    ///
    /// # Errors
    /// As [`Client::request`].
    pub async fn request_within(
        &self,
        request: Request,
        patience: Duration,
    ) -> Result<Reply, ClientError> {
        let started = Instant::now();
        let deadline = started + patience;
        if !request.is_write() || request == Request::Session {
            return self.repeat(&request, None, started, deadline).await.map_err(Failure::last);
        }
        loop {
            let mark = SentMark { clock: self.shared.clock.value(), sent_ms: now_ms() };
            let held = self.take_id(started, deadline).await?;
            match self.repeat(&request, held.as_ref().map(|held| held.id), started, deadline).await
            {
                Ok(reply) => return Ok(reply),
                Err(Failure::Error(error)) => return Err(error),
                Err(Failure::Expired { uncertain }) => {
                    if let Some(held) = &held {
                        self.retire(held.id.session);
                    }
                    drop(held);
                    if !uncertain {
                        continue;
                    }
                    let looked = self.look_for(&request, mark, remaining(deadline));
                    // Boxed: looking asks the history, which is a request too.
                    match Box::pin(looked).await {
                        Found::Yes(reply) => return Ok(reply),
                        Found::No => {}
                        Found::Unclear => {
                            return Err(ClientError::Unknown { waited_ms: elapsed_ms(started) });
                        }
                    }
                }
            }
        }
    }

    /// Sends the same request, under the same id, until there is an answer.
    async fn repeat(
        &self,
        request: &Request,
        id: Option<RequestId>,
        started: Instant,
        deadline: Instant,
    ) -> Result<Reply, Failure> {
        // Without an id only what is harmless twice may be sent twice.
        let repeatable = id.is_some()
            || !request.is_write()
            || matches!(request, Request::Session | Request::Login { .. });
        let mut uncertain = false;
        let mut why = None;
        let mut backoff = Backoff::new();
        loop {
            match self.attempt(request, id, remaining(deadline)).await {
                Attempt::Answer(reply) => return Ok(reply),
                Attempt::Refused(refusal) => {
                    return Err(Failure::Error(ClientError::Refused(refusal)));
                }
                Attempt::Expired => return Err(Failure::Expired { uncertain }),
                Attempt::Garbled(why) => return Err(Failure::Error(ClientError::BadReply(why))),
                Attempt::NotDone(because) => why = because,
                Attempt::MayBeDone => uncertain = true,
            }
            let wait = backoff.next_wait();
            if (uncertain && !repeatable) || remaining(deadline) <= wait {
                let waited_ms = elapsed_ms(started);
                return Err(Failure::Error(if uncertain && request.is_write() {
                    ClientError::Unknown { waited_ms }
                } else {
                    ClientError::Unavailable { waited_ms, why }
                }));
            }
            tokio::time::sleep(wait).await;
            // A lost connection is waited for, so that its return is used at once.
            if !self.connected() {
                self.wait_connected(remaining(deadline)).await;
            }
        }
    }

    async fn attempt(
        &self,
        request: &Request,
        id: Option<RequestId>,
        longest: Duration,
    ) -> Attempt {
        let clock = self.shared.clock.tick();
        let incoming = Incoming { request: request.clone(), clock, id };
        let body = encode_request(&incoming, Stamp { timestamp: now_ms(), clock });
        let timeout = longest.min(self.shared.config.attempt);
        let connection = self.shared.caller.connection();
        let asked = Instant::now();
        match self.shared.caller.call(vec![body], timeout).await {
            Ok(frames) => {
                let answer = self.read_answer(frames.first().map_or(&[][..], |frame| frame));
                if matches!(answer, Attempt::NotDone(_)) && asked.elapsed() >= LOOKED_FOR_SERVERS {
                    // It is there and finds no server; perhaps another one does.
                    self.try_another_broker(connection);
                }
                answer
            }
            Err(CallError::NotConnected) => Attempt::NotDone(None),
            Err(why) => {
                debug!(%why, ?id, "no answer");
                // A broker answers within 5 s as long as it works.
                if why == CallError::TimedOut && timeout == self.shared.config.attempt {
                    self.try_another_broker(connection);
                }
                Attempt::MayBeDone
            }
        }
    }

    /// Leaves the broker of this connection, if there is another one to go to.
    fn try_another_broker(&self, connection: Option<u64>) {
        if let Some(connection) = connection
            && self.shared.config.brokers.has_others()
        {
            self.shared.caller.give_up(connection);
        }
    }

    fn read_answer(&self, body: &[u8]) -> Attempt {
        match decode_reply(body) {
            Ok((_, reply, stamp)) => {
                self.shared.clock.observe(stamp.clock);
                match reply {
                    Reply::Refused(refusal) => match refusal.code {
                        Code::Unavailable => {
                            Attempt::NotDone(refusal.why_not_taken().map(str::to_owned))
                        }
                        Code::Unknown => Attempt::MayBeDone,
                        Code::IdExpired => Attempt::Expired,
                        _ => Attempt::Refused(refusal),
                    },
                    reply => Attempt::Answer(reply),
                }
            }
            Err(error) => Attempt::Garbled(error.to_string()),
        }
    }

    /// A free request id; none when the servers know no sessions.
    async fn take_id(
        &self,
        started: Instant,
        deadline: Instant,
    ) -> Result<Option<HeldId>, ClientError> {
        loop {
            let moved = self.shared.moved.notified();
            tokio::pin!(moved);
            // From here on no notification is missed, also one before the await.
            moved.as_mut().enable();
            let closed = match &mut *self.shared.session() {
                SessionState::Unsupported => return Ok(None),
                SessionState::Open { session, window } => {
                    if let Some(n) = window.take() {
                        let id = RequestId { session: *session, n };
                        return Ok(Some(HeldId { id, shared: Arc::clone(&self.shared) }));
                    }
                    false
                }
                SessionState::Closed => true,
            };
            if closed {
                self.open_session(started, deadline).await?;
            } else if tokio::time::timeout_at(deadline, moved).await.is_err() {
                return Err(ClientError::Unavailable { waited_ms: elapsed_ms(started), why: None });
            }
        }
    }

    async fn open_session(&self, started: Instant, deadline: Instant) -> Result<(), ClientError> {
        let _alone = self.shared.opening.lock().await;
        if !matches!(*self.shared.session(), SessionState::Closed) {
            return Ok(());
        }
        let opened = self.repeat(&Request::Session, None, started, deadline).await;
        let state = match opened.map_err(Failure::last) {
            Ok(Reply::Session { session, window }) => {
                debug!("session opened");
                let size = window.min(SESSION_WINDOW_REQUESTS);
                SessionState::Open { session, window: Window::new(size) }
            }
            // A standard server does not know the service, and says so in its own way.
            Ok(_) | Err(ClientError::Refused(_)) => SessionState::Unsupported,
            // The session may be open or not, but the write was certainly not sent.
            Err(ClientError::Unknown { waited_ms }) => {
                return Err(ClientError::Unavailable { waited_ms, why: None });
            }
            Err(error) => return Err(error),
        };
        *self.shared.session() = state;
        self.shared.moved.notify_waiters();
        Ok(())
    }

    /// This session is no longer known; the next write opens another one.
    fn retire(&self, expired: u64) {
        let mut state = self.shared.session();
        if matches!(&*state, SessionState::Open { session, .. } if *session == expired) {
            *state = SessionState::Closed;
        }
        drop(state);
        self.shared.moved.notify_waiters();
    }
}

/// Why repeating came to an end.
enum Failure {
    Error(ClientError),
    /// The session is gone; `uncertain` when an earlier attempt may have been carried out.
    Expired {
        uncertain: bool,
    },
}

impl Failure {
    /// For a request without an id, which can't expire.
    fn last(self) -> ClientError {
        match self {
            Failure::Error(error) => error,
            Failure::Expired { .. } => {
                ClientError::BadReply("an id expired where none was sent".to_owned())
            }
        }
    }
}

/// Clients start at different ones of several equals, and so spread over them.
pub(crate) fn anywhere(equals: &AnyOf) -> AnyOf {
    equals.starting_at(rand::rng().random_range(0..equals.endpoints().len().max(1)))
}

fn remaining(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

fn elapsed_ms(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX)
}
