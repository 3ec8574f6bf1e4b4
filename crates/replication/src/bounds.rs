//! Every bound on what goes into the log, in one place.
//!
//! What stands in the log is read at every start, by every server. So nothing may get there that a
//! reader refuses or that the chat can't live with. The same rules hold on both ways in: a primary
//! keeps them before it proposes ([`admit`]), and everybody else before taking over what a peer
//! says stands in the log ([`message`]).

pub mod message;

use std::collections::{BTreeMap, BTreeSet};

use openraft::EmptyNode;
use recado_chat::members::Announcement;
use recado_chat::rows::MessageKey;
use recado_chat::{Command, ImportedRow, LogEntry, MemberCommand, Stamp};

use crate::NodeId;
use crate::types::{EntryPayload, Payload};

/// The longest entry: a request of a mebibyte makes less than this. Entries for a backup go out in
/// frames of four mebibytes at the most, and one entry must always fit.
pub const MAX_ENTRY_BYTES: usize = 2 * 1024 * 1024;
/// How long the name and the address of a server may be.
pub const MAX_LABEL_BYTES: usize = 300;
/// How long the reason may be for which servers are dropped.
pub const MAX_REASON_BYTES: usize = 1024;
/// How many servers a cluster has at the most, the witness and those that are away included.
pub const MAX_MEMBERS: usize = 256;
/// The last position: a message's key holds no later one.
pub const MAX_POSITION: u64 = u64::MAX >> MessageKey::ROW_BITS;
/// The highest rank. They count starts, from 1.
pub const MAX_RANK: u64 = 1 << 48;
/// The latest time, ms since the Unix epoch: the end of the year 9999.
pub const MAX_TIME_MS: u64 = 253_402_300_799_999;
/// The highest logical clock: there is room behind it to count on for ever.
pub const MAX_CLOCK: u64 = 1 << 62;

/// The bytes of an entry that may be proposed.
///
/// # Errors
/// One clause that says what is out of bounds.
pub fn admit(entry: &LogEntry) -> Result<Payload, String> {
    content(entry)?;
    let payload = Payload(entry.encode().into());
    length(&payload)?;
    Ok(payload)
}

/// The nearest time that an entry may have: a server whose clock is absurd goes on.
pub fn cut(stamp: Stamp) -> Stamp {
    Stamp { time_ms: stamp.time_ms.min(MAX_TIME_MS), clock: stamp.clock.min(MAX_CLOCK) }
}

/// Checks an entry that a peer says stands in the log.
///
/// # Errors
/// One clause.
pub fn payload(payload: &EntryPayload) -> Result<(), String> {
    match payload {
        openraft::EntryPayload::Blank => Ok(()),
        openraft::EntryPayload::Normal(payload) => {
            length(payload)?;
            content(&LogEntry::decode(&payload.0).map_err(|error| error.to_string())?)
        }
        openraft::EntryPayload::Membership(membership) => {
            let nodes = membership.nodes().map(|(node, known)| (*node, known.clone())).collect();
            voters(membership.get_joint_config(), &nodes)
        }
    }
}

/// Checks what a server says of itself.
///
/// # Errors
/// One clause.
pub fn announcement(announcement: &Announcement) -> Result<(), String> {
    label("a name", &announcement.name)?;
    label("an address", &announcement.address)?;
    if announcement.node == 0 {
        return Err("the node id 0 stands for nobody".to_owned());
    }
    if announcement.rank > MAX_RANK {
        return Err(format!("rank {} is too high; {MAX_RANK} is allowed", announcement.rank));
    }
    Ok(())
}

fn length(payload: &Payload) -> Result<(), String> {
    let bytes = payload.0.len();
    if bytes > MAX_ENTRY_BYTES {
        return Err(format!("an entry of {bytes} bytes; {MAX_ENTRY_BYTES} are allowed"));
    }
    Ok(())
}

