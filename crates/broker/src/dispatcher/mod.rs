//! Who gets which request, and what becomes of it: a pure state machine.
//!
//! Nothing here knows sockets or clocks: what happens comes in with the time in milliseconds, and
//! what is to be done comes out as [`Action`]s. Every request is answered exactly once: by the
//! first server that answers, or by the broker when the time is over.

mod action;
mod answers;
mod held;
mod servers;
mod sessions;
mod turn;

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};

use bytes::Bytes;
use recado_metrics::{OTHER, count};
use recado_protocol::backend::ToBroker;
use recado_protocol::limits::MAX_REQUEST_BYTES;
use recado_protocol::{Code, Reply, codec};
use recado_transport::Envelope;

use crate::{Limits, Metrics};
pub use action::{Action, Connected};
use held::{Held, Kind, Origin};
use servers::{Announcement, Servers};
use sessions::Sessions;

/// Bodies below this length are copied when they come in: they are views into a larger buffer of
/// the socket, which they would otherwise keep alive for as long as they wait.
const COPY_BYTES: usize = 1024;
/// The longest reply in which an expired id is looked for; refusals are short.
const MAX_REFUSAL_BYTES: usize = 4096;
/// How long a failed attempt to open a session is not repeated.
const SESSION_PAUSE_MS: u64 = 100;

/// An attempt: which request is with which server.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    request: u64,
    server: u64,
}

/// What is due for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// The pause before the next attempt is over.
    Retry,
    /// `status` is answered without the servers that serve.
    Status,
    /// Nobody is there to look at it: see whether it is sound.
    Vet,
}

/// Which broker this is, for `status`.
#[derive(Clone, Debug, Default)]
pub struct Myself {
    /// Its process.
    pub pid: u32,
    /// Where it serves HTTP (`host:port`), if it does.
    pub http: Option<String>,
}

/// What a broker can't do without, in a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lack {
    /// Nobody is there.
    #[error("no server is connected; start servers, or look at their logs")]
    NoServer,
    /// Who is there can't answer.
    #[error("no connected server serves: they know no primary; start more servers, or wait")]
    NoneServes,
    /// Who is there says why nobody leads.
    #[error("no connected server serves: {0}")]
    NobodyLeads(String),
}

/// See the module.
#[derive(Debug)]
pub struct Dispatcher {
    limits: Limits,
    myself: Myself,
    /// The body of our own requests for sessions.
    session_body: Bytes,
    servers: Servers,
    sessions: Sessions,
    session_pause_until_ms: u64,
    held: HashMap<u64, Held>,
    held_bytes: usize,
    held_by_client: HashMap<Bytes, usize>,
    attempts: HashMap<u64, Attempt>,
    last_request: u64,
    last_attempt: u64,
    /// Requests in the order of their turn; those that are answered already are skipped.
    queue: VecDeque<u64>,
    /// Writes that wait for a session.
    parked: VecDeque<u64>,
    /// All attempts by age, with when they get company, …
    attempts_due: VecDeque<(u64, u64)>,
    /// … and when they no longer count.
    attempts_forgotten: VecDeque<(u64, u64)>,
    /// All requests by age, with when the broker answers them.
    requests_due: VecDeque<(u64, u64)>,
    due: BinaryHeap<Reverse<(u64, u64, Due)>>,
    /// When the servers are told again how the broker is.
    tell_due_ms: u64,
    metrics: Metrics,
    actions: Vec<Action>,
}

impl Dispatcher {
    /// A dispatcher that numbers its attempts from `first_attempt` on (random: a broker that
    /// starts anew must not take the answers to its predecessor), and opens sessions with
    /// `session_body`.
    pub fn new(
        limits: Limits,
        myself: Myself,
        first_attempt: u64,
        session_body: Bytes,
    ) -> Dispatcher {
        Dispatcher {
            limits,
            myself,
            session_body,
            servers: Servers::default(),
            sessions: Sessions::new(limits.sessions_min, limits.sessions_max, limits.session_ahead),
            session_pause_until_ms: 0,
            held: HashMap::new(),
            held_bytes: 0,
            held_by_client: HashMap::new(),
            attempts: HashMap::new(),
            last_request: 0,
            last_attempt: first_attempt,
            queue: VecDeque::new(),
            parked: VecDeque::new(),
            attempts_due: VecDeque::new(),
            attempts_forgotten: VecDeque::new(),
            requests_due: VecDeque::new(),
            due: BinaryHeap::new(),
            tell_due_ms: 0,
            metrics: Metrics::default(),
            actions: Vec::new(),
        }
    }

    /// With these metrics in place of some that nobody sees.
    pub fn measured(self, metrics: Metrics) -> Dispatcher {
        Dispatcher { metrics, ..self }
    }

    /// Shows how much is held now; to be called now and then.
    pub fn measure(&self) {
        let waiting = self.held.values().filter(|held| held.waiting).count();
        self.metrics.queued_requests.set(count(waiting));
        self.metrics.in_flight_requests.set(count(self.held.len() - waiting));
        self.metrics.held_bytes.set(count(self.held_bytes));
        self.metrics.servers.set(count(self.servers.live()));
        self.metrics.sessions.set(count(self.sessions.open()));
    }

