//! Does what the model wants done, and tells what came out.

use std::time::Duration;

use recado_client::{Client, ClientError, StartAt, Subscription};
use recado_protocol::message::HistoryOf;
use recado_protocol::{HistoryQuery, Reply, Request, Status};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::keeper::Keeper;
use crate::full::model::event::{Effect, Event, Listed, Names, Want};
use crate::full::model::room::Place;

/// How long something that a person asked to see is tried.
const ASK_PATIENCE: Duration = Duration::from_secs(10);

/// How long the status that nobody asked to see is tried: as long as the broker waits for the
/// servers.
const STATUS_PATIENCE: Duration = Duration::from_secs(5);

/// How many received messages are looked at for the direct conversations on the left.
const INBOX_ROWS: usize = 300;

/// Does things, each on a task of its own.
pub(super) struct Worker {
    client: Client,
    subscription: Subscription,
    events: mpsc::Sender<Event>,
    tasks: JoinSet<()>,
    pub(super) keeper: Keeper,
}

impl Worker {
    pub(super) fn new(
        client: Client,
        subscription: Subscription,
        events: mpsc::Sender<Event>,
        keeper: Keeper,
    ) -> Worker {
        Worker { client, subscription, events, tasks: JoinSet::new(), keeper }
    }

    pub(super) fn all(&mut self, effects: Vec<Effect>) {
        effects.into_iter().for_each(|effect| self.start(effect));
    }

    /// Forgets what is done.
    pub(super) fn tidy(&mut self) {
        while self.tasks.try_join_next().is_some() {}
    }

    /// Starts to do it; the outcome comes as an event.
    pub(super) fn start(&mut self, effect: Effect) {
        let (client, subscription) = (self.client.clone(), self.subscription.clone());
        let events = self.events.clone();
        if let Effect::Recall { user } = effect {
            let (memory, but) = self.keeper.recall(&user);
            let recalled = Event::Recalled { user, memory };
            self.tasks.spawn(async move {
                for event in [Some(recalled), but].into_iter().flatten() {
                    drop(events.send(event).await);
                }
            });
            return;
        }
        self.tasks.spawn(async move {
            if let Some(event) = carry_out(&client, &subscription, effect).await {
                // Nobody listens any more when the client ends.
                drop(events.send(event).await);
            }
        });
    }
}

async fn carry_out(client: &Client, subscription: &Subscription, effect: Effect) -> Option<Event> {
    Some(match effect {
        Effect::Login { user, before } => {
            let outcome = log_in(client, subscription, &user, before).await;
            Event::LoggedIn { user, outcome }
        }
        Effect::FetchInbox { user } => {
            let of = HistoryOf::Inbox(user);
            Event::Inbox(history(client, of, Want::Newest, INBOX_ROWS).await)
        }
        Effect::Ask(of) => Event::Asked(names(client, of).await),
        Effect::AskNames => {
            // Without an answer, those that are known are offered.
            let Names { users, channels, .. } = names(client, Listed::Everything).await.ok()?;
            Event::Names { users, channels }
        }
        Effect::Create { channel } => {
            let outcome = client.create_channel(&channel).await;
            Event::Created { channel, outcome }
        }
        Effect::Join { channel } => {
            let outcome = subscription.join(&channel, StartAt::Now).await;
            Event::Joined { channel, outcome }
        }
        Effect::Leave { channel } => {
            subscription.leave(&channel).await;
            return None;
        }
        Effect::Send { place, number, from, text } => {
            let outcome = match &place {
                Place::Channel(channel) => client.publish(&from, channel, &text).await,
                Place::Direct(user) => client.message(&from, user, &text).await,
            };
            Event::Sent { place, number, outcome }
        }
        Effect::Fetch { me, place, ticket, want, limit } => {
            let of = match &place {
                Place::Channel(channel) => HistoryOf::Channel(channel.clone()),
                Place::Direct(with) => HistoryOf::Conversation { user: me, with: with.clone() },
            };
            let outcome = history(client, of, want, limit).await;
            Event::Page { place, ticket, want, outcome }
        }
        Effect::AskStatus { asked } => {
            let patience = if asked { ASK_PATIENCE } else { STATUS_PATIENCE };
            let outcome = match client.request_within(Request::Status, patience).await {
                Ok(Reply::Status(status)) => Ok(*status),
                Ok(_) => Err(ClientError::BadReply("it does not answer status".to_owned())),
                Err(error) => Err(error),
            };
            if asked { Event::AskedStatus(outcome) } else { regular_status(outcome) }
        }
        // The main loop's and the worker's own.
        Effect::Recall { .. }
        | Effect::Remember { .. }
        | Effect::Alert(_)
        | Effect::Mouse(_)
        | Effect::Redraw
        | Effect::Quit { .. } => return None,
    })
}

/// What is told of the status that nobody asked to see. Only silence says that nobody is there.
fn regular_status(outcome: Result<Status, ClientError>) -> Event {
    match outcome {
        Ok(status) => Event::Status(status),
        Err(ClientError::Refused(_) | ClientError::BadReply(_)) => Event::StatusRefused,
        Err(_) => Event::Unanswered,
    }
}

async fn log_in(
    client: &Client,
    subscription: &Subscription,
    user: &str,
    before: Option<String>,
) -> Result<(), ClientError> {
    client.login(user).await?;
    if let Some(before) = before.filter(|before| before != user) {
        subscription.leave(&before).await;
    }
    subscription.open_inbox(user, StartAt::Now).await
}

async fn history(
    client: &Client,
    of: HistoryOf,
    want: Want,
    limit: usize,
) -> Result<recado_protocol::HistoryReply, ClientError> {
    let (before, after) = match want {
        Want::Newest => (None, None),
        Want::Before(key) => (Some(key), None),
        Want::After(key) => (None, Some(key)),
    };
    client.history_within(HistoryQuery { of, after, before, limit }, ASK_PATIENCE).await
}

async fn names(client: &Client, of: Listed) -> Result<Names, ClientError> {
    let list = |reply: Reply| match reply {
        Reply::Users(names) | Reply::Channels(names) => Ok(names),
        _ => Err(ClientError::BadReply("it lists no names".to_owned())),
    };
    let users = list(client.request_within(Request::Users, ASK_PATIENCE).await?)?;
    let channels = list(client.request_within(Request::Channels, ASK_PATIENCE).await?)?;
    Ok(Names { users, channels, of })
}

/// Ends the client in its own way when the process is told to end.
pub(super) fn listen_to_signals(
    tasks: &mut JoinSet<()>,
    events: mpsc::Sender<Event>,
) -> std::io::Result<()> {
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        let mut signals = signal(kind)?;
        let events = events.clone();
        tasks.spawn(async move {
            while signals.recv().await.is_some() && events.send(Event::Terminate).await.is_ok() {}
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use recado_protocol::{Code, Refusal};

    use super::*;

    #[test]
    fn a_refusal_is_an_answer() {
        let refusal = Refusal { code: Code::UnknownService, text: "no such service".to_owned() };
        for answer in [ClientError::Refused(refusal), ClientError::BadReply("?".to_owned())] {
            let told = regular_status(Err(answer));
            assert!(matches!(told, Event::StatusRefused), "{told:?}");
        }
        let waited_ms = 5_000;
        for silence in
            [ClientError::Unavailable { waited_ms, why: None }, ClientError::Unknown { waited_ms }]
        {
            let told = regular_status(Err(silence));
            assert!(matches!(told, Event::Unanswered), "{told:?}");
        }
    }
}
