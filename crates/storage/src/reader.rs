//! A consistent view of the rows.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use recado_chat::Member;
use recado_chat::rows::{Holder, MessageKey, NameRow, TopicId};
use redb::{
    Key, ReadOnlyTable, ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition,
    Value,
};

use crate::damage::Damage;
use crate::error::StoreError;
use crate::store::Marks;
use crate::sums::Sums;
use crate::{digest, snapshot, tables, values};

/// A consistent view of the rows at one position. Others may write meanwhile; the view stays.
pub struct Reader {
    transaction: ReadTransaction,
    damage: Arc<Damage>,
}

/// A stored message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMessage {
    /// The sender.
    pub from: String,
    /// The channel, or the recipient of a private message.
    pub to: String,
    /// The text.
    pub text: String,
    /// When it was stored: ms since the Unix epoch.
    pub timestamp: u64,
    /// The primary's logical clock when it stamped the message.
    pub clock: u64,
    /// The public id.
    pub id: [u8; 16],
    /// The number in the channel, or in the recipient's inbox.
    pub seq: u64,
    /// Its place among all messages: the log position times 2^16, plus the row's number within
    /// an import. Unique and growing; what conversations are paged by.
    pub pos: u64,
    /// Whether it is a private message.
    pub private: bool,
    /// Whether an import brought it; such a message is never published.
    pub imported: bool,
}

impl StoredMessage {
    /// The log position of the entry that stored it.
    pub fn position(&self) -> u64 {
        MessageKey(self.pos).position()
    }
}

/// A user, with times in ms since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredUser {
    /// The name.
    pub name: String,
    /// The first login.
    pub created_ms: u64,
    /// The last login.
    pub login_ms: u64,
    /// When it was last seen.
    pub seen_ms: u64,
}

/// A login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredLogin {
    /// The log position of its entry.
    pub position: u64,
    /// Who.
    pub user: String,
    /// When, ms since the Unix epoch.
    pub time_ms: u64,
}

impl Reader {
    pub(crate) fn new(transaction: ReadTransaction, damage: Arc<Damage>) -> Reader {
        Reader { transaction, damage }
    }

    /// Reads from redb: what is damaged is told and gives an error.
    pub(crate) fn look<T>(
        &self,
        look: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.damage.guard(look)
    }

    /// Says that what was read can't be: it counts as damaged.
    pub(crate) fn condemn(&self, what: &str) -> StoreError {
        self.damage.report(what);
        StoreError::Damaged(what.to_owned())
    }

    pub(crate) fn table<K: Key + 'static, V: Value + 'static>(
        &self,
        table: TableDefinition<'_, K, V>,
    ) -> Result<ReadOnlyTable<K, V>, StoreError> {
        Ok(self.transaction.open_table(table)?)
    }

    /// The marks of this view.
    ///
    /// # Errors
    /// This and all methods below fail when the file can't be read or a row is damaged.
    pub fn marks(&self) -> Result<Marks, StoreError> {
        self.look(|| {
            let meta = self.table(tables::META)?;
            let applied = match meta.get(tables::META_APPLIED)? {
                Some(value) => values::read_applied(value.value())?.1,
                None => Vec::new(),
            };
            let membership = match meta.get(tables::META_MEMBERSHIP)? {
                Some(value) => values::read_opaque("membership", value.value())?,
                None => Vec::new(),
            };
            Ok(Marks { applied, membership })
        })
    }

    /// The log position of the last applied entry, 0 if there is none.
    pub fn position(&self) -> Result<u64, StoreError> {
        self.look(|| match self.table(tables::META)?.get(tables::META_APPLIED)? {
            Some(value) => Ok(values::read_applied(value.value())?.0),
            None => Ok(0),
        })
    }

    /// The sums of all rows.
    pub fn sums(&self) -> Result<Sums, StoreError> {
        self.look(|| match self.table(tables::META)?.get(tables::META_SUMS)? {
            Some(value) => values::read_sums(value.value()),
            None => Err(StoreError::unreadable("row without its sum")),
        })
    }

    /// The last log position whose events are known to be published.
    pub fn watermark(&self) -> Result<u64, StoreError> {
        self.look(|| match self.table(tables::STATE)?.get(tables::STATE_PUBLISHED)? {
            Some(value) => values::read_number("watermark", value.value()),
            None => Ok(0),
        })
    }

    /// How many servers must be active for writes to be taken.
    pub fn min_copies(&self) -> Result<u32, StoreError> {
        self.look(|| match self.table(tables::STATE)?.get(tables::STATE_MIN_COPIES)? {
            Some(value) => values::read_copies(value.value()),
            None => Ok(1),
        })
    }

    /// All members, by node id.
    pub fn members(&self) -> Result<Vec<Member>, StoreError> {
        self.look(|| {
            let mut members = Vec::new();
            for row in self.table(tables::MEMBERS)?.iter()? {
                members.push(values::read_member(row?.1.value())?);
            }
            Ok(members)
        })
    }

    /// How many members there are.
    pub fn member_count(&self) -> Result<u64, StoreError> {
        self.look(|| Ok(self.table(tables::MEMBERS)?.len()?))
    }