    /// What is to be done, in order.
    pub fn actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// What keeps requests from being answered now.
    pub fn lacks(&self) -> Option<Lack> {
        match (self.servers.live(), self.servers.any_serving()) {
            (0, _) => Some(Lack::NoServer),
            (_, false) => Some(self.servers.why().map_or(Lack::NoneServes, Lack::NobodyLeads)),
            (_, true) => None,
        }
    }

    /// How many requests are held.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// A client asks.
    pub fn request(&mut self, from: Envelope, mut body: Vec<Bytes>, now: u64) {
        let service = body.first().and_then(|frame| codec::peek_service(frame));
        self.metrics.requests.inc(service.unwrap_or(OTHER));
        let Some(service) = service else {
            let text = "the request is no MessagePack map with a service";
            return self.refuse(from, "error", Code::Malformed, text);
        };
        let kind = Kind::of(service);
        if body.iter().map(Bytes::len).sum::<usize>() > MAX_REQUEST_BYTES {
            let service = service.to_owned();
            let text = format!("a request may have {MAX_REQUEST_BYTES} bytes; send less at a time");
            return self.refuse(from, &service, Code::TooLarge, &text);
        }
        if body.len() > 1 {
            let service = service.to_owned();
            let text = "a request is one frame after the empty one";
            return self.refuse(from, &service, Code::Malformed, text);
        }
        let mut body = body.swap_remove(0);
        if body.len() < COPY_BYTES {
            body = Bytes::copy_from_slice(&body);
        }
        self.admit(Held::new(Origin::Client(from), body, kind, now), now);
    }

    /// Takes a request in, or refuses it when too much is held.
    fn admit(&mut self, held: Held, now: u64) {
        let bytes = held.bytes();
        if let Origin::Client(envelope) = &held.origin {
            let client = envelope.identity();
            let theirs = self.held_by_client.get(&client).copied().unwrap_or(0);
            if self.held.len() >= self.limits.held_requests
                || self.held_bytes + bytes > self.limits.held_bytes
                || theirs >= self.limits.client_requests
            {
                return self.give_up(held, "too many requests are waiting; try again later", now);
            }
            self.held_by_client.insert(client, theirs + 1);
        }
        self.last_request += 1;
        let key = self.last_request;
        self.held_bytes += bytes;
        self.requests_due.push_back((now + self.limits.request_ms, key));
        if held.kind == Kind::Status {
            self.due.push(Reverse((now + self.limits.status_ms, key, Due::Status)));
        }
        if !self.servers.any_serving() {
            self.due.push(Reverse((now + self.limits.vet_ms, key, Due::Vet)));
        }
        self.held.insert(key, held);
        self.queue.push_back(key);
    }

    /// A server says something; `body` is the frame after the header.
    pub fn server_says(&mut self, from: &Bytes, said: ToBroker, body: Option<Bytes>, now: u64) {
        match (said, body) {
            (ToBroker::Ready { name, boot, credit, primary, serving, http, scrub, why }, _) => {
                let said = Announcement { name, boot, credit, primary, serving, http, scrub, why };
                let announced = self.servers.announced(from, said, now);
                for replaced in announced.replaced {
                    self.server_lost(replaced);
                }
                if let Some(primary) = announced.took_over {
                    self.primary_changed(primary);
                }
            }
            (ToBroker::Done { n }, Some(body)) => self.done(n, body, now),
            // A reply without a body is none, but it may be done.
            (ToBroker::Done { n }, None) => self.again(n, true, now),
            (ToBroker::Again { n, uncertain }, _) => self.again(n, uncertain, now),
            (ToBroker::Bye, _) => self.server_gone(from),
        }
    }

    /// A connection of the back end is gone.
    pub fn server_gone(&mut self, identity: &Bytes) {
        if let Some(server) = self.servers.remove(identity) {
            self.server_lost(server);
        }
    }

    /// Everything that a server holds goes to the next one, at once.
    fn server_lost(&mut self, server: u64) {
        let mut again = Vec::new();
        for (&key, held) in &mut self.held {
            if !held.lost(server) {
                continue;
            }
            held.uncertain |= held.kind == Kind::Write;
            if !held.waiting {
                held.waiting = true;
                again.push(key);
            }
        }
        self.requeue(again);
    }

    /// Writes that wait for another server may wait in vain: the primary that they are with, or
    /// were handed on to, may be one that was stopped. They go to the new one too, at once.
    fn primary_changed(&mut self, primary: u64) {
        let waits_in_vain =
            |held: &Held| held.kind == Kind::Write && !held.waiting && !held.with(primary);
        let mut again: Vec<u64> = Vec::new();
        for (&key, held) in &mut self.held {
            if waits_in_vain(held) {
                held.waiting = true;
                again.push(key);
            }
        }
        self.requeue(again);
    }

