//! Taking a server out of the cluster for good.

use std::time::Duration;

use recado_chat::{Command, MemberCommand};
use recado_protocol::{Code, Refusal, Reply};
use recado_replication::{NodeId, ProposeError, View};

use super::{Asked, Service, command};
use crate::cluster::Cluster;
use crate::config::FORWARD_TIMEOUT_MS;
use crate::frames::Answer;

impl<C: Cluster> Service<C> {
    /// The primary decides and proposes it. The request has no session: a repeat of one that was
    /// carried out is told that there is no such server.
    pub(super) async fn remove(&self, asked: Asked, server: &str) -> Answer {
        let leadership = *self.cluster.leadership().borrow();
        if !leadership.is_primary {
            let timeout = Duration::from_millis(FORWARD_TIMEOUT_MS);
            return self.hand_on(asked, leadership, timeout).await;
        }
        let node = match removable(&self.cluster.view(), server) {
            Ok(node) => node,
            Err(refusal) => return self.done("remove", &Reply::Refused(refusal)),
        };
        let command = Command::Member(MemberCommand::Remove { node });
        match self.cluster.propose(command, None).await {
            Ok(_) => {
                tracing::info!(%server, node, "a server was removed for good, as it was asked for");
                self.done("remove", &Reply::Done)
            }
            Err(ProposeError::NotPrimary { .. } | ProposeError::Busy) => Answer::ELSEWHERE,
            Err(ProposeError::OutOfBounds(why)) => {
                self.done("remove", &Reply::Refused(Refusal::new(Code::TooLarge, why)))
            }
            Err(ProposeError::TooFew { active, needed }) => {
                self.done("remove", &Reply::Refused(command::too_few(active, needed)))
            }
            Err(ProposeError::Uncertain) => Answer::PERHAPS,
        }
    }
}

/// The node of this server, if it may go. The primary may not, and so neither may the last active
/// server, which always is the primary.
fn removable(view: &View, server: &str) -> Result<NodeId, Refusal> {
    let found = view.members.iter().map(|row| &row.member.announced).find(|a| a.name == server);
    let Some(found) = found else {
        let text = format!("no server {server} belongs to the cluster; `recado status` lists them");
        return Err(Refusal::new(Code::UnknownServer, text));
    };
    if found.node == view.node {
        let others = view
            .members
            .iter()
            .any(|row| row.member.active && row.member.announced.node != view.node);
        let text = if others {
            format!("{server} is the primary; stop it first, another takes over, then remove it")
        } else {
            format!("{server} is the last active server; start another one first")
        };
        return Err(Refusal::new(Code::ServerNeeded, text));
    }
    Ok(found.node)
}

#[cfg(test)]
mod tests {
    use recado_chat::Member;
    use recado_chat::members::Announcement;
    use recado_replication::MemberView;

    use super::*;

    fn view(active: [bool; 2]) -> View {
        let row = |node: NodeId, active| {
            let announced = Announcement {
                node,
                name: format!("server-{node}"),
                address: String::new(),
                rank: node,
                boot: 1,
                pid: 1,
                witness: false,
            };
            MemberView {
                member: Member { announced, active },
                voter: true,
                matched: None,
                why: None,
                alive: true,
            }
        };
        View {
            node: 1,
            term: 3,
            primary: Some(1),
            is_primary: true,
            applied: 9,
            members: vec![row(1, active[0]), row(2, active[1])],
            witness: None,
            min_copies: 1,
            joint: false,
            lacks: None,
        }
    }

    #[test]
    fn only_a_known_server_that_is_not_the_primary_may_go() {
        assert_eq!(removable(&view([true, true]), "server-2"), Ok(2));
        assert_eq!(removable(&view([true, false]), "server-2"), Ok(2));
        let refusal = |view, name| removable(&view, name).unwrap_err();
        let unknown = refusal(view([true, true]), "server-3");
        assert_eq!(unknown.code, Code::UnknownServer);
        let primary = refusal(view([true, true]), "server-1");
        assert_eq!(primary.code, Code::ServerNeeded);
        assert!(primary.text.contains("stop it first"), "{primary}");
        let last = refusal(view([true, false]), "server-1");
        assert_eq!(last.code, Code::ServerNeeded);
        assert!(last.text.contains("last active"), "{last}");
    }
}
