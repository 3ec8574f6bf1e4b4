//! Where the other servers are: pure rules; words, answers and time come in from outside.
//!
//! Words about an address come from the reference's list, from the member table, from the node
//! itself and from whoever answers at it. They come in any order, and old ones come again: rows
//! are replayed at a start. A rank goes up with every start, so the word of the highest rank is the
//! newest. Where no rank tells, the addresses that were heard of are tried in turn, until the node
//! itself answers at one.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::NodeId;

/// So long a node is looked for at one address when others are known: some round trips of a slow
/// network.
const PATIENCE: Duration = Duration::from_secs(1);
/// How many addresses are remembered of one node.
const MAX_ADDRESSES: usize = 4;

/// Whose word it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// The node itself says so, or answered there: nothing is newer.
    Own,
    /// Somebody says so of the start that had this rank; 0 when that is not known.
    Of(u64),
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A connection stands: ask who is there.
    Ask {
        /// Who should be.
        node: NodeId,
        /// Where.
        address: String,
    },
    /// Look for the node here from now on.
    Move {
        /// The node.
        node: NodeId,
        /// Where it may be.
        address: String,
    },
}

/// What is known of where nodes are.
#[derive(Debug, Default)]
pub struct Book {
    places: BTreeMap<NodeId, Place>,
}

#[derive(Debug)]
struct Place {
    /// Where it may be. It is looked for at the first; there is always one.
    addresses: VecDeque<String>,
    /// The rank of the newest start that was heard of.
    rank: u64,
    /// Since when it is looked for at the first address, and was not met there.
    since: Instant,
    met: bool,
    /// The connection over which it was asked for the latest time.
    connection: Option<u64>,
    asking: bool,
    /// When the latest question left.
    asked: Option<Instant>,
    /// Whether another node answered there last.
    usurped: bool,
}

impl Place {
    fn is_at(&self, address: &str) -> bool {
        self.addresses.front().is_some_and(|first| first == address)
    }

    /// Puts an address first.
    fn put_first(&mut self, address: &str, now: Instant) {
        self.addresses.retain(|known| known != address);
        self.addresses.push_front(address.to_owned());
        self.addresses.truncate(MAX_ADDRESSES);
        self.begin(now);
    }

    /// Goes on to the next address; none when there is no other.
    fn next(&mut self, now: Instant) -> Option<String> {
        if self.addresses.len() < 2 {
            return None;
        }
        self.addresses.rotate_left(1);
        self.begin(now);
        self.addresses.front().cloned()
    }

    fn begin(&mut self, now: Instant) {
        self.since = now;
        self.met = false;
        self.connection = None;
        self.asking = false;
        self.asked = None;
        self.usurped = false;
    }
}

impl Book {
    /// Somebody says where a node is. Says whether it is to be looked for there from now on.
    pub fn hear(&mut self, node: NodeId, address: &str, word: Word, now: Instant) -> bool {
        let rank = if let Word::Of(rank) = word { rank } else { 0 };
        let Some(place) = self.places.get_mut(&node) else {
            let addresses = [address.to_owned()].into();
            let (met, connection, asking, asked, usurped) = (false, None, false, None, false);
            let place =
                Place { addresses, rank, since: now, met, connection, asking, asked, usurped };
            self.places.insert(node, place);
            return true;
        };
        let newest = word == Word::Own || rank > place.rank;
        place.rank = place.rank.max(rank);
        if place.is_at(address) {
            return false;
        }
        if newest {
            place.put_first(address, now);
        } else if place.addresses.len() < MAX_ADDRESSES
            && !place.addresses.iter().any(|known| known == address)
        {
            place.addresses.push_back(address.to_owned());
        }
        newest
    }

    /// Nodes that were removed for good are looked for no more.
    pub fn forget(&mut self, removed: impl Fn(NodeId) -> bool) {
        self.places.retain(|node, _| !removed(*node));
    }

