//! One client of the load: a connection, a session, one request at a time.

use std::time::Duration;

use recado_protocol::codec::{Stamp, decode_reply, encode_request};
use recado_protocol::{Code, Incoming, Reply, Request, RequestId};
use recado_transport::Caller;
use tokio::time::Instant;

use super::figures::Samples;
use super::{no_sessions, publish};
use crate::clock::{LogicalClock, now_ms};
use crate::error::ClientError;

/// How long one request is waited for.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a session is asked for before the run is given up.
const MAX_SESSION_ATTEMPTS: usize = 20;

/// The pause after an error, so that a dead cluster is not counted in millions of errors.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(10);

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

    /// Publishes until `end`; what is answered from `begin` on is counted.
    pub(super) async fn run(mut self, begin: Instant, end: Instant) -> Samples {
        let mut samples = Samples::default();
        loop {
            let sent = Instant::now();
            if sent >= end {
                return samples;
            }
            // What is still unanswered at the end does not count.
            let Ok(answer) = tokio::time::timeout_at(end, self.publish_one()).await else {
                return samples;
            };
            let answered = Instant::now();
            let counts = answered >= begin && answered < end;
            match answer {
                Ok(Reply::Acked(_)) if counts => {
                    samples.ack(answered - begin, answered - sent);
                }
                Ok(Reply::Acked(_)) => {}
                Ok(reply) => {
                    let expired = matches!(&reply, Reply::Refused(refusal)
                        if refusal.code == Code::IdExpired);
                    if counts {
                        samples.error(&describe(&reply));
                    }
                    tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                    if expired {
                        // A failure shows as the next error.
                        let _ = tokio::time::timeout_at(end, self.open_session()).await;
                    }
                }
                Err(error) => {
                    if counts {
                        samples.error(&error);
                    }
                    tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                }
            }
        }
    }

    async fn publish_one(&mut self) -> Result<Reply, String> {
        self.n += 1;
        let id = self.session.map(|session| RequestId { session, n: self.n });
        let mut message = format!("{} ", self.n);
        while message.len() < self.size_bytes {
            message.push('x');
        }
        message.truncate(self.size_bytes.max(1));
        let request = publish(&self.user, &self.channel, message);
        self.ask(request, id).await
    }

    async fn ask(&self, request: Request, id: Option<RequestId>) -> Result<Reply, String> {
        let clock = self.clock.tick();
        let stamp = Stamp { timestamp: now_ms(), clock };
        let body = encode_request(&Incoming { request, clock, id }, stamp);
        let frames = self
            .caller
            .call(vec![body], ANSWER_TIMEOUT)
            .await
            .map_err(|error| error.to_string())?;
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
