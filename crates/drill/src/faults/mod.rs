//! What the drill breaks on purpose: one file a family.

mod chaos;
mod clock;
mod damage;
mod disk;
mod full;
mod kill;
mod listeners;
mod network;
mod rejoin;
mod strace;
mod strangers;

use std::time::Duration;

use crate::arena::Arena;
use crate::net::Node;

/// How an injection went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done, to this one.
    Done(String),
    /// It could not be done on this machine, or not now.
    Skipped(String),
}

/// One injection, as planned: the same seed gives the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// When, since the workload's start.
    pub at: Duration,
    /// What.
    pub kind: Kind,
    /// How long it lasts.
    pub hold: Duration,
    /// Decides what else is to be chosen, such as which of several servers.
    pub pick: u64,
    /// How many of its kind come before it.
    pub turn: u64,
    /// Whether no other kind is tried.
    pub alone: bool,
}

impl Planned {
    /// One of so many, counted from 0.
    pub fn choose(&self, count: usize) -> usize {
        let count = u64::try_from(count.max(1)).unwrap_or(1);
        usize::try_from(self.pick % count).unwrap_or(0)
    }
}

macro_rules! kinds {
    ($($name:ident $word:literal $shortest:literal..$longest:literal $about:literal;)+) => {
        /// A kind of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind { $(#[doc = $about] $name,)+ }

        impl Kind {
            /// All kinds, in the order in which they are listed.
            pub const ALL: &[Kind] = &[$(Kind::$name,)+];

            /// Its name on the command line.
            pub const fn word(self) -> &'static str {
                match self { $(Kind::$name => $word,)+ }
            }

            /// What it does.
            pub const fn about(self) -> &'static str {
                match self { $(Kind::$name => $about,)+ }
            }

            /// The shortest and the longest time that it lasts, ms.
            pub const fn hold_ms(self) -> (u64, u64) {
                match self { $(Kind::$name => ($shortest, $longest),)+ }
            }
        }
    };
}

kinds! {
    KillPrimary "kill-primary" 100..3000 "kill -9 of the primary";
    KillBackup "kill-backup" 100..3000 "kill -9 of a backup";
    KillAll "kill-all" 100..2000 "kill -9 of all servers at once";
    KillTwo "kill-two" 4000..6000
        "kill -9 of two of three servers, 6 s apart: the last one goes on";
    KillReference "kill-reference" 500..6000 "kill -9 of the reference";
    StopReference "stop-reference" 1500..8000 "SIGSTOP of the reference, then SIGCONT";
    KillBroker "kill-broker" 100..2000 "kill -9 of the broker that most clients use";
    KillProxy "kill-proxy" 100..4000 "kill -9 of the proxy that most clients use";
    StopBroker "stop-broker" 1500..8000 "SIGSTOP of the broker that most clients use, then SIGCONT";
    StopProxy "stop-proxy" 1500..8000 "SIGSTOP of the proxy that most clients use, then SIGCONT";
    StopPrimary "stop-primary" 100..30000 "SIGSTOP of the primary, then SIGCONT";
    StopBackup "stop-backup" 100..30000 "SIGSTOP of a backup, then SIGCONT";
    Partition "partition" 1000..8000 "a server and the others do not hear each other";
    UnplugServer "unplug-server" 1000..8000
        "a server's host leaves the network without a word, and comes back";
    OneWay "partition-one-way" 1000..8000 "a server is heard and does not hear, or the other way";
    Flapping "partition-flapping" 2000..8000 "a partition that comes and goes within a second";
    SlowNetwork "slow-network" 2000..6000 "everything between servers takes longer";
    CrashAtFsync "crash-at-fsync" 500..2000
        "a server dies in its n-th fsync; alone, in each of the first 200 in turn (needs to mount, or strace)";
    FsyncError "fsync-error" 500..2000 "a server's n-th fsync fails (needs to mount, or strace)";
    HangDisk "hang-disk" 5000..10000
        "the fsyncs of the primary or a backup hang for a while (needs to mount)";
    SlowDisk "slow-disk" 12000..16000
        "the fsyncs of the primary or a backup take 100 to 300 ms longer (needs to mount, or strace)";
    DiskFull "disk-full" 3000..6000 "a server's disk is full for a while (needs to mount)";
    TornLog "torn-log" 100..1000 "the last record of a dead server's log is torn";
    FlipLog "flip-log" 100..1000 "a bit of a dead server's log is flipped";
    FlipVote "flip-vote" 100..1000 "a bit of a dead server's vote is flipped";
    FlipStore "flip-store" 100..1000 "a bit of a dead server's store is flipped";
    LoseDisk "lose-disk" 100..1000 "a dead server's folder is gone";
    CrashInSnapshot "crash-in-snapshot" 100..1000
        "a server loses everything, and dies, or who sends it a snapshot, in the middle of that";
    SlowBackup "slow-backup" 2000..6000 "SIGSTOP of a backup in bursts";
    ClockJump "clock-jump" 1000..4000
        "a server starts again with its clock an hour off, and later right again";
    ReplyLost "reply-lost" 1000..3000
        "acknowledgements are lost after the commit, across a fail-over too";
    SlowSubscribers "slow-subscribers" 3000..6000 "half of the subscribers stop reading";
    LateSubscribers "late-subscribers" 500..1000 "many subscribers join in mid-stream";
    Hostile "hostile-bytes" 2000..4000 "strangers send nonsense to every port";
    Chaos "chaos" 6000..10000 "kills, stops and partitions that overlap";
}