    /// Puts requests in front of all others, the oldest first.
    fn requeue(&mut self, mut again: Vec<u64>) {
        again.sort_unstable_by_key(|&key| Reverse(key));
        for key in again {
            self.queue.push_front(key);
        }
    }

    /// Takes an attempt off the books.
    fn end_attempt(&mut self, n: u64, now: u64) -> Option<Attempt> {
        let attempt = self.attempts.remove(&n)?;
        if let Some(server) = self.servers.by_key(attempt.server) {
            server.in_flight = server.in_flight.saturating_sub(1);
        }
        self.servers.heard(attempt.server, now);
        Some(attempt)
    }

    /// A server has answered.
    fn done(&mut self, n: u64, body: Bytes, now: u64) {
        let Some(attempt) = self.end_attempt(n, now) else { return };
        let Some(held) = self.held.get_mut(&attempt.request) else { return };
        if held.id.is_some() && refused_as(Code::IdExpired, &body) && !own_id(&held.body) {
            return self.id_expired(attempt, now);
        }
        let Some(mut held) = self.release(attempt.request) else { return };
        self.note_time(&held, now);
        held.lost(attempt.server);
        let perhaps = held.kind == Kind::Write && (held.uncertain || held.open());
        if perhaps && refused_as(Code::Unavailable, &body) {
            // This server did nothing, but one that was asked before may have.
            return self.give_up(held, "", now);
        }
        match held.origin {
            Origin::Session => self.session_answered(&body, now),
            Origin::Client(to) if held.kind == Kind::Status => match codec::decode_reply(&body) {
                Ok((_, Reply::Status(status), _)) => self.answer_status(to, *status, now),
                _ => self.answer(Action::Reply { to, body }),
            },
            Origin::Client(to) => self.answer(Action::Reply { to, body }),
        }
    }

    /// The reply to our own request for a session.
    fn session_answered(&mut self, body: &[u8], now: u64) {
        match codec::decode_reply(body) {
            Ok((_, Reply::Session { session, window }, _)) => {
                self.sessions.opened(session, window);
            }
            _ => self.session_failed(now),
        }
    }

    fn session_failed(&mut self, now: u64) {
        self.sessions.not_opened();
        self.session_pause_until_ms = now + SESSION_PAUSE_MS;
    }

    /// The cluster does not know the session that we carried a request out under: it was emptied,
    /// or has evicted it. If no other attempt can have taken effect, the request was certainly not
    /// carried out, and is dealt again under another id.
    fn id_expired(&mut self, attempt: Attempt, now: u64) {
        let Some(held) = self.held.get_mut(&attempt.request) else { return };
        held.lost(attempt.server);
        if let Some(id) = held.id.take() {
            self.sessions.drop_session(id.session);
        }
        if held.uncertain || held.open() {
            held.uncertain = true;
            return self.time_over(attempt.request, now);
        }
        if !held.waiting {
            held.waiting = true;
            self.queue.push_front(attempt.request);
        }
    }

    /// A server has given a request back.
    fn again(&mut self, n: u64, uncertain: bool, now: u64) {
        let Some(attempt) = self.end_attempt(n, now) else { return };
        let Some(held) = self.held.get_mut(&attempt.request) else { return };
        held.lost(attempt.server);
        held.uncertain |= uncertain && held.kind == Kind::Write;
        self.pause(attempt.request, now);
    }

    /// Lets a request wait a little before its next attempt.
    fn pause(&mut self, key: u64, now: u64) {
        let Some(held) = self.held.get_mut(&key) else { return };
        if held.waiting {
            return;
        }
        held.waiting = true;
        held.pause_ms =
            (held.pause_ms * 2).clamp(self.limits.retry_min_ms, self.limits.retry_max_ms);
        self.due.push(Reverse((now + held.pause_ms, key, Due::Retry)));
    }

    /// Takes a request out of the books: it is being answered.
    fn release(&mut self, key: u64) -> Option<Held> {
        let held = self.held.remove(&key)?;
        self.held_bytes -= held.bytes();
        if let Origin::Client(envelope) = &held.origin {
            let client = envelope.identity();
            match self.held_by_client.get_mut(&client) {
                Some(count) if *count > 1 => *count -= 1,
                _ => drop(self.held_by_client.remove(&client)),
            }
        }
        if let Some(id) = held.id {
            self.sessions.answered(id);
        }
        Some(held)
    }
}

/// Whether a reply refuses a request with this code.
fn refused_as(code: Code, body: &[u8]) -> bool {
    let word = code.as_str().as_bytes();
    body.len() <= MAX_REFUSAL_BYTES
        && body.windows(word.len()).any(|window| window == word)
        && matches!(
            codec::decode_reply(body),
            Ok((_, Reply::Refused(refusal), _)) if refusal.code == code
        )
}

/// Whether a request brought an id of its own, which is then the one that was used.
fn own_id(body: &[u8]) -> bool {
    codec::decode_request(body).is_ok_and(|incoming| incoming.id.is_some())
}
