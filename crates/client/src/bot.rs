//! A bot: joins every channel that it finds and writes to one after the other, for ever.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use recado_protocol::Code;
use recado_transport::AnyOf;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{debug, info, warn};

use crate::error::ClientError;
use crate::session::{Client, ClientConfig};
use crate::subscription::{ClientEvent, StartAt, Subscription};

/// How many messages go to one channel before the next is picked.
const MESSAGES_PER_ROUND: usize = 10;

/// How many names are tried when the first ones belong to a channel.
const MAX_NAMES_TRIED: usize = 16;

/// The pause after a failure, so that a cluster that is away is not hammered.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// What bots talk about; the second word of a channel's name comes from here too.
const WORDS: &[&str] =
    &["rain", "coffee", "trains", "maps", "tides", "birds", "chess", "bread", "stars", "rivers"];

/// How a bot goes about it.
#[derive(Clone, Debug)]
pub struct BotConfig {
    /// The brokers, `tcp://host:5555`, of which one is used at a time.
    pub brokers: AnyOf,
    /// The proxies, `tcp://host:5558`, likewise.
    pub proxies: AnyOf,
    /// Makes the bot's choices repeatable; random without.
    pub seed: Option<u64>,
    /// The pause between two messages.
    pub pace: Duration,
}

impl BotConfig {
    /// The pause between two messages, unless another one is set.
    pub const DEFAULT_PACE: Duration = Duration::from_millis(500);

    /// A bot of these brokers and proxies, random, at the default pace.
    pub fn new(brokers: impl Into<AnyOf>, proxies: impl Into<AnyOf>) -> BotConfig {
        BotConfig {
            brokers: brokers.into(),
            proxies: proxies.into(),
            seed: None,
            pace: BotConfig::DEFAULT_PACE,
        }
    }
}

/// Runs a bot until the shutdown future is ready.
///
/// # Errors
/// Only when an address can't be used at all; whatever else fails is logged and tried again.
pub async fn run_bot(
    config: BotConfig,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ClientError> {
    // A bot has nobody to tell but its log.
    let brokers = config.brokers.called("the broker");
    let proxies = config.proxies.called("the proxy");
    let client = Client::connect(ClientConfig::new(brokers, proxies)).await?;
    let (subscription, events) = client.subscribe().await?;
    let mut listener = JoinSet::new();
    listener.spawn(listen(events));
    let random =
        config.seed.map_or_else(|| StdRng::from_rng(&mut rand::rng()), StdRng::seed_from_u64);
    let mut bot = Bot {
        client: client.clone(),
        subscription,
        random,
        pace: config.pace,
        joined: BTreeSet::new(),
        sent: 0,
    };
    tokio::select! {
        () = bot.live() => {}
        () = shutdown => info!(sent = bot.sent, "the bot stops"),
    }
    client.close().await;
    Ok(())
}

/// Reads what the subscription delivers: a bot only counts and logs it.
async fn listen(mut events: mpsc::Receiver<ClientEvent>) {
    while let Some(event) = events.recv().await {
        match event {
            ClientEvent::Message(record) => {
                debug!(channel = record.to, from = record.from, seq = record.seq, "received");
            }
            ClientEvent::Election { coordinator } => info!(coordinator, "a new primary"),
            ClientEvent::GapFilled { topic, count } => info!(topic, count, "filled a gap"),
            ClientEvent::ProxyLost => warn!("the proxy is not connected"),
            ClientEvent::ProxyBack => info!("the proxy is back"),
        }
    }
}

struct Bot {
    client: Client,
    subscription: Subscription,
    random: StdRng,
    pace: Duration,
    joined: BTreeSet<String>,
    sent: u64,
}

impl Bot {
    async fn live(&mut self) {
        let name = loop {
            match self.log_in().await {
                Ok(name) => break name,
                Err(error) => self.failed("login", &error).await,
            }
        };
        info!(user = name, "the bot is logged in");
        loop {
            if let Err(error) = self.round(&name).await {
                self.failed("a round", &error).await;
            }
        }
    }

    async fn failed(&self, what: &str, error: &ClientError) {
        warn!(%error, "{what} failed; trying again");
        tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
    }

    async fn log_in(&mut self) -> Result<String, ClientError> {
        let mut tried = 0;
        loop {
            let name = format!("bot-{:08x}", self.random.random::<u32>());
            tried += 1;
            match self.client.login(&name).await {
                Ok(()) => return Ok(name),
                Err(error) if error.code() == Some(Code::NameTaken) && tried < MAX_NAMES_TRIED => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Joins what is new, picks a channel and sends ten messages to it.
    async fn round(&mut self, name: &str) -> Result<(), ClientError> {
        let mut channels = self.client.channels().await?;
        if channels.is_empty() {
            channels.push(self.create_channel().await?);
        }
        for channel in &channels {
            if !self.joined.contains(channel) {
                self.subscription.join(channel, StartAt::Now).await?;
                debug!(channel, "joined");
                self.joined.insert(channel.clone());
            }
        }
        let Some(channel) = channels.choose(&mut self.random) else { return Ok(()) };
        info!(channel, messages = MESSAGES_PER_ROUND, "writing");
        for number in 1..=MESSAGES_PER_ROUND {
            let word = WORDS.choose(&mut self.random).copied().unwrap_or("nothing");
            let text = format!("{number}/{MESSAGES_PER_ROUND}: let's talk about {word}");
            let ack = self.client.publish(name, channel, &text).await?;
            self.sent += 1;
            debug!(channel, seq = ack.seq, "acknowledged");
            tokio::time::sleep(self.pace).await;
        }
        Ok(())
    }

    async fn create_channel(&mut self) -> Result<String, ClientError> {
        let word = WORDS.choose(&mut self.random).copied().unwrap_or("talk");
        let channel = format!("about-{word}");
        match self.client.create_channel(&channel).await {
            Ok(()) => info!(channel, "created"),
            // Another bot was faster, which is as good.
            Err(error) if error.code() == Some(Code::ChannelExists) => {}
            Err(error) => return Err(error),
        }
        Ok(channel)
    }
}
