//! What a replica sees of the cluster, for status, clock rounds and logs.

use recado_chat::Member;

use crate::NodeId;
use crate::quorum::Lacks;

/// A replica's view, replaced whole whenever something in it changes.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// This node.
    pub node: NodeId,
    /// The current election term.
    pub term: u64,
    /// The primary, if one is known and was heard of within the election time-out. A witness that
    /// leads for a moment is none: it takes no writes.
    pub primary: Option<NodeId>,
    /// Whether this node is the primary and has applied its own first entry.
    pub is_primary: bool,
    /// The last applied log position.
    pub applied: u64,
    /// The servers, by takeover order.
    pub members: Vec<MemberView>,
    /// The reference's replica, if there is one.
    pub witness: Option<MemberView>,
    /// How many servers must be active for writes to be taken.
    pub min_copies: u32,
    /// Whether a change of the voters stands half done: then majorities of the old ones and of the
    /// new ones are needed.
    pub joint: bool,
    /// Who is missing, when this node knows no primary because too few voters answer.
    pub lacks: Option<Lacks>,
}

/// One member, as a replica sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberView {
    /// Its row in the replicated state.
    pub member: Member,
    /// Whether it votes.
    pub voter: bool,
    /// The last log position that it is known to have on disk; only the primary knows, and every
    /// node of itself.
    pub matched: Option<u64>,
    /// Why acknowledgements don't wait for it, in a clause; only the primary knows, of those that it
    /// dropped itself.
    pub why: Option<String>,
    /// Whether it was heard of lately; only the primary knows, others say true for themselves and
    /// the primary, or without one for those that answer when they are asked for their votes.
    pub alive: bool,
}

impl View {
    /// The row of a node, if it is a member.
    pub fn member(&self, node: NodeId) -> Option<&MemberView> {
        self.members.iter().find(|m| m.member.announced.node == node)
    }
}