impl Kind {
    /// The kind of this name.
    pub fn parse(word: &str) -> Option<Kind> {
        Kind::ALL.iter().copied().find(|kind| kind.word() == word)
    }

    /// What is destroyed on one server must not meet a loss on another: such a fault waits until
    /// all servers are active, and so does one that measures what a whole cluster survives.
    pub fn needs_all_active(self) -> bool {
        matches!(
            self,
            Kind::KillTwo
                | Kind::FsyncError
                | Kind::DiskFull
                | Kind::TornLog
                | Kind::FlipLog
                | Kind::FlipVote
                | Kind::FlipStore
                | Kind::LoseDisk
                | Kind::CrashInSnapshot
        )
    }

    /// Whether the next fault has to wait until all servers are active again.
    pub fn destroys(self) -> bool {
        self.needs_all_active() && self != Kind::KillTwo
    }
}

/// Does it, until it is over: when this returns, nothing of it is left but its consequences.
///
/// # Errors
/// When the drill itself can't go on.
pub async fn inject(arena: &mut Arena, planned: &Planned) -> std::io::Result<Outcome> {
    match planned.kind {
        Kind::KillPrimary => kill::primary(arena, planned).await,
        Kind::KillBackup => kill::backup(arena, planned).await,
        Kind::KillAll => kill::all(arena, planned).await,
        Kind::KillTwo => kill::two(arena, planned).await,
        Kind::KillReference => kill::role(arena, planned, Node::Reference).await,
        Kind::StopReference => kill::stop_role(arena, planned, Node::Reference).await,
        Kind::KillBroker => kill::role(arena, planned, arena.busiest_broker()).await,
        Kind::KillProxy => kill::role(arena, planned, arena.busiest_proxy()).await,
        Kind::StopBroker => kill::stop_role(arena, planned, arena.busiest_broker()).await,
        Kind::StopProxy => kill::stop_role(arena, planned, arena.busiest_proxy()).await,
        Kind::StopPrimary => kill::stop_primary(arena, planned).await,
        Kind::StopBackup => kill::stop_backup(arena, planned).await,
        Kind::SlowBackup => kill::slow_backup(arena, planned).await,
        Kind::Partition => network::partition(arena, planned).await,
        Kind::UnplugServer => network::unplug(arena, planned).await,
        Kind::OneWay => network::one_way(arena, planned).await,
        Kind::Flapping => network::flapping(arena, planned).await,
        Kind::SlowNetwork => network::slow(arena, planned).await,
        Kind::ReplyLost => network::reply_lost(arena, planned).await,
        Kind::CrashAtFsync => disk::crash_at_fsync(arena, planned).await,
        Kind::FsyncError => disk::fsync_error(arena, planned).await,
        Kind::HangDisk => disk::hang(arena, planned).await,
        Kind::SlowDisk => disk::slow(arena, planned).await,
        Kind::DiskFull => full::disk_full(arena, planned).await,
        Kind::TornLog => damage::torn_log(arena, planned).await,
        Kind::FlipLog => damage::flip_log(arena, planned).await,
        Kind::FlipVote => damage::flip_vote(arena, planned).await,
        Kind::FlipStore => damage::flip_store(arena, planned).await,
        Kind::LoseDisk => damage::lose_disk(arena, planned).await,
        Kind::CrashInSnapshot => rejoin::crash_in_snapshot(arena, planned).await,
        Kind::ClockJump => clock::jump(arena, planned).await,
        Kind::SlowSubscribers => listeners::slow(arena, planned).await,
        Kind::LateSubscribers => listeners::late(arena, planned).await,
        Kind::Hostile => strangers::hostile(arena, planned).await,
        Kind::Chaos => chaos::chaos(arena, planned).await,
    }
}
