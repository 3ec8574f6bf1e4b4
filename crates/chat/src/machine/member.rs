//! Changes of the member table.

use super::{Applied, Outcome, Refusal};
use crate::members::{Announcement, Member, MemberCommand};
use crate::rows::Rows;

pub(super) fn apply<R: Rows>(rows: &mut R, command: &MemberCommand) -> Result<Applied, R::Error> {
    match command {
        MemberCommand::Announce(announced) => announce(rows, announced),
        MemberCommand::Activate { node } => activate(rows, *node),
        MemberCommand::Drop { nodes, reason: _ } => drop_nodes(rows, nodes),
        MemberCommand::Remove { node } => {
            let known = rows.member(*node)?.is_some();
            rows.remove_member(*node)?;
            Ok(changed(known))
        }
        MemberCommand::MinCopies { copies } => {
            let other = rows.min_copies()? != *copies;
            if other {
                rows.put_min_copies(*copies)?;
            }
            Ok(changed(other))
        }
    }
}

/// Another boot starts inactive, whatever it was before: it may have missed entries. Of two nodes
/// with one name the first one stays.
fn announce<R: Rows>(rows: &mut R, announced: &Announcement) -> Result<Applied, R::Error> {
    if rows.is_removed(announced.node)? {
        return Ok(Applied::refused(Refusal::Removed));
    }
    if rows.is_held_by_another(&announced.name, announced.node)? {
        return Ok(Applied::refused(Refusal::NameTaken));
    }
    let row = match rows.member(announced.node)? {
        Some(old) if old.announced == *announced => return Ok(changed(false)),
        Some(mut old) if old.announced.boot == announced.boot => {
            old.announced.rank = announced.rank;
            old.announced.address.clone_from(&announced.address);
            old
        }
        _ => Member { announced: announced.clone(), active: false },
    };
    rows.put_member(&row)?;
    Ok(changed(true))
}

fn activate<R: Rows>(rows: &mut R, node: u64) -> Result<Applied, R::Error> {
    let Some(mut row) = rows.member(node)? else {
        return Ok(Applied::refused(Refusal::Removed));
    };
    // Acknowledgements never wait for a witness.
    if row.active || row.announced.witness {
        return Ok(changed(false));
    }
    row.active = true;
    rows.put_member(&row)?;
    Ok(changed(true))
}

/// Nodes that are no members, or were dropped already, are passed over.
fn drop_nodes<R: Rows>(rows: &mut R, nodes: &[u64]) -> Result<Applied, R::Error> {
    let mut any = false;
    for &node in nodes {
        let Some(mut row) = rows.member(node)? else { continue };
        if !row.active && row.announced.rank == 0 {
            continue;
        }
        row.active = false;
        row.announced.rank = 0;
        rows.put_member(&row)?;
        any = true;
    }
    Ok(changed(any))
}

fn changed(members_changed: bool) -> Applied {
    Applied { outcome: Outcome::Done, publishes: false, members_changed }
}
