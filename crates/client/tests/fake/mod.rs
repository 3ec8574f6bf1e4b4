//! A cluster of one, in memory, that does what a test tells it to do wrong.
#![allow(dead_code, reason = "each test file uses its own part of it")]
#![allow(clippy::unwrap_used, reason = "a test that can't be set up fails")]

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use recado_client::{Client, ClientConfig, now_ms};
use recado_protocol::codec::{Stamp, decode_request, encode_event, encode_reply};
use recado_protocol::message::{ExportTable, HistoryOf};
use recado_protocol::reply::ImportResult;
use recado_protocol::{
    Ack, Code, Event, HistoryQuery, HistoryReply, ImportRow, Record, Refusal, Reply, Request,
    RequestId,
};
use recado_transport::{EventProxy, Publisher, Responder};
use tokio::task::JoinSet;

/// What goes wrong with the next write that carries an id.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// It does not arrive.
    LoseRequest,
    /// It is done and the answer is lost.
    LoseReply,
    /// It is refused with this code and not done.
    Refuse(Code),
    /// It is done, the answer is lost, and all sessions are forgotten.
    LoseReplyAndForget,
    /// It does not arrive, and all sessions are forgotten.
    LoseRequestAndForget,
}

#[derive(Default)]
pub struct State {
    pub users: BTreeMap<String, [u64; 3]>,
    pub channels: Vec<String>,
    /// All messages in the order of the log.
    pub log: Vec<Record>,
    /// Every request that arrived, done or not.
    pub arrived: Vec<(Request, Option<RequestId>)>,
    pub faults: VecDeque<Fault>,
    /// Which seqs the proxy loses.
    pub lose_events: Vec<u64>,
    results: HashMap<RequestId, Reply>,
    sessions: Vec<u64>,
    last_session: u64,
}

pub struct Fake {
    state: Arc<Mutex<State>>,
    pub broker: String,
    pub proxy: String,
    tasks: JoinSet<()>,
}

impl Fake {
    pub async fn start() -> Fake {
        Fake::start_at("tcp://127.0.0.1:0").await
    }

    pub async fn start_at(endpoint: &str) -> Fake {
        let any = "tcp://127.0.0.1:0";
        let responder = Responder::bind(endpoint).await.unwrap();
        let proxy = EventProxy::bind(any, any).await.unwrap();
        let [publishers, subscribers] = proxy.endpoints().map(str::to_owned);
        let publisher = Publisher::connect(&publishers, "fake").await.unwrap();
        let broker = responder.endpoint().to_owned();
        let state = Arc::new(Mutex::new(State::default()));
        let mut tasks = JoinSet::new();
        tasks.spawn(proxy.run(std::future::pending()));
        tasks.spawn(serve(responder, publisher, state.clone()));
        Fake { state, broker, proxy: subscribers, tasks }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn config(&self) -> ClientConfig {
        ClientConfig {
            attempt: Duration::from_millis(300),
            patience: Duration::from_secs(10),
            ..ClientConfig::new(&self.broker, &self.proxy)
        }
    }

    pub async fn client(&self) -> Client {
        Client::connect(self.config()).await.unwrap()
    }
}

async fn serve(responder: Responder, publisher: Publisher, state: Arc<Mutex<State>>) {
    while let Some(requests) = responder.receive(64).await {
        for incoming in requests {
            let request = decode_request(&incoming.body[0]).unwrap();
            let service = request.request.service();
            let (reply, event) = state.lock().unwrap().take(request.request, request.id);
            if let Some(record) = event {
                let event = if record.private {
                    Event::Private(record)
                } else {
                    Event::Publication(record)
                };
                let topic = Bytes::copy_from_slice(event.topic().as_bytes());
                // Without a subscriber nobody misses anything.
                let _ = publisher.publish(topic, encode_event(&event)).await;
            }
            if let Some(reply) = reply {
                let stamp = Stamp { timestamp: now_ms(), clock: 1 };
                let body = encode_reply(service, &reply, stamp);
                responder.reply(&incoming.envelope, vec![body]).await;
            }
        }
    }
}

fn refused(code: Code) -> Reply {
    Reply::Refused(Refusal::new(code, code.as_str()))
}

impl State {
    fn take(&mut self, request: Request, id: Option<RequestId>) -> (Option<Reply>, Option<Record>) {
        self.arrived.push((request.clone(), id));
        let fault = id.and_then(|_| self.faults.pop_front());
        match fault {
            Some(Fault::LoseRequest) => return (None, None),
            Some(Fault::Refuse(code)) => return (Some(refused(code)), None),
            Some(Fault::LoseRequestAndForget) => {
                self.sessions.clear();
                return (None, None);
            }
            Some(Fault::LoseReply | Fault::LoseReplyAndForget) | None => {}
        }
        let (reply, event) = self.once(request, id);
        if matches!(fault, Some(Fault::LoseReplyAndForget)) {
            self.sessions.clear();
        }
        if fault.is_some() { (None, event) } else { (Some(reply), event) }
    }

    fn once(&mut self, request: Request, id: Option<RequestId>) -> (Reply, Option<Record>) {
        let Some(id) = id else { return self.apply(request) };
        if !self.sessions.contains(&id.session) {
            return (refused(Code::IdExpired), None);
        }
        if let Some(reply) = self.results.get(&id) {
            return (reply.clone(), None);
        }
        let (reply, event) = self.apply(request);
        self.results.insert(id, reply.clone());
        (reply, event)
    }

