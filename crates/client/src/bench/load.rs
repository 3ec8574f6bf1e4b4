//! One client of the load: a share of a connection, a session, one request at a time.

use std::time::Duration;

use recado_protocol::codec::{Stamp, decode_reply, encode_request};
use recado_protocol::limits::DEFAULT_PAGE_ROWS;
use recado_protocol::message::HistoryOf;
use recado_protocol::{Ack, Code, HistoryQuery, Incoming, Reply, Request, RequestId};
use recado_transport::{CallError, Caller};
use tokio::time::Instant;

use super::figures::Samples;
use super::{Window, no_sessions};
use crate::clock::{LogicalClock, now_ms};
use crate::error::ClientError;

/// How long one request is waited for.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a session is asked for before the run is given up.
const MAX_SESSION_ATTEMPTS: usize = 20;

/// The pause after an error, so that a dead cluster is not counted in millions of errors.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(10);

/// What a client asks, again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// A message to the client's channel; wanted is its acknowledgement.
    Publish,
    /// The newest page of the client's channel; wanted is a full one.
    History,
    /// The list of channels.
    Channels,
}

pub(super) struct LoadClient {
    caller: Caller,
    clock: LogicalClock,
    user: String,
    channel: String,
    size_bytes: usize,
    /// None at a server that knows no sessions.
    session: Option<u64>,
    n: u64,
}

impl LoadClient {
    /// Opens the session.
    pub(super) async fn open(
        caller: Caller,
        channel: String,
        number: usize,
        size_bytes: usize,
    ) -> Result<LoadClient, ClientError> {
        let mut client = LoadClient {
            caller,
            clock: LogicalClock::default(),
            user: format!("bench-{number}"),
            channel,
            size_bytes,
            session: None,
            n: 0,
        };
        client.open_session().await?;
        Ok(client)
    }

    /// The channel that this client writes to.
    pub(super) fn channel(&self) -> &str {
        &self.channel
    }

    async fn open_session(&mut self) -> Result<(), ClientError> {
        let mut why = String::new();
        for _ in 0..MAX_SESSION_ATTEMPTS {
            match self.ask(Request::Session, None).await {
                Ok(Reply::Session { session, .. }) => {
                    self.session = Some(session);
                    self.n = 0;
                    return Ok(());
                }
                Ok(reply) if no_sessions(&reply) => {
                    self.session = None;
                    return Ok(());
                }
                Ok(reply) => why = describe(&reply),
                Err(error) => why = error,
            }
            tokio::time::sleep(PAUSE_AFTER_ERROR).await;
        }
        Err(ClientError::BadReply(format!("no session could be opened: {why}")))
    }

    /// Asks until the window ends, one request after the other; what is answered within the
    /// window is counted. What is known so far stays in `samples` when this is dropped.
    pub(super) async fn run(&mut self, work: Work, window: Window, samples: &mut Samples) {
        loop {
            let sent = Instant::now();
            if sent >= window.end {
                return;
            }
            // What is still unanswered at the end does not count.
            let Ok(answer) = tokio::time::timeout_at(window.end, self.once(work)).await else {
                return;
            };
            let answered = Instant::now();
            let counts = window.has(answered);
            match answer {
                Ok(()) if counts => samples.answer(answered - window.begin, answered - sent),
                Ok(()) => {}
                Err(why) => {
                    if counts {
                        samples.error(&why);
                    }
                    tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                }
            }
        }
    }

    /// One request of this work; an error says what came instead of what is wanted.
    pub(super) async fn once(&mut self, work: Work) -> Result<(), String> {
        match work {
            Work::Publish => self.publish().await.map(|_| ()),
            Work::History => match self.ask(self.page(), None).await? {
                Reply::History(page) if page.messages.len() == DEFAULT_PAGE_ROWS => Ok(()),
                Reply::History(page) => {
                    Err(format!("a page of {} rows instead of a full one", page.messages.len()))
                }
                reply => Err(describe(&reply)),
            },
            Work::Channels => match self.ask(Request::Channels, None).await? {
                Reply::Channels(names) | Reply::Users(names) if !names.is_empty() => Ok(()),
                reply => Err(describe(&reply)),
            },
        }
    }

    fn page(&self) -> Request {
        Request::History(HistoryQuery {
            of: HistoryOf::Channel(self.channel.clone()),
            after: None,
            before: None,
            limit: DEFAULT_PAGE_ROWS,
        })
    }

    /// Publishes one message. A session that the servers forgot is opened anew for the next one.
    pub(super) async fn publish(&mut self) -> Result<Ack, String> {
        self.n += 1;
        let id = self.session.map(|session| RequestId { session, n: self.n });
        let mut message = format!("{} ", self.n);
        while message.len() < self.size_bytes {
            message.push('x');
        }
        message.truncate(self.size_bytes.max(1));
        let (user, channel) = (self.user.clone(), self.channel.clone());
        match self.ask(Request::Publish { user, channel, message }, id).await? {
            Reply::Acked(ack) => Ok(ack),
            reply => {
                let expired = matches!(&reply, Reply::Refused(refusal)
                    if refusal.code == Code::IdExpired);
                if expired {
                    // A failure shows as the next error.
                    _ = self.open_session().await;
                }
                Err(describe(&reply))
            }
        }
    }

    /// Asks, and asks again over the next connection when one breaks, if that is safe.
    async fn ask(&self, request: Request, id: Option<RequestId>) -> Result<Reply, String> {
        let repeatable = id.is_some() || !request.is_write();
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        let left = || deadline.saturating_duration_since(Instant::now());
        let clock = self.clock.tick();
        let stamp = Stamp { timestamp: now_ms(), clock };
        let body = encode_request(&Incoming { request, clock, id }, stamp);
        let frames = loop {
            match self.caller.call(vec![body.clone()], left()).await {
                Ok(frames) => break frames,
                Err(CallError::NotConnected | CallError::Disconnected)
                    if repeatable && self.caller.wait_connected(left()).await => {}
                Err(error) => return Err(error.to_string()),
            }
        };
        let body = frames.first().map_or(&[][..], |frame| frame);
        let (_, reply, stamp) = decode_reply(body).map_err(|error| error.to_string())?;
        self.clock.observe(stamp.clock);
        Ok(reply)
    }
}

fn describe(reply: &Reply) -> String {
    match reply {
        Reply::Refused(refusal) => format!("{}: {}", refusal.code, refusal.text),
        _ => "an answer to another service".to_owned(),
    }
}
