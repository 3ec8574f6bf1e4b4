use proptest::prelude::*;
use recado_chat::members::Announcement;

use super::*;

fn text() -> impl Strategy<Value = String> {
    "[a-zé🙂]{0,20}"
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let refusal = prop::sample::select((2..=10).collect::<Vec<u8>>())
        .prop_map(|byte| read_refusal(byte).unwrap());
    let result = prop_oneof![any::<bool>().prop_map(Ok), refusal.clone().prop_map(Err)];
    prop_oneof![
        Just(Outcome::Done),
        (any::<[u8; 16]>(), any::<u64>()).prop_map(|(id, seq)| Outcome::Stored { id, seq }),
        any::<u64>().prop_map(|session| Outcome::Session { session }),
        prop::collection::vec(result, 0..20).prop_map(Outcome::Imported),
        refusal.prop_map(Outcome::Refused),
    ]
}

proptest! {
    #[test]
    fn messages_come_back(
        (topic, seq, id) in any::<(u32, u64, [u8; 16])>(),
        (private, imported) in any::<(bool, bool)>(),
        (time_ms, clock) in any::<(u64, u64)>(),
        (from, text) in (text(), text()),
    ) {
        let stamp = Stamp { time_ms, clock };
        let row = MessageRow { topic, private, imported, seq, stamp, id, from: &from, text: &text };
        let mut bytes = Vec::new();
        message(&row, &mut bytes);
        prop_assert_eq!(read_message(&bytes).unwrap(), row);
    }

    #[test]
    fn results_come_back(session: u64, n: u64, digest: u64, outcome in outcome()) {
        let row = SlotRow { session, n, digest, outcome };
        let mut bytes = Vec::new();
        slot(&row, &mut bytes);
        prop_assert_eq!(read_slot(&bytes).unwrap(), row);
    }

    #[test]
    fn small_rows_come_back(a: u64, b: u64, id: u32, other: u32, window: u16, name_text in text()) {
        let row = SessionRow { opened: a, used: b, window };
        prop_assert_eq!(read_session(&session(row)).unwrap(), row);
        let row = Head { seq: a, time_ms: b };
        prop_assert_eq!(read_head(&head(row)).unwrap(), row);
        let row = Counters { topics: id, sessions: a };
        prop_assert_eq!(read_counters(&counters(row)).unwrap(), row);
        prop_assert_eq!(read_login(&login(id, a)).unwrap(), (id, a));
        prop_assert_eq!(read_number("number", &number(a)).unwrap(), a);
        prop_assert_eq!(read_applied(&applied(a, b"mark")).unwrap(), (a, b"mark".to_vec()));
        prop_assert_eq!(read_opaque("mark", &opaque(b"mark")).unwrap(), b"mark".to_vec());
        for holder in [Holder::Nobody, Holder::User(id), Holder::Channel(id)] {
            let row = NameRow { holder, person: other };
            prop_assert_eq!(read_name(&name(row)).unwrap(), row);
        }
        let row = UserRow { name: name_text.clone(), created_ms: a, login_ms: b, seen_ms: a ^ b };
        prop_assert_eq!(read_user(&user(&row)).unwrap(), row);
        let row = ChannelRow { name: name_text, created_ms: a };
        prop_assert_eq!(read_channel(&channel(&row)).unwrap(), row);
    }

    /// Half of them begin with the right version.
    #[test]
    fn arbitrary_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..120), known: bool) {
        if let (true, Some(first)) = (known, bytes.first_mut()) {
            *first = VERSION;
        }
        let _ = read_message(&bytes);
        let _ = read_slot(&bytes);
        let _ = read_member(&bytes);
        let _ = (read_user(&bytes), read_channel(&bytes), read_name(&bytes), read_head(&bytes));
        let _ = (read_session(&bytes), read_counters(&bytes), read_login(&bytes));
        let _ = (read_applied(&bytes), read_number("number", &bytes), read_opaque("mark", &bytes));
    }
}

#[test]
fn members_come_back() {
    let announced = Announcement {
        node: u64::MAX,
        name: "s1".into(),
        address: "tcp://h:1".into(),
        rank: 3,
        boot: 4,
        pid: 5,
        witness: false,
    };
    let row = Member { announced, active: true };
    assert_eq!(read_member(&member(&row).unwrap()).unwrap(), row);
    let witness = Announcement { witness: true, ..row.announced.clone() };
    let witness = Member { announced: witness, active: false };
    assert_eq!(read_member(&member(&witness).unwrap()).unwrap(), witness);
}

