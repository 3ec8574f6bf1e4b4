//! The link to one broker: says that this server is here, takes requests, answers them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use recado_protocol::backend::{READY_INTERVAL_MS, ToBroker, ToServer};
use recado_protocol::{Code, Reply, codec};
use recado_transport::{BackendLink, Envelope, FromBroker};
use tokio::sync::Semaphore;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::clocks::Clocks;
use crate::cluster::Cluster;
use crate::config::{BATCH_REQUESTS, CREDIT_REQUESTS, PLAIN_PAUSE_MS, PLAIN_TIMEOUT_MS};
use crate::facts::Facts;
use crate::frames::Answer;
use crate::service::{Asked, Service};
use crate::status;

/// One broker's requests.
pub struct BrokerLink<C> {
    /// The connection.
    pub link: BackendLink,
    /// The broker's place in the configuration.
    pub number: usize,
    /// Where the broker's state is noted.
    pub facts: Arc<Facts>,
    /// Who answers.
    pub service: Service<C>,
    /// For the stamps of headers.
    pub clocks: Arc<Clocks>,
    /// This server's name.
    pub name: String,
    /// The random number of this start.
    pub boot: u64,
    /// Where this server serves HTTP, if it does.
    pub http: Option<String>,
}

impl<C: Cluster> BrokerLink<C> {
    /// Serves until the link is closed.
    pub async fn run(self: Arc<Self>) {
        tokio::select! {
            () = self.say_ready() => {}
            () = self.take_requests() => {}
        }
    }

    /// Says goodbye: the broker sends nothing more, and what is on its way goes elsewhere.
    pub async fn leave(&self) {
        self.send(&ToBroker::Bye, None);
        // The frame needs a moment to leave before the connection goes.
        sleep(Duration::from_millis(20)).await;
        self.link.close().await;
    }

    /// Signs of life: regular, and at once when the link comes up or the server's role changes.
    async fn say_ready(&self) {
        let mut leadership = self.service.cluster().leadership().clone();
        let mut connections = self.link.connections();
        let mut beats = interval(Duration::from_millis(READY_INTERVAL_MS));
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let known = tokio::select! {
                _ = beats.tick() => true,
                changed = leadership.changed() => changed.is_ok(),
                changed = connections.changed() => changed.is_ok(),
            };
            if !known {
                return;
            }
            self.facts.broker_is(self.number, self.link.connected());
            let now = *leadership.borrow_and_update();
            let ready = ToBroker::Ready {
                name: self.name.clone(),
                boot: self.boot,
                credit: CREDIT_REQUESTS,
                primary: now.is_primary,
                serving: now.primary.is_some(),
                http: self.http.clone(),
                why: match now.primary {
                    Some(_) => None,
                    None => status::why(&self.service.cluster().view()),
                },
                scrub: *self.facts.scrub.borrow(),
            };
            self.send(&ready, None);
        }
    }

    /// Takes requests, at most so many at a time as the credit says; a plain pump knows no
    /// credit, so behind it the link is simply not read meanwhile.
    async fn take_requests(self: &Arc<Self>) {
        let credit = Arc::new(Semaphore::new(CREDIT_REQUESTS as usize));
        while let Some(batch) = self.link.receive(BATCH_REQUESTS).await {
            for request in batch {
                let Ok(permit) = credit.clone().acquire_owned().await else {
                    return;
                };
                let this = self.clone();
                tokio::spawn(async move {
                    match request {
                        FromBroker::Dealt { header, body } => {
                            this.answer_dealt(&header, body).await
                        }
                        FromBroker::Plain { envelope, body } => {
                            this.answer_plain(&envelope, body).await;
                        }
                    }
                    drop(permit);
                });
            }
        }
    }

    async fn answer_dealt(&self, header: &[u8], body: Bytes) {
        let (ToServer { n, id }, clock) = match codec::decode_to_server(header) {
            Ok(header) => header,
            Err(_) => return self.broker_told(header),
        };
        self.clocks.observe(clock);
        match self.service.answer(Asked { body, id, forwarded: false }).await {
            Answer::Done(reply) => self.send(&ToBroker::Done { n }, Some(reply)),
            Answer::Again { uncertain } => self.send(&ToBroker::Again { n, uncertain }, None),
        }
    }

    /// What is no request tells how the broker is.
    fn broker_told(&self, header: &[u8]) {
        match codec::decode_broker_facts(header) {
            Ok((told, clock)) => {
                self.clocks.observe(clock);
                self.facts.broker_told(self.number, told);
            }
            Err(error) => tracing::warn!(%error, "the broker can't be understood"),
        }
    }

    async fn answer_plain(&self, envelope: &Envelope, body: Bytes) {
        let reply = keep_trying(&self.service, body).await;
        // Fails when the broker is gone, and the client's connection with it.
        let _ = self.link.reply(envelope, reply);
    }

    fn send(&self, header: &ToBroker, body: Option<Bytes>) {
        let header = codec::encode_to_broker(header, self.clocks.stamp_message());
        // Fails when the broker is gone; a new one knows nothing of this request.
        let _ = self.link.send(header, body);
    }
}

