//! Which backups acknowledgements wait for no longer, and why; and whether this primary's own disk
//! holds everybody up.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use openraft::async_runtime::WatchReceiver;
use tokio::time::Instant;

use crate::NodeId;
use crate::detector::{EXCUSED, Lateness, Slow};
use crate::network::ask_for_sign;
use crate::peer::Lane;
use crate::shared::{Shared, lock};
use crate::types::Engine;

/// A backup that was not heard for so many heartbeats, or holds acknowledgements up for so long, is
/// asked whether it is there.
const ASKED_AFTER_HEARTBEATS: u32 = 3;
/// While something is written, all are asked so often how their disks do.
const ASKED_EVERY: Duration = Duration::from_millis(500);
/// What a server said of its disk counts for so long.
const SAID_LATELY: Duration = Duration::from_secs(2);
/// Between the two looks that it takes to find somebody silent: what has come is read meanwhile.
const SECOND_LOOK: Duration = Duration::from_millis(20);
/// So long this primary's own disk may hold up what the others have.
const OWN_HANG: Duration = Duration::from_secs(1);
/// So long nothing is applied here while there is more: redb waits for the disk longer than the log.
const OWN_STORE_HANG: Duration = Duration::from_secs(2);

/// Why a backup is waited for no longer, in a clause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its connection is gone: its process is, most likely.
    Closed,
    /// Its silence as the primary led to this term.
    SilentPrimary,
    /// It was not heard for so long.
    Silent(Duration),
    /// It has lacked for so long what the others have; and whether it says that its disk hangs.
    Behind(Duration, bool),
    /// Its disk sets the pace for all.
    Slow(Slow),
}

impl Fault {
    /// Whether it may come and go, and should be taken back less readily each time.
    pub fn flaps(&self) -> bool {
        !matches!(self, Fault::Closed | Fault::SilentPrimary)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Closed => write!(out, "its connection is closed"),
            Fault::SilentPrimary => write!(out, "it was silent as primary"),
            Fault::Silent(silence) => {
                write!(out, "it has been silent for {} ms", silence.as_millis())
            }
            Fault::Behind(time, true) => write!(
                out,
                "its disk hangs: for {} ms it has not stored what the others have",
                time.as_millis()
            ),
            Fault::Behind(time, false) => {
                write!(out, "for {} ms it has not stored what the others have", time.as_millis())
            }
            Fault::Slow(slow) => write!(out, "{slow}"),
        }
    }
}

/// What is remembered of the backups between two looks.
pub struct Judge {
    term_since: Instant,
    /// The primary whose silence brought this server its term.
    predecessor: Option<NodeId>,
    disconnected: BTreeSet<NodeId>,
    suspected: BTreeMap<NodeId, Instant>,
    behind: BTreeMap<NodeId, (u64, Instant)>,
    asked: BTreeMap<NodeId, Instant>,
    /// Where the log stood when all were asked last.
    asked_at: u64,
    /// Who was set aside for a slow disk.
    slow: BTreeSet<NodeId>,
    /// What was applied here when there was first more to apply.
    applying: Option<(u64, Instant)>,
}

impl Judge {
    /// A term begins, after `predecessor` fell silent.
    pub fn new(predecessor: Option<NodeId>, now: Instant) -> Judge {
        Judge {
            term_since: now,
            predecessor,
            disconnected: BTreeSet::new(),
            suspected: BTreeMap::new(),
            behind: BTreeMap::new(),
            asked: BTreeMap::new(),
            asked_at: 0,
            slow: BTreeSet::new(),
            applying: None,
        }
    }

    /// Asks those for signs of life and of their disks who did not give any lately: while something
    /// is written all of them, else those whose silence is suspicious.
    pub fn ask(&mut self, shared: &Arc<Shared>, servers: &[NodeId], now: Instant) {
        let position = *shared.position.borrow();
        let writes = position != self.asked_at || self.applying.is_some();
        let suspicious = suspicious(shared);
        let mut asked_all = false;
        for node in servers.iter().copied().filter(|node| *node != shared.node) {
            let quiet = self.silence(shared, node, now) > suspicious
                || self.behind.get(&node).is_some_and(|(_, at)| now - *at > suspicious);
            let every = if quiet { suspicious } else { ASKED_EVERY };
            let due = self.asked.get(&node).is_none_or(|at| now.duration_since(*at) >= every);
            if due && (quiet || writes) {
                self.asked.insert(node, now);
                asked_all |= !quiet;
                ask_for_sign(shared, node);
            }
        }
        if asked_all {
            self.asked_at = position;
            let sign = shared.sign(now);
            lock(&shared.paces).says(shared.node, sign, now);
        }
    }

    /// Why a backup should be waited for no longer; `active` are all who are waited for.
    pub fn fault(
        &mut self,
        shared: &Shared,
        node: NodeId,
        active: &[NodeId],
        lateness: &Lateness,
        now: Instant,
    ) -> Option<Fault> {
        let connection = |lane| shared.transport.connection(node, lane);
        if [Lane::Control, Lane::Log].into_iter().any(|lane| connection(lane).is_some()) {
            self.disconnected.remove(&node);
        } else if !self.disconnected.insert(node) || self.predecessor == Some(node) {
            // Twice in a row, or on top of the silence that led to this term.
            return Some(Fault::Closed);
        }
        if self.predecessor == Some(node) && lock(&shared.gate).heard(node).is_none() {
            return Some(Fault::SilentPrimary);
        }
        let fault = self.silent(shared, node, lateness, now);
        let fault = fault.or_else(|| self.falls_behind(shared, node, lateness, now));
        let fault = fault.or_else(|| slow_disk(shared, node, active, now).map(Fault::Slow));
        if matches!(fault, Some(Fault::Slow(_))) {
            self.slow.insert(node);
        }
        fault
    }