    /// Whether this node id was removed for good.
    pub fn is_removed(&self, node: u64) -> Result<bool, StoreError> {
        self.look(|| Ok(self.table(tables::REMOVED)?.get(node)?.is_some()))
    }

    /// The node ids of all members that were removed for good.
    pub fn removed_nodes(&self) -> Result<BTreeSet<u64>, StoreError> {
        self.look(|| {
            let mut nodes = BTreeSet::new();
            for row in self.table(tables::REMOVED)?.iter()? {
                nodes.insert(row?.0.value());
            }
            Ok(nodes)
        })
    }

    /// The names of all users, in the order of their creation.
    pub fn users(&self) -> Result<Vec<String>, StoreError> {
        self.look(|| {
            let mut names = Vec::new();
            for row in self.table(tables::USERS)?.iter()? {
                names.push(values::read_user(row?.1.value())?.name);
            }
            Ok(names)
        })
    }

    /// The names of all channels, in the order of their creation.
    pub fn channels(&self) -> Result<Vec<String>, StoreError> {
        self.look(|| {
            let mut names = Vec::new();
            for row in self.table(tables::CHANNELS)?.iter()? {
                names.push(values::read_channel(row?.1.value())?.name);
            }
            Ok(names)
        })
    }

    /// Whether a user bears this name.
    pub fn has_user(&self, name: &str) -> Result<bool, StoreError> {
        Ok(self.user_topic(name)?.is_some())
    }

    /// Whether a channel bears this name.
    pub fn has_channel(&self, name: &str) -> Result<bool, StoreError> {
        Ok(self.channel_topic(name)?.is_some())
    }

    /// A user with its times.
    pub fn user(&self, name: &str) -> Result<Option<StoredUser>, StoreError> {
        self.look(|| {
            let Some(id) = self.user_topic(name)? else { return Ok(None) };
            let users = self.table(tables::USERS)?;
            let Some(value) = users.get(id)? else { return Ok(None) };
            let row = values::read_user(value.value())?;
            Ok(Some(StoredUser {
                name: row.name,
                created_ms: row.created_ms,
                login_ms: row.login_ms,
                seen_ms: row.seen_ms,
            }))
        })
    }

    /// Logins behind a log position, oldest first, at most `limit`.
    pub fn logins(&self, after: u64, limit: usize) -> Result<Vec<StoredLogin>, StoreError> {
        self.look(|| {
            let users = self.table(tables::USERS)?;
            let mut logins = Vec::new();
            let Some(first) = after.checked_add(1) else { return Ok(logins) };
            for row in self.table(tables::LOGINS)?.range(first..)?.take(limit) {
                let (position, value) = row?;
                let (id, time_ms) = values::read_login(value.value())?;
                let Some(user) = users.get(id)? else {
                    return Err(StoreError::unreadable("login"));
                };
                let user = values::read_user(user.value())?.name;
                logins.push(StoredLogin { position: position.value(), user, time_ms });
            }
            Ok(logins)
        })
    }

    /// A SHA-256 over all rows of the chat's state: users, channels, messages, their order and
    /// indexes, logins, sessions and windows, members, the published watermark. Servers that
    /// applied the same log up to the same position have the same hash (P7). Not in it: the
    /// marks and the position, as entries that mean nothing to the chat may lie behind one
    /// server's and not yet the other's.
    ///
    /// Reads everything: for tests and tools, not for requests.
    pub fn state_hash(&self) -> Result<[u8; 32], StoreError> {
        self.look(|| digest::state_hash(self))
    }

    /// Writes this view as a snapshot file: durably, checksummed, and first under another name,
    /// so that a file of this name is always whole. Memory stays bounded.
    ///
    /// # Errors
    /// Also when the file can't be written; nothing is left under its name then.
    pub fn write_snapshot(&self, path: &Path) -> Result<(), StoreError> {
        self.look(|| snapshot::write(self, path))
    }

    /// Writes this view to an empty file that is open, whether it has a name or not, and syncs
    /// nothing. After each piece `watch` is called with how many bytes were written so far: it may
    /// take its time, to spare the disk, or end the writing with an error.
    ///
    /// # Errors
    /// When the file can't be written, the rows can't be read, or `watch` says so.
    pub fn write_snapshot_to(
        &self,
        file: &std::fs::File,
        watch: impl FnMut(u64) -> std::io::Result<()>,
    ) -> Result<(), StoreError> {
        self.look(|| snapshot::write_to(self, file, watch))
    }

    pub(crate) fn name_row(&self, name: &str) -> Result<Option<NameRow>, StoreError> {
        self.look(|| match self.table(tables::NAMES)?.get(name.as_bytes())? {
            Some(value) => values::read_name(value.value()).map(Some),
            None => Ok(None),
        })
    }

    pub(crate) fn user_topic(&self, name: &str) -> Result<Option<TopicId>, StoreError> {
        Ok(self.name_row(name)?.and_then(|row| match row.holder {
            Holder::User(id) => Some(id),
            _ => None,
        }))
    }

    pub(crate) fn channel_topic(&self, name: &str) -> Result<Option<TopicId>, StoreError> {
        Ok(self.name_row(name)?.and_then(|row| match row.holder {
            Holder::Channel(id) => Some(id),
            _ => None,
        }))
    }
}
