//! Bugs that are planted on purpose, to prove that the drill's checkers catch them.
//!
//! Only in builds with the feature `planted`, which no default and no release build has; and even
//! there none is on until somebody plants it. Each place that can have a bug asks [`on`].

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::sync::OnceLock;

/// The variable that plants a bug in a process.
pub const VARIABLE: &str = "RECADO_PLANTED_BUG";

macro_rules! bugs {
    ($($(#[doc = $doc:literal])+ $name:ident = $word:literal,)+) => {
        /// What can be wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Bug { $($(#[doc = $doc])+ $name,)+ }

        impl Bug {
            /// All of them.
            pub const ALL: &[Bug] = &[$(Bug::$name,)+];

            /// Its word in [`VARIABLE`].
            pub const fn word(self) -> &'static str {
                match self { $(Bug::$name => $word,)+ }
            }
        }
    };
}

bugs! {
    /// A backup that does not answer is counted as one that has the entry.
    AckBeforeQuorum = "ack_before_quorum",
    /// Log entries count as being on disk as soon as they are written.
    AckBeforeFsync = "ack_before_fsync",
    /// Acknowledgements wait for a majority only, not for every active backup.
    AckSkipsGate = "ack_skips_gate",
    /// The answer to a repeated request waits for nobody.
    RepeatSkipsGate = "repeat_skips_gate",
    /// A repeated request is carried out again.
    NoDedup = "no_dedup",
    /// Each server forgets other results.
    DedupDiffers = "dedup_differs",
    /// A backup answers reads without asking the primary.
    StaleBackup = "stale_backup",
    /// Who thinks that it leads answers reads without asking a majority.
    StalePrimary = "stale_primary",
    /// Messages are published when they are proposed.
    PublishBeforeCommit = "publish_before_commit",
    /// Private messages are published on their sender's topic.
    WrongTopic = "wrong_topic",
    /// A server gets the rank of its last start again.
    RankAgain = "rank_again",
    /// An emptied folder gets the node id that it had.
    NodeAgain = "node_again",
    /// A vote is given before it is on disk.
    VoteBeforeFsync = "vote_before_fsync",
    /// A vote is given to everybody who asks.
    VoteTwice = "vote_twice",
    /// A message's time depends on who applies it.
    ClockInApply = "clock_in_apply",
    /// Snapshots lack the sessions.
    SnapshotWithoutSessions = "snapshot_without_sessions",
    /// Some private messages are acknowledged and not stored.
    LostPrivate = "lost_private",
}

thread_local! {
    static HERE: Cell<Option<Bug>> = const { Cell::new(None) };
    static WHIM: Cell<u64> = const { Cell::new(0) };
    static ORIGINS: RefCell<BTreeSet<(u64, u64)>> = const { RefCell::new(BTreeSet::new()) };
}

static EVERYWHERE: OnceLock<Bug> = OnceLock::new();

/// Whether this bug is planted, on this thread or in the whole process.
pub fn on(bug: Bug) -> bool {
    HERE.get() == Some(bug) || EVERYWHERE.get() == Some(&bug)
}

/// A bug on this thread, until it is dropped.
pub struct Planted(());

impl Drop for Planted {
    fn drop(&mut self) {
        HERE.set(None);
    }
}

/// Plants a bug on this thread, for a simulation.
#[must_use = "it goes when this is dropped"]
pub fn plant_here(bug: Bug) -> Planted {
    HERE.set(Some(bug));
    // Whatever ran here before: a simulation must replay.
    WHIM.set(1);
    ORIGINS.take();
    Planted(())
}

/// Plants the bug that [`VARIABLE`] names in the whole process, if it names one.
///
/// # Errors
/// It names none of [`Bug::ALL`].
pub fn plant_from_environment() -> Result<Option<Bug>, String> {
    let Some(word) = std::env::var_os(VARIABLE).filter(|word| !word.is_empty()) else {
        return Ok(None);
    };
    let word = word.to_string_lossy();
    let Some(bug) = Bug::ALL.iter().copied().find(|bug| bug.word() == word) else {
        let words: Vec<&str> = Bug::ALL.iter().map(|bug| bug.word()).collect();
        return Err(format!(
            "{VARIABLE} is {word}, which is no bug; set one of {}",
            words.join(", ")
        ));
    };
    Ok(Some(*EVERYWHERE.get_or_init(|| bug)))
}

/// True about once in `one_in` calls; another sequence in each process, and on each server of a
/// simulation, since they share one.
pub fn whim(one_in: u64) -> bool {
    let mut state = WHIM.get();
    if state == 0 {
        state = u64::from(std::process::id()) | 1;
    }
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    WHIM.set(state);
    state.is_multiple_of(one_in)
}

/// Whether a request with this session and number was asked about before, on this thread.
pub fn is_repeat(session: u64, n: u64) -> bool {
    ORIGINS.with_borrow_mut(|seen| !seen.insert((session, n)))
}
