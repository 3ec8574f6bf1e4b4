//! The engine's state machine: committed entries go to the store's writer, in batches.

use std::io;
use std::sync::Arc;

use futures::{Stream, TryStreamExt};
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use openraft::{EntryPayload as Kind, OptionalSend};
use recado_chat::LogEntry;
use recado_storage::{Logged, Marks, Store, StoreError};
use tokio::sync::oneshot;

use crate::shared::{Shared, lock};
use crate::types::{
    LogId, Payload, Response, Snapshot, SnapshotData, SnapshotMeta, StoredMembership, TypeConfig,
};
use crate::writer::{Batch, Job, Jobs};

fn fatal(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

/// The marks of a store that has applied this entry, under this membership.
pub fn encode_marks(applied: Option<&LogId>, membership: &StoredMembership) -> io::Result<Marks> {
    Ok(Marks {
        applied: rmp_serde::to_vec(&applied).map_err(fatal)?,
        membership: rmp_serde::to_vec(membership).map_err(fatal)?,
    })
}

/// What a store's marks, or a snapshot's, say: its last entry and the membership.
pub fn decode_marks(marks: &Marks) -> io::Result<(Option<LogId>, StoredMembership)> {
    if marks.applied.is_empty() {
        return Ok((None, StoredMembership::default()));
    }
    Ok((
        rmp_serde::from_slice(&marks.applied).map_err(fatal)?,
        rmp_serde::from_slice(&marks.membership).map_err(fatal)?,
    ))
}

/// The state machine, as the engine drives it.
pub struct Machine {
    store: Store,
    jobs: Jobs,
    applied: Option<LogId>,
    membership: StoredMembership,
    shared: Arc<Shared>,
}

impl Machine {
    /// Reads where the store stands; `jobs` is the way to its writer.
    ///
    /// # Errors
    /// The store's marks can't be read.
    pub fn new(store: Store, jobs: Jobs, shared: Arc<Shared>) -> io::Result<Machine> {
        let (applied, membership) = decode_marks(&store.marks().map_err(fatal)?)?;
        let machine = Machine { store, jobs, applied, membership, shared };
        machine.remember_voters()?;
        machine.announce()?;
        Ok(machine)
    }

    /// Keeps on disk whether this node is the only voter. Called before anything behind that
    /// membership is answered: who alone holds what was acknowledged must know it, whatever
    /// becomes of the rest of its disk.
    /// Says whether that changed.
    fn remember_voters(&self) -> io::Result<bool> {
        let Some(position) = self.membership.log_id().map(|id| id.index) else { return Ok(false) };
        let me = self.shared.node;
        let only_voter = self.membership.membership().voter_ids().eq([me]);
        let mut identity = lock(&self.shared.identity);
        if !identity.note_voters(position, only_voter) {
            return Ok(false);
        }
        identity
            .save(&self.shared.config.dir)
            .inspect_err(|error| self.shared.fail(error.to_string()))
            .map_err(fatal)?;
        Ok(true)
    }

    /// Tells the watchers where the store stands, the member table first: who sees that an entry
    /// is applied must find what it changed.
    fn announce(&self) -> io::Result<()> {
        let reader = self.store.reader().map_err(fatal)?;
        let members = reader.members().map_err(fatal)?;
        let min_copies = reader.min_copies().map_err(fatal)?;
        self.shared.set_members(members, reader.removed_nodes().map_err(fatal)?, min_copies);
        if let Some(applied) = self.applied {
            self.shared.shown(applied);
        }
        Ok(())
    }

    async fn run<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Job,
    ) -> io::Result<T> {
        let (done, result) = oneshot::channel();
        let gone = || fatal("the store's writer is gone");
        self.jobs.send(job(done)).map_err(|_| gone())?;
        result.await.map_err(|_| gone())?.map_err(fatal)
    }

    /// An entry whose checksum fitted and that can't be read was written by another version.
    fn read(&self, position: u64, payload: &Payload) -> io::Result<LogEntry> {
        LogEntry::decode(&payload.0)
            .inspect_err(|error| {
                self.shared.fail(format!(
                    "the log in {} holds an entry at {position} that this version of recado can't \
                     read ({error}); run the version that wrote it, nothing was changed",
                    self.shared.config.dir.display()
                ));
            })
            .map_err(fatal)
    }

    fn meta(&self) -> SnapshotMeta {
        SnapshotMeta { last_log_id: self.applied, last_membership: self.membership.clone() }
    }
}

