//! Pages, compared with the model: whatever is asked, a page is the slice that it should be.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{Feed, channel, login, private, publish};
use proptest::prelude::*;
use recado_chat::rows::MemoryRows;
use recado_chat::{Command, ImportedRow, Stamp};
use recado_storage::{
    ExportTable, HistoryOf, HistoryPage, PageLimit, Reader, Store, StoredMessage,
};

const ALL: PageLimit = PageLimit { rows: usize::MAX, bytes: usize::MAX };

fn rows(rows: usize) -> PageLimit {
    PageLimit { rows, bytes: usize::MAX }
}

fn texts(page: &HistoryPage) -> Vec<&str> {
    page.messages.iter().map(|message| message.text.as_str()).collect()
}

/// Two channels, three users, `count` messages all over, some of them imported.
fn filled(store: &Store, count: u64) -> Feed {
    let mut feed = Feed::default();
    feed.apply(store, ["a", "b"].map(channel).into_iter().chain(["u", "v", "w"].map(login)));
    feed.apply(store, (0..count).map(message));
    feed
}

fn message(number: u64) -> Command {
    let text = number.to_string();
    match number % 7 {
        0 | 1 => publish("u", "a", &text),
        2 => publish("ghost", "b", &text),
        3 => private("u", "v", &text),
        4 => private("v", "u", &text),
        5 => private("ghost", "u", &text),
        _ => Command::Import {
            rows: (0..3)
                .map(|row| {
                    let (message, stamp) =
                        (format!("{text}.{row}"), Stamp { time_ms: 5, clock: 6 });
                    if row == 1 {
                        let (user, channel) = ("u".into(), "a".into());
                        ImportedRow::Publication { user, channel, message, stamp }
                    } else {
                        ImportedRow::Private { src: "w".into(), dst: "v".into(), message, stamp }
                    }
                })
                .collect(),
        },
    }
}

/// What the model holds of a history, with the number that it is paged by.
fn model_rows(model: &MemoryRows, of: HistoryOf<'_>) -> Vec<(u64, String)> {
    let name_of = |topic: &u32, private: bool| {
        if private { &model.users[topic].name } else { &model.channels[topic].name }
    };
    model
        .messages
        .iter()
        .filter_map(|(key, row)| {
            let to = name_of(&row.topic, row.private).as_str();
            let number = match of {
                HistoryOf::Channel(name) => (!row.private && to == name).then_some(row.seq),
                HistoryOf::Inbox(name) => (row.private && to == name).then_some(row.seq),
                HistoryOf::Conversation { user, with } => {
                    let pair = (row.from.as_str(), to);
                    let between = pair == (user, with) || pair == (with, user);
                    (row.private && between).then_some(key.0)
                }
            };
            number.map(|number| (number, row.text.clone()))
        })
        .collect()
}

fn histories() -> impl Strategy<Value = HistoryOf<'static>> {
    prop::sample::select(vec![
        HistoryOf::Channel("a"),
        HistoryOf::Channel("b"),
        HistoryOf::Channel("u"),
        HistoryOf::Inbox("u"),
        HistoryOf::Inbox("v"),
        HistoryOf::Inbox("nobody"),
        HistoryOf::Conversation { user: "u", with: "v" },
        HistoryOf::Conversation { user: "u", with: "ghost" },
        HistoryOf::Conversation { user: "ghost", with: "v" },
        HistoryOf::Conversation { user: "v", with: "w" },
    ])
}

/// A bound for paging: a small number, one from the middle of the log, or an extreme.
fn bound() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![
        Just(None),
        (0u64..40).prop_map(Some),
        (0u64..120, 0u64..3).prop_map(|(position, row)| Some((position << 16) + row)),
        Just(Some(u64::MAX)),
    ]
}

#[test]
fn pages_are_the_models_slices() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let feed = filled(&store, 100);
    let reader = store.reader().unwrap();
    let case = (histories(), bound(), bound(), 0usize..20);
    let mut runner = proptest::test_runner::TestRunner::default();
    let checked = runner.run(&case, |(of, after, before, limit)| {
        let page = reader.history(of, after, before, rows(limit)).unwrap();
        let all = model_rows(&feed.model, of);
        prop_assert_eq!(page.newest, all.last().map_or(0, |row| row.0));
        let mut expected: Vec<&str> = all
            .iter()
            .filter(|(number, _)| after.is_none_or(|after| *number > after))
            .filter(|(number, _)| before.is_none_or(|before| *number < before))
            .map(|(_, text)| text.as_str())
            .collect();
        let too_many = expected.len().saturating_sub(limit);
        if after.is_some() {
            expected.truncate(limit);
        } else {
            expected.drain(..too_many);
        }
        prop_assert_eq!(texts(&page), expected);
        Ok(())
    });
    checked.unwrap();
}

