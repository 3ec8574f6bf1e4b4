//! Carries out commands.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use recado_client::{Client, ClientError, StartAt, Subscription};
use recado_protocol::limits::MAX_PAGE_ROWS;
use recado_protocol::message::HistoryOf;
use recado_protocol::{Ack, Code, HistoryQuery};
use tokio::sync::watch;

use super::command::{Command, parse, quote};
use super::events::{Printed, wait_printed};
use super::input::Known;
use super::screen::Screen;
use crate::render;
use crate::texts::About;

/// How many messages `history` shows when no number is given.
const HISTORY_ROWS: usize = 20;

/// How long the end waits for one's own last messages to come back; a lost one is found within
/// 5 s.
const ECHO_WAIT: Duration = Duration::from_secs(6);

/// How long it waits at a server that does not number messages.
const UNNUMBERED_ECHO_WAIT: Duration = Duration::from_millis(500);

/// Who does what.
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) subscription: Subscription,
    pub(crate) screen: Arc<Screen>,
    pub(crate) known: Known,
    pub(crate) printed: watch::Receiver<Printed>,
    /// What `history` alone shows: the channel or user of the last command.
    pub(crate) last: Option<String>,
    /// Own publications by channel, up to which `seq`; their echoes are waited for at the end.
    pub(crate) published: HashMap<String, u64>,
}

/// What comes after a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The command succeeded, or there was none.
    Done,
    /// It failed and said so.
    Failed,
    /// The person wants to leave.
    Quit,
}

/// Why a command failed: one sentence.
struct Sentence(String);

type Done = Result<(), Sentence>;

impl Session {
    /// Carries out one line and prints its result.
    pub(crate) async fn line(&mut self, line: &str) -> Next {
        let command = match parse(line) {
            Ok(None) => return Next::Done,
            Ok(Some(Command::Quit)) => return Next::Quit,
            Ok(Some(command)) => command,
            Err(fault) => {
                self.screen.error(&self.screen.texts.fault(&fault));
                return Next::Failed;
            }
        };
        match self.carry_out(command).await {
            Ok(()) => Next::Done,
            Err(Sentence(sentence)) => {
                self.screen.error(&sentence);
                Next::Failed
            }
        }
    }

    async fn carry_out(&mut self, command: Command) -> Done {
        match command {
            Command::Login { user } => self.login(user).await,
            Command::Users => self.users().await,
            Command::Channels => self.channels().await,
            Command::Create { channel } => self.create(channel).await,
            Command::Publish { channel, message } => self.publish(channel, &message).await,
            Command::Message { user, message } => self.message(user, &message).await,
            Command::Join { channel } => {
                self.join(&channel, StartAt::Now).await?;
                self.screen.line(&self.screen.texts.joined(&channel));
                self.last = Some(channel);
                Ok(())
            }
            Command::Leave { channel } => self.leave(&channel).await,
            Command::History { name, count } => self.history(name, count).await,
            Command::Status => self.status().await,
            Command::Help => {
                self.screen.texts.help().lines().for_each(|line| self.screen.line(line));
                Ok(())
            }
            // Taken care of before.
            Command::Quit => Ok(()),
        }
    }

    /// What a failed request makes of its error.
    fn why(&self, about: About<'_>) -> impl FnOnce(ClientError) -> Sentence {
        let texts = self.screen.texts;
        move |error| Sentence(texts.failed(&error, about))
    }

    fn me(&self) -> Option<String> {
        self.known.read(|me, _| me.map(str::to_owned))
    }

    fn logged_in(&self) -> Result<String, Sentence> {
        self.me().ok_or_else(|| Sentence(self.screen.texts.log_in_first()))
    }

    async fn login(&mut self, user: String) -> Done {
        self.client.login(&user).await.map_err(self.why(About::User(&user)))?;
        if let Some(before) = self.me().filter(|before| *before != user) {
            self.subscription.leave(&before).await;
        }
        let inbox = self.subscription.open_inbox(&user, StartAt::Now).await;
        inbox.map_err(self.why(About::User(&user)))?;
        self.known.change(|me, names| {
            *me = Some(user.clone());
            names.users.insert(user.clone());
        });
        self.screen.line(&self.screen.texts.logged_in(&user));
        Ok(())
    }

    async fn users(&self) -> Done {
        let users = self.client.users().await.map_err(self.why(About::Nothing))?;
        self.list(&users, &self.screen.texts.no_users());
        self.known.change(|_, names| names.users = users.into_iter().collect());
        Ok(())
    }

    async fn channels(&self) -> Done {
        let channels = self.client.channels().await.map_err(self.why(About::Nothing))?;
        self.list(&channels, &self.screen.texts.no_channels());
        self.known.change(|_, names| names.channels = channels.into_iter().collect());
        Ok(())
    }

    fn list(&self, names: &[String], none: &str) {
        if names.is_empty() {
            self.screen.note(none);
        }
        names.iter().for_each(|name| self.screen.line(&render::escape(name)));
    }