impl RaftStateMachine<TypeConfig> for Machine {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<S>(&mut self, entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        let entries: Vec<EntryResponder<TypeConfig>> = entries.try_collect().await?;
        let mut batch = Vec::with_capacity(entries.len());
        let mut responders = Vec::with_capacity(entries.len());
        let mut new_membership = false;
        for (entry, responder) in entries {
            let position = entry.log_id.index;
            let chat = match entry.payload {
                Kind::Blank => None,
                Kind::Normal(payload) => Some(self.read(position, &payload)?),
                Kind::Membership(membership) => {
                    self.membership = StoredMembership::new(Some(entry.log_id), membership);
                    new_membership = true;
                    None
                }
            };
            batch.push(Logged { position, entry: chat });
            responders.push(responder);
            self.applied = Some(entry.log_id);
        }
        let Some(upto) = self.applied.filter(|_| !batch.is_empty()) else { return Ok(()) };
        let standing_changed = new_membership && self.remember_voters()?;
        let marks = encode_marks(self.applied.as_ref(), &self.membership)?;
        let applied =
            self.run(|done| Job::Apply(Batch { entries: batch, upto, marks, done })).await?;
        if applied.len() != responders.len() {
            return Err(fatal("the store did not answer for every entry"));
        }
        if standing_changed {
            // So that the rows say the same, should the identity be what is damaged.
            self.run(|done| Job::Flush { done }).await?;
        }
        // The gate must know of a change before it sees a reply behind it.
        if applied.iter().any(|applied| applied.members_changed) {
            self.announce()?;
        }
        // One result an entry, those that mean nothing to the chat included.
        for (responder, applied) in responders.into_iter().zip(applied) {
            if let Some(responder) = responder {
                responder.send(Response { outcome: Some(applied.outcome) });
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder { view: self.snapshot().await }
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: SnapshotData,
    ) -> io::Result<()> {
        let SnapshotData::Received(received) = snapshot else {
            // Only at a start, when the engine offers what this store told it: nothing to do.
            return Ok(());
        };
        let marks = self.run(|done| Job::Install { received, done }).await?;
        (self.applied, self.membership) = decode_marks(&marks)?;
        if self.applied != meta.last_log_id {
            return Err(fatal("the snapshot file is not the one that was announced"));
        }
        self.remember_voters()?;
        self.announce()
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        self.snapshot().await
    }
}

impl Machine {
    /// The store as it is now. It goes to disk first: the engine may remove log entries that a
    /// snapshot covers.
    async fn snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        if self.applied.is_none() {
            return Ok(None);
        }
        self.run(|done| Job::Flush { done }).await?;
        // Nothing is applied in between: the engine drives this machine from one task.
        let view = self.store.reader().map_err(fatal)?;
        Ok(Some(Snapshot { meta: self.meta(), snapshot: SnapshotData::View(Arc::new(view)) }))
    }
}

/// A snapshot that is ready: its rows are in the store and on disk.
pub struct Builder {
    view: io::Result<Option<Snapshot>>,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    type SnapshotData = SnapshotData;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        match std::mem::replace(&mut self.view, Ok(None)) {
            Ok(Some(snapshot)) => Ok(snapshot),
            Ok(None) => Err(fatal("nothing is applied yet, so there is nothing to snapshot")),
            Err(error) => Err(error),
        }
    }
}
