//! What was seen of the cluster itself, and what was done to it.

use super::Name;

/// A server said, or was said, to lead in a term. The same may be noted often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Led {
    /// The server's name.
    pub server: Name,
    /// Its node id; 0 when it is not known.
    pub node: u64,
    /// The term.
    pub term: u64,
    /// When it was seen.
    pub at_us: u64,
}

/// For this whole time the primary's member table showed the server as active, without a break
/// between two looks. Only what the primary of the newest known term shows counts: others may be
/// late.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Active {
    /// The server's name.
    pub server: Name,
    /// The first look that showed it.
    pub from_us: u64,
    /// The last look that showed it.
    pub to_us: u64,
}

/// The reference gave a rank. The same may be noted often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranked {
    /// The rank.
    pub rank: u64,
    /// The server's name.
    pub name: Name,
    /// The random number of the server's start.
    pub boot: u64,
    /// When it was seen.
    pub at_us: u64,
}

/// An empty data folder got its node id. Each time is noted once: the same id in two entries is an
/// id that was given twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// The server's name.
    pub server: Name,
    /// The node id.
    pub node: u64,
    /// When it was seen.
    pub at_us: u64,
}

/// Something that was broken on purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What, in a few words; faults of one kind are counted together (`kill primary`).
    pub kind: Name,
    /// Whom it hit (`s1`, or `s1→s2` for a link).
    pub target: Name,
    /// Since when.
    pub from_us: u64,
    /// Until when; none when it was still so at the end, or is over in no time.
    pub to_us: Option<u64>,
}

/// A kind of fault that could not be made here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The kind.
    pub kind: Name,
    /// What is missing, in a few words (`no strace`).
    pub why: Name,
}
