//! A drill on a cluster that runs already and that somebody else breaks: workload and checkers
//! without faults. It starts nothing and stops nothing, and its users and channels are its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::arena::{Failure, progress};
use crate::check::Promise;
use crate::cluster::{View, Watch};
use crate::gather;
use crate::history::{End, History, Name, Topic};
use crate::report::Report;
use crate::run::{AFTERMATH, DrillError, Finished, LAST_FILLS, LAST_WRITES, SETTLE, told};
use crate::screen::Screen;
use crate::summary::Summary;
use crate::workload::{Doors, Workload};

/// How long a primary is waited for at the start.
const REACHED: Duration = Duration::from_secs(30);
/// How often the progress is shown.
const PROGRESS: Duration = Duration::from_secs(1);

/// What can't be checked from outside: it takes the servers' logs and stores.
const OUT_OF_REACH: &[Promise] = &[Promise::P6, Promise::P7];

/// What to do.
#[derive(Clone, Debug)]
pub struct AttachConfig {
    /// The cluster's brokers, `tcp://host:5555`.
    pub brokers: Vec<String>,
    /// Its proxies, `tcp://host:5558`.
    pub proxies: Vec<String>,
    /// Decides what is written where; users and channels have it in their names.
    pub seed: u64,
    /// How long is written.
    pub duration: Duration,
    /// How many messages a second are written, about.
    pub rate: u32,
}

/// Writes, reads and listens for as long as the configuration says, waits until the cluster is
/// whole, and checks what clients can see. It ends early when `stop` becomes true.
///
/// # Errors
/// When no cluster is there, or it takes no users and channels.
pub async fn attach(
    config: AttachConfig,
    screen: Arc<dyn Screen>,
    mut stop: watch::Receiver<bool>,
) -> Result<Finished, DrillError> {
    let brokers = config.brokers.join(",");
    screen.line(&format!(
        "drill with seed {} on the cluster at {brokers} for {} s; whatever breaks it is not this \
         program",
        config.seed,
        config.duration.as_secs(),
    ));
    let unreachable = |why: String| DrillError::Unreachable { brokers: brokers.clone(), why };
    let doors = Doors { brokers: config.brokers, proxies: config.proxies };
    let watch = Watch::start(doors.brokers.clone()).await;
    let watch = watch.map_err(|why| unreachable(why.to_string()))?;
    let workload = async {
        if !watch.until(REACHED, |view| view.taking_part() > 0).await {
            return Err(unreachable("no server answers".into()));
        }
        let workload = Workload::start(doors.clone(), config.rate, config.seed, true).await;
        workload.map_err(|why| unreachable(why.to_string()))
    };
    let workload = tokio::select! {
        workload = workload => workload?,
        () = told(stop.clone()) => return Err(unreachable("it was told to stop".into())),
    };
    let mut visit = Visit { doors, watch, workload, screen, failures: Vec::new() };
    let finished = tokio::select! {
        end = visit.stay(config.duration) => end,
        () = told(stop.clone()) => None,
    };
    let stopped = *stop.borrow_and_update();
    Ok(visit.judge(finished, stopped).await)
}

/// A workload on somebody else's cluster.
struct Visit {
    doors: Doors,
    watch: Watch,
    workload: Workload,
    screen: Arc<dyn Screen>,
    failures: Vec<Failure>,
}

impl Visit {
    /// Until everything was seen; none when the history can't be read in the end.
    async fn stay(&mut self, duration: Duration) -> Option<End> {
        self.wait(duration, "writing", |_| false).await;
        self.say("waiting until all servers are active");
        if !self.wait(SETTLE, "waiting", View::is_whole).await {
            self.fails("not all servers became active in the end");
        }
        self.wait(AFTERMATH, "writing", |_| false).await;
        self.workload.stop_writers(LAST_WRITES).await;
        let topics = match gather::topics(&self.doors, &self.workload.topics).await {
            Ok(topics) => topics,
            Err(why) => {
                self.fails(&format!("the history can't be read in the end: {why}"));
                return None;
            }
        };
        let last = topics.iter().map(|(topic, rows)| (topic, rows.last()));
        let newest = last.map(|(topic, row)| (topic.clone(), row.map_or(0, |row| row.row.seq)));
        for lacking in self.workload.settle(&newest.collect(), LAST_FILLS).await {
            self.fails(&lacking);
        }
        let at_us = self.workload.recorder.now_us();
        Some(End { at_us, topics, ..End::default() })
    }

