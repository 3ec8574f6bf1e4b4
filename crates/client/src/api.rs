//! The services by name, for callers that want an answer of the right type.

use std::time::Duration;

use recado_protocol::{Ack, HistoryQuery, HistoryReply, Reply, Request, Status};

use crate::error::ClientError;
use crate::session::Client;

fn unexpected(service: &str) -> ClientError {
    ClientError::BadReply(format!("it does not answer {service}"))
}

impl Client {
    /// Logs in, or becomes known.
    ///
    /// # Errors
    /// As [`Client::request`].
    pub async fn login(&self, user: &str) -> Result<(), ClientError> {
        match self.request(Request::Login { user: user.to_owned() }).await? {
            Reply::Done => Ok(()),
            _ => Err(unexpected("login")),
        }
    }

    /// All users' names.
    ///
    /// # Errors
    /// As [`Client::request`].
    pub async fn users(&self) -> Result<Vec<String>, ClientError> {
        match self.request(Request::Users).await? {
            Reply::Users(names) => Ok(names),
            _ => Err(unexpected("users")),
        }
    }

    /// Creates a channel.
    ///
    /// # Errors
    /// As [`Client::request`]; also when it exists already.
    pub async fn create_channel(&self, channel: &str) -> Result<(), ClientError> {
        match self.request(Request::Channel { channel: channel.to_owned() }).await? {
            Reply::Done => Ok(()),
            _ => Err(unexpected("channel")),
        }
    }

    /// All channels' names.
    ///
    /// # Errors
    /// As [`Client::request`].
    pub async fn channels(&self) -> Result<Vec<String>, ClientError> {
        match self.request(Request::Channels).await? {
            // A standard server may give the list under either name.
            Reply::Channels(names) | Reply::Users(names) => Ok(names),
            _ => Err(unexpected("channels")),
        }
    }

    /// Publishes to a channel. A `seq` of 0 in the acknowledgement: the server tells none.
    ///
    /// # Errors
    /// As [`Client::request`].
    pub async fn publish(
        &self,
        user: &str,
        channel: &str,
        message: &str,
    ) -> Result<Ack, ClientError> {
        let request = Request::Publish {
            user: user.to_owned(),
            channel: channel.to_owned(),
            message: message.to_owned(),
        };
        match self.request(request).await? {
            Reply::Acked(ack) => Ok(ack),
            _ => Err(unexpected("publish")),
        }
    }

    /// Sends a private message.
    ///
    /// # Errors
    /// As [`Client::request`].
    pub async fn message(&self, src: &str, dst: &str, message: &str) -> Result<Ack, ClientError> {
        let request = Request::Message {
            src: src.to_owned(),
            dst: dst.to_owned(),
            message: message.to_owned(),
        };
        match self.request(request).await? {
            Reply::Acked(ack) => Ok(ack),
            _ => Err(unexpected("message")),
        }
    }

    /// One page of what is stored.
    ///
    /// # Errors
    /// As [`Client::request`].
    pub async fn history(&self, query: HistoryQuery) -> Result<HistoryReply, ClientError> {
        self.history_within(query, self.config().patience).await
    }

    /// As [`Client::history`], with a patience of its own.
    ///
    /// # Errors
    /// As [`Client::request`].
    pub async fn history_within(
        &self,
        query: HistoryQuery,
        patience: Duration,
    ) -> Result<HistoryReply, ClientError> {
        match self.request_within(Request::History(query), patience).await? {
            Reply::History(page) => Ok(page),
            _ => Err(unexpected("history")),
        }
    }

    /// How the cluster is.
    ///
    /// # Errors
    /// As [`Client::request`].
    pub async fn status(&self) -> Result<Status, ClientError> {
        match self.request(Request::Status).await? {
            Reply::Status(status) => Ok(*status),
            _ => Err(unexpected("status")),
        }
    }
}
