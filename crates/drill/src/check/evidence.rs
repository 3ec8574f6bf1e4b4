//! A history, with what every check looks up in it.

use std::collections::{HashMap, HashSet};

use crate::history::{End, FinalRow, History, Name, Row, Topic, Write};

/// A history and its indexes.
pub(super) struct Evidence<'a> {
    pub(super) history: &'a History,
    by_text: HashMap<&'a str, &'a Write>,
    /// The final rows of every topic, ordered by their numbers.
    finals: HashMap<&'a Topic, Vec<&'a FinalRow>>,
    places: HashMap<&'a str, (&'a Topic, u64)>,
    users: HashSet<&'a Name>,
}

impl<'a> Evidence<'a> {
    pub(super) fn gather(history: &'a History) -> Evidence<'a> {
        let by_text = history.writes.iter().map(|write| (&*write.text, write)).collect();
        let mut finals = HashMap::new();
        let mut places = HashMap::with_capacity(history.writes.len());
        for (topic, rows) in history.end.iter().flat_map(|end| &end.topics) {
            let mut rows: Vec<&FinalRow> = rows.iter().collect();
            rows.sort_by_key(|row| row.row.seq);
            for row in &rows {
                places.entry(&*row.row.text).or_insert((topic, row.row.seq));
            }
            finals.insert(topic, rows);
        }
        let users = history.writes.iter().map(|write| &write.from).collect();
        Evidence { history, by_text, finals, places, users }
    }

    pub(super) fn end(&self) -> Option<&'a End> {
        self.history.end.as_ref()
    }

    /// Who wrote a text.
    pub(super) fn write(&self, text: &str) -> Option<&'a Write> {
        self.by_text.get(text).copied()
    }

    /// Whether a message is none of ours, on a cluster where others write too.
    pub(super) fn is_foreign(&self, row: &Row) -> bool {
        self.history.from_outside
            && !self.users.contains(&row.from)
            && self.write(&row.text).is_none()
    }

    /// The final row of this number; the first one, if there are several.
    pub(super) fn row(&self, topic: &Topic, seq: u64) -> Option<&'a FinalRow> {
        let rows = self.finals.get(topic)?;
        let at = rows.partition_point(|row| row.row.seq < seq);
        rows.get(at).copied().filter(|row| row.row.seq == seq)
    }

    /// A topic's final rows, ordered by their numbers.
    pub(super) fn rows(&self, topic: &Topic) -> &[&'a FinalRow] {
        self.finals.get(topic).map_or(&[], Vec::as_slice)
    }

    /// The highest final number of a topic, 0 without any.
    pub(super) fn newest(&self, topic: &Topic) -> u64 {
        self.rows(topic).last().map_or(0, |row| row.row.seq)
    }

    /// Where a text stands in the final history; the first place, if there are several.
    pub(super) fn place(&self, text: &str) -> Option<(&'a Topic, u64)> {
        self.places.get(text).copied()
    }

    /// Why nothing can be said about the final history.
    pub(super) const NO_END: &'static str = "the final history was not read";
}
