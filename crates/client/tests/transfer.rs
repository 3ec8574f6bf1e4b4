//! Export, import and export again give the same files; importing twice changes nothing.
#![allow(clippy::unwrap_used, reason = "a test that can't be set up fails")]

mod fake;

use std::fs;
use std::path::Path;

use fake::{Fake, Fault};
use recado_client::transfer::{Counts, TransferError, export, import};
use recado_protocol::Code;

const FILES: [&str; 4] = ["users.json", "channels.json", "messages.json", "publications.json"];

fn contents(dir: &Path) -> Vec<String> {
    FILES.iter().map(|file| fs::read_to_string(dir.join(file)).unwrap()).collect()
}

fn counts(stored: u64, known: u64, left_out: u64) -> Counts {
    Counts { stored, known, left_out }
}

async fn filled_cluster() -> Fake {
    let fake = Fake::start().await;
    let client = fake.client().await;
    for user in ["zoe", "ana", "bob", "old fox"] {
        client.login(user).await.unwrap();
    }
    for channel in ["tea", "general"] {
        client.create_channel(channel).await.unwrap();
    }
    for number in 0..7 {
        client.publish("ana", "general", &format!("{number}")).await.unwrap();
        client.publish("bob", "tea", "the same again").await.unwrap();
        client.message("bob", "ana", "psst").await.unwrap();
    }
    fake
}

#[tokio::test]
async fn what_was_exported_and_imported_is_exported_again_alike() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let old = filled_cluster().await;
    let exported = export(&old.client().await, first.path()).await.unwrap();
    assert_eq!((exported.users, exported.channels), (4, 2));
    assert_eq!((exported.messages, exported.publications), (7, 14));
    let new = Fake::start().await;
    let client = new.client().await;
    let report = import(&client, first.path()).await.unwrap();
    assert_eq!(report.users, counts(4, 0, 0));
    assert_eq!(report.publications, counts(14, 0, 0));
    assert!(report.conflicts.is_empty());
    export(&client, second.path()).await.unwrap();
    assert_eq!(contents(first.path()), contents(second.path()));
    let only: Vec<_> = fs::read_dir(second.path()).unwrap().collect();
    assert_eq!(only.len(), FILES.len(), "no temporary file is left");
}

#[tokio::test]
async fn importing_again_changes_nothing_and_missing_equals_are_added() {
    let dir = tempfile::tempdir().unwrap();
    let fake = filled_cluster().await;
    let client = fake.client().await;
    export(&client, dir.path()).await.unwrap();
    let before = fake.state().log.clone();
    let report = import(&client, dir.path()).await.unwrap();
    assert_eq!(report.publications, counts(0, 14, 0));
    assert_eq!((report.users, report.messages), (counts(0, 4, 0), counts(0, 7, 0)));
    assert_eq!(fake.state().log, before);
    let row = r#"{"user":"ana","channel":"tea","message":"x","timestamp":1714566600,"clock":3}"#;
    fs::write(dir.path().join("publications.json"), format!("[{row},{row}]")).unwrap();
    assert_eq!(import(&client, dir.path()).await.unwrap().publications, counts(2, 0, 0));
    fs::write(dir.path().join("publications.json"), format!("[{row},{row},{row}]")).unwrap();
    assert_eq!(import(&client, dir.path()).await.unwrap().publications, counts(1, 2, 0));
}

#[tokio::test]
async fn a_lost_answer_is_not_counted_twice() {
    let dir = tempfile::tempdir().unwrap();
    export(&filled_cluster().await.client().await, dir.path()).await.unwrap();
    let fake = Fake::start().await;
    let client = fake.client().await;
    fake.state().faults.extend([Fault::LoseReply, Fault::LoseReplyAndForget]);
    let report = import(&client, dir.path()).await.unwrap();
    assert_eq!(report.users, counts(4, 0, 0));
    assert_eq!((report.messages, report.publications), (counts(7, 0, 0), counts(14, 0, 0)));
    assert_eq!(fake.state().log.len(), 21);
}

#[tokio::test]
async fn conflicts_are_listed_and_the_rest_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    export(&filled_cluster().await.client().await, dir.path()).await.unwrap();
    let fake = Fake::start().await;
    let client = fake.client().await;
    client.login("tea").await.unwrap();
    let report = import(&client, dir.path()).await.unwrap();
    assert_eq!(report.channels, counts(1, 0, 1));
    assert_eq!(report.publications, counts(7, 0, 7));
    assert_eq!(report.conflicts.len(), 8);
    assert_eq!(report.conflicts[0].row, "channel \"tea\"");
    assert_eq!(report.conflicts[0].refusal.code, Code::NameTaken);
}

#[tokio::test]
async fn folders_and_files_that_are_wrong_are_named() {
    let fake = Fake::start().await;
    let client = fake.client().await;
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("nowhere");
    assert!(matches!(import(&client, &missing).await, Err(TransferError::NoFolder(_))));
    assert!(matches!(import(&client, dir.path()).await, Err(TransferError::NoFiles(_))));
    fs::write(dir.path().join("channels.json"), "[\"a\"]").unwrap();
    fs::write(dir.path().join("users.json"), "[[\"b\"").unwrap();
    let error = import(&client, dir.path()).await.unwrap_err();
    assert!(matches!(error, TransferError::Damaged { .. }), "{error}");
    assert!(fake.state().channels.is_empty(), "nothing was imported");
    fs::remove_file(dir.path().join("users.json")).unwrap();
    let report = import(&client, dir.path()).await.unwrap();
    assert_eq!(report.missing_files, ["users.json", "publications.json", "messages.json"]);
}
