//! A drill, from its start to its verdict.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use crate::arena::{Arena, Injected};
use crate::availability;
use crate::cluster::{Cluster, Watch, ports};
use crate::faults::{self, Kind, Outcome, Planned};
use crate::history::{End, Fault, Skipped};
use crate::net::{Net, Node, Places, Ports, Relay, Size};
use crate::report::Report;
use crate::schedule;
use crate::screen::Screen;
use crate::summary::Summary;
use crate::workload::{Doors, Workload};
use crate::{gather, journal};

/// How long the cluster may take at the start until every server is active.
const START: Duration = Duration::from_secs(60);
/// How long the servers may take to be active again: one that kept falling silent has to keep
/// pace for a minute first, and for another one when it falters in that.
pub(crate) const SETTLE: Duration = Duration::from_secs(130);
/// The workload goes on for so long after the last healing.
pub(crate) const AFTERMATH: Duration = Duration::from_secs(2);
/// How long writers may take to end what they began.
pub(crate) const LAST_WRITES: Duration = Duration::from_secs(15);
/// How long subscribers may take to fill their gaps.
pub(crate) const LAST_FILLS: Duration = Duration::from_secs(20);

/// What to do.
#[derive(Clone, Debug)]
pub struct DrillConfig {
    /// The program that is each of the processes.
    pub program: PathBuf,
    /// Where data and logs are kept while it runs.
    pub dir: PathBuf,
    /// The same seed, the same schedule.
    pub seed: u64,
    /// How long faults are injected.
    pub duration: Duration,
    /// From one fault to the next.
    pub interval: Duration,
    /// How many servers, brokers and proxies.
    pub size: Size,
    /// Which port is whose.
    pub places: Places,
    /// Which kinds of faults.
    pub kinds: Vec<Kind>,
    /// How many messages a second are written, about.
    pub rate: u32,
    /// The processes' filter for what they log.
    pub log: String,
    /// On what their data is.
    pub disk: DiskChoice,
    /// Whether data is kept also when all went well.
    pub keep: bool,
}

/// On what the replicas' data is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskChoice {
    /// Disks that forget at a kill what was not synced, where such can be mounted.
    Auto,
    /// The folder's own disk.
    Real,
    /// Disks that forget at a kill what was not synced, or no drill.
    Forgetful {
        /// Whether they answer syncs and do nothing, once the cluster stands: a drill that does
        /// not find that out is of no use.
        ignore_syncs: bool,
    },
}

/// Why there was no drill.
#[derive(Debug, thiserror::Error)]
pub enum DrillError {
    /// The machine did not let it begin or go on.
    #[error("the drill could not go on: {0}")]
    Machine(#[from] io::Error),
    /// The disks that were asked for can't be had.
    #[error(
        "no disks that forget can be mounted here: {0}; run it as root where /dev/fuse is, or with \
         --disk real"
    )]
    NoDisks(io::Error),
    /// The cluster did not get so far that anything could be broken.
    #[error("the cluster did not start: {0}; look at its logs")]
    Cluster(String),
    /// There is no cluster that could be used.
    #[error(
        "can't use the cluster at {brokers}: {why}; look at it with `recado status`, and give the \
         addresses of its brokers with --broker and of its proxies with --proxy"
    )]
    Unreachable {
        /// Where it should be.
        brokers: String,
        /// What is wrong.
        why: String,
    },
}

/// How a drill ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrillEnd {
    /// Every promise held, and nothing else failed.
    Held,
    /// A promise was broken or could not be checked, or something else failed.
    Failed,
    /// It was told to stop before its end; what it saw until then was right.
    Stopped,
}

/// A drill that is over.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    /// How it ended.
    pub end: DrillEnd,
    /// All that was shown in the end, as one JSON object; times in µs.
    pub json: serde_json::Value,
}

/// Runs a drill and says how it went. It ends early, with what it has, when `stop` becomes true.
///
/// # Errors
/// When there was nothing to judge.
pub async fn run(
    config: DrillConfig,
    screen: Arc<dyn Screen>,
    stop: watch::Receiver<bool>,
) -> Result<Finished, DrillError> {
    let planned = schedule::plan(config.seed, &config.kinds, config.duration, config.interval);
    screen.line(&format!(
        "drill with seed {}: {} servers, {} brokers, {} proxies for {} s, {} faults of {} kinds",
        config.seed,
        config.size.servers,
        config.size.brokers,
        config.size.proxies,
        config.duration.as_secs(),
        planned.len(),
        config.kinds.len()
    ));
    screen.line(schedule::table(&planned).trim_end());
    let began = SystemTime::now();
    let mut drill = Drill::start(&config, screen.clone(), stop).await?;
    let outcome = drill.faults(&planned).await;
    let stopped = interrupted(outcome)?;
    let summary = drill.finish(began, planned.len(), stopped).await?;
    Ok(summary.show(&*screen))
}

/// True when it was told to stop.
fn interrupted(outcome: io::Result<()>) -> io::Result<bool> {
    match outcome {
        Ok(()) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
        Err(error) => Err(error),
    }
}

