//! Export and import: what goes out comes in again, once, with its times and its order.

use std::path::Path;

use crate::support::{Cluster, chat};

const FILES: [&str; 4] = ["users.json", "channels.json", "messages.json", "publications.json"];

fn read(dir: &Path) -> [String; 4] {
    FILES.map(|name| std::fs::read_to_string(dir.join(name)).unwrap())
}

fn export(cluster: &Cluster, name: &str) -> [String; 4] {
    let dir = cluster.dir().join(name);
    let said = cluster.run(&["export", &dir.display().to_string()]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let mut found: Vec<_> =
        std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name()).collect();
    found.sort();
    let mut expected = FILES;
    expected.sort_unstable();
    assert_eq!(found, expected, "exactly these four files");
    read(&dir)
}

#[tokio::test(flavor = "multi_thread")]
async fn export_import_import_export_gives_the_same_files() {
    let [mut one, mut two] = Cluster::two();
    one.start_up(1, &[]);
    two.start_up(1, &[]);
    one.wait_active(1);
    two.wait_active(1);
    let client = chat::connect(&one).await;
    for user in ["ana", "bia", "çãé ü"] {
        client.login(user).await.unwrap();
    }
    for channel in ["general", "rust"] {
        client.create_channel(channel).await.unwrap();
    }
    for number in 0..40 {
        let channel = if number % 3 == 0 { "rust" } else { "general" };
        // The same text again and again: rows with equal content must all come over.
        client.publish("ana", channel, &format!("text {}", number % 4)).await.unwrap();
        client.message("ana", "bia", "again").await.unwrap();
    }
    let out = export(&one, "out");

    let dir = one.dir().join("out").display().to_string();
    for _ in 0..2 {
        let said = two.run(&["import", &dir]);
        assert_eq!(said.code, Some(0), "{said:?}");
        assert_eq!(export(&two, "back"), out);
    }
    drop(two);
    drop(one);
}

#[tokio::test(flavor = "multi_thread")]
async fn conflicts_are_listed_and_the_rest_goes_on() {
    let cluster = Cluster::up(1);
    let client = chat::connect(&cluster).await;
    client.create_channel("clash").await.unwrap();
    let dir = cluster.dir().join("in");
    std::fs::create_dir(&dir).unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.join(name), text).unwrap();
    write(
        "users.json",
        r#"[["clash", {"loginTime": 1, "lastSeen": 2}],
        ["zoe", {"user": "zoe", "loginTime": 5, "lastSeen": 6, "createdAt": 4}]]"#,
    );
    write("channels.json", r#"["two  spaces", "fine"]"#);
    write("messages.json", "[]");
    write(
        "publications.json",
        r#"[{"user": "zoe", "channel": "fine", "message": "hi",
        "timestamp": 1700000000000, "clock": 9}]"#,
    );
    let said = cluster.run(&["import", &dir.display().to_string()]);
    assert_eq!(said.code, Some(0), "{said:?}");
    for name in ["clash", "two  spaces"] {
        assert!(said.stdout.contains(name), "{name} is not listed in {said:?}");
    }
    assert_eq!(client.users().await.unwrap(), ["zoe"]);
    assert_eq!(client.channels().await.unwrap(), ["clash", "fine"]);
    let records = chat::channel_history(&client, "fine").await;
    assert_eq!((records[0].timestamp, records[0].clock), (1_700_000_000_000, 9));
}

#[test]
fn a_damaged_file_or_folder_is_named() {
    let cluster = Cluster::up(1);
    let missing = cluster.run(&["import", "/no/such/folder"]);
    assert_eq!(missing.code, Some(1), "{missing:?}");
    assert!(missing.stderr.contains("/no/such/folder"), "{missing:?}");
    let dir = cluster.dir().join("bad");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("users.json"), "{ not json").unwrap();
    let damaged = cluster.run(&["import", &dir.display().to_string()]);
    assert_eq!(damaged.code, Some(1), "{damaged:?}");
    assert!(damaged.stderr.contains("users.json"), "{damaged:?}");
    assert_eq!(damaged.stderr.trim().lines().count(), 1, "{damaged:?}");
}