fn content(entry: &LogEntry) -> Result<(), String> {
    stamp(entry.stamp)?;
    match &entry.command {
        Command::Import { rows } => rows.iter().try_for_each(imported_row),
        Command::Member(change) => member(change),
        // The chat itself refuses what breaks its rules, and the length of the whole is bounded.
        Command::Login { .. }
        | Command::Channel { .. }
        | Command::Publish { .. }
        | Command::Message { .. }
        | Command::Session { .. } => Ok(()),
    }
}

/// Whether a row of an import may be proposed.
///
/// # Errors
/// Why not, in a clause.
pub fn imported_row(row: &ImportedRow) -> Result<(), String> {
    match row {
        ImportedRow::User { login_ms, seen_ms, created_ms, .. } => {
            [login_ms, seen_ms, created_ms].into_iter().try_for_each(|ms| time(*ms))
        }
        ImportedRow::Channel { .. } => Ok(()),
        ImportedRow::Publication { stamp: at, .. } | ImportedRow::Private { stamp: at, .. } => {
            stamp(*at)
        }
    }
}

/// A topic's time and the cluster's clock never go back: one that is at its end stays there.
fn stamp(stamp: Stamp) -> Result<(), String> {
    time(stamp.time_ms)?;
    if stamp.clock > MAX_CLOCK {
        return Err(format!(
            "the logical clock {} is too high; {MAX_CLOCK} is allowed",
            stamp.clock
        ));
    }
    Ok(())
}

fn time(time_ms: u64) -> Result<(), String> {
    if time_ms > MAX_TIME_MS {
        return Err(format!("the time {time_ms} ms lies behind the year 9999"));
    }
    Ok(())
}

fn member(change: &MemberCommand) -> Result<(), String> {
    match change {
        MemberCommand::Announce(announced) => announcement(announced),
        MemberCommand::Drop { nodes, reason } => {
            if nodes.len() > MAX_MEMBERS || reason.len() > MAX_REASON_BYTES {
                return Err(format!(
                    "a drop of {} servers for a reason of {} bytes; {MAX_MEMBERS} and \
                     {MAX_REASON_BYTES} are allowed",
                    nodes.len(),
                    reason.len()
                ));
            }
            Ok(())
        }
        MemberCommand::MinCopies { copies } => {
            if !(1..=MAX_MEMBERS).contains(&(*copies as usize)) {
                return Err(format!("{copies} copies; 1 to {MAX_MEMBERS} can be asked for"));
            }
            Ok(())
        }
        MemberCommand::Activate { .. } | MemberCommand::Remove { .. } => Ok(()),
    }
}

/// Checks a name or an address. It is shown to people, so nothing in it may move their cursor.
///
/// # Errors
/// One clause.
pub fn label(what: &str, label: &str) -> Result<(), String> {
    if label.len() > MAX_LABEL_BYTES {
        return Err(format!("{what} of {} bytes; {MAX_LABEL_BYTES} are allowed", label.len()));
    }
    if label.is_empty() || label.contains(char::is_control) {
        return Err(format!("{what} must not be empty or have control characters"));
    }
    Ok(())
}

