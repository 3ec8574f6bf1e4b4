//! P2 and P3 and the determinism that P7 rests on, for any sequence of commands.
#![allow(missing_docs)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use recado_chat::members::Announcement;
use recado_chat::rows::MemoryRows;
use recado_chat::{Command, ImportedRow, LogEntry, MemberCommand, Origin, Outcome, Stamp, apply};

/// Few names, so that they meet; some are bad.
fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c", "d", "", "servers", " x"]).prop_map(String::from)
}

fn imported() -> impl Strategy<Value = ImportedRow> {
    let stamp = (0u64..100, 0u64..9).prop_map(|(time_ms, clock)| Stamp { time_ms, clock });
    prop_oneof![
        (name(), 0u64..100).prop_map(|(user, ms)| ImportedRow::User {
            user,
            login_ms: ms,
            seen_ms: ms,
            created_ms: ms,
        }),
        name().prop_map(|channel| ImportedRow::Channel { channel }),
        (name(), name(), "[xy]?", stamp.clone()).prop_map(|(user, channel, message, stamp)| {
            ImportedRow::Publication { user, channel, message, stamp }
        }),
        (name(), name(), "[xy]?", stamp).prop_map(|(src, dst, message, stamp)| {
            ImportedRow::Private { src, dst, message, stamp }
        }),
    ]
}

fn member() -> impl Strategy<Value = MemberCommand> {
    prop_oneof![
        (0u64..3, 0u64..2, 0u64..4).prop_map(|(node, boot, rank)| {
            MemberCommand::Announce(Announcement {
                node,
                name: format!("s{node}"),
                address: String::new(),
                rank,
                boot,
                pid: 0,
                witness: false,
            })
        }),
        (0u64..3).prop_map(|node| MemberCommand::Activate { node }),
        (0u64..3).prop_map(|node| MemberCommand::Drop { nodes: vec![node], reason: "".into() }),
        (0u64..3).prop_map(|node| MemberCommand::Remove { node }),
    ]
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        3 => name().prop_map(|user| Command::Login { user }),
        3 => name().prop_map(|channel| Command::Channel { channel }),
        6 => (name(), name(), "[xy]?").prop_map(|(user, channel, message)| Command::Publish { user, channel, message }),
        6 => (name(), name(), "[xy]?").prop_map(|(src, dst, message)| Command::Message { src, dst, message }),
        2 => (1u64..4).prop_map(|session| Command::Session { session }),
        1 => proptest::collection::vec(imported(), 0..6).prop_map(|rows| Command::Import { rows }),
        1 => member().prop_map(Command::Member),
    ]
}

/// Ids from few sessions whose numbers meet in the same slots; each digest stands for a content.
fn origin() -> impl Strategy<Value = Option<Origin>> {
    prop::option::of(
        (1u64..4, prop::sample::select(vec![0, 1, 2, 3, 1025, 1026, 2049]), 0u64..2)
            .prop_map(|(session, n, digest)| Origin { session, n, digest }),
    )
}

fn entries() -> impl Strategy<Value = Vec<LogEntry>> {
    let entry = (0u64..100, origin(), 0u64..50, command()).prop_map(
        |(time_ms, origin, published, command)| {
            let stamp = Stamp { time_ms, clock: time_ms };
            LogEntry { stamp, origin, published, command }
        },
    );
    proptest::collection::vec(entry, 0..120)
}

/// P3: in every channel and inbox seqs are 1, 2, 3 …, in the order of the log.
fn seqs_have_no_gap(rows: &MemoryRows) -> Result<(), TestCaseError> {
    let mut next: BTreeMap<u32, u64> = BTreeMap::new();
    for (key, message) in &rows.messages {
        let seq = next.entry(message.topic).or_default();
        *seq += 1;
        prop_assert_eq!(message.seq, *seq);
        prop_assert_eq!(rows.index.get(&(message.topic, message.seq)), Some(key));
    }
    for (topic, seq) in next {
        prop_assert_eq!(rows.heads[&topic].seq, seq);
    }
    prop_assert_eq!(rows.index.len(), rows.messages.len());
    let private = rows.messages.values().filter(|message| message.private).count();
    prop_assert_eq!(rows.conversations.len(), private);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn seqs_results_and_rows_hold(entries in entries()) {
        let mut rows = MemoryRows::default();
        // P2: what each id gave first, and its digest.
        let mut first: BTreeMap<(u64, u64), (u64, Outcome)> = BTreeMap::new();
        for (entry, position) in entries.iter().zip(1..) {
            let before = rows.clone();
            let Ok(applied) = apply(&mut rows, position, entry);
            let stored = rows.messages.len() - before.messages.len();
            if applied.publishes {
                let published_one = matches!(applied.outcome, Outcome::Stored { .. });
                prop_assert!(published_one && stored == 1);
            }
            prop_assert!(rows.published >= before.published && rows.published < position.max(1));
            prop_assert_eq!(applied.members_changed, rows.members != before.members);
            let Some(origin) = entry.origin else { continue };
            let executed = rows.slots != before.slots;
            let id = (origin.session, origin.n);
            if executed {
                let result = (origin.digest, applied.outcome.clone());
                prop_assert_eq!(first.insert(id, result), None, "executed twice");
            } else {
                prop_assert_eq!(stored, 0);
                prop_assert_eq!(&rows.names, &before.names);
                prop_assert_eq!(&rows.members, &before.members);
                match (&applied.outcome, first.get(&id)) {
                    (Outcome::Refused(_), _) => {}
                    (outcome, Some(result)) => {
                        prop_assert_eq!(&(origin.digest, outcome.clone()), result);
                    }
                    (outcome, None) => prop_assert!(false, "a result from nowhere: {:?}", outcome),
                }
            }
        }
        seqs_have_no_gap(&rows)?;
        let times: Vec<_> = rows.messages.values().filter(|m| !m.imported).collect();
        for message in times {
            let earlier = rows.messages.values().filter(|m| m.topic == message.topic && m.seq < message.seq);
            prop_assert!(earlier.map(|m| m.stamp.time_ms).max().unwrap_or(0) <= message.stamp.time_ms);
        }
    }

    #[test]
    fn the_same_log_gives_the_same_rows(entries in entries()) {
        let (mut here, mut there) = (MemoryRows::default(), MemoryRows::default());
        for (entry, position) in entries.iter().zip(1..) {
            let Ok(one) = apply(&mut here, position, entry);
            // The other server reads the entry from its log.
            let read = LogEntry::decode(&entry.encode()).unwrap();
            let Ok(other) = apply(&mut there, position, &read);
            prop_assert_eq!(one, other);
        }
        prop_assert_eq!(here, there);
    }
}
