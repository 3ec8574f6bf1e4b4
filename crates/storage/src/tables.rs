//! The tables, and what is the same for all of them.
//!
//! Every value begins with a version byte; tables that are pure sets have no value at all. Keys
//! have a fixed width (names apart) and sort by their numbers.

use std::borrow::Borrow;

use redb::{Key, ReadOnlyTable, ReadableTable, Table, TableDefinition, Value, WriteTransaction};

use crate::damage::Damage;
use crate::error::StoreError;
use crate::sums::Sums;

/// The format of the whole store; it changes when an older program would misread it.
pub(crate) const FORMAT: u64 = 2;

/// The version byte in front of every value.
pub(crate) const VERSION: u8 = 1;

/// What differs between servers or is kept for others: not part of the chat's state.
pub(crate) const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
/// [`META`]: the store's format.
pub(crate) const META_FORMAT: &str = "format";
/// [`META`]: the last applied position, and replication's mark of it.
pub(crate) const META_APPLIED: &str = "applied";
/// [`META`]: replication's membership.
pub(crate) const META_MEMBERSHIP: &str = "membership";
/// [`META`]: the sums of the fingerprints of all other rows, at the last applied position.
pub(crate) const META_SUMS: &str = "sums";

/// Single values, by one of the numbers below.
pub(crate) const STATE: TableDefinition<u8, &[u8]> = TableDefinition::new("state");
/// [`STATE`]: the counters.
pub(crate) const STATE_COUNTERS: u8 = 1;
/// [`STATE`]: the published watermark.
pub(crate) const STATE_PUBLISHED: u8 = 2;
/// [`STATE`]: how many servers must be active for writes to be taken.
pub(crate) const STATE_MIN_COPIES: u8 = 3;

/// What names stand for, by their UTF-8 bytes.
pub(crate) const NAMES: TableDefinition<&[u8], &[u8; 10]> = TableDefinition::new("names");
/// Users by topic id: the order of creation.
pub(crate) const USERS: TableDefinition<u32, &[u8]> = TableDefinition::new("users");
/// Channels by topic id: the order of creation.
pub(crate) const CHANNELS: TableDefinition<u32, &[u8]> = TableDefinition::new("channels");
/// Logins by log position.
pub(crate) const LOGINS: TableDefinition<u64, &[u8; 13]> = TableDefinition::new("logins");
/// The last seq and time by topic id.
pub(crate) const HEADS: TableDefinition<u32, &[u8; 17]> = TableDefinition::new("heads");
/// Messages by key, which is the order of the log.
pub(crate) const MESSAGES: TableDefinition<u64, &[u8]> = TableDefinition::new("messages");
/// Message keys by topic and seq.
pub(crate) const INDEX: TableDefinition<(u32, u64), &[u8; 9]> = TableDefinition::new("index");
/// Message keys by the two persons, the lower one first.
pub(crate) const CONVERSATIONS: TableDefinition<(u32, u32, u64), ()> =
    TableDefinition::new("conversations");
/// Sessions by number.
pub(crate) const SESSIONS: TableDefinition<u64, &[u8; 19]> = TableDefinition::new("sessions");
/// Sessions by the position of their last use.
pub(crate) const USES: TableDefinition<(u64, u64), ()> = TableDefinition::new("uses");
/// Results by slot and window. The slot stands first: sessions that are used alike are at about the
/// same slot, so a batch changes few pages, where one page a session would cost twice the time.
pub(crate) const SLOTS: TableDefinition<(u16, u16), &[u8]> = TableDefinition::new("slots");
/// Members by node id.
pub(crate) const MEMBERS: TableDefinition<u64, &[u8]> = TableDefinition::new("members");
/// Node ids that are never used again.
pub(crate) const REMOVED: TableDefinition<u64, ()> = TableDefinition::new("removed");