/// The bytes of a store that exists must never change their meaning.
#[test]
fn golden_bytes() {
    let stamp = Stamp { time_ms: 3, clock: 4 };
    let (private, imported) = (true, false);
    let row = MessageRow {
        topic: 1,
        private,
        imported,
        seq: 2,
        stamp,
        id: [9; 16],
        from: "a",
        text: "b",
    };
    let mut bytes = Vec::new();
    message(&row, &mut bytes);
    let mut expected = vec![1, 1, 1, 0, 0, 0];
    [2u64, 3, 4].iter().for_each(|number| expected.extend(number.to_le_bytes()));
    expected.extend([9; 16]);
    expected.extend([1, 0, b'a', b'b']);
    assert_eq!(bytes, expected);

    let outcome = Outcome::Imported(vec![Ok(true), Ok(false), Err(Refusal::NameTaken)]);
    bytes.clear();
    slot(&SlotRow { session: 1, n: 2, digest: 3, outcome }, &mut bytes);
    let mut expected = vec![1];
    [1u64, 2, 3].iter().for_each(|number| expected.extend(number.to_le_bytes()));
    expected.extend([3, 1, 0, 6]);
    assert_eq!(bytes, expected);

    let row = NameRow { holder: Holder::Channel(5), person: 6 };
    assert_eq!(name(row), [1, 2, 5, 0, 0, 0, 6, 0, 0, 0]);
}

#[test]
fn another_version_is_refused() {
    let mut bytes = number(5);
    bytes[0] = 2;
    let error = read_number("watermark", &bytes).unwrap_err().to_string();
    assert!(error.contains("watermark") && error.contains("version"), "{error}");
}

#[test]
fn a_snapshot_brings_only_rows_that_can_be_read() {
    let member = Member {
        announced: Announcement {
            node: 1,
            name: "s".into(),
            address: "a".into(),
            rank: 1,
            boot: 1,
            pid: 1,
            witness: false,
        },
        active: true,
    };
    let named = NameRow { holder: Holder::User(1), person: 1 };
    let known = UserRow { name: "ana".into(), created_ms: 1, login_ms: 1, seen_ms: 1 };
    let row = MessageRow {
        topic: 1,
        private: false,
        imported: false,
        seq: 1,
        stamp: Stamp { time_ms: 1, clock: 1 },
        id: [0; 16],
        from: "ana",
        text: "oi",
    };
    let (mut text, mut result) = (Vec::new(), Vec::new());
    message(&row, &mut text);
    slot(&SlotRow { session: 1, n: 1, digest: 1, outcome: Outcome::Done }, &mut result);
    let rows = [
        (1, vec![STATE_COUNTERS], counters(Counters::default()).to_vec()),
        (1, vec![STATE_PUBLISHED], number(1).to_vec()),
        (2, b"ana".to_vec(), name(named).to_vec()),
        (3, vec![0; 4], user(&known)),
        (4, vec![0; 4], channel(&ChannelRow { name: "geral".into(), created_ms: 1 })),
        (5, vec![0; 8], login(1, 1).to_vec()),
        (6, vec![0; 4], head(Head { seq: 1, time_ms: 1 }).to_vec()),
        (7, vec![0; 8], text),
        (8, vec![0; 12], number(1).to_vec()),
        (10, vec![0; 8], session(SessionRow { opened: 1, used: 1, window: 1 }).to_vec()),
        (12, vec![0; 4], result),
        (13, vec![0; 8], super::member(&member).unwrap()),
    ];
    for (table, key, mut value) in rows {
        check(table, &key, &value).unwrap_or_else(|why| panic!("table {table}: {why}"));
        value[0] = VERSION + 1;
        assert!(check(table, &key, &value).is_err(), "table {table}, another version");
        assert!(check(table, &key, &[]).is_err(), "table {table}, nothing");
    }
    assert!(check(1, &[9], &number(1)).is_err(), "a state of a newer version");
    assert!(check(15, &[0], &[VERSION]).is_err(), "a table of a newer version");
}
