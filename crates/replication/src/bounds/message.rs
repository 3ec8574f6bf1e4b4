//! What a message between servers may say at all, whoever sends it.
//!
//! Consensus believes its peers: a term that is as high as numbers go could never be followed by
//! another one, a position at their end by no entry, and some contradictions end the engine. So
//! what no server of ours ever says is refused before the engine sees it. This is no protection
//! from who knows the cluster and lies within these bounds: that is what keys are for.

use crate::NodeId;
use crate::bounds::{MAX_POSITION, payload, voters};
use crate::types::{
    AppendRequest, AppendResponse, LogId, SnapshotMeta, TransferRequest, Vote, VoteRequest,
};

/// How far a term may be ahead of the one that is known here: at four elections a second it takes
/// 34 years to get so far.
const MAX_TERM_JUMP: u64 = 1 << 32;

/// What the receiver knows of itself.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// Its node id.
    pub me: NodeId,
    /// Its term.
    pub term: u64,
    /// The last entry that it knows to be committed.
    pub committed: Option<LogId>,
}

/// Checks entries or a heartbeat.
///
/// # Errors
/// One clause that says what is out of bounds; so for all of these.
pub fn append(request: &AppendRequest, known: Known) -> Result<(), String> {
    let term = leads(&request.vote, known)?;
    for id in [&request.prev_log_id, &request.leader_commit] {
        within(id.as_ref(), term)?;
    }
    let mut before = request.prev_log_id;
    past(before.as_ref(), known)?;
    for entry in &request.entries {
        let id = entry.log_id;
        within(Some(&id), term)?;
        let expected = before.map_or(0, |id| id.index + 1);
        let went_back = before.is_some_and(|before| id.leader_id.term < before.leader_id.term);
        if id.index != expected || went_back {
            return Err(format!("entry {id} does not follow {before:?}"));
        }
        past(Some(&id), known)?;
        payload(&entry.payload)?;
        before = Some(id);
    }
    Ok(())
}

/// Checks a request for a vote.
pub fn vote(request: &VoteRequest, known: Known) -> Result<(), String> {
    if request.vote.committed {
        return Err("a vote is asked for that is won already".to_owned());
    }
    let term = other(&request.vote, known)?;
    within(request.last_log_id.as_ref(), term)
}

/// Checks a hand-over.
pub fn transfer(request: &TransferRequest, known: Known) -> Result<(), String> {
    let term = leads(request.from_leader(), known)?;
    within(request.last_log_id(), term)
}

/// Checks what a snapshot says of itself, and who sends it.
pub fn snapshot(vote: &Vote, meta: &SnapshotMeta, known: Known) -> Result<(), String> {
    let term = leads(vote, known)?;
    let Some(last) = meta.last_log_id else { return Err("a snapshot of nothing".to_owned()) };
    within(Some(&last), term)?;
    past(Some(&last), known)?;
    let membership = &meta.last_membership;
    if membership.log_id().as_ref() > Some(&last) {
        return Err(format!("a snapshot until {last} has a later membership"));
    }
    let nodes = membership.membership().nodes().map(|(node, known)| (*node, known.clone()));
    voters(membership.membership().get_joint_config(), &nodes.collect())
}

/// Checks the vote that an answer tells of.
pub fn answered(vote: &Vote, term: u64) -> Result<(), String> {
    jump(vote.leader_id.term, term)
}

/// Checks the answer to entries.
pub fn appended(
    response: &AppendResponse,
    request: (Option<LogId>, Option<LogId>),
    term: u64,
) -> Result<(), String> {
    let (before, last) = request;
    match response {
        AppendResponse::HigherVote(vote) => answered(vote, term),
        AppendResponse::PartialSuccess(upto) if *upto < before || *upto > last => {
            Err(format!("entries up to {upto:?} are confirmed, of {before:?} to {last:?}"))
        }
        _ => Ok(()),
    }
}

/// The term of another one that leads.
fn leads(vote: &Vote, known: Known) -> Result<u64, String> {
    if !vote.committed {
        return Err("whoever sends it was not elected".to_owned());
    }
    other(vote, known)
}

