//! The server's own port, where other servers ask.
//!
//! Two frames with a first one of a single byte are ours: replication's messages and forwarded
//! requests. One frame is a standard request. Anything else gets no answer. The port takes bytes
//! from anybody, so nothing here believes them.

use std::sync::Arc;

use bytes::Bytes;
use recado_protocol::codec;
use recado_protocol::server::{ServerReply, ServerRequest};
use recado_protocol::{Code, Refusal};
use recado_replication::Replica;
use recado_replication::peer::FIRST_SERVER_KIND;
use recado_transport::{Envelope, Incoming, Responder};
use tokio::sync::{Semaphore, watch};

use crate::clocks::Clocks;
use crate::cluster::{Cluster, Leadership};
use crate::config::{BATCH_REQUESTS, MAX_FORWARDED_REQUESTS};
use crate::facts::Facts;
use crate::frames::{self, ADJUST, Adjust, Answer, FORWARD, Forward};
use crate::service::{Asked, Service};

/// Serves the port until the socket is closed.
pub struct PeerPort<C> {
    responder: Responder,
    replica: Replica,
    service: Service<C>,
    clock_port: Arc<ClockPort>,
    forwarded: Arc<Semaphore>,
}

impl<C: Cluster> PeerPort<C> {
    /// Serves this socket, which is bound.
    pub fn new(
        responder: Responder,
        replica: Replica,
        service: Service<C>,
        clock_port: ClockPort,
    ) -> PeerPort<C> {
        let forwarded = Arc::new(Semaphore::new(MAX_FORWARDED_REQUESTS));
        PeerPort { responder, replica, service, clock_port: Arc::new(clock_port), forwarded }
    }

    /// Takes messages in their order of arrival, for ever.
    pub async fn run(self) {
        while let Some(batch) = self.responder.receive(BATCH_REQUESTS).await {
            for Incoming { envelope, body } in batch {
                self.take(envelope, body);
            }
        }
    }

    fn take(&self, envelope: Envelope, body: Vec<Bytes>) {
        match <[Bytes; 2]>::try_from(body) {
            Ok([kind, payload]) if kind.len() == 1 => self.take_ours(envelope, kind[0], payload),
            Ok(_) => {}
            Err(body) => {
                if let Ok([body]) = <[Bytes; 1]>::try_from(body) {
                    self.answer(&envelope, self.clock_port.standard(&body));
                }
            }
        }
    }

    fn take_ours(&self, envelope: Envelope, kind: u8, payload: Bytes) {
        if kind < FIRST_SERVER_KIND {
            return self.take_replication(envelope, kind, payload);
        }
        let Some(payload) = frames::open(self.replica.cluster(), payload) else {
            tracing::debug!(kind, "a message of another cluster");
            // Certainly not done: whoever asked need not wait to learn it.
            if kind == FORWARD {
                self.answer(&envelope, Answer::ELSEWHERE.encode());
            }
            return;
        };
        match kind {
            FORWARD => self.take_forward(envelope, payload),
            ADJUST => {
                if let Some(answer) = self.clock_port.adjust(payload) {
                    self.answer(&envelope, answer);
                }
            }
            _ => tracing::debug!(kind, "a message of a kind that this version does not know"),
        }
    }

    fn take_replication(&self, envelope: Envelope, kind: u8, payload: Bytes) {
        let answer = self.replica.handle_peer(kind, payload);
        let responder = self.responder.clone();
        tokio::spawn(async move {
            if let Some(answer) = answer.await {
                responder.send(&envelope, vec![answer]);
            }
        });
    }

    fn take_forward(&self, envelope: Envelope, payload: Bytes) {
        let Some(Forward { id, body }) = Forward::decode(payload) else {
            return;
        };
        let Ok(permit) = self.forwarded.clone().try_acquire_owned() else {
            return self.answer(&envelope, Answer::ELSEWHERE.encode());
        };
        let responder = self.responder.clone();
        let service = self.service.clone();
        tokio::spawn(async move {
            let answer = service.answer(Asked { body, id, forwarded: true }).await;
            drop(permit);
            responder.send(&envelope, vec![answer.encode()]);
        });
    }

    fn answer(&self, envelope: &Envelope, body: Bytes) {
        self.responder.send(envelope, vec![body]);
    }
}

/// What the port says about clocks, and the standard's other services.
pub struct ClockPort {
    /// This server's clocks.
    pub clocks: Arc<Clocks>,
    /// Where the offset that the primary measured is kept.
    pub facts: Arc<Facts>,
    /// Who may correct the clock.
    pub leadership: watch::Receiver<Leadership>,
    /// This server's node id.
    pub node: u64,
}

impl ClockPort {
    /// Answers a standard request.
    pub fn standard(&self, body: &[u8]) -> Bytes {
        let (service, reply) = match codec::decode_server_request(body) {
            Err(bad) => (bad.service, ServerReply::Refused(bad.refusal)),
            Ok((request, clock)) => {
                self.clocks.observe(clock);
                (request.service().to_owned(), self.reply(&request))
            }
        };
        codec::encode_server_reply(&service, &reply, self.clocks.stamp_message())
    }

