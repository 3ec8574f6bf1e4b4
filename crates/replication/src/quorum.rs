//! Who is missing when nobody leads: pure rules.

use std::collections::BTreeSet;
use std::fmt;

use crate::NodeId;

/// A voter that does not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Its node id.
    pub node: NodeId,
    /// Its name; empty when it is not known.
    pub name: String,
    /// Where it was; empty when that is not known.
    pub address: String,
    /// Whether it is the reference's replica.
    pub witness: bool,
    /// Whether another node answers there: its data folder is another one.
    pub usurped: bool,
}

/// Too few voters answer for anybody to lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacks {
    /// How many voters there are.
    pub voters: usize,
    /// How many of them are needed.
    pub needed: usize,
    /// How many answer, this one included.
    pub answering: usize,
    /// Those that don't.
    pub missing: Vec<Missing>,
}

/// What to do about it; it stands behind [`Lacks`] in sentences for people.
pub const WHAT_TO_DO: &str = "start what is missing; if its disks are lost for good, \
                              `recado rescue` makes a cluster of a copy that is left";

/// Whether too few of the voters answer; of two sets, as in the middle of a change, a majority of
/// each is needed, and the first one without it is told. `who` tells of a voter what is known.
pub fn lacks(
    sets: &[BTreeSet<NodeId>],
    answers: impl Fn(NodeId) -> bool,
    who: impl Fn(NodeId) -> Missing,
) -> Option<Lacks> {
    sets.iter().find_map(|voters| {
        let missing: Vec<NodeId> = voters.iter().copied().filter(|node| !answers(*node)).collect();
        let (needed, answering) = (voters.len() / 2 + 1, voters.len() - missing.len());
        (answering < needed).then(|| Lacks {
            voters: voters.len(),
            needed,
            answering,
            missing: missing.into_iter().map(&who).collect(),
        })
    })
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.witness, self.name.as_str()) {
            (true, _) => return f.write_str("the reference's replica"),
            (false, "") => write!(f, "node {}", self.node)?,
            (false, name) => f.write_str(name)?,
        }
        match (self.address.as_str(), self.usurped) {
            ("", _) => Ok(()),
            (address, false) => write!(f, " at {address}"),
            (address, true) => {
                write!(f, " at {address}, where a server with another data folder answers")
            }
        }
    }
}

impl fmt::Display for Lacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Lacks { voters, needed, answering, missing } = self;
        let do_or_does = if *answering == 1 { "does" } else { "do" };
        write!(
            f,
            "{needed} of the {voters} servers that vote must answer, and {answering} {do_or_does}; \
             missing: "
        )?;
        for (number, who) in missing.iter().enumerate() {
            let before = if number == 0 { "" } else { "; " };
            write!(f, "{before}{who}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(node: NodeId) -> Missing {
        Missing {
            node,
            name: if node == 4 { String::new() } else { format!("server-{node}") },
            address: if node == 4 { String::new() } else { format!("tcp://127.0.0.1:{node}") },
            witness: node == 9,
            usurped: node == 2,
        }
    }

    fn told(sets: &[&[NodeId]], answering: &[NodeId]) -> Option<String> {
        let sets: Vec<BTreeSet<NodeId>> =
            sets.iter().map(|set| set.iter().copied().collect()).collect();
        lacks(&sets, |node| answering.contains(&node), who).map(|lacks| lacks.to_string())
    }

    #[test]
    fn a_majority_lacks_nothing() {
        assert_eq!(told(&[&[1, 2, 3]], &[1, 3]), None);
        assert_eq!(told(&[&[1]], &[1]), None);
        assert_eq!(told(&[], &[]), None);
    }

    #[test]
    fn who_is_missing_is_named_with_the_place() {
        assert_eq!(
            told(&[&[1, 2, 3]], &[3]).unwrap(),
            "2 of the 3 servers that vote must answer, and 1 does; missing: server-1 at \
             tcp://127.0.0.1:1; server-2 at tcp://127.0.0.1:2, where a server with another data \
             folder answers"
        );
        assert_eq!(
            told(&[&[1, 2, 3, 4, 9]], &[1, 3]).unwrap(),
            "3 of the 5 servers that vote must answer, and 2 do; missing: server-2 at \
             tcp://127.0.0.1:2, where a server with another data folder answers; node 4; the \
             reference's replica"
        );
    }

    #[test]
    fn in_the_middle_of_a_change_both_sets_need_a_majority() {
        assert_eq!(told(&[&[1, 2, 3], &[1]], &[1, 3]), None);
        let one = told(&[&[1, 2, 3], &[1]], &[2, 3]).unwrap();
        assert!(one.starts_with("1 of the 1"), "{one}");
    }
}
