//! The path of a client's request: decode, check, then either read here or write through the
//! primary, and answer.

mod check;
mod command;
#[cfg(test)]
pub(crate) mod fake;
mod read;
mod remove;
#[cfg(test)]
mod tests;

pub(crate) use read::{export, record};

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use recado_chat::Origin;
use recado_protocol::codec;
use recado_protocol::{Code, Incoming, Refusal, Reply, Request, RequestId};
use recado_replication::ProposeError;

use crate::clocks::Clocks;
use crate::cluster::{Cluster, Leadership};
use crate::config::FORWARD_TIMEOUT_MS;
use crate::facts::Facts;
use crate::frames::{Answer, Forward};
use crate::status;

/// A backup shows its own view when the primary does not say its own within this time.
const STATUS_TIMEOUT_MS: u64 = 1000;

/// A request as it reached this server.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The client's words.
    pub body: Bytes,
    /// The id under which a write is carried out unless the body brings one.
    pub id: Option<RequestId>,
    /// Whether another server handed it on; then it goes no further.
    pub forwarded: bool,
}

/// Answers requests. Clones share everything.
#[derive(Clone)]
pub struct Service<C> {
    cluster: C,
    clocks: Arc<Clocks>,
    facts: Arc<Facts>,
    message_limit_bytes: usize,
}

impl<C: Cluster> Service<C> {
    /// A service over this cluster; texts of messages may have `message_limit_bytes`.
    pub fn new(
        cluster: C,
        clocks: Arc<Clocks>,
        facts: Arc<Facts>,
        message_limit_bytes: usize,
    ) -> Service<C> {
        Service { cluster, clocks, facts, message_limit_bytes }
    }

    /// The cluster that it serves.
    pub fn cluster(&self) -> &C {
        &self.cluster
    }

    /// Answers one request. Without a primary that can be reached the answer is
    /// [`Answer::Again`] at once: whoever dealt the request knows better whom to try next.
    pub async fn answer(&self, asked: Asked) -> Answer {
        self.facts.count_request();
        let metrics = &self.facts.metrics;
        let incoming = match check::decode(&asked.body, self.message_limit_bytes) {
            Ok(incoming) => incoming,
            Err(bad) => {
                metrics.requests.inc(&bad.service);
                return self.done(&bad.service, &Reply::Refused(bad.refusal));
            }
        };
        metrics.requests.inc(incoming.request.service());
        self.clocks.observe(incoming.clock);
        let answer = self.carry_out(asked, incoming).await;
        if let Answer::Again { .. } = answer {
            metrics.given_back.inc();
        }
        answer
    }

    async fn carry_out(&self, asked: Asked, incoming: Incoming) -> Answer {
        match &incoming.request {
            Request::Status => self.status(asked).await,
            Request::Remove { server } => self.remove(asked, server).await,
            request if request.is_write() => self.write(asked, incoming).await,
            _ => {
                let begun = Instant::now();
                let answer = self.read(incoming.request).await;
                self.facts.metrics.read_seconds.observe(begun.elapsed().as_secs_f64());
                answer
            }
        }
    }

    /// The reply to a request that found no way to be answered, for those who wait for a reply
    /// and not for [`Answer::Again`].
    pub fn give_up(&self, body: &[u8], uncertain: bool) -> Bytes {
        let service = codec::peek_service(body).unwrap_or("error");
        self.encode(service, &Reply::Refused(command::no_answer(uncertain)))
    }

    async fn write(&self, asked: Asked, incoming: Incoming) -> Answer {
        let leadership = *self.cluster.leadership().borrow();
        if !leadership.is_primary {
            let timeout = Duration::from_millis(FORWARD_TIMEOUT_MS);
            return self.hand_on(asked, leadership, timeout).await;
        }
        let service = incoming.request.service();
        let origin = incoming.id.or(asked.id).map(|id| Origin {
            session: id.session,
            n: id.n,
            digest: codec::request_digest(&incoming.request),
        });
        let Some((command, left_out)) =
            command::command(incoming.request, self.message_limit_bytes)
        else {
            return Answer::ELSEWHERE;
        };
        #[cfg(feature = "planted")]
        crate::planted::proposed(&command);
        match self.cluster.propose(command, origin).await {
            Ok(committed) => self.done(service, &command::reply(committed, left_out)),
            Err(ProposeError::NotPrimary { .. } | ProposeError::Busy) => Answer::ELSEWHERE,
            Err(ProposeError::OutOfBounds(why)) => {
                self.done(service, &Reply::Refused(Refusal::new(Code::TooLarge, why)))
            }
            Err(ProposeError::TooFew { active, needed }) => {
                self.done(service, &Reply::Refused(command::too_few(active, needed)))
            }
            Err(ProposeError::Uncertain) => Answer::PERHAPS,
        }
    }

    /// Hands a request on to the primary and waits for what it says, but not beyond its reign: a
    /// stopped primary keeps its connections and never answers.
    async fn hand_on(&self, asked: Asked, known: Leadership, timeout: Duration) -> Answer {
        let Some(primary) = known.primary.filter(|_| !asked.forwarded) else {
            return Answer::ELSEWHERE;
        };
        let message = Forward { id: asked.id, body: asked.body }.encode();
        let Ok(answer) = self.cluster.forward(primary, message) else {
            return Answer::ELSEWHERE;
        };
        self.facts.metrics.handed_on.inc();
        let mut leadership = self.cluster.leadership().clone();
        tokio::select! {
            answer = answer => answer.map_or(Answer::PERHAPS, Answer::decode),
            _ = leadership.wait_for(|now| now.primary != Some(primary)) => Answer::PERHAPS,
            () = tokio::time::sleep(timeout) => Answer::PERHAPS,
        }
    }

    async fn status(&self, asked: Asked) -> Answer {
        let leadership = *self.cluster.leadership().borrow();
        if !leadership.is_primary {
            let timeout = Duration::from_millis(STATUS_TIMEOUT_MS);
            if let done @ Answer::Done(_) = self.hand_on(asked, leadership, timeout).await {
                return done;
            }
        }
        let status = status::status(&self.cluster.view(), &self.facts);
        self.done("status", &Reply::Status(Box::new(status)))
    }

    fn done(&self, service: &str, reply: &Reply) -> Answer {
        if let Reply::Refused(refusal) = reply {
            self.facts.metrics.refusals.inc(refusal.code.as_str());
        }
        Answer::Done(self.encode(service, reply))
    }

    fn encode(&self, service: &str, reply: &Reply) -> Bytes {
        codec::encode_reply(service, reply, self.clocks.stamp_message())
    }
}
