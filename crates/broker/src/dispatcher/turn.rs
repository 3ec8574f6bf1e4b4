//! What time brings: attempts, pauses and ends.

use std::cmp::Reverse;

use recado_protocol::backend::{FACTS_INTERVAL_MS, ToServer};
use recado_protocol::codec;

use super::held::{Held, Kind, Origin};
use super::servers::Choice;
use super::{Action, Attempt, Dispatcher, Due};

impl Dispatcher {
    /// The time has passed, or something came in: everything that is due is done, and whatever
    /// can be dealt is. To be called after every batch and at least every few milliseconds.
    pub fn turn(&mut self, now: u64) {
        for silent in self.servers.silent(self.limits.silence_ms, now) {
            self.server_lost(silent);
        }
        self.end_requests(now);
        self.accompany_attempts(now);
        self.run_due(now);
        self.open_sessions(now);
        self.unpark();
        self.deal(now);
        self.tell(now);
    }

    /// Answers every request that is still held, because the broker ends.
    pub fn end(&mut self, now: u64) {
        let mut all: Vec<u64> = self.held.keys().copied().collect();
        all.sort_unstable();
        for key in all {
            self.time_over(key, now);
        }
    }

    /// Tells new servers at once, and all of them now and then, how the broker is.
    fn tell(&mut self, now: u64) {
        let due = now >= self.tell_due_ms;
        let to = self.servers.untold(due);
        if due {
            self.tell_due_ms = now + FACTS_INTERVAL_MS;
        }
        if !to.is_empty() {
            self.actions.push(Action::Tell { to, servers: self.servers.connected() });
        }
    }

    fn end_requests(&mut self, now: u64) {
        while let Some(&(due, key)) = self.requests_due.front() {
            if due > now {
                return;
            }
            self.requests_due.pop_front();
            self.time_over(key, now);
        }
    }

    /// Sends what is unanswered for too long to the next server too.
    fn accompany_attempts(&mut self, now: u64) {
        while let Some(&(due, n)) = self.attempts_due.front() {
            if due > now {
                break;
            }
            self.attempts_due.pop_front();
            let Some(attempt) = self.attempts.get(&n).copied() else { continue };
            self.attempts_forgotten.push_back((now + self.limits.forget_ms, n));
            self.pause(attempt.request, now);
        }
        while let Some(&(due, n)) = self.attempts_forgotten.front() {
            if due > now {
                return;
            }
            self.attempts_forgotten.pop_front();
            let Some(attempt) = self.attempts.remove(&n) else { continue };
            if let Some(server) = self.servers.by_key(attempt.server) {
                server.in_flight = server.in_flight.saturating_sub(1);
            }
        }
    }

    fn run_due(&mut self, now: u64) {
        while let Some(&Reverse((due, key, what))) = self.due.peek() {
            if due > now {
                return;
            }
            self.due.pop();
            match what {
                Due::Retry => self.queue.push_front(key),
                Due::Status => self.ask_narrator(key, now),
                Due::Vet => self.vet(key),
            }
        }
    }

    /// Has a server tell how the cluster is that can answer nothing else; without one, or when it
    /// does not answer either, the broker answers by itself.
    fn ask_narrator(&mut self, key: u64, now: u64) {
        let waits = self.held.get(&key).is_some_and(|held| held.waiting && !held.open());
        match self.servers.narrator() {
            Some(index) if waits && !self.servers.any_serving() => self.send(key, index, now),
            _ => self.time_over(key, now),
        }
    }

    /// Refuses a request that no server has seen if it is unsound: nobody else would say so soon.
    fn vet(&mut self, key: u64) {
        let Some(held) = self.held.get(&key) else { return };
        if !held.attempts.is_empty() {
            return;
        }
        let Err(bad) = codec::decode_request(&held.body) else { return };
        if let Some(Held { origin: Origin::Client(to), .. }) = self.release(key) {
            self.refuse(to, &bad.service, bad.refusal.code, &bad.refusal.text);
        }
    }

    /// Asks for the sessions that are missing.
    fn open_sessions(&mut self, now: u64) {
        if now < self.session_pause_until_ms || !self.servers.any_serving() {
            return;
        }
        for _ in 0..self.sessions.start_opening() {
            let body = self.session_body.clone();
            self.admit(Held::new(Origin::Session, body, Kind::Read, now), now);
        }
    }

    /// Lets as many of the writes that wait for a session try again as there is room for.
    fn unpark(&mut self) {
        let count = self.sessions.room().min(self.parked.len());
        for key in self.parked.drain(..count).rev() {
            self.queue.push_front(key);
        }
    }

    /// Gives requests to servers as long as both are there.
    fn deal(&mut self, now: u64) {
        while let Some(key) = self.queue.pop_front() {
            let Some(held) = self.held.get_mut(&key).filter(|held| held.waiting) else { continue };
            let choice = self.servers.choose(
                held.kind == Kind::Write,
                |server| held.with(server),
                |server| held.was_with(server),
            );
            let index = match choice {
                Choice::Server(index) => index,
                // Others may have somebody who is free; nobody has to wait for this one.
                Choice::Busy | Choice::Nobody if held.open() => {
                    held.waiting = false;
                    self.pause(key, now);
                    continue;
                }
                Choice::Busy | Choice::Nobody => {
                    self.queue.push_front(key);
                    return;
                }
            };
            if held.kind == Kind::Write && held.id.is_none() {
                held.id = self.sessions.next_id();
                if held.id.is_none() {
                    self.parked.push_back(key);
                    continue;
                }
            }
            self.send(key, index, now);
        }
    }

    /// Gives a request to a server.
    fn send(&mut self, key: u64, index: usize, now: u64) {
        let Some(held) = self.held.get_mut(&key) else { return };
        self.last_attempt += 1;
        let n = self.last_attempt;
        let server = self.servers.get(index);
        server.in_flight += 1;
        held.waiting = false;
        self.metrics.retries.inc_by(u64::from(!held.attempts.is_empty()));
        held.attempts.retain(|(key, _)| *key != server.key);
        held.attempts.push((server.key, true));
        self.attempts.insert(n, Attempt { request: key, server: server.key });
        self.attempts_due.push_back((now + self.limits.attempt_ms, n));
        self.actions.push(Action::Deal {
            server: server.identity.clone(),
            header: ToServer { n, id: held.id },
            body: held.body.clone(),
        });
    }
}
