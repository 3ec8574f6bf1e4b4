//! Clients that write one message after the other, each waiting for its answer.

use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use recado_client::{Client, ClientError};
use recado_protocol::{Code, Reply, Request, RequestId};
use tokio::time::Instant;

use super::{Answer, Asker, Desk};
use crate::history::{self, Ack, Name, Outcome, Topic};

/// The longest text beside its number, bytes.
const MAX_PADDING_BYTES: usize = 160;

/// In so many of 100 cases an acknowledged message is sent again on purpose.
const REPEATED_PERCENT: u32 = 5;

/// How long a message without an answer is sent again and again.
const REPEATED_FOR: Duration = Duration::from_secs(60);

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(100);

/// One writer's messages.
pub struct Messages {
    desk: Desk,
    rng: StdRng,
    client: u32,
    user: Name,
    count: u64,
    next_at: Instant,
}

/// A message, as the history names it.
#[derive(Clone)]
struct Message {
    topic: Topic,
    from: Name,
    text: Name,
}

impl Message {
    fn request(&self) -> Request {
        let (from, text) = (self.from.to_string(), self.text.to_string());
        match &self.topic {
            Topic::Channel(name) => {
                Request::Publish { user: from, channel: name.to_string(), message: text }
            }
            Topic::Inbox(name) => {
                Request::Message { src: from, dst: name.to_string(), message: text }
            }
        }
    }
}

impl Messages {
    /// Those of the writer with this number and name.
    pub(super) fn new(desk: &Desk, number: u32, user: &str) -> Messages {
        Messages {
            rng: desk.rng(number),
            client: desk.recorder.number(),
            user: user.into(),
            count: 0,
            next_at: Instant::now(),
            desk: desk.clone(),
        }
    }

    /// The writer's number among all clients.
    pub(super) fn client(&self) -> u32 {
        self.client
    }

    /// The next message, when its time has come; none when the writers shall stop.
    async fn next(&mut self) -> Option<Message> {
        tokio::time::sleep_until(self.next_at).await;
        // After a pause of the cluster the messages that it missed are not made up for.
        self.next_at = (self.next_at + self.desk.pace).max(Instant::now());
        if self.desk.quiet() {
            return None;
        }
        self.count += 1;
        let padding = "·".repeat(self.rng.random_range(0..=MAX_PADDING_BYTES) / 2);
        let text = format!("{}-{} {padding}", self.user, self.count);
        let topic = self.desk.pick(&mut self.rng).clone();
        Some(Message { topic, from: self.user.clone(), text: text.into() })
    }

    fn sent(&self, message: &Message, id: Option<RequestId>) -> usize {
        let id = id.map(|id| history::RequestId { session: id.session, n: id.n });
        let Message { topic, from, text } = message.clone();
        let now = self.desk.recorder.now_us();
        self.desk.recorder.history().send(self.client, id, (topic, from, text), now)
    }

    fn outcome(&self, answer: &Answer) -> Outcome {
        let at_us = self.desk.recorder.now_us();
        match answer {
            Answer::Reply(Reply::Acked(ack)) => Outcome::Acked(acked(ack, at_us)),
            Answer::NotDone(code) => Outcome::Refused { at_us, code: code.as_str().into() },
            Answer::NotSent => Outcome::Refused { at_us, code: "not_sent".into() },
            Answer::Reply(_) | Answer::Unknown => Outcome::Unknown,
        }
    }
}

fn acked(ack: &recado_protocol::Ack, at_us: u64) -> Ack {
    let message_id = <[u8; 16]>::try_from(&*ack.id).ok();
    Ack { at_us, seq: ack.seq, message_id, stored: ack.stored, members: ack.members }
}

/// The library's client: it has ids of its own and repeats by itself.
pub async fn by_session(mut messages: Messages, client: Client) {
    while let Some(message) = messages.next().await {
        let write = messages.sent(&message, None);
        let result = client.request(message.request()).await;
        let at_us = messages.desk.recorder.now_us();
        let outcome = match result {
            Ok(Reply::Acked(ack)) => Outcome::Acked(acked(&ack, at_us)),
            Err(ClientError::Refused(refusal)) => {
                Outcome::Refused { at_us, code: refusal.code.as_str().into() }
            }
            Err(ClientError::Unavailable { .. }) => {
                Outcome::Refused { at_us, code: Code::Unavailable.as_str().into() }
            }
            Ok(_) | Err(_) => Outcome::Unknown,
        };
        messages.desk.recorder.ended(write, outcome);
    }
}

/// A standard client: no ids, so nothing is sent twice, and what has no answer stays unknown.
pub async fn plainly(mut messages: Messages, asker: Asker) {
    while let Some(message) = messages.next().await {
        let write = messages.sent(&message, None);
        let answer = asker.ask(message.request(), None).await;
        messages.desk.recorder.ended(write, messages.outcome(&answer));
        if !matches!(answer, Answer::Reply(_)) {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// A client that sees each of its attempts, and repeats also what was acknowledged.
pub async fn repeating(mut messages: Messages, asker: Asker) {
    let mut id: Option<RequestId> = None;
    while let Some(message) = messages.next().await {
        let next = match id {
            Some(RequestId { session, n }) => Some(RequestId { session, n: n + 1 }),
            None => open_session(&messages, &asker).await,
        };
        let Some(next) = next else { continue };
        let expired = write_repeatedly(&mut messages, &asker, &message, next).await;
        id = (!expired).then_some(next);
    }
}

async fn open_session(messages: &Messages, asker: &Asker) -> Option<RequestId> {
    while !messages.desk.quiet() {
        if let Answer::Reply(Reply::Session { session, .. }) =
            asker.ask(Request::Session, None).await
        {
            return Some(RequestId { session, n: 1 });
        }
        tokio::time::sleep(PAUSE).await;
    }
    None
}

/// True when the session is gone.
async fn write_repeatedly(
    messages: &mut Messages,
    asker: &Asker,
    message: &Message,
    id: RequestId,
) -> bool {
    let recorder = messages.desk.recorder.clone();
    let deadline = Instant::now() + REPEATED_FOR;
    let write = messages.sent(message, Some(id));
    loop {
        let answer = asker.ask(message.request(), Some(id)).await;
        recorder.ended(write, messages.outcome(&answer));
        let done = match answer {
            Answer::Reply(_) => messages.rng.random_range(0..100) >= REPEATED_PERCENT,
            Answer::NotDone(Code::IdExpired) => return true,
            Answer::NotDone(Code::Unavailable) | Answer::NotSent | Answer::Unknown => {
                tokio::time::sleep(PAUSE).await;
                Instant::now() >= deadline
            }
            Answer::NotDone(_) => true,
        };
        if done {
            return false;
        }
        recorder.history().send_again(write, recorder.now_us());
    }
}
