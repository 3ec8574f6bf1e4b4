//! How clients are answered: by a server's reply, or by the broker itself.

use recado_protocol::{Code, Refusal, Status, codec};
use recado_transport::Envelope;

use super::held::{Held, Kind, Origin};
use super::{Action, Dispatcher};

impl Dispatcher {
    /// How long a client waited.
    pub(super) fn note_time(&self, held: &Held, now: u64) {
        if let Origin::Client(_) = held.origin {
            let waited_ms = now.saturating_sub(held.since_ms);
            self.metrics.request_seconds.observe(waited_ms as f64 / 1000.0);
        }
    }

    /// Answers what no server has answered in time.
    pub(super) fn time_over(&mut self, key: u64, now: u64) {
        let Some(held) = self.release(key) else { return };
        self.note_time(&held, now);
        let refusal = Refusal::not_taken(self.servers.why().as_deref());
        self.give_up(held, &refusal.text, now);
    }

    /// Answers without the servers.
    pub(super) fn give_up(&mut self, held: Held, text: &str, now: u64) {
        let uncertain = held.kind == Kind::Write && (held.uncertain || held.open());
        let to = match held.origin {
            Origin::Client(to) => to,
            Origin::Session => return self.session_failed(now),
        };
        if held.kind == Kind::Status {
            return self.answer_status(to, no_members(), now);
        }
        let service = codec::peek_service(&held.body).unwrap_or("error").to_owned();
        if uncertain {
            let text = "the answer was lost and the request may be done; look before you repeat it";
            return self.refuse(to, &service, Code::Unknown, text);
        }
        self.refuse(to, &service, Code::Unavailable, text);
    }

    pub(super) fn refuse(&mut self, to: Envelope, service: &str, code: Code, text: &str) {
        self.metrics.refusals.inc(code.as_str());
        let refusal = Refusal::new(code, text);
        self.answer(Action::Refuse { to, service: service.to_owned(), refusal });
    }

    /// Every answer to a client goes out here.
    pub(super) fn answer(&mut self, action: Action) {
        self.metrics.answers.inc();
        self.actions.push(action);
    }

    /// Adds the broker's own part to a status.
    pub(super) fn answer_status(&mut self, to: Envelope, mut status: Status, now: u64) {
        let waiting = self.held.values().filter(|held| held.waiting).count();
        let part = [
            ("pid", u64::from(self.myself.pid)),
            ("servers", self.servers.live() as u64),
            ("in_flight", (self.held.len() - waiting) as u64),
            ("queued", waiting as u64),
            ("answered", self.metrics.answers.get()),
            ("retried", self.metrics.retries.get()),
            ("refused", self.metrics.refusals.sum()),
            ("sessions", self.sessions.open() as u64),
            ("uptime_ms", now),
        ];
        let mut part: Vec<(rmpv::Value, rmpv::Value)> =
            part.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        if let Some(http) = &self.myself.http {
            part.push(("http".into(), http.as_str().into()));
        }
        status.broker = rmpv::Value::Map(part);
        // What a server says of itself, it says in its own words already.
        status.why = status.why.or_else(|| self.servers.why());
        for member in &mut status.members {
            let Some(server) = self.servers.named(&member.name) else { continue };
            member.http.clone_from(&server.http);
            member.scrub = server.scrub;
        }
        self.answer(Action::Status { to, status: Box::new(status) });
    }
}

/// A status without anything from the servers.
pub(super) fn no_members() -> Status {
    Status {
        min_copies: 1,
        members: Vec::new(),
        broker: rmpv::Value::Nil,
        proxy: rmpv::Value::Nil,
        reference: rmpv::Value::Nil,
        brokers: rmpv::Value::Nil,
        proxies: rmpv::Value::Nil,
        why: None,
    }
}