/// A running drill.
struct Drill {
    arena: Arena,
    workload: Workload,
    began_us: u64,
    injected: Vec<Injected>,
    skipped: usize,
    duration: Duration,
    keep: bool,
    /// Of the brokers and proxies themselves, around the relays.
    doors: Doors,
}

impl Drill {
    async fn start(
        config: &DrillConfig,
        screen: Arc<dyn Screen>,
        stop: watch::Receiver<bool>,
    ) -> Result<Drill, DrillError> {
        let base = ports::free_row(config.places.ports)
            .ok_or_else(|| io::Error::other("there is no row of free ports"))?;
        let size = config.size;
        let ports = Ports { base, places: config.places, size };
        let net = Net::start(&ports).await?;
        let at = |port: u16| format!("tcp://127.0.0.1:{port}");
        let relayed = |node| at(net.door(node).map_or(0, Relay::port));
        let relayed = Doors {
            brokers: size.brokers().map(relayed).collect(),
            proxies: size.proxies().map(relayed).collect(),
        };
        let doors = Doors {
            brokers: size.brokers().map(|node| at(ports.first(node))).collect(),
            proxies: size.proxies().map(|node| at(ports.second(node))).collect(),
        };
        let mut cluster = Cluster::new(&config.program, &config.dir, &config.log, ports.clone())?;
        lay_disks(&mut cluster, config, &*screen).await?;
        cluster.bring_back(&net)?;
        let unusable = |why: &dyn std::fmt::Display| DrillError::Cluster(why.to_string());
        let watch = Watch::start(doors.brokers.clone()).await.map_err(|why| unusable(&why))?;
        tokio::select! {
            ready = watch.until(START, |view| view.active() == size.servers) => if !ready {
                return Err(unusable(&"not all servers became active"));
            },
            () = told(stop.clone()) => return Err(unusable(&"it was told to stop")),
        }
        let workload = Workload::start(relayed, config.rate, config.seed, false).await;
        let workload = workload.map_err(|why| unusable(&why))?;
        if let DiskChoice::Forgetful { ignore_syncs: true } = config.disk
            && let Some(disks) = cluster.disks()
        {
            disks.ignore_syncs().await?;
        }
        let clients = (workload.recorder.clone(), workload.wishes.clone());
        let began_us = workload.recorder.now_us();
        let arena = Arena::new(cluster, net, watch, clients, screen, stop);
        Ok(Drill {
            arena,
            workload,
            began_us,
            injected: Vec::new(),
            skipped: 0,
            duration: config.duration,
            keep: config.keep,
            doors,
        })
    }

    /// The schedule, one fault after the other.
    async fn faults(&mut self, planned: &[Planned]) -> io::Result<()> {
        let mut destroyed = false;
        for fault in planned {
            let since = self.since_start();
            if since >= self.duration {
                break;
            }
            self.arena.now.clear();
            self.arena.wait(fault.at.saturating_sub(since)).await?;
            destroyed = self.one(fault, destroyed).await?;
        }
        self.arena.now.clear();
        let left = self.duration.saturating_sub(self.since_start());
        self.arena.wait(left).await
    }

    fn since_start(&self) -> Duration {
        Duration::from_micros(self.arena.recorder.now_us().saturating_sub(self.began_us))
    }

    /// Injects one fault; true when something is destroyed that has to be mended before the next.
    async fn one(&mut self, fault: &Planned, destroyed: bool) -> io::Result<bool> {
        let word = fault.kind.word();
        if destroyed || fault.kind.needs_all_active() {
            self.arena.now = format!("waiting until all servers are active for {word}");
            if !self.arena.until_all_active(SETTLE).await? {
                self.arena.fails("not all servers became active again");
                if fault.kind.needs_all_active() {
                    self.skip(fault.kind, "not all servers were active".into());
                    return Ok(destroyed);
                }
            }
        }
        self.arena.now = word.to_owned();
        self.arena.say(&format!("{word} for {:.1} s", fault.hold.as_secs_f64()));
        let all_active = self.arena.watch.now().active() == self.arena.cluster.servers();
        self.arena.began_us = None;
        match faults::inject(&mut self.arena, fault).await? {
            Outcome::Skipped(why) => {
                self.skip(fault.kind, why);
                Ok(destroyed)
            }
            Outcome::Done(target) => {
                let healed_us = self.arena.recorder.now_us();
                let began_us = self.arena.began_us.unwrap_or(healed_us);
                self.arena.say(&format!("{word} is over: {target}"));
                // What a cluster at full strength does is another figure.
                let kind = if all_active { word.into() } else { format!("{word} (weakened)") };
                self.arena.recorder.history().faults.push(Fault {
                    kind: kind.as_str().into(),
                    target: target.as_str().into(),
                    from_us: began_us,
                    to_us: Some(healed_us),
                });
                self.injected.push(Injected { kind: fault.kind, began_us, healed_us });
                Ok(fault.kind.destroys())
            }
        }
    }

    fn skip(&mut self, kind: Kind, why: String) {
        self.arena.say(&format!("{} skipped: {why}", kind.word()));
        self.skipped += 1;
        let skipped = Skipped { kind: kind.word().into(), why: why.as_str().into() };
        self.arena.recorder.history().skipped.push(skipped);
    }