    /// Whether every node was met where it is looked for.
    pub fn is_settled(&self) -> bool {
        self.places.values().all(|place| place.met)
    }

    /// Whether this connection leads to the node itself.
    pub fn was_met(&self, node: NodeId, connection: Option<u64>) -> bool {
        let met = |place: &Place| place.met && place.connection == connection;
        connection.is_some() && self.places.get(&node).is_some_and(met)
    }

    /// Whether another node answered where this one was looked for.
    pub fn is_usurped(&self, node: NodeId) -> bool {
        self.places.get(&node).is_some_and(|place| place.usurped)
    }

    /// What is to be done now; `connection` tells which connection to a node stands.
    pub fn look(&mut self, now: Instant, connection: impl Fn(NodeId) -> Option<u64>) -> Vec<Step> {
        let mut steps = Vec::new();
        for (&node, place) in &mut self.places {
            let connection = connection(node);
            let connected = connection.is_some();
            // Another one may lead to somebody else.
            if place.met && connection != place.connection {
                place.begin(now);
            }
            if place.met {
                continue;
            }
            // Whoever is connected has the time of the question to answer.
            let waits = connected && place.asking;
            let asked_lately = place.asked.is_some_and(|at| now.duration_since(at) < PATIENCE);
            if now.duration_since(place.since) >= PATIENCE
                && !waits
                && let Some(address) = place.next(now)
            {
                steps.push(Step::Move { node, address });
            } else if connected && !place.asking && !asked_lately {
                place.asking = true;
                place.asked = Some(now);
                place.connection = connection;
                let address = place.addresses.front().cloned().unwrap_or_default();
                steps.push(Step::Ask { node, address });
            }
        }
        steps
    }