#[test]
fn a_row_says_all_that_was_stored() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut feed = filled(&store, 0);
    feed.apply(&store, [private("ghost", "u", "olá")]);
    let page = store.reader().unwrap().history(HistoryOf::Inbox("u"), None, None, ALL).unwrap();
    let kept = feed.model.messages.values().last().unwrap();
    let expected = StoredMessage {
        from: "ghost".into(),
        to: "u".into(),
        text: "olá".into(),
        timestamp: 1_000 + 6 * 3,
        clock: 12,
        id: kept.id,
        seq: 1,
        pos: 6 << 16,
        private: true,
        imported: false,
    };
    assert_eq!(page.messages, [expected]);
    assert_eq!(page.messages[0].position(), 6);
}

#[test]
fn a_page_is_bounded_by_bytes_but_never_empty_for_that() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut feed = Feed::default();
    let long = "x".repeat(1_000);
    feed.apply(&store, [channel("a")]);
    feed.apply(&store, (0..10).map(|_| publish("u", "a", &long)));
    let reader = store.reader().unwrap();
    let count = |bytes| {
        let limit = PageLimit { rows: 100, bytes };
        reader.history(HistoryOf::Channel("a"), Some(0), None, limit).unwrap().messages.len()
    };
    assert_eq!((count(0), count(2_500), count(usize::MAX)), (1, 2, 10));
}

fn publishable(reader: &Reader, upto: u64, limit: usize) -> Vec<u64> {
    let (mut after, mut found) = (0, Vec::new());
    while after < upto {
        let page = reader.publishable(after, upto, limit).unwrap();
        assert!(page.through > after && page.through <= upto, "it gets on");
        assert!(page.messages.len() <= limit);
        found.extend(page.messages.iter().map(StoredMessage::position));
        after = page.through;
    }
    found
}

#[test]
fn all_but_imports_is_published_once_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let feed = filled(&store, 200);
    let reader = store.reader().unwrap();
    let native = feed.model.messages.iter().filter(|(_, row)| !row.imported);
    let expected: Vec<u64> = native.map(|(key, _)| key.position()).collect();
    for limit in [1, 2, 7, 1_000] {
        assert_eq!(publishable(&reader, feed.position, limit), expected);
    }
    assert_eq!(
        publishable(&reader, 100, 7),
        expected.iter().copied().filter(|p| *p <= 100).collect::<Vec<_>>()
    );
    assert!(reader.publishable(50, 50, 10).unwrap().messages.is_empty());
}

#[test]
fn work_for_publishing_is_bounded_within_imports() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut feed = filled(&store, 0);
    feed.apply(&store, (0..100).map(|i| message(6 + 7 * i)));
    let page = store.reader().unwrap().publishable(0, feed.position, 1).unwrap();
    assert!(page.messages.is_empty());
    assert!(page.through < feed.position);
}

fn export(reader: &Reader, table: ExportTable, limit: PageLimit) -> Vec<ImportedRow> {
    let (mut rows, mut cursor) = (Vec::new(), None);
    loop {
        let page = reader.export_page(table, cursor.as_deref(), limit).unwrap();
        assert!(page.rows.len() <= limit.rows.max(1));
        rows.extend(page.rows);
        cursor = page.next;
        if cursor.is_none() {
            return rows;
        }
    }
}

#[test]
fn an_export_imported_elsewhere_exports_the_same() {
    use ExportTable::{Channels, Messages, Publications, Users};
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (store, copy) = (Store::open(dir.path()).unwrap(), Store::open(other.path()).unwrap());
    let feed = filled(&store, 300);
    let reader = store.reader().unwrap();
    let tables = [Users, Channels, Messages, Publications];
    let exported = tables.map(|table| export(&reader, table, ALL));
    let privates = feed.model.messages.values().filter(|message| message.private).count();
    let publications = feed.model.messages.len() - privates;
    assert_eq!(exported.each_ref().map(Vec::len), [3, 2, privates, publications]);
    for limit in [rows(1), rows(7), PageLimit { rows: 50, bytes: 10 }] {
        assert_eq!(tables.map(|table| export(&reader, table, limit)), exported);
    }
    let mut feed = Feed::default();
    feed.apply(&copy, exported.iter().cloned().map(|rows| Command::Import { rows }));
    let reader = copy.reader().unwrap();
    assert_eq!(tables.map(|table| export(&reader, table, ALL)), exported);
}

#[test]
fn lists_and_lookups() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut feed = filled(&store, 7);
    feed.apply(&store, [login("ghost"), login("u")]);
    let reader = store.reader().unwrap();
    assert_eq!(reader.users().unwrap(), ["u", "v", "w", "ghost"], "in the order of creation");
    assert_eq!(reader.channels().unwrap(), ["a", "b"]);
    assert!(reader.has_user("u").unwrap() && !reader.has_user("a").unwrap());
    assert!(reader.has_channel("a").unwrap() && !reader.has_channel("u").unwrap());
    let user = reader.user("u").unwrap().unwrap();
    assert!(user.login_ms > user.created_ms);
    let logins = reader.logins(0, 100).unwrap();
    let who: Vec<&str> = logins.iter().map(|login| login.user.as_str()).collect();
    assert_eq!(who, ["u", "v", "w", "ghost", "u"]);
    assert_eq!(reader.logins(logins[2].position, 1).unwrap(), logins[3..4]);
}