/// The term of another one's vote.
fn other(vote: &Vote, known: Known) -> Result<u64, String> {
    if vote.leader_id.voted_for == known.me {
        return Err("it names its receiver as who sends it".to_owned());
    }
    jump(vote.leader_id.term, known.term)?;
    Ok(vote.leader_id.term)
}

fn jump(term: u64, known: u64) -> Result<(), String> {
    if term.saturating_sub(known) > MAX_TERM_JUMP {
        return Err(format!("term {term} is too far ahead of {known}"));
    }
    Ok(())
}

/// A position that can be stored, of no later term than that of who sends it.
fn within(id: Option<&LogId>, term: u64) -> Result<(), String> {
    match id {
        Some(id) if id.index > MAX_POSITION || id.leader_id.term > term => {
            Err(format!("position {id} can't be, in term {term}"))
        }
        _ => Ok(()),
    }
}

/// What is committed is what every later primary has there too.
fn past(id: Option<&LogId>, known: Known) -> Result<(), String> {
    let (Some(id), Some(committed)) = (id, known.committed) else { return Ok(()) };
    if id.index <= committed.index && id.leader_id.term > committed.leader_id.term {
        return Err(format!("entry {id} contradicts {committed}, which is committed"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(term: u64, index: u64) -> LogId {
        LogId { leader_id: term.into(), index }
    }

    const KNOWN: Known = Known { me: 5, term: 3, committed: None };

    #[test]
    fn terms_that_can_be_followed_by_others_are_believed() {
        for (term, fine) in [(0, true), (3, true), (3 + MAX_TERM_JUMP, true)] {
            assert_eq!(answered(&Vote::new(term, 9), 3).is_ok(), fine, "{term}");
        }
        for term in [4 + MAX_TERM_JUMP, u64::MAX - 1, u64::MAX] {
            assert!(answered(&Vote::new(term, 9), 3).is_err(), "{term}");
            let request = VoteRequest::new(Vote::new(term, 9), None);
            assert!(vote(&request, KNOWN).is_err(), "{term}");
        }
    }

    #[test]
    fn confirmed_is_what_was_sent() {
        let sent = (Some(id(2, 4)), Some(id(3, 7)));
        let upto = |id| AppendResponse::PartialSuccess(Some(id));
        assert!(appended(&upto(id(2, 4)), sent, 3).is_ok());
        assert!(appended(&upto(id(3, 7)), sent, 3).is_ok());
        for wrong in [id(2, 3), id(3, 8), id(u64::MAX, u64::MAX)] {
            assert!(appended(&upto(wrong), sent, 3).is_err(), "{wrong}");
        }
        let endless = AppendResponse::HigherVote(Vote::new(u64::MAX, 1));
        assert!(appended(&endless, sent, 3).is_err());
    }

    #[test]
    fn honest_messages_pass() {
        let known = Known { committed: Some(id(2, 4)), ..KNOWN };
        let request = |prev, ids: &[LogId]| AppendRequest {
            vote: Vote::new_committed(4, 9),
            prev_log_id: prev,
            entries: ids
                .iter()
                .map(|id| openraft::Entry { log_id: *id, payload: openraft::EntryPayload::Blank })
                .collect(),
            leader_commit: Some(id(3, 900)),
        };
        let fine = [
            request(None, &[]),
            request(None, &[id(0, 0), id(1, 1)]),
            request(Some(id(1, 1)), &[id(2, 2), id(2, 3), id(2, 4), id(4, 5)]),
            request(Some(id(2, 4)), &[id(4, 5)]),
        ];
        for request in fine {
            assert_eq!(append(&request, known), Ok(()), "{request:?}");
        }
        let candidate = VoteRequest::new(Vote::new(4, 9), Some(id(3, 9)));
        assert_eq!(vote(&candidate, known), Ok(()));
        let handed = TransferRequest::new(Vote::new_committed(3, 9), 5, Some(id(3, 9)));
        assert_eq!(transfer(&handed, known), Ok(()));
    }
}