    /// The question of [`Step::Ask`] got its answer: who is there; none when nobody said it. Gives
    /// where to look for whom now.
    pub fn answered(
        &mut self,
        node: NodeId,
        address: &str,
        who: Option<NodeId>,
        now: Instant,
    ) -> Vec<(NodeId, String)> {
        let mut moves = Vec::new();
        // Otherwise it came over a connection to where the node is looked for no more.
        if let Some(place) = self.places.get_mut(&node).filter(|place| place.is_at(address)) {
            place.asking = false;
            place.met = who == Some(node);
            if let Some(who) = who {
                place.usurped = who != node;
            }
            if who.is_some_and(|other| other != node)
                && let Some(next) = place.next(now)
            {
                moves.push((node, next));
            }
        }
        if let Some(other) = who.filter(|other| *other != node)
            && self.places.get(&other).is_some_and(|place| !place.met)
            && self.hear(other, address, Word::Own, now)
        {
            moves.push((other, address.to_owned()));
        }
        moves
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: NodeId = 7;
    const B: NodeId = 8;

    fn at(book: &Book, node: NodeId) -> &str {
        &book.places[&node].addresses[0]
    }

    fn ask(node: NodeId, address: &str) -> Step {
        Step::Ask { node, address: address.into() }
    }

    #[test]
    fn the_word_of_the_highest_rank_wins_in_any_order() {
        let now = Instant::now();
        let words = [("old", 1), ("older", 0), ("new", 3)];
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1]] {
            let mut book = Book::default();
            for index in order {
                let (address, rank) = words[index];
                book.hear(A, address, Word::Of(rank), now);
            }
            assert_eq!(at(&book, A), "new", "{order:?}");
        }
    }

    #[test]
    fn what_the_node_says_itself_is_newest() {
        let now = Instant::now();
        let mut book = Book::default();
        assert!(book.hear(A, "old", Word::Of(5), now));
        assert!(book.hear(A, "new", Word::Own, now));
        assert!(!book.hear(A, "old", Word::Of(5), now), "a row that comes by again");
        assert_eq!(at(&book, A), "new");
    }

    #[test]
    fn whoever_stands_is_asked_once_and_again_after_a_break() {
        let now = Instant::now();
        let mut book = Book::default();
        book.hear(A, "a", Word::Of(1), now);
        assert_eq!(book.look(now, |_| None), []);
        assert_eq!(book.look(now, |_| Some(1)), [ask(A, "a")]);
        assert_eq!(book.look(now, |_| Some(1)), [], "one question at a time");
        assert_eq!(book.answered(A, "a", None, now), []);
        assert_eq!(book.look(now, |_| Some(1)), [], "not again at once");
        assert_eq!(book.look(now + PATIENCE, |_| Some(1)), [ask(A, "a")]);
        assert_eq!(book.answered(A, "a", Some(A), now), []);
        assert_eq!(book.look(now + 9 * PATIENCE, |_| Some(1)), [], "met");
        assert_eq!(book.look(now, |_| None), []);
        assert_eq!(book.look(now, |_| Some(1)), [ask(A, "a")]);
    }

    #[test]
    fn whoever_is_behind_another_connection_is_asked_though_no_break_was_seen() {
        let now = Instant::now();
        let mut book = Book::default();
        book.hear(A, "a", Word::Of(1), now);
        assert_eq!(book.look(now, |_| Some(1)), [ask(A, "a")]);
        assert_eq!(book.answered(A, "a", Some(A), now), []);
        assert!(book.is_settled());
        assert!(book.was_met(A, Some(1)));
        assert!(!book.was_met(A, Some(3)) && !book.was_met(A, None) && !book.was_met(B, Some(1)));
        assert_eq!(book.look(now, |_| Some(3)), [ask(A, "a")]);
        assert!(!book.is_settled());
    }

    #[test]
    fn addresses_are_tried_in_turn_until_the_node_is_met() {
        let now = Instant::now();
        let mut book = Book::default();
        book.hear(A, "a", Word::Of(2), now);
        book.hear(A, "b", Word::Of(1), now);
        let moved = |address: &str| [Step::Move { node: A, address: address.into() }];
        assert_eq!(book.look(now + PATIENCE, |_| None), moved("b"));
        assert_eq!(book.look(now + PATIENCE, |_| None), []);
        assert_eq!(book.look(now + 2 * PATIENCE, |_| None), moved("a"));
    }

    #[test]
    fn a_question_that_is_under_way_keeps_its_connection() {
        let now = Instant::now();
        let mut book = Book::default();
        book.hear(A, "a", Word::Of(2), now);
        book.hear(A, "b", Word::Of(1), now);
        assert_eq!(book.look(now, |_| Some(1)), [ask(A, "a")]);
        assert_eq!(book.look(now + 2 * PATIENCE, |_| Some(1)), []);
        book.answered(A, "a", None, now + 2 * PATIENCE);
        let moved = Step::Move { node: A, address: "b".into() };
        assert_eq!(book.look(now + 2 * PATIENCE, |_| Some(1)), [moved]);
        book.forget(|node| node == A);
        assert_eq!(book.look(now + 9 * PATIENCE, |_| Some(1)), []);
    }

    #[test]
    fn two_that_changed_places_are_found_by_who_answers() {
        let now = Instant::now();
        let mut book = Book::default();
        book.hear(A, "a", Word::Of(1), now);
        book.hear(B, "b", Word::Of(2), now);
        assert_eq!(book.look(now, |_| Some(1)), [ask(A, "a"), ask(B, "b")]);
        assert_eq!(book.answered(A, "a", Some(B), now), [(B, "a".to_owned())]);
        assert_eq!(book.answered(B, "b", Some(A), now), [(A, "b".to_owned())]);
        assert_eq!(book.look(now, |_| Some(1)), [ask(A, "b"), ask(B, "a")]);
        assert_eq!(book.answered(A, "b", Some(A), now), []);
        assert_eq!(book.answered(B, "a", Some(B), now), []);
        assert_eq!(book.look(now + PATIENCE, |_| Some(1)), [], "both are met");
    }
}
