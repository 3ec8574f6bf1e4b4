//! Clients that read pages of history, at whichever server the broker chooses.

use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use recado_client::ClientError;
use recado_protocol::message::HistoryOf;
use recado_protocol::{HistoryQuery, Record, Reply, Request};

use super::{Answer, Asker, Desk};
use crate::history::{Read, Row, Topic};

/// Between two reads of one reader.
const PACE: Duration = Duration::from_millis(40);

/// The longest page.
const MAX_ROWS: usize = 20;

/// One reader.
pub struct Reader {
    desk: Desk,
    asker: Asker,
    rng: StdRng,
    client: u32,
}

impl Reader {
    pub(super) async fn connect(desk: &Desk, number: u32) -> Result<Reader, ClientError> {
        let asker = Asker::connect(desk.doors.broker(number)).await?;
        let client = desk.recorder.number();
        Ok(Reader { desk: desk.clone(), asker, rng: desk.rng(1000 + number), client })
    }

    /// Reads until it is stopped: mostly the newest rows, where a stale answer shows.
    pub(super) async fn run(mut self) {
        let mut newest = 0;
        loop {
            let topic = self.desk.pick(&mut self.rng).clone();
            let limit = self.rng.random_range(1..=MAX_ROWS);
            let back = self.rng.random_range(0..4) == 0;
            let after = back.then(|| self.rng.random_range(0..=newest));
            let sent_at_us = self.desk.recorder.now_us();
            let query = HistoryQuery { of: history_of(&topic), after, before: None, limit };
            let answer = self.asker.ask(Request::History(query), None).await;
            if let Answer::Reply(Reply::History(page)) = answer {
                newest = newest.max(page.newest);
                let read = Read {
                    client: self.client,
                    server: None,
                    topic,
                    with: None,
                    after,
                    before: None,
                    sent_at_us,
                    got_at_us: self.desk.recorder.now_us(),
                    rows: page.messages.iter().map(row).collect(),
                    newest: page.newest,
                };
                self.desk.recorder.history().reads.push(read);
            }
            tokio::time::sleep(PACE).await;
        }
    }
}

/// What to ask for to get a topic's messages.
pub fn history_of(topic: &Topic) -> HistoryOf {
    match topic {
        Topic::Channel(name) => HistoryOf::Channel(name.to_string()),
        Topic::Inbox(name) => HistoryOf::Inbox(name.to_string()),
    }
}

/// A record as the drill keeps it.
pub fn row(record: &Record) -> Row {
    Row { seq: record.seq, from: record.from.as_str().into(), text: record.message.as_str().into() }
}