    /// Whether a server's disk allows that acknowledgements wait for it again.
    pub fn may_return(
        &mut self,
        shared: &Shared,
        node: NodeId,
        active: &[NodeId],
        now: Instant,
    ) -> bool {
        if self.slow.contains(&node) && lock(&shared.paces).recovered(node, active, now) {
            self.slow.remove(&node);
        }
        !self.slow.contains(&node)
    }

    /// Whether a server may be given the lead: it says that its disk keeps pace and that it did not
    /// just give the lead up. Who has said nothing lately is asked first.
    pub fn may_lead(
        &self,
        shared: &Arc<Shared>,
        node: NodeId,
        active: &[NodeId],
        now: Instant,
    ) -> bool {
        let said = lock(&shared.paces).said(node, now);
        let Some(said) = said.filter(|said| said.age < SAID_LATELY) else {
            ask_for_sign(shared, node);
            return false;
        };
        !said.gave_up && !said.hangs && slow_disk(shared, node, active, now).is_none()
    }

    fn silence(&self, shared: &Shared, node: NodeId, now: Instant) -> Duration {
        let heard = lock(&shared.gate).heard(node).unwrap_or(self.term_since);
        now.saturating_duration_since(heard)
    }

    fn silent(
        &mut self,
        shared: &Shared,
        node: NodeId,
        lateness: &Lateness,
        now: Instant,
    ) -> Option<Fault> {
        let silence = self.silence(shared, node, now);
        let limit = lock(&shared.gate).silence_limit(node, shared.config.timing.silence());
        let own = lateness.since(now - silence);
        let fair = silence.saturating_sub(own) > limit && !lateness.is_late();
        if !fair && silence <= EXCUSED {
            self.suspected.remove(&node);
            return None;
        }
        let since = *self.suspected.entry(node).or_insert(now);
        (now.duration_since(since) >= SECOND_LOOK).then_some(Fault::Silent(silence))
    }

    /// Whether a backup does not get on at all with what the others have on disk.
    fn falls_behind(
        &mut self,
        shared: &Shared,
        node: NodeId,
        lateness: &Lateness,
        now: Instant,
    ) -> Option<Fault> {
        let (others, has) = {
            let gate = lock(&shared.gate);
            (gate.others_have(node), gate.matched(node).unwrap_or(0))
        };
        if has >= others {
            self.behind.remove(&node);
            return None;
        }
        let (position, since) = self.behind.entry(node).or_insert((others, now));
        if has >= *position {
            (*position, *since) = (others, now);
        }
        let time = now.duration_since(*since);
        let fair = time.saturating_sub(lateness.since(*since));
        let lag = Duration::from_millis(shared.config.timing.lag_ms);
        // Who stored nothing yet in this term, where the others did, need not be awaited as long.
        let limit = if has == 0 { lag / 2 } else { lag };
        (fair > limit && !lateness.is_late() || time > EXCUSED)
            .then(|| Fault::Behind(time, lock(&shared.paces).hangs(node)))
    }

    /// Why this primary should give way because of its own disk, in a sentence.
    pub fn own_fault(
        &mut self,
        shared: &Shared,
        engine: &Engine,
        active: &[NodeId],
        lateness: &Lateness,
        now: Instant,
    ) -> Option<String> {
        let fair = |since: Instant| {
            now.saturating_duration_since(since).saturating_sub(lateness.since(since))
        };
        if let Some((position, since)) = shared.disk.waits()
            && fair(since) > OWN_HANG
            && lock(&shared.gate).others_have(shared.node) >= position
        {
            let time = now.saturating_duration_since(since).as_millis();
            return Some(format!("this server's disk has not answered for {time} ms"));
        }
        let position = *shared.position.borrow();
        let committed = engine.data_metrics().borrow_watched().local_committed;
        if committed.is_none_or(|id| id.index <= position) {
            self.applying = None;
        } else {
            let (from, since) = self.applying.get_or_insert((position, now));
            if *from != position {
                (*from, *since) = (position, now);
            }
            // Not where the others get on no better.
            let others = lock(&shared.paces).others_applied(shared.node, active);
            if fair(*since) > OWN_STORE_HANG && others > *from {
                let time = now.duration_since(*since).as_millis();
                return Some(format!("this server's store has taken nothing up for {time} ms"));
            }
        }
        let slow = slow_disk(shared, shared.node, active, now)?;
        Some(format!("this server holds the others up: {slow}"))
    }
}

/// After how long it is worth asking whether somebody is there.
fn suspicious(shared: &Shared) -> Duration {
    Duration::from_millis(shared.config.timing.heartbeat_ms) * ASKED_AFTER_HEARTBEATS
}

fn slow_disk(shared: &Shared, node: NodeId, active: &[NodeId], now: Instant) -> Option<Slow> {
    let others: Vec<NodeId> = active.iter().copied().filter(|other| *other != node).collect();
    lock(&shared.paces).slow(node, &others, now)
}
