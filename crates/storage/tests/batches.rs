//! How entries are cut into batches must not matter: servers cut them as they arrive.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{channel, login, private, publish};
use proptest::prelude::*;
use recado_chat::members::Announcement;
use recado_chat::rows::MemoryRows;
use recado_chat::{Command, ImportedRow, LogEntry, MemberCommand, Origin, Stamp};
use recado_storage::{Logged, Marks, Store, verify_snapshot};

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "c", "d", ""])
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        2 => name().prop_map(login),
        2 => name().prop_map(channel),
        4 => (name(), name(), "[xy]{0,3}").prop_map(|(from, to, text)| publish(from, to, &text)),
        4 => (name(), name(), "[xy]{0,3}").prop_map(|(from, to, text)| private(from, to, &text)),
        2 => (1u64..4).prop_map(|session| Command::Session { session }),
        1 => (name(), name(), 0u64..9).prop_map(|(user, channel, time_ms)| {
            let (user, channel) = (user.to_owned(), channel.to_owned());
            let row = ImportedRow::Publication {
                user,
                channel: channel.clone(),
                message: "old".into(),
                stamp: Stamp { time_ms, clock: 1 },
            };
            Command::Import { rows: vec![ImportedRow::Channel { channel }, row.clone(), row] }
        }),
        1 => (1u64..3, 0u64..2).prop_map(|(node, boot)| {
            let (name, address) = ("s".into(), "tcp://h:1".into());
            let announced = Announcement { node, name, address, rank: 1, boot, pid: 1, witness: false };
            Command::Member(MemberCommand::Announce(announced))
        }),
        1 => (1u64..3).prop_map(|node| Command::Member(MemberCommand::Activate { node })),
        1 => (1u64..3).prop_map(|node| Command::Member(MemberCommand::Remove { node })),
    ]
}

fn entry() -> impl Strategy<Value = LogEntry> {
    let origin = prop::option::of((1u64..4, 1u64..6));
    (command(), origin, 0u64..9, 0u64..40).prop_map(|(command, origin, time_ms, published)| {
        let origin = origin.map(|(session, n)| Origin { session, n, digest: n % 2 });
        let stamp = Stamp { time_ms, clock: time_ms };
        LogEntry { stamp, origin, published, command }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_cut_gives_the_models_results_and_the_same_hash(
        entries in prop::collection::vec(entry(), 1..80),
        cuts in prop::collection::vec(1usize..9, 80),
    ) {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (store, whole) = (Store::open(dir.path()).unwrap(), Store::open(other.path()).unwrap());
        let mut model = MemoryRows::default();
        let log: Vec<Logged> = entries
            .into_iter()
            .zip(1..)
            .map(|(entry, position)| Logged { position, entry: Some(entry) })
            .collect();
        let expected: Vec<_> = log
            .iter()
            .map(|logged| {
                let entry = logged.entry.as_ref().unwrap();
                let Ok(applied) = recado_chat::apply(&mut model, logged.position, entry);
                applied
            })
            .collect();
        let marks = Marks::default();
        prop_assert_eq!(&whole.apply(&log, &marks).unwrap(), &expected);
        let (mut rest, mut results) = (log.as_slice(), Vec::new());
        for cuts in cuts.chunks(3) {
            // Up to three batches share a transaction.
            let transaction = store.begin().unwrap();
            let mut batches = transaction.batches().unwrap();
            for cut in cuts {
                let (batch, later) = rest.split_at((*cut).min(rest.len()));
                results.extend(batches.apply(batch, &marks).unwrap());
                rest = later;
            }
            let finished = batches.finish().unwrap();
            transaction.commit(finished).unwrap();
        }
        prop_assert_eq!(&results, &expected);
        let (one, all) = (store.reader().unwrap(), whole.reader().unwrap());
        prop_assert_eq!(one.state_hash().unwrap(), all.state_hash().unwrap());
        // The sums are kept up with each change; a snapshot's are counted anew, row by row.
        prop_assert_eq!(one.sums().unwrap(), all.sums().unwrap());
        let snapshot = dir.path().join("snapshot");
        one.write_snapshot(&snapshot).unwrap();
        let counted = verify_snapshot(&snapshot).unwrap().sums;
        prop_assert_eq!(store.sums().unwrap(), (log.len() as u64, counted));
        prop_assert_eq!(one.watermark().unwrap(), model.published);
        let members: Vec<_> = model.members.into_values().collect();
        prop_assert_eq!(one.member_count().unwrap(), members.len() as u64);
        prop_assert_eq!(one.members().unwrap(), members);
        let users: Vec<_> = model.users.into_values().map(|user| user.name).collect();
        prop_assert_eq!(one.users().unwrap(), users);
        for node in 1..3 {
            prop_assert_eq!(one.is_removed(node).unwrap(), model.removed.contains(&node));
        }
    }
}
