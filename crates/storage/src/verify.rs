//! Looks at every row of a store, and whether the tables agree with each other. Memory stays
//! bounded, whatever the history.

use recado_chat::rows::TopicId;
use redb::{ReadOnlyTable, ReadableTable, ReadableTableMetadata};

use crate::error::StoreError;
use crate::reader::Reader;
use crate::tables::{each_row, each_table};
use crate::{tables, values};

/// So many sentences about one kind of mistake are enough.
const MAX_FINDINGS: usize = 8;

/// What was read, and what is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// How many rows there are.
    pub rows: u64,
    /// How many of them are messages.
    pub messages: u64,
    /// What is wrong, in a sentence each; the first few.
    pub findings: Vec<String>,
}

impl Verified {
    fn found(&mut self, what: impl FnOnce() -> String) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(what());
        }
    }

    /// What can't be read ends the walk through its table.
    fn done(&mut self, walk: Result<(), StoreError>) {
        if let Err(error) = walk {
            self.found(|| error.to_string());
        }
    }
}

impl Reader {
    /// Reads every row, and compares messages with their index and both with the heads.
    ///
    /// It can't find a row that is gone with all that tells of it; [`crate::Scrub`] does, by sums.
    pub fn verify(&self) -> Verified {
        let mut verified = Verified::default();
        macro_rules! check {
            ($number:expr, $table:expr) => {
                let rows = &mut verified.rows;
                let walk = self.look(|| {
                    each_row(&self.table($table)?, |key, value| {
                        *rows += 1;
                        values::check($number, key, value)
                    })
                });
                verified.done(walk);
            };
        }
        each_table!(check);
        let walk = self.look(|| self.verify_index(&mut verified));
        verified.done(walk);
        let walk = self.look(|| self.verify_messages(&mut verified));
        verified.done(walk);
        verified
    }

    /// Each topic's numbers are 1, 2, 3 … up to its head.
    fn verify_index(&self, verified: &mut Verified) -> Result<(), StoreError> {
        let heads = self.table(tables::HEADS)?;
        let mut before: Option<(TopicId, u64)> = None;
        for row in self.table(tables::INDEX)?.iter()? {
            let (topic, seq) = row?.0.value();
            let expected = match before {
                Some((same, last)) if same == topic => last + 1,
                ended => {
                    verify_head(&heads, ended, verified)?;
                    1
                }
            };
            if seq != expected {
                verified.found(|| format!("topic {topic} goes on at {seq} and not at {expected}"));
            }
            before = Some((topic, seq));
        }
        verify_head(&heads, before, verified)
    }

    /// Each message stands in the index, and nothing else does.
    fn verify_messages(&self, verified: &mut Verified) -> Result<(), StoreError> {
        let index = self.table(tables::INDEX)?;
        for row in self.table(tables::MESSAGES)?.iter()? {
            let (key, value) = row?;
            let (key, row) = (key.value(), values::read_message(value.value())?);
            verified.messages += 1;
            let place = index.get((row.topic, row.seq))?;
            let there =
                place.map(|place| values::read_number("index", place.value())).transpose()?;
            if there != Some(key) {
                let (topic, seq) = (row.topic, row.seq);
                verified.found(|| format!("message {seq} of topic {topic} is not in the index"));
            }
        }
        let (messages, indexed) = (verified.messages, index.len()?);
        if messages != indexed {
            verified.found(|| format!("there are {messages} messages, and {indexed} in the index"));
        }
        Ok(())
    }
}

/// A topic ended: its head says so.
fn verify_head(
    heads: &ReadOnlyTable<TopicId, &'static [u8; 17]>,
    ended: Option<(TopicId, u64)>,
    verified: &mut Verified,
) -> Result<(), StoreError> {
    let Some((topic, last)) = ended else { return Ok(()) };
    let head = heads.get(topic)?.map(|head| values::read_head(head.value())).transpose()?;
    let said = head.map_or(0, |head| head.seq);
    if said != last {
        verified.found(|| format!("topic {topic} ends at {last}, and its head says {said}"));
    }
    Ok(())
}
