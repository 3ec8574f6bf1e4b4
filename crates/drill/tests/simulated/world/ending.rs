//! The end of a run: when all is well again, and what is there then.

use std::collections::BTreeMap;

use recado_drill::history::{self, End, FinalRow, Row, State, Topic};
use recado_storage::{PageLimit, Reader};

use super::World;
use crate::client::{CHANNELS, CLIENTS, Client, user};
use crate::service::{self, StoredRow};
use crate::subscriber::Subscriber;

impl World {
    /// All are there, active and level, and nothing is under way.
    pub(super) fn is_well(&self) -> bool {
        if !self.clients.iter().all(Client::rests) {
            return false;
        }
        let Some(primary) = self.primary() else { return false };
        let Some(view) = self.servers[primary].view() else { return false };
        let started = self.servers[..self.witness].iter().filter(|s| s.was_started());
        let active = view.members.iter().filter(|m| m.member.active).count();
        if started.count() != active || active != view.members.len() {
            return false;
        }
        let there = self.servers.iter().filter(|s| s.was_started());
        let applied: Vec<Option<u64>> =
            there.map(|s| s.replica().map(|replica| *replica.applied().borrow())).collect();
        if applied.iter().any(|at| at.is_none() || *at != applied[0]) {
            return false;
        }
        let Some(replica) = self.servers[primary].replica() else { return false };
        let Ok(rows) = replica.store().reader() else { return false };
        let newest = |topic: &Topic| newest(&rows, topic);
        // No event is lost, whoever publishes it and whatever a proxy does.
        all_topics().all(|topic| {
            let newest = newest(&topic);
            self.proxies.iter().all(|proxy| proxy.passed_all(&topic, newest))
        }) && self.subscribers.iter().all(|one| newest(one.topic()) == one.has())
    }

    /// What stands in the way of a good end, for people.
    pub(super) fn describe(&self) -> String {
        let mut text = String::new();
        for server in self.servers.iter().filter(|s| s.was_started()) {
            let view = server.view().map_or("no replica".to_owned(), |view| format!("{view:?}"));
            text.push_str(&format!("{}: {view}\n", server.name));
        }
        let busy = self.clients.iter().filter(|client| !client.rests()).count();
        let has: Vec<u64> = self.subscribers.iter().map(Subscriber::has).collect();
        text.push_str(&format!("{busy} clients wait; subscribers have {has:?}\n"));
        let primary = self.primary().and_then(|primary| self.servers[primary].replica());
        let Some(Ok(rows)) = primary.map(|replica| replica.store().reader()) else { return text };
        for topic in all_topics() {
            for (number, proxy) in self.proxies.iter().enumerate() {
                let lacks = proxy.lacks(&topic, newest(&rows, &topic));
                if !lacks.is_empty() {
                    text.push_str(&format!("proxy {number} never got {lacks:?} of {topic:?}\n"));
                }
            }
        }
        text
    }

    /// Reads the final state.
    pub(super) fn end(&mut self) {
        let at_us = self.at_us();
        let mut end = End { at_us, ..End::default() };
        for server in self.servers.iter().filter(|s| s.was_started()) {
            let name: history::Name = server.name.as_str().into();
            let rows = server.replica().and_then(|r| Some((r.clone(), r.store().reader().ok()?)));
            let Some((replica, rows)) = rows else {
                end.missing.push(name);
                continue;
            };
            let active = replica
                .view()
                .borrow()
                .member(replica.node())
                .is_some_and(|member| member.member.active);
            let position = *replica.applied().borrow();
            end.states.push(State {
                server: name,
                position,
                hash: rows.state_hash().unwrap(),
                active,
            });
            if end.topics.is_empty() {
                end.topics = topics(&rows);
            }
        }
        for state in &end.states {
            self.trace.note(self.now_ms, format_args!("{state:?}"));
        }
        for subscriber in &self.subscribers {
            self.history.subscriptions.push(subscriber.subscription(true));
        }
        self.history.end = Some(end);
    }
}

/// The newest message of a topic.
fn newest(rows: &Reader, topic: &Topic) -> u64 {
    let limit = PageLimit { rows: 1, bytes: 1024 };
    let page = rows.history(service::of(topic), None, None, limit);
    page.map_or(u64::MAX, |page| page.newest)
}

fn all_topics() -> impl Iterator<Item = Topic> {
    let channels = CHANNELS.iter().map(|channel| Topic::channel(channel));
    channels.chain((0..CLIENTS).map(|client| Topic::inbox(&user(client))))
}

fn topics(rows: &Reader) -> BTreeMap<Topic, Vec<FinalRow>> {
    all_topics().map(|topic| (topic.clone(), whole(rows, &topic))).collect()
}

fn whole(rows: &Reader, topic: &Topic) -> Vec<FinalRow> {
    let limit = PageLimit { rows: 1000, bytes: 1024 * 1024 };
    let mut all: Vec<FinalRow> = Vec::new();
    loop {
        let after = all.last().map_or(0, |row| row.row.seq);
        let page = rows.history(service::of(topic), Some(after), None, limit).unwrap();
        if page.messages.is_empty() {
            return all;
        }
        for row in page.messages.into_iter().map(StoredRow::of) {
            let (from, text) = (row.from.as_str().into(), row.text.as_str().into());
            let (message_id, timestamp_ms) = (row.id, row.time_ms);
            all.push(FinalRow { row: Row { seq: row.seq, from, text }, message_id, timestamp_ms });
        }
    }
}