    /// Mends everything, lets it settle, looks at what is there, and judges.
    async fn finish(
        mut self,
        began: SystemTime,
        planned: usize,
        stopped: bool,
    ) -> Result<Summary, DrillError> {
        let mut end_us = self.arena.recorder.now_us();
        let mut end = None;
        let mut stopped = stopped;
        if !stopped {
            match self.settle(&mut end_us).await {
                Ok(settled) => end = settled,
                Err(error) => stopped = interrupted(Err(error))?,
            }
        }
        self.arena.now = "stopping".into();
        let lost_replies = self.arena.net.lost_replies();
        // Who waits for a disk can't end, and it may have been stopped in the middle of a fault.
        if let Some(disks) = self.arena.cluster.disks()
            && let Err(why) = disks.heal().await
        {
            self.arena.fails(&format!("the disks can't be mended: {why}"));
        }
        self.arena.cluster.stop_all().await;
        let filled = self.arena.recorder.counts().filled;
        let logs = logs(&self.arena.cluster);
        let mut history = self.workload.finish().await;
        history.end = end;
        for (server, log) in &logs {
            journal::read(&mut history, server, log, began);
        }
        let summary = Summary {
            resumed: availability::resumed(&history, &self.injected, end_us),
            report: Report::of(&history),
            lost_replies,
            filled,
            forgotten: self.arena.cluster.forgotten(),
            not_reached: planned.saturating_sub(self.injected.len() + self.skipped),
            out_of_reach: &[],
            failures: std::mem::take(&mut self.arena.failures),
            stopped,
        };
        if self.keep || summary.end() != DrillEnd::Held {
            let saved = self.arena.cluster.save_disks();
            if let Err(why) = saved {
                self.arena.say(&format!("what was on the disks could not be kept: {why}"));
            }
        }
        Ok(summary)
    }

    /// None when the cluster does not come back so far that its history can be read.
    async fn settle(&mut self, end_us: &mut u64) -> io::Result<Option<End>> {
        self.arena.now = "mending".into();
        self.arena.say("everything is mended; waiting until all servers are active");
        self.arena.net.heal();
        self.workload.wishes.slow.store(false, Relaxed);
        if let Some(disks) = self.arena.cluster.disks() {
            disks.heal().await?;
        }
        self.arena.cluster.bring_back(&self.arena.net)?;
        let all_back = self.arena.until_all_active(SETTLE).await?;
        if !all_back {
            self.arena.fails("not all servers became active again in the end");
        }
        self.arena.wait(AFTERMATH).await?;
        *end_us = self.arena.recorder.now_us();
        self.arena.now = "reading everything".into();
        self.workload.stop_writers(LAST_WRITES).await;
        let topics = match gather::topics(&self.doors, &self.workload.topics).await {
            Ok(topics) => topics,
            Err(why) => {
                self.arena.fails(&format!("the history can't be read in the end: {why}"));
                return Ok(None);
            }
        };
        let newest = topics
            .iter()
            .map(|(topic, rows)| (topic.clone(), rows.last().map_or(0, |row| row.row.seq)));
        for lacking in self.workload.settle(&newest.collect(), LAST_FILLS).await {
            self.arena.fails(&lacking);
        }
        let at_us = self.arena.recorder.now_us();
        let gather::Standing { states, missing } = gather::standing(&mut self.arena).await?;
        Ok(Some(End { at_us, states, missing, topics }))
    }
}

/// Puts the data where it was asked for, and says where that is.
async fn lay_disks(
    cluster: &mut Cluster,
    config: &DrillConfig,
    screen: &dyn Screen,
) -> Result<(), DrillError> {
    let laid = match config.disk {
        DiskChoice::Real => return Ok(()),
        DiskChoice::Auto | DiskChoice::Forgetful { .. } => cluster.lay_disks(config.seed).await,
    };
    match (laid, config.disk) {
        (Ok(()), DiskChoice::Forgetful { ignore_syncs: true }) => {
            screen.line("disks: they forget what was not synced, and ignore syncs");
        }
        (Ok(()), _) => screen.line("disks: they forget at a kill what was not synced"),
        (Err(why), DiskChoice::Forgetful { .. }) => return Err(DrillError::NoDisks(why)),
        (Err(why), _) => screen.line(&format!(
            "disks: skipped, no file system can be mounted here ({why}); a kill loses nothing \
             that the system has, so that nothing was synced would not be noticed"
        )),
    }
    Ok(())
}

/// Each server's log.
fn logs(cluster: &Cluster) -> Vec<(crate::history::Name, String)> {
    let replicas = cluster.nodes().filter(|n| matches!(n, Node::Server(_) | Node::Reference));
    replicas
        .map(|node| {
            let bytes = std::fs::read(cluster.log_file(node)).unwrap_or_default();
            (node.to_string().as_str().into(), String::from_utf8_lossy(&bytes).into_owned())
        })
        .collect()
}

/// Waits until it is told to stop.
pub(crate) async fn told(mut stop: watch::Receiver<bool>) {
    // A lost sender means that nobody can ask any more: go on.
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}