    fn reply(&self, request: &ServerRequest) -> ServerReply {
        match request {
            ServerRequest::Clock => ServerReply::Clock { time: self.clocks.now_ms() },
            // Being asked starts nothing: elections keep to the lease, whoever is curious.
            ServerRequest::Election => ServerReply::Election,
            ServerRequest::ClockAdjust { .. } => not_here("only the primary corrects clocks"),
            ServerRequest::Replicate { .. } => {
                not_here("entries come through the replicated log only")
            }
        }
    }

    /// Follows the primary's correction; none when the message is no correction at all.
    fn adjust(&self, payload: Bytes) -> Option<Bytes> {
        let adjust = Adjust::decode(payload)?;
        let (request, clock) = codec::decode_server_request(&adjust.body).ok()?;
        let ServerRequest::ClockAdjust { delta_ms } = request else {
            return None;
        };
        self.clocks.observe(clock);
        let now = *self.leadership.borrow();
        let reply = if now.primary == Some(adjust.node) && now.term == adjust.term {
            self.clocks.adjust(delta_ms);
            let offsets = Arc::new([(self.node, adjust.offset_ms)].into());
            self.facts.offsets.send_replace(offsets);
            ServerReply::Adjusted
        } else {
            not_here("only the primary corrects clocks")
        };
        Some(codec::encode_server_reply("clock_adjust", &reply, self.clocks.stamp_message()))
    }
}

fn not_here(why: &str) -> ServerReply {
    ServerReply::Refused(Refusal::new(Code::UnknownService, why))
}

#[cfg(test)]
mod tests {
    use recado_protocol::codec::Stamp;

    use super::*;

    const NODE: u64 = 5;
    const PRIMARY: u64 = 8;

    fn port() -> (ClockPort, watch::Sender<Leadership>) {
        let leads = Leadership { term: 3, primary: Some(PRIMARY), is_primary: false, alive: 3 };
        let (leads, leadership) = watch::channel(leads);
        let facts = Arc::new(Facts::new("", &[], &[]));
        (ClockPort { clocks: Arc::new(Clocks::new(0)), facts, leadership, node: NODE }, leads)
    }

    fn stamp(clock: u64) -> Stamp {
        Stamp { timestamp: 0, clock }
    }

    fn ask(port: &ClockPort, request: ServerRequest) -> (ServerReply, u64) {
        let body = port.standard(&codec::encode_server_request(&request, stamp(40)));
        let (reply, stamp) = codec::decode_server_reply(&body).unwrap();
        (reply, stamp.clock)
    }

    #[test]
    fn the_clock_is_told_and_the_logical_clock_goes_on() {
        let (port, _leads) = port();
        let (reply, clock) = ask(&port, ServerRequest::Clock);
        let ServerReply::Clock { time } = reply else { panic!("{reply:?}") };
        assert!(time.abs_diff(port.clocks.now_ms()) < 1000);
        assert!(clock > 40);
    }

    #[test]
    fn an_election_is_answered() {
        let (port, _leads) = port();
        assert_eq!(ask(&port, ServerRequest::Election).0, ServerReply::Election);
    }

    #[test]
    fn strangers_neither_write_nor_correct() {
        let (port, _leads) = port();
        let before = port.clocks.now_ms();
        for request in [
            ServerRequest::ClockAdjust { delta_ms: 3_600_000 },
            ServerRequest::Replicate { service: "replicate_publish".into() },
        ] {
            let (reply, _) = ask(&port, request);
            assert!(matches!(reply, ServerReply::Refused(_)), "{reply:?}");
        }
        assert!(port.clocks.now_ms() - before < 60_000);
    }

    #[test]
    fn hostile_bytes_get_a_refusal() {
        let (port, _leads) = port();
        for body in [&b""[..], b"\xff", b"\x91\x91\x91", b"\x81\xa7service\xc0", &[0x91; 4096]] {
            let reply = codec::decode_server_reply(&port.standard(body)).unwrap().0;
            assert!(matches!(reply, ServerReply::Refused(_)), "{body:?}: {reply:?}");
        }
    }

    fn adjust(port: &ClockPort, node: u64, term: u64) -> Option<ServerReply> {
        let request = ServerRequest::ClockAdjust { delta_ms: 100 };
        let body = codec::encode_server_request(&request, stamp(1));
        let answer = port.adjust(Adjust { node, term, offset_ms: -100, body }.encode())?;
        Some(codec::decode_server_reply(&answer).unwrap().0)
    }

    #[test]
    fn only_the_primary_of_this_term_corrects_the_clock() {
        let (port, _leads) = port();
        assert!(matches!(adjust(&port, PRIMARY, 2), Some(ServerReply::Refused(_))));
        assert!(matches!(adjust(&port, 7, 3), Some(ServerReply::Refused(_))));
        assert_eq!(port.facts.offsets.borrow().len(), 0);
        assert_eq!(adjust(&port, PRIMARY, 3), Some(ServerReply::Adjusted));
        assert_eq!(port.facts.offsets.borrow().get(&NODE), Some(&-100));
    }

    #[test]
    fn a_correction_that_is_none_is_not_answered() {
        let (port, _leads) = port();
        assert_eq!(port.adjust(Bytes::from_static(b"short")), None);
        let body = codec::encode_server_request(&ServerRequest::Clock, stamp(1));
        let wrong = Adjust { node: PRIMARY, term: 3, offset_ms: 0, body };
        assert_eq!(port.adjust(wrong.encode()), None);
    }
}
