//! Notes in the log what changed in the cluster: who leads and why, who came, who went.

use recado_chat::members::takeover_key;
use recado_replication::{NodeId, View};

/// Logs what differs between two views.
pub fn note(old: &View, new: &View) {
    for line in leader_changes(old, new).into_iter().chain(member_changes(old, new)) {
        tracing::info!("{line}");
    }
}

fn leader_changes(old: &View, new: &View) -> Option<String> {
    if old.primary == new.primary && old.term == new.term {
        return None;
    }
    let Some(primary) = new.primary else {
        return old.primary.map(|gone| {
            format!("no primary is known now; {} was it in term {}", name(old, gone), old.term)
        });
    };
    if old.primary == Some(primary) {
        return None;
    }
    Some(format!(
        "{} is the primary in term {}: {}",
        name(new, primary),
        new.term,
        why(new, primary)
    ))
}

/// Why this one leads, as far as ranks tell.
fn why(view: &View, primary: NodeId) -> String {
    let key = |node: NodeId, rank: u64| takeover_key(rank, node);
    let Some(leader) = view.member(primary) else {
        return "the voters elected it".into();
    };
    let leading = key(primary, leader.member.announced.rank);
    let lower = view
        .members
        .iter()
        .map(|row| &row.member)
        .filter(|member| member.active)
        .map(|member| &member.announced)
        .find(|announced| key(announced.node, announced.rank) < leading);
    match lower {
        None => format!("rank {} is the lowest of the active servers", leading.0),
        Some(lower) => format!("{} has a lower rank, but does not lead yet", lower.name),
    }
}

fn member_changes(old: &View, new: &View) -> Vec<String> {
    if std::ptr::eq(old, new) {
        return Vec::new();
    }
    if old.members.is_empty() {
        // A start: what it finds in its own store is no news.
        return Vec::new();
    }
    let mut lines = Vec::new();
    for row in &new.members {
        let announced = &row.member.announced;
        match old.member(announced.node) {
            None => lines.push(format!("{} joined the cluster", announced.name)),
            // The primary has said so already, and why.
            Some(before) if before.member.active && !row.member.active && new.is_primary => {}
            Some(before) if before.member.active && !row.member.active => {
                lines.push(format!(
                    "{} was dropped: no acknowledgement waits for it",
                    announced.name
                ));
            }
            Some(before) if !before.member.active && row.member.active => {
                lines.push(format!("{} holds everything and is active", announced.name));
            }
            Some(_) => {}
        }
    }
    for row in &old.members {
        let announced = &row.member.announced;
        if new.member(announced.node).is_none() {
            lines.push(format!("{} was removed from the cluster", announced.name));
        }
    }
    lines
}

fn name(view: &View, node: NodeId) -> String {
    view.member(node)
        .map_or_else(|| format!("node {node}"), |row| row.member.announced.name.clone())
}

#[cfg(test)]
mod tests {
    use recado_chat::Member;
    use recado_chat::members::Announcement;
    use recado_replication::MemberView;

    use super::*;

    fn row(node: u64, rank: u64, active: bool) -> MemberView {
        let announced = Announcement {
            node,
            name: format!("s{node}"),
            address: String::new(),
            rank,
            boot: 0,
            pid: 0,
            witness: false,
        };
        let member = Member { announced, active };
        MemberView { member, voter: active, matched: None, why: None, alive: active }
    }

    fn view(term: u64, primary: Option<u64>, members: Vec<MemberView>) -> View {
        View {
            node: 1,
            term,
            primary,
            is_primary: false,
            applied: 0,
            members,
            witness: None,
            min_copies: 1,
            joint: false,
            lacks: None,
        }
    }

    #[test]
    fn a_new_primary_is_named_with_the_reason() {
        let rows = || vec![row(1, 1, false), row(2, 2, true), row(3, 3, true)];
        let old = view(1, Some(1), rows());
        let said = leader_changes(&old, &view(2, Some(2), rows())).unwrap();
        assert_eq!(said, "s2 is the primary in term 2: rank 2 is the lowest of the active servers");
        let said = leader_changes(&old, &view(2, Some(3), rows())).unwrap();
        assert!(said.ends_with("s2 has a lower rank, but does not lead yet"), "{said}");
    }

    #[test]
    fn the_same_primary_is_no_news() {
        let old = view(1, Some(1), vec![]);
        assert_eq!(leader_changes(&old, &view(1, Some(1), vec![])), None);
        assert_eq!(leader_changes(&old, &view(2, Some(1), vec![])), None);
    }

    #[test]
    fn comings_and_goings_are_told() {
        let old = view(1, None, vec![row(1, 1, true), row(2, 2, false), row(3, 3, true)]);
        let new = view(1, None, vec![row(1, 0, false), row(2, 2, true), row(4, 4, false)]);
        assert_eq!(
            member_changes(&old, &new),
            [
                "s1 was dropped: no acknowledgement waits for it",
                "s2 holds everything and is active",
                "s4 joined the cluster",
                "s3 was removed from the cluster",
            ]
        );
    }
}