/// One set of voters, or two while they change; each can have a majority.
fn voters(sets: &[BTreeSet<NodeId>], nodes: &BTreeMap<NodeId, EmptyNode>) -> Result<(), String> {
    // While one server takes another's place, both are there for a moment.
    let most = 2 * MAX_MEMBERS;
    if !(1..=2).contains(&sets.len()) || nodes.len() > most {
        return Err(format!("a membership of {} sets and {} nodes", sets.len(), nodes.len()));
    }
    let known = |set: &BTreeSet<NodeId>| set.iter().all(|node| nodes.contains_key(node));
    if !sets.iter().all(|set| !set.is_empty() && known(set)) {
        return Err("a membership without voters, or with one that is no member".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(command: Command) -> LogEntry {
        LogEntry { stamp: Stamp { time_ms: 1, clock: 1 }, origin: None, published: 0, command }
    }

    fn announced() -> Announcement {
        Announcement {
            node: 1,
            name: "server-1".into(),
            address: "tcp://127.0.0.1:5560".into(),
            rank: 1,
            boot: 1,
            pid: 1,
            witness: false,
        }
    }

    #[test]
    fn an_entry_is_as_long_as_the_log_takes_it_and_no_longer() {
        let login = |bytes| entry(Command::Login { user: "x".repeat(bytes) });
        let head = login(MAX_ENTRY_BYTES / 2).encode().len() - MAX_ENTRY_BYTES / 2;
        assert!(admit(&login(MAX_ENTRY_BYTES - head)).is_ok());
        let why = admit(&login(MAX_ENTRY_BYTES - head + 1)).unwrap_err();
        assert!(why.contains("2097153 bytes"), "{why}");
    }

    #[test]
    fn what_may_be_proposed_is_taken_from_a_peer_and_the_other_way_round() {
        let with = |change: fn(&mut Announcement)| {
            let mut announcement = announced();
            change(&mut announcement);
            entry(Command::Member(MemberCommand::Announce(announcement)))
        };
        let dropped = |count, reason| {
            let (nodes, reason) = (vec![1; count], "x".repeat(reason));
            entry(Command::Member(MemberCommand::Drop { nodes, reason }))
        };
        let row = |stamp| ImportedRow::Publication {
            user: "ana".into(),
            channel: "geral".into(),
            message: "oi".into(),
            stamp,
        };
        let import =
            |time_ms, clock| entry(Command::Import { rows: vec![row(Stamp { time_ms, clock })] });
        let cases = [
            (true, with(|_| {})),
            (true, with(|a| a.name = "x".repeat(MAX_LABEL_BYTES))),
            (false, with(|a| a.name = "x".repeat(MAX_LABEL_BYTES + 1))),
            (false, with(|a| a.address = "x".repeat(MAX_LABEL_BYTES + 1))),
            (false, with(|a| a.name.clear())),
            (false, with(|a| a.address = "tcp://a:1\n".into())),
            (true, with(|a| a.rank = MAX_RANK)),
            (false, with(|a| a.rank = MAX_RANK + 1)),
            (false, with(|a| a.node = 0)),
            (true, dropped(MAX_MEMBERS, MAX_REASON_BYTES)),
            (false, dropped(MAX_MEMBERS + 1, 1)),
            (false, dropped(1, MAX_REASON_BYTES + 1)),
            (true, import(MAX_TIME_MS, MAX_CLOCK)),
            (false, import(MAX_TIME_MS + 1, 1)),
            (false, import(1, MAX_CLOCK + 1)),
        ];
        for (fine, entry) in cases {
            assert_eq!(admit(&entry).is_ok(), fine, "{entry:?}");
            let bytes = EntryPayload::Normal(Payload(entry.encode().into()));
            assert_eq!(payload(&bytes).is_ok(), fine, "{entry:?}");
        }
    }

    #[test]
    fn a_server_with_an_absurd_clock_can_propose() {
        let stamp = cut(Stamp { time_ms: u64::MAX, clock: u64::MAX });
        let login = Command::Login { user: "ana".into() };
        assert!(admit(&LogEntry { stamp, ..entry(login) }).is_ok());
        let fine = Stamp { time_ms: 1_700_000_000_000, clock: 7 };
        assert_eq!(cut(fine), fine);
    }

    #[test]
    fn every_set_of_voters_can_have_a_majority() {
        let nodes: BTreeMap<NodeId, EmptyNode> = (1..=3).map(|n| (n, EmptyNode::new())).collect();
        let sets = |sets: &[&[NodeId]]| -> Vec<BTreeSet<NodeId>> {
            sets.iter().map(|set| set.iter().copied().collect()).collect()
        };
        assert!(voters(&sets(&[&[1, 2, 3]]), &nodes).is_ok());
        assert!(voters(&sets(&[&[1, 2], &[1]]), &nodes).is_ok());
        for wrong in [&[][..], &[&[][..]], &[&[1], &[]], &[&[4]], &[&[1], &[2], &[3]]] {
            assert!(voters(&sets(wrong), &nodes).is_err(), "{wrong:?}");
        }
        let many = (1..=(2 * MAX_MEMBERS as u64) + 1).map(|n| (n, EmptyNode::new())).collect();
        assert!(voters(&sets(&[&[1]]), &many).is_err());
    }
}
