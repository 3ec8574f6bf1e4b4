//! After the worst: two of three data folders are gone at once. What is missing is said, and the
//! copy that is left can be read, checked, and made a new cluster of.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::support::process::Process;
use crate::support::{Cluster, Output, chat};

/// Longer than the patience of a client, by what a busy machine needs.
const PATIENCE_S: u64 = 45;

/// Three servers with acknowledged messages, all killed at once.
async fn killed(messages: usize) -> (Cluster, BTreeSet<String>) {
    let mut cluster = Cluster::roles(3);
    let client = chat::connect(&cluster).await;
    client.create_channel("general").await.unwrap();
    let mut acked = BTreeSet::new();
    for number in 0..messages {
        client.publish("ana", "general", &number.to_string()).await.unwrap();
        acked.insert(number.to_string());
    }
    client.close().await;
    for name in ["server-1", "server-2", "server-3"] {
        cluster.kill(name);
    }
    (cluster, acked)
}

fn folder(cluster: &Cluster, number: usize) -> PathBuf {
    cluster.data_dir().join(format!("server-{number}"))
}

fn rescue(cluster: &Cluster, folder: &Path, words: &[&str]) -> Output {
    let mut all = vec!["rescue".to_owned(), folder.display().to_string()];
    all.extend(words.iter().map(|word| (*word).to_owned()));
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    cluster.run(&all)
}

fn ok(output: Output) -> String {
    assert_eq!(output.code, Some(0), "{output:?}");
    output.stdout
}