/// Answers a request for which nobody else is tried. What may have been done is repeated only
/// under an id of its own: without one a second try could take effect twice.
async fn keep_trying<C: Cluster>(service: &Service<C>, body: Bytes) -> Bytes {
    let started = Instant::now();
    let mut uncertain = false;
    loop {
        let asked = Asked { body: body.clone(), id: None, forwarded: false };
        match service.answer(asked).await {
            // It did nothing this time, but may have before.
            Answer::Done(reply) if uncertain && is_unavailable(&reply) => {
                return service.give_up(&body, true);
            }
            Answer::Done(reply) => return reply,
            Answer::Again { uncertain: perhaps } => uncertain |= perhaps,
        }
        let over = started.elapsed() >= Duration::from_millis(PLAIN_TIMEOUT_MS);
        if over || (uncertain && !has_id(&body)) {
            return service.give_up(&body, uncertain);
        }
        sleep(Duration::from_millis(PLAIN_PAUSE_MS)).await;
    }
}

fn is_unavailable(reply: &[u8]) -> bool {
    let decoded = codec::decode_reply(reply);
    matches!(decoded, Ok((_, Reply::Refused(refusal), _)) if refusal.code == Code::Unavailable)
}

fn has_id(body: &[u8]) -> bool {
    codec::decode_request(body).is_ok_and(|incoming| incoming.id.is_some())
}

#[cfg(test)]
mod tests {
    use recado_protocol::{Request, RequestId};

    use super::*;
    use crate::service::fake::{Mood, OWN, Stage, body, leadership, stage};

    fn login() -> Request {
        Request::Login { user: "ann".into() }
    }

    /// Tries while the mood is this one, which ends after so long.
    async fn try_at(stage: &Stage, mood: Mood, ends_after_ms: u64, id: Option<RequestId>) -> Reply {
        *stage.fake().mood.lock().unwrap() = mood;
        let tried = keep_trying(&stage.service, body(login(), id));
        let changed = async {
            sleep(Duration::from_millis(ends_after_ms)).await;
            *stage.fake().mood.lock().unwrap() = Mood::Commits;
        };
        let (reply, ()) = futures::join!(tried, changed);
        codec::decode_reply(&reply).unwrap().1
    }

    fn code(reply: &Reply) -> Code {
        match reply {
            Reply::Refused(refusal) => refusal.code,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_absence_of_the_primary_is_not_noticed() {
        let stage = stage(Some(OWN));
        let reply = try_at(&stage, Mood::Fails("busy"), 900, None).await;
        assert_eq!(reply, Reply::Done);
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_one_is_told_after_its_time() {
        let stage = stage(None);
        stage.leads.send_replace(leadership(None));
        let started = Instant::now();
        let reply = keep_trying(&stage.service, body(login(), None)).await;
        assert_eq!(code(&codec::decode_reply(&reply).unwrap().1), Code::Unavailable);
        let took_ms = started.elapsed().as_millis();
        assert!((u128::from(PLAIN_TIMEOUT_MS)..6000).contains(&took_ms), "{took_ms}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_be_done_is_repeated_only_under_an_id() {
        let stage = stage(Some(OWN));
        let started = Instant::now();
        *stage.fake().mood.lock().unwrap() = Mood::Fails("uncertain");
        let reply = keep_trying(&stage.service, body(login(), None)).await;
        assert_eq!(code(&codec::decode_reply(&reply).unwrap().1), Code::Unknown);
        assert!(started.elapsed() < Duration::from_millis(PLAIN_PAUSE_MS));

        *stage.fake().mood.lock().unwrap() = Mood::Commits;
        let Reply::Session { session, .. } = stage.reply(Request::Session).await else {
            panic!("no session");
        };
        let id = Some(RequestId { session, n: 1 });
        let reply = try_at(&stage, Mood::Fails("uncertain"), 900, id).await;
        assert_eq!(reply, Reply::Done);
    }
}
