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
    }
}

/// Another boot starts inactive, whatever it was before: it may have missed entries. It keeps its
/// drops, or a flapping server would shed them by restarting.
fn announce<R: Rows>(rows: &mut R, announced: &Announcement) -> Result<Applied, R::Error> {
    if rows.is_removed(announced.node)? {
        return Ok(Applied::refused(Refusal::Removed));
    }
    let row = match rows.member(announced.node)? {
        None => Member { announced: announced.clone(), active: false, drops: 0 },
        Some(old) if old.announced == *announced => return Ok(changed(false)),
        Some(mut old) if old.announced.boot == announced.boot => {
            old.announced.rank = announced.rank;
            old.announced.address.clone_from(&announced.address);
            old
        }
        Some(old) => Member { announced: announced.clone(), active: false, drops: old.drops },
    };
    rows.put_member(&row)?;
    Ok(changed(true))
}

/// Activating a member that is active already says that it was steady for long: its drops are
/// forgiven.
fn activate<R: Rows>(rows: &mut R, node: u64) -> Result<Applied, R::Error> {
    let Some(mut row) = rows.member(node)? else {
        return Ok(Applied::refused(Refusal::Removed));
    };
    if row.active && row.drops == 0 {
        return Ok(changed(false));
    }
    if row.active {
        row.drops = 0;
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
        row.drops = row.drops.saturating_add(1);
        rows.put_member(&row)?;
        any = true;
    }
    Ok(changed(any))
}

fn changed(members_changed: bool) -> Applied {
    Applied { outcome: Outcome::Done, publishes: false, members_changed }
}