    fn apply(&mut self, request: Request) -> (Reply, Option<Record>) {
        let reply = match request {
            Request::Login { user } => {
                self.users.entry(user).or_insert([5, 5, 5]);
                Reply::Done
            }
            Request::Users => Reply::Users(self.users.keys().cloned().collect()),
            Request::Channel { channel } if self.channels.contains(&channel) => {
                refused(Code::ChannelExists)
            }
            Request::Channel { channel } => {
                self.channels.push(channel);
                Reply::Done
            }
            Request::Channels => Reply::Channels(self.channels.clone()),
            Request::Publish { user, channel, message } => {
                return self.post(user, channel, message, false);
            }
            Request::Message { src, dst, message } => return self.post(src, dst, message, true),
            Request::Session => {
                self.last_session += 1;
                self.sessions.push(self.last_session);
                Reply::Session { session: self.last_session, window: 8 }
            }
            Request::History(query) => self.history(&query),
            Request::Status | Request::Remove { .. } => refused(Code::UnknownService),
            Request::Export { table, after, limit } => self.export(table, after, limit),
            Request::Import { rows } => {
                Reply::Import(rows.into_iter().map(|row| self.import(row)).collect())
            }
        };
        (reply, None)
    }

    pub fn post(
        &mut self,
        from: String,
        to: String,
        message: String,
        private: bool,
    ) -> (Reply, Option<Record>) {
        if private && !self.users.contains_key(&to) {
            return (refused(Code::UnknownUser), None);
        }
        if !private && !self.channels.contains(&to) {
            return (refused(Code::UnknownChannel), None);
        }
        let record = self.store(from, to, message, private, (now_ms(), 1_000_000));
        let ack = Ack { id: record.id.clone(), seq: record.seq, stored: 1, members: 1 };
        let event = (!self.lose_events.contains(&record.seq)).then_some(record);
        (Reply::Acked(ack), event)
    }

    fn store(
        &mut self,
        from: String,
        to: String,
        message: String,
        private: bool,
        (timestamp, clock): (u64, u64),
    ) -> Record {
        let seq = self.log.iter().filter(|row| row.to == to).count() as u64 + 1;
        let pos = self.log.len() as u64 + 1;
        let id = Bytes::from(vec![pos as u8; 16]);
        let record = Record { from, to, message, timestamp, clock, id, seq, pos, private };
        self.log.push(record.clone());
        record
    }

    fn history(&self, query: &HistoryQuery) -> Reply {
        let topic = match &query.of {
            HistoryOf::Channel(channel) if !self.channels.contains(channel) => {
                return refused(Code::UnknownChannel);
            }
            HistoryOf::Channel(topic) | HistoryOf::Inbox(topic) => topic,
            HistoryOf::Conversation { .. } => return refused(Code::Malformed),
        };
        let all: Vec<_> = self.log.iter().filter(|row| row.to == *topic).cloned().collect();
        let newest = all.len() as u64;
        let after = query.after.unwrap_or(0);
        let before = query.before.unwrap_or(u64::MAX);
        let mut messages: Vec<_> =
            all.into_iter().filter(|row| row.seq > after && row.seq < before).collect();
        if query.after.is_some() {
            messages.truncate(query.limit);
        } else {
            messages.drain(..messages.len().saturating_sub(query.limit));
        }
        Reply::History(HistoryReply { messages, newest })
    }

    fn export(&self, table: ExportTable, after: Option<Bytes>, limit: usize) -> Reply {
        let rows: Vec<ImportRow> = match table {
            ExportTable::Users => self
                .users
                .iter()
                .map(|(user, &[login_ms, seen_ms, created_ms])| ImportRow::User {
                    user: user.clone(),
                    login_ms,
                    seen_ms,
                    created_ms,
                })
                .collect(),
            ExportTable::Channels => self
                .channels
                .iter()
                .map(|channel| ImportRow::Channel { channel: channel.clone() })
                .collect(),
            ExportTable::Messages => self.log.iter().filter(|row| row.private).map(row).collect(),
            ExportTable::Publications => {
                self.log.iter().filter(|row| !row.private).map(row).collect()
            }
        };
        // Pages of three, so that cursors matter.
        let start = after.map_or(0, |cursor| usize::from(cursor[0]));
        let end = (start + limit.min(3)).min(rows.len());
        let next = (end < rows.len()).then(|| Bytes::from(vec![end as u8]));
        Reply::Export { rows: rows[start..end].to_vec(), next }
    }

    fn import(&mut self, row: ImportRow) -> ImportResult {
        let left_out = |code: Code| ImportResult::LeftOut(Refusal::new(code, code.as_str()));
        match row {
            ImportRow::User { user, .. } if self.users.contains_key(&user) => ImportResult::Known,
            ImportRow::User { user, .. } if self.channels.contains(&user) => {
                left_out(Code::NameTaken)
            }
            ImportRow::User { user, login_ms, seen_ms, created_ms } => {
                self.users.insert(user, [login_ms, seen_ms, created_ms]);
                ImportResult::Stored
            }
            ImportRow::Channel { channel } if self.users.contains_key(&channel) => {
                left_out(Code::NameTaken)
            }
            ImportRow::Channel { channel } => {
                self.channels.push(channel);
                ImportResult::Stored
            }
            ImportRow::Publication { user, channel, message, timestamp, clock } => {
                if !self.channels.contains(&channel) {
                    return left_out(Code::UnknownChannel);
                }
                self.store(user, channel, message, false, (timestamp, clock));
                ImportResult::Stored
            }
            ImportRow::Private { src, dst, message, timestamp, clock } => {
                self.store(src, dst, message, true, (timestamp, clock));
                ImportResult::Stored
            }
        }
    }
}

fn row(record: &Record) -> ImportRow {
    let Record { from, to, message, timestamp, clock, private, .. } = record.clone();
    if private {
        ImportRow::Private { src: from, dst: to, message, timestamp, clock }
    } else {
        ImportRow::Publication { user: from, channel: to, message, timestamp, clock }
    }
}