/// The last line of an error, which says who is missing.
fn said_missing(output: &Output) -> String {
    assert_eq!(output.code, Some(1), "{output:?}");
    let said = output.stderr.lines().last().unwrap_or_default().to_owned();
    for part in ["2 of the 3", "server-1 at tcp://", "server-2 at tcp://", "recado rescue"] {
        assert!(said.contains(part), "{part} is not said: {output:?}");
    }
    said
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

fn published(dir: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(dir.join("publications.json")).unwrap();
    let rows: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let texts: Vec<String> =
        rows.iter().map(|row| row["message"].as_str().unwrap().to_owned()).collect();
    let set: BTreeSet<String> = texts.iter().cloned().collect();
    assert_eq!(set.len(), texts.len(), "something is there twice");
    set
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_missing_is_said_in_time() {
    let (mut cluster, _) = killed(3).await;
    for number in [1, 2] {
        fs::remove_dir_all(folder(&cluster, number)).unwrap();
    }
    cluster.start_server(3, &[]);
    let warned = || {
        let log = cluster.log();
        let line = |line: &&str| line.contains("WARN") && line.contains("no primary for");
        log.lines().find(line).filter(|line| line.contains("server-1 at tcp://")).map(drop)
    };
    cluster.eventually("it warns", warned);
    let timed = |words: &[&str]| {
        let begun = Instant::now();
        let output = cluster.run(words);
        assert!(begun.elapsed() < Duration::from_secs(PATIENCE_S), "{:?}", begun.elapsed());
        output
    };
    let status = timed(&["status"]);
    said_missing(&status);
    assert!(status.stdout.contains("server-3") && status.stdout.contains("down"), "{status:?}");
    let removed = timed(&["server", "remove", "server-1"]);
    said_missing(&removed);
    let json = timed(&["status", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert!(json["why"].as_str().unwrap().contains("server-2 at"), "{json}");
    let out = cluster.dir().join("out").display().to_string();
    let exported = timed(&["export", &out]);
    said_missing(&exported);
    assert!(exported.stderr.contains("trying for"), "at once it is said too: {exported:?}");
    let lines = cluster.run_with(&["client"], "channels\n");
    let said = format!("{}{}", lines.stdout, lines.stderr);
    assert!(said.contains("server-2 at tcp://"), "{lines:?}");

    // With folders that are empty they are there, and still not those that are needed.
    cluster.start_server(1, &[]);
    let usurped = || {
        let status = cluster.run(&["status"]);
        (status.code == Some(1) && status.stderr.contains("another data folder")).then_some(())
    };
    cluster.eventually("it is said that they are others", usurped);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_read_and_checked_with_nothing_else_running() {
    let (mut cluster, acked) = killed(300).await;
    let left = folder(&cluster, 3);
    for name in ["broker", "proxy", "reference"] {
        cluster.kill(name);
    }
    let said = ok(rescue(&cluster, &left, &["--check"]));
    assert!(said.lines().all(|line| line.starts_with("well")), "{said}");
    let out = cluster.dir().join("out");
    let said = ok(rescue(&cluster, &left, &["--export", &out.display().to_string()]));
    assert!(said.contains("up to position") && said.contains("newest message"), "{said}");
    assert_eq!(published(&out), acked);
    let names = fs::read_dir(&out).unwrap().count();
    assert_eq!(names, 4, "nothing but the four files is left");

    // A server works in it.
    cluster.start_server(3, &[]);
    let refused = || {
        let output = rescue(&cluster, &left, &["--check"]);
        (output.code == Some(1) && output.stderr.contains("in use")).then_some(())
    };
    cluster.eventually("a folder in use is refused", refused);
    cluster.kill("server-3");

    let log = fs::read_dir(left.join("log")).unwrap().map(|entry| entry.unwrap().path());
    let file = log.filter(|path| path.extension().is_some_and(|end| end == "wal")).max().unwrap();
    let mut bytes = fs::read(&file).unwrap();
    bytes[3000] ^= 4;
    fs::write(&file, bytes).unwrap();
    let found = rescue(&cluster, &left, &["--check"]);
    assert_eq!(found.code, Some(1), "{found:?}");
    assert!(found.stdout.contains("WRONG"), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_cluster_is_made_of_the_copy_that_is_left() {
    let (mut cluster, mut acked) = killed(100).await;
    let kept = cluster.dir().join("kept");
    copy(&folder(&cluster, 2), &kept.join("server-2"));
    for number in [1, 2] {
        fs::remove_dir_all(folder(&cluster, number)).unwrap();
    }
    let left = folder(&cluster, 3);
    let asked = rescue(&cluster, &left, &["--new-cluster"]);
    assert_eq!(asked.code, Some(2), "without a terminal it can't ask: {asked:?}");
    assert!(asked.stdout.contains("up to position"), "{asked:?}");
    let said = ok(rescue(&cluster, &left, &["--new-cluster", "--yes"]));
    assert!(said.contains("server-1, server-2, server-3"), "{said}");

    cluster.start_server(3, &[]);
    cluster.wait_active(1);
    let client = chat::connect(&cluster).await;
    for number in 0..50 {
        let text = format!("again {number}");
        client.publish("ana", "general", &text).await.unwrap();
        acked.insert(text);
    }
    for number in [1, 2] {
        cluster.start_server(number, &[]);
    }
    cluster.wait_active(3);
    let ack = client.publish("ana", "general", "with all").await.unwrap();
    assert_eq!((ack.stored, ack.members), (3, 3));
    acked.insert("with all".to_owned());
    let records = chat::channel_history(&client, "general").await;
    chat::check_order(&records);
    let read: BTreeSet<String> = records.iter().map(|record| record.message.clone()).collect();
    assert_eq!(read, acked);

    // The reference's replica is of the new generation too: two may die one after the other.
    let aside = cluster.data_dir().join("reference/replica.earlier-1");
    cluster.eventually("its old replica is set aside", || aside.is_dir().then_some(()));
    let (first, _) = cluster.primary();
    cluster.kill(&first);
    cluster.eventually("the reference's replica votes", || {
        let status = cluster.status()?;
        (status["reference"]["replica"] == "votes").then_some(())
    });
    client.publish("ana", "general", "by two").await.unwrap();

    // Whoever comes with a folder from before is told once, and touches nobody; also when no server
    // of its name is there.
    let port = (cluster.base + 15).to_string();
    for active in [2, 1] {
        cluster.wait_active(active);
        let before = cluster.log().len();
        cluster.start_in(&kept, "old", &["server", "--name", "server-2", "--port", &port]);
        assert_eq!(cluster.ended("old"), 3, "{}", cluster.log_tail());
        let said = cluster.log()[before..].to_owned();
        let line = said.lines().find(|line| line.starts_with("recado: ")).unwrap_or_default();
        assert!(line.contains("earlier generation") && line.contains("kept"), "{said}");
        cluster.wait_active(active);
        // That one goes, unless it went first.
        let gone = if first == "server-2" { "server-1" } else { "server-2" };
        if active == 2 {
            cluster.kill(gone);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_leaves_what_a_second_run_finishes() {
    let (mut cluster, acked) = killed(50).await;
    let whole = cluster.dir().join("whole");
    copy(&folder(&cluster, 3), &whole);
    for number in [1, 2] {
        fs::remove_dir_all(folder(&cluster, number)).unwrap();
    }
    let left = folder(&cluster, 3);
    let log = cluster.dir().join("rescue-log");
    let shown = left.display().to_string();
    let args = cluster.args(&["rescue", &shown, "--new-cluster", "--yes"]);
    // How long a whole run takes here; kills come at any moment of it.
    let begun = Instant::now();
    ok(rescue(&cluster, &left, &["--new-cluster", "--yes"]));
    let whole_run = begun.elapsed();
    for round in 0..20u32 {
        fs::remove_dir_all(&left).unwrap();
        copy(&whole, &left);
        let mut process = Process::start(&args, &log);
        std::thread::sleep(whole_run * round / 20);
        process.kill();
        ok(rescue(&cluster, &left, &["--new-cluster", "--yes"]));
        let checked = ok(rescue(&cluster, &left, &["--check"]));
        assert!(checked.contains("the only voter"), "round {round}: {checked}");
    }
    cluster.start_server(3, &[]);
    cluster.wait_active(1);
    let client = chat::connect(&cluster).await;
    let records = chat::channel_history(&client, "general").await;
    let read: BTreeSet<String> = records.into_iter().map(|record| record.message).collect();
    assert_eq!(read, acked);
}
