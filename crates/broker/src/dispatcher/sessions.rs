//! The broker's own sessions, under whose ids writes are carried out that bring none.

use std::collections::VecDeque;

use recado_protocol::RequestId;

/// The sessions that are open, and how many are being opened.
#[derive(Debug)]
pub(super) struct Sessions {
    open: Vec<Session>,
    opening: usize,
    target: usize,
    max: usize,
    ahead: u64,
    cursor: usize,
}

/// One session: which of its numbers are answered, from the oldest unanswered one on.
#[derive(Debug)]
struct Session {
    session: u64,
    ahead: u64,
    oldest: u64,
    answered: VecDeque<bool>,
}

impl Session {
    fn next(&mut self) -> Option<u64> {
        let used = self.answered.len() as u64;
        if used >= self.ahead {
            return None;
        }
        self.answered.push_back(false);
        Some(self.oldest + used)
    }

    fn answer(&mut self, n: u64) {
        let index = n.checked_sub(self.oldest).and_then(|index| usize::try_from(index).ok());
        if let Some(answered) = index.and_then(|index| self.answered.get_mut(index)) {
            *answered = true;
        }
        while self.answered.front() == Some(&true) {
            self.answered.pop_front();
            self.oldest += 1;
        }
    }
}

impl Sessions {
    pub(super) fn new(min: usize, max: usize, ahead: u64) -> Sessions {
        Sessions { open: Vec::new(), opening: 0, target: min, max, ahead, cursor: 0 }
    }

    /// How many are open.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    /// How many ids could be given now.
    pub(super) fn room(&self) -> usize {
        let room = |open: &Session| {
            usize::try_from(open.ahead).unwrap_or(usize::MAX) - open.answered.len()
        };
        self.open.iter().map(room).sum()
    }

    /// How many have to be opened now; they count as being opened from here on.
    pub(super) fn start_opening(&mut self) -> usize {
        let missing = self.target.saturating_sub(self.open.len() + self.opening);
        self.opening += missing;
        missing
    }

    /// A session was opened whose window holds `window` results.
    pub(super) fn opened(&mut self, session: u64, window: u64) {
        self.opening = self.opening.saturating_sub(1);
        // Half of the window, so that what is counted here and there may differ.
        let ahead = (window / 2).clamp(1, self.ahead);
        self.open.push(Session { session, ahead, oldest: 1, answered: VecDeque::new() });
    }

    /// A session could not be opened.
    pub(super) fn not_opened(&mut self) {
        self.opening = self.opening.saturating_sub(1);
    }

    /// A session is known to nobody any more.
    pub(super) fn drop_session(&mut self, session: u64) {
        self.open.retain(|open| open.session != session);
    }

    /// The next id; none if every session is as far ahead as it may be, or none is open. Then
    /// more are asked for.
    pub(super) fn next_id(&mut self) -> Option<RequestId> {
        for _ in 0..self.open.len() {
            self.cursor = (self.cursor + 1) % self.open.len();
            let session = &mut self.open[self.cursor];
            if let Some(n) = session.next() {
                return Some(RequestId { session: session.session, n });
            }
        }
        // While some are still missing, the last growth is not through.
        if self.open.len() >= self.target {
            self.target = (self.target * 2).clamp(1, self.max);
        }
        None
    }

    /// The request under this id is answered, or nobody waits for it any more.
    pub(super) fn answered(&mut self, id: RequestId) {
        if let Some(session) = self.open.iter_mut().find(|open| open.session == id.session) {
            session.answer(id.n);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_gets_ahead_of_the_oldest_unanswered() {
        let mut sessions = Sessions::new(1, 1, 512);
        assert_eq!(sessions.next_id(), None);
        assert_eq!(sessions.start_opening(), 1);
        assert_eq!(sessions.start_opening(), 0);
        sessions.opened(7, 8);
        let ids: Vec<_> = (1..=4).map(|n| Some(RequestId { session: 7, n })).collect();
        assert_eq!((0..4).map(|_| sessions.next_id()).collect::<Vec<_>>(), ids);
        assert_eq!(sessions.next_id(), None, "half of the window of 8");
        for n in [2, 3, 4] {
            sessions.answered(RequestId { session: 7, n });
        }
        assert_eq!(sessions.next_id(), None, "number 1 is not answered");
        sessions.answered(RequestId { session: 7, n: 1 });
        assert_eq!(sessions.next_id(), Some(RequestId { session: 7, n: 5 }));
    }

    #[test]
    fn the_pool_grows_when_all_are_blocked() {
        let mut sessions = Sessions::new(2, 3, 1);
        assert_eq!(sessions.start_opening(), 2);
        sessions.opened(1, 1024);
        sessions.opened(2, 1024);
        assert!(sessions.next_id().is_some() && sessions.next_id().is_some());
        assert_eq!(sessions.next_id(), None);
        assert_eq!(sessions.start_opening(), 1, "up to the most");
        sessions.not_opened();
        assert_eq!(sessions.start_opening(), 1, "again");
    }
}