/// Calls a macro with the number and the definition of every table of the chat's state, in the
/// order in which they stand in snapshots and hashes. Numbers are never used again.
macro_rules! each_table {
    ($call:ident) => {
        $call!(1, crate::tables::STATE);
        $call!(2, crate::tables::NAMES);
        $call!(3, crate::tables::USERS);
        $call!(4, crate::tables::CHANNELS);
        $call!(5, crate::tables::LOGINS);
        $call!(6, crate::tables::HEADS);
        $call!(7, crate::tables::MESSAGES);
        $call!(8, crate::tables::INDEX);
        $call!(9, crate::tables::CONVERSATIONS);
        $call!(10, crate::tables::SESSIONS);
        $call!(11, crate::tables::USES);
        $call!(12, crate::tables::SLOTS);
        $call!(13, crate::tables::MEMBERS);
        $call!(14, crate::tables::REMOVED);
    };
}
pub(crate) use each_table;

/// Gives every row of a table as bytes, in the order of the keys.
pub(crate) fn each_row<K: Key + 'static, V: Value + 'static>(
    table: &ReadOnlyTable<K, V>,
    mut row: impl FnMut(&[u8], &[u8]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    for entry in table.iter()? {
        let (key, value) = entry?;
        let (key, value) = (key.value(), value.value());
        row(K::as_bytes(&key).as_ref(), V::as_bytes(&value).as_ref())?;
    }
    Ok(())
}

/// Whether these bytes can be a row of the table.
pub(crate) fn fits<K: Key + 'static, V: Value + 'static>(
    _table: TableDefinition<K, V>,
    key: &[u8],
    value: &[u8],
) -> bool {
    K::fixed_width().is_none_or(|width| width == key.len())
        && V::fixed_width().is_none_or(|width| width == value.len())
}

/// Inserts a row that [`fits`]; whether it is new.
pub(crate) fn insert_bytes<K: Key + 'static, V: Value + 'static>(
    table: &mut Table<'_, K, V>,
    key: &[u8],
    value: &[u8],
) -> Result<bool, StoreError> {
    Ok(table.insert(K::from_bytes(key), V::from_bytes(value))?.is_none())
}

/// A table in a write transaction. What changes in it is counted in the sums.
pub(crate) struct Summed<'txn, K: Key + 'static, V: Value + 'static> {
    table: Table<'txn, K, V>,
    number: u8,
    damage: &'txn Damage,
}

impl<'txn, K: Key + 'static, V: Value + 'static> Summed<'txn, K, V> {
    /// The table of this number.
    pub fn open(
        transaction: &'txn WriteTransaction,
        damage: &'txn Damage,
        number: u8,
        table: TableDefinition<K, V>,
    ) -> Result<Summed<'txn, K, V>, StoreError> {
        Ok(Summed { table: transaction.open_table(table)?, number, damage })
    }

    /// Reads something.
    pub fn read<T>(
        &self,
        look: impl FnOnce(&Table<'txn, K, V>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.damage.guard(|| look(&self.table))
    }

    /// Reads a row, if there is one.
    pub fn get<'k, T>(
        &self,
        key: impl Borrow<K::SelfType<'k>>,
        decode: impl FnOnce(V::SelfType<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        self.read(|table| table.get(key)?.map(|value| decode(value.value())).transpose())
    }

    /// Inserts a row, or writes it anew.
    pub fn insert<'k, 'v>(
        &mut self,
        sums: &mut Sums,
        key: impl Borrow<K::SelfType<'k>>,
        value: impl Borrow<V::SelfType<'v>>,
    ) -> Result<(), StoreError> {
        let (key, value) = (key.borrow(), value.borrow());
        let bytes = K::as_bytes(key);
        self.damage.guard(|| {
            if let Some(old) = self.table.insert(key, value)? {
                sums.subtract(self.number, bytes.as_ref(), V::as_bytes(&old.value()).as_ref());
            }
            Ok(())
        })?;
        sums.add(self.number, bytes.as_ref(), V::as_bytes(value).as_ref());
        Ok(())
    }

    /// Removes a row, if it is there.
    pub fn remove<'k>(
        &mut self,
        sums: &mut Sums,
        key: impl Borrow<K::SelfType<'k>>,
    ) -> Result<(), StoreError> {
        let key = key.borrow();
        self.damage.guard(|| {
            if let Some(old) = self.table.remove(key)? {
                let bytes = K::as_bytes(key);
                sums.subtract(self.number, bytes.as_ref(), V::as_bytes(&old.value()).as_ref());
            }
            Ok(())
        })
    }
}
