//! The reference: gives ranks, watches who is alive, and grants once the right to form the
//! cluster. The rules are `recado_chat::registry`'s; here are the socket, the clock and the disk,
//! and beside it all the replica that votes.

mod desk;
mod file;
mod witness;

use std::future::Future;
use std::time::{Duration, Instant};

use recado_chat::registry::{Limits, Persistent, Registry};
use recado_metrics::{Histogram, count};
use recado_transport::{Envelope, Incoming, Responder};
use recado_watch::Vitals;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::clocks::Clocks;
use crate::config::{BATCH_REQUESTS, ReferenceConfig};
use crate::error::{ReferenceError, prepare_folder};
use crate::metrics::ReferenceMetrics;
use crate::registration;
use bytes::Bytes;
use desk::{Desk, Response};
use file::DurableFile;
#[cfg(feature = "fuzzing")]
pub use file::feed as feed_file;
use witness::Witness;
pub use witness::folder as replica_folder;

/// The file with what the reference must not forget.
const FILE_NAME: &str = "reference";

/// How often silence is looked for.
const TICK_MS: u64 = 250;

/// Runs the reference until `shutdown` resolves.
///
/// # Errors
/// One sentence, ready to be printed, when it can't start, or can't store its ranks any more.
pub async fn run_reference(
    config: ReferenceConfig,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ReferenceError> {
    prepare_folder(&config.data_dir)?;
    let responder = Responder::bind(&config.endpoint).await?;
    let file = DurableFile::new(&config.data_dir, FILE_NAME);
    let kept: Persistent = file.load()?.unwrap_or_default();
    let witness = match config.witness {
        true => Some(Witness::start(&config, responder.clone()).map_err(ReferenceError::Thread)?),
        false => None,
    };
    tracing::info!(
        endpoint = responder.endpoint(),
        last_rank = kept.last_rank,
        "the reference listens"
    );
    let started = Instant::now();
    let registry = Registry::new(kept, Limits::default(), 0);
    let desk = Desk::new(registry, Clocks::new(0), std::process::id(), config.http.clone());
    let outgoing = Outgoing::new(file, config.metrics.save_seconds.clone());
    let ReferenceConfig { vitals, metrics, .. } = config;
    let mut reference = Reference { responder, desk, started, outgoing, witness, vitals, metrics };
    let result = tokio::select! {
        () = shutdown => Ok(()),
        result = reference.run() => result,
    };
    if let Some(witness) = &reference.witness {
        witness.shutdown().await;
    }
    reference.responder.close().await;
    result
}

struct Reference {
    responder: Responder,
    desk: Desk,
    started: Instant,
    outgoing: Outgoing,
    witness: Option<Witness>,
    vitals: Vitals,
    metrics: ReferenceMetrics,
}

impl Reference {
    async fn run(&mut self) -> Result<(), ReferenceError> {
        let mut ticks = interval(Duration::from_millis(TICK_MS));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.vitals.serves();
        loop {
            tokio::select! {
                // Whoever was heard is not silent: what has come is taken before time is looked at.
                biased;
                batch = self.responder.receive(BATCH_REQUESTS) => match batch {
                    Some(batch) => self.take(batch),
                    None => return Ok(()),
                },
                why = failed(&self.witness) => return Err(ReferenceError::Stopped(why)),
                saved = self.outgoing.saved() => {
                    saved?;
                    self.send_ready();
                }
                _ = ticks.tick() => self.tick(),
            }
        }
    }

    fn take(&mut self, batch: Vec<Incoming>) {
        let now_ms = self.now_ms();
        self.metrics.requests.inc_by(batch.len() as u64);
        for Incoming { envelope, body } in batch {
            let body = match (body.as_slice(), &self.witness) {
                ([body], _) => body,
                ([kind, payload], Some(witness)) if kind.len() == 1 => {
                    witness.take(envelope, kind[0], payload.clone());
                    continue;
                }
                _ => continue,
            };
            let Response { reply, persist, refused } = self.desk.answer(body, now_ms);
            if let Some(code) = refused {
                self.metrics.refusals.inc(code.as_str());
            }
            self.outgoing.add(envelope, reply, persist);
        }
        self.send_ready();
    }

    fn tick(&mut self) {
        self.desk.expire(self.now_ms());
        self.vitals.beat();
        self.metrics.listed_servers.set(count(self.desk.list().len()));
        let starting = self.witness.as_ref().is_some_and(|witness| !witness.runs());
        let reason = "its replica still checks its data";
        self.vitals.lacks(if starting { vec![reason.to_owned()] } else { Vec::new() });
        if let Some(witness) = &self.witness {
            witness.learn_peers(registration::peers(self.desk.list(), 0));
        }
    }

    fn send_ready(&mut self) {
        for (envelope, reply) in self.outgoing.ready() {
            self.responder.send(&envelope, vec![reply]);
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Resolves when the replica had to stop; never without one.
async fn failed(witness: &Option<Witness>) -> String {
    match witness {
        Some(witness) => witness.failed().await,
        None => std::future::pending().await,
    }
}

/// Answers on their way out. They leave in order, and none before everything is on disk that it
/// may be built on: a rank that was given must not be forgotten. While the disk works, requests
/// are still taken in, so a slow disk makes nobody look silent.
struct Outgoing {
    file: DurableFile,
    /// Answers, each with the version of the file that it needs.
    waiting: std::collections::VecDeque<(u64, Envelope, Bytes)>,
    newest: Persistent,
    version: u64,
    on_disk: u64,
    saving: Option<(u64, JoinHandle<Result<(), ReferenceError>>)>,
    save_seconds: Histogram,
}

impl Outgoing {
    fn new(file: DurableFile, save_seconds: Histogram) -> Outgoing {
        Outgoing {
            file,
            waiting: std::collections::VecDeque::new(),
            newest: Persistent::default(),
            version: 0,
            on_disk: 0,
            saving: None,
            save_seconds,
        }
    }

    fn add(&mut self, envelope: Envelope, reply: Bytes, persist: Option<Persistent>) {
        if let Some(newest) = persist {
            self.newest = newest;
            self.version += 1;
        }
        self.waiting.push_back((self.version, envelope, reply));
    }

    /// What may leave now.
    fn ready(&mut self) -> Vec<(Envelope, Bytes)> {
        let mut ready = Vec::new();
        while let Some((_, envelope, reply)) =
            self.waiting.pop_front_if(|(needs, ..)| *needs <= self.on_disk)
        {
            ready.push((envelope, reply));
        }
        ready
    }

    /// Writes what is new, if anything is, and waits until it is on disk; else waits for ever.
    async fn saved(&mut self) -> Result<(), ReferenceError> {
        if self.saving.is_none() && self.version > self.on_disk {
            let (file, newest) = (self.file.clone(), self.newest.clone());
            let seconds = self.save_seconds.clone();
            let save = tokio::task::spawn_blocking(move || {
                let begun = Instant::now();
                let saved = file.save(&newest);
                seconds.observe(begun.elapsed().as_secs_f64());
                saved
            });
            self.saving = Some((self.version, save));
        }
        let Some((version, save)) = &mut self.saving else {
            return std::future::pending().await;
        };
        let result = save.await;
        self.on_disk = *version;
        self.saving = None;
        result.unwrap_or_else(|error| Err(self.file.unstorable(std::io::Error::other(error))))
    }
}

#[cfg(test)]
mod tests;