    async fn create(&mut self, channel: String) -> Done {
        let created = self.client.create_channel(&channel).await;
        created.map_err(self.why(About::Channel(&channel)))?;
        // From its first message on: somebody may have been faster than our joining.
        self.join(&channel, StartAt::After(0)).await?;
        self.screen.line(&self.screen.texts.created(&channel));
        self.last = Some(channel);
        Ok(())
    }

    async fn join(&self, channel: &str, start: StartAt) -> Done {
        // Known as joined before its first message can come.
        self.known.change(|_, names| names.joined.insert(channel.to_owned()));
        let joined = self.subscription.join(channel, start).await;
        self.known.change(|_, names| match joined {
            Ok(()) => names.channels.insert(channel.to_owned()),
            Err(_) => names.joined.remove(channel),
        });
        joined.map_err(self.why(About::Channel(channel)))
    }

    async fn leave(&mut self, channel: &str) -> Done {
        let was_joined = self.known.change(|_, names| names.joined.remove(channel));
        if !was_joined {
            return Err(Sentence(self.screen.texts.not_joined(channel, &quote(channel))));
        }
        self.subscription.leave(channel).await;
        self.published.remove(channel);
        self.screen.line(&self.screen.texts.left(channel));
        Ok(())
    }

    async fn publish(&mut self, channel: String, message: &str) -> Done {
        let me = self.logged_in()?;
        if !self.known.read(|_, names| names.joined.contains(&channel)) {
            self.join(&channel, StartAt::Now).await?;
        }
        let sent = self.client.publish(&me, &channel, message).await;
        let ack = sent.map_err(self.why(About::Channel(&channel)))?;
        self.acknowledged(&channel, &ack);
        // The message itself is printed when it comes back, in the order that everybody sees.
        self.published.insert(channel.clone(), ack.seq);
        self.last = Some(channel);
        Ok(())
    }

    async fn message(&mut self, user: String, message: &str) -> Done {
        let me = self.logged_in()?;
        let sent = self.client.message(&me, &user, message).await;
        let ack = sent.map_err(self.why(About::User(&user)))?;
        if user == me {
            self.published.insert(user.clone(), ack.seq);
        } else {
            // It comes back to nobody but the recipient.
            let line = render::sent_privately(
                &me,
                &user,
                message,
                &self.screen.palette,
                self.screen.texts,
            );
            self.screen.line(&line);
        }
        self.acknowledged(&user, &ack);
        self.last = Some(user);
        Ok(())
    }

    fn acknowledged(&self, to: &str, ack: &Ack) {
        self.screen.line(&self.screen.palette.dim(&self.screen.texts.acknowledged(to, ack)));
    }

    async fn history(&mut self, name: Option<String>, count: Option<usize>) -> Done {
        let (me, texts) = (self.me(), self.screen.texts);
        let name = name
            .or_else(|| self.last.clone())
            .or_else(|| me.clone())
            .ok_or_else(|| Sentence(texts.which_history()))?;
        let limit = count.unwrap_or(HISTORY_ROWS).clamp(1, MAX_PAGE_ROWS);
        let page = |of| HistoryQuery { of, after: None, before: None, limit };
        let channel = self.client.history(page(HistoryOf::Channel(name.clone()))).await;
        let rows = match channel {
            Ok(reply) => reply.messages,
            Err(error) if error.code() == Some(Code::UnknownChannel) => {
                // Only conversations that one takes part in are shown.
                let Some(me) = me.clone() else {
                    let sentence =
                        format!("{}; {}", texts.no_such_name(&name), texts.log_in_first());
                    return Err(Sentence(sentence));
                };
                let of = if name == me {
                    HistoryOf::Inbox(me)
                } else {
                    HistoryOf::Conversation { user: me, with: name.clone() }
                };
                match self.client.history(page(of)).await {
                    Ok(reply) => reply.messages,
                    Err(error) if error.code() == Some(Code::UnknownUser) => {
                        return Err(Sentence(texts.no_such_name(&name)));
                    }
                    Err(error) => return Err(self.why(About::User(&name))(error)),
                }
            }
            Err(error) => return Err(self.why(About::Channel(&name))(error)),
        };
        if rows.is_empty() {
            self.screen.note(&texts.no_messages());
        }
        for record in &rows {
            self.screen.line(&render::stored(record, me.as_deref(), &self.screen.palette, texts));
        }
        self.last = Some(name);
        Ok(())
    }

    async fn status(&self) -> Done {
        let status = self.client.status().await.map_err(self.why(About::Nothing))?;
        self.screen.texts.status(&status).iter().for_each(|line| self.screen.line(line));
        Ok(())
    }

    /// Waits until one's own messages were printed, so that a pipe shows them before it ends.
    pub(crate) async fn wait_for_echoes(&mut self) {
        let published = std::mem::take(&mut self.published);
        let unnumbered = published.values().any(|seq| *seq == 0);
        for (topic, seq) in published.into_iter().filter(|(_, seq)| *seq > 0) {
            wait_printed(&mut self.printed, &topic, seq, ECHO_WAIT).await;
        }
        if unnumbered {
            tokio::time::sleep(UNNUMBERED_ECHO_WAIT).await;
        }
    }
}