    /// Lets time pass until something holds that the cluster says of itself; false when it did not
    /// in that time. Whoever looks on is told what changes.
    async fn wait(&mut self, patience: Duration, now: &str, holds: impl Fn(&View) -> bool) -> bool {
        let deadline = Instant::now() + patience;
        // The answer that is on its way was asked for before.
        let from = self.watch.now().number + 2;
        let mut shown = Instant::now();
        let mut told = String::new();
        loop {
            let view = self.watch.next(deadline.min(shown + PROGRESS)).await;
            let standing = view.standing();
            if standing != told {
                self.say(&standing);
                told = standing;
            }
            if view.number >= from && holds(&view) {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            if shown.elapsed() >= PROGRESS {
                shown = Instant::now();
                let servers = (view.taking_part(), view.members.len());
                self.screen.progress(&progress(&self.workload.recorder, servers, now));
            }
        }
    }

    fn say(&self, text: &str) {
        let s = self.workload.recorder.now_us() as f64 / 1e6;
        self.screen.line(&format!("{s:7.1} s  {text}"));
    }

    fn fails(&mut self, text: &str) {
        self.say(&format!("FAILED: {text}"));
        let at_us = self.workload.recorder.now_us();
        self.failures.push(Failure { at_us, text: text.to_owned() });
    }

    async fn judge(self, end: Option<End>, stopped: bool) -> Finished {
        let filled = self.workload.recorder.counts().filled;
        let mut history = self.workload.finish().await;
        history.from_outside = true;
        history.end = end;
        forget_what_came_later(&mut history);
        let summary = Summary {
            report: Report::of(&history),
            resumed: Vec::new(),
            lost_replies: 0,
            filled,
            forgotten: None,
            not_reached: 0,
            out_of_reach: OUT_OF_REACH,
            failures: self.failures,
            stopped,
        };
        summary.show(&*self.screen)
    }
}

/// Others may go on writing to our channels when all of ours was read: that is behind the end.
fn forget_what_came_later(history: &mut History) {
    let Some(end) = &history.end else { return };
    let newest: BTreeMap<&Topic, u64> = end
        .topics
        .iter()
        .map(|(topic, rows)| (topic, rows.last().map_or(0, |row| row.row.seq)))
        .collect();
    let ours: BTreeSet<&Name> = history.writes.iter().map(|write| &write.from).collect();
    history.deliveries.retain(|delivery| {
        let seq = delivery.row.seq;
        ours.contains(&delivery.row.from)
            || newest.get(&delivery.topic).is_none_or(|newest| seq <= *newest)
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Delivery, FinalRow, Row, Source};

    #[test]
    fn what_others_wrote_behind_the_end_is_no_evidence_and_ours_is() {
        let sala = Topic::channel("sala");
        let row = |seq, from: &str| Row { seq, from: from.into(), text: "m".into() };
        let mut history = History::default();
        history.send(1, None, (sala.clone(), "w0".into(), "x".into()), 0);
        let last = FinalRow { row: row(5, "bot"), message_id: [0; 16], timestamp_ms: 0 };
        history.end = Some(End { topics: [(sala.clone(), vec![last])].into(), ..End::default() });
        for (seq, from) in [(5, "bot"), (6, "bot"), (7, "w0")] {
            history.deliveries.push(Delivery {
                subscriber: 1,
                topic: sala.clone(),
                frame: None,
                row: row(seq, from),
                at_us: 0,
                source: Source::Live,
            });
        }
        forget_what_came_later(&mut history);
        let left: Vec<u64> = history.deliveries.iter().map(|d| d.row.seq).collect();
        assert_eq!(left, [5, 7]);
    }
}
