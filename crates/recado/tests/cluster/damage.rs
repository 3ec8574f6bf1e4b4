//! Damage on a server's disk while it is away: under its supervisor it comes back by itself, with
//! everything, and what was damaged is kept aside.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::process::{is_running, wait_gone};
use crate::support::{Cluster, chat, eventually_async};

const MESSAGES: usize = 200;

fn newest_log_file(dir: &Path) -> PathBuf {
    let files = fs::read_dir(dir.join("log")).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|end| end == "wal")).max().unwrap()
}

/// Flips one bit in so many bytes.
fn flip(path: &Path, from: usize, step: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes.iter_mut().skip(from).step_by(step).for_each(|byte| *byte ^= 4);
    fs::write(path, bytes).unwrap();
}

/// The server's process id by the member table; none while it is not active.
fn active_pid(cluster: &Cluster, name: &str) -> Option<u32> {
    let members = cluster.members();
    let row = members.iter().find(|m| m["name"] == name)?;
    let active = matches!(row["role"].as_str(), Some("primary" | "backup"));
    active.then(|| u32::try_from(row["pid"].as_u64()?).ok())?
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_with_a_flipped_bit_comes_back_by_itself() {
    let mut cluster = Cluster::roles(3);
    let client = chat::connect(&cluster).await;
    client.create_channel("load").await.unwrap();
    for number in 0..MESSAGES {
        client.publish("ana", "load", &number.to_string()).await.unwrap();
    }
    let (primary, _) = cluster.primary();
    let number = (1..=3).find(|n| format!("server-{n}") != primary).unwrap();
    let name = format!("server-{number}");
    let dir = cluster.data_dir().join(&name);
    for round in 1..=2 {
        cluster.kill(&name);
        client.publish("ana", "load", &format!("without it {round}")).await.unwrap();
        match round {
            1 => flip(&newest_log_file(&dir), 3000, usize::MAX),
            // From the first byte on: what is not yet flushed of the rows has no checksum.
            _ => flip(&dir.join("chat.redb"), 0, 64),
        }
        cluster.start_server(number, &[]);
        let aside = dir.join(format!("damaged-{round}"));
        let said = format!("kept in {}", aside.display());
        cluster.eventually("it says so", || cluster.log().contains(&said).then_some(()));
        assert!(aside.join("log").is_dir() && aside.join("chat.redb").is_file(), "{aside:?}");
        cluster.wait_active(3);
    }
    let ack = client.publish("ana", "load", "with all").await.unwrap();
    assert_eq!((ack.stored, ack.members), (3, 3));
    // The rebuilt one has it all: it can be the last but one.
    cluster.kill(&primary);
    let records = chat::channel_history(&client, "load").await;
    assert_eq!(records.len(), MESSAGES + 3);
    chat::check_order(&records);
}

/// What nobody reads is found in the background; nobody supervises the server, and it comes back.
#[tokio::test(flavor = "multi_thread")]
async fn damage_that_a_running_server_finds_is_mended_by_itself() {
    let mut cluster = Cluster::roles(3);
    let client = chat::connect(&cluster).await;
    client.create_channel("load").await.unwrap();
    let text = |number: usize| format!("this is message {number:04}");
    for number in 0..MESSAGES {
        client.publish("ana", "load", &text(number)).await.unwrap();
    }
    let (primary, _) = cluster.primary();
    let number = (1..=3).find(|n| format!("server-{n}") != primary).unwrap();
    let name = format!("server-{number}");
    let dir = cluster.data_dir().join(&name);
    // Told to stop, it has everything in the store.
    assert_eq!(cluster.process(&name).stop(), Some(0));
    let store = dir.join("chat.redb");
    let mut bytes = fs::read(&store).unwrap();
    let wanted = text(MESSAGES / 2).into_bytes();
    let places = bytes.windows(wanted.len()).enumerate().filter(|(_, window)| *window == wanted);
    let places: Vec<usize> = places.map(|(place, _)| place).collect();
    assert!(!places.is_empty(), "the message is in the store");
    places.iter().for_each(|place| bytes[*place] ^= 1);
    fs::write(&store, bytes).unwrap();
    cluster.start_server(number, &[]);
    cluster.wait_back(&name);
    let pid = cluster.process(&name).pid();
    let aside = dir.join("damaged-1");
    cluster.eventually("it finds the damage", || {
        aside.join("chat.redb.damaged").exists().then_some(())
    });
    // The node that it was acknowledges nothing any more.
    eventually_async("it has everything again", 60, || async {
        let ack = client.publish("ana", "load", "with all").await.unwrap();
        ((ack.stored, ack.members) == (3, 3)).then_some(())
    })
    .await;
    // The process was replaced by itself.
    cluster.eventually("it is active", || active_pid(&cluster, &name).filter(|now| *now == pid));
    assert!(!dir.join("chat.redb.damaged").exists());
    assert!(cluster.log().contains("does not fit its checksum"));
}

#[tokio::test(flavor = "multi_thread")]
async fn under_up_the_start_again_is_enough() {
    let cluster = Cluster::up(3);
    let client = chat::connect(&cluster).await;
    client.create_channel("load").await.unwrap();
    for number in 0..MESSAGES {
        client.publish("ana", "load", &number.to_string()).await.unwrap();
    }
    let (primary, pid) = cluster.primary();
    // `up` starts it again sooner than a test could do harm; so the harm is done before. What the
    // running server has in memory it does not read from the file.
    flip(&newest_log_file(&cluster.data_dir().join(&primary)), 3000, usize::MAX);
    cluster.kill_pid(pid);
    wait_gone(&[pid], 20);
    let again = cluster.eventually("it is active again", || active_pid(&cluster, &primary));
    assert!(again != pid && is_running(again));
    cluster.wait_active(3);
    assert!(cluster.data_dir().join(&primary).join("damaged-1").is_dir());
    assert_eq!(chat::channel_history(&client, "load").await.len(), MESSAGES);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_server_says_that_it_does_not_start_without_its_data() {
    let mut cluster = Cluster::roles(1);
    let client = chat::connect(&cluster).await;
    client.create_channel("load").await.unwrap();
    for number in 0..MESSAGES {
        client.publish("ana", "load", &number.to_string()).await.unwrap();
    }
    cluster.kill("server-1");
    let file = newest_log_file(&cluster.data_dir().join("server-1"));
    flip(&file, 3000, usize::MAX);
    let port = (cluster.base + 5).to_string();
    let refused = cluster.run(&["server", "--name", "server-1", "--port", &port]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let said = refused.stderr.lines().last().unwrap_or_default();
    assert!(said.contains("may be the only one") && said.contains("restore"), "{refused:?}");
    // The bit flipped back is its backup.
    flip(&file, 3000, usize::MAX);
    cluster.start_server(1, &[]);
    cluster.wait_active(1);
    assert_eq!(chat::channel_history(&client, "load").await.len(), MESSAGES);
}
