//! Servers that are added join by themselves; `server remove` takes one out for good.

use rustix::process::Signal;

use crate::support::process::signal;
use crate::support::{Cluster, Output, chat};

fn remove(cluster: &Cluster, name: &str) -> Output {
    cluster.run(&["server", "remove", name])
}

fn names(cluster: &Cluster) -> Vec<String> {
    let mut names: Vec<String> =
        cluster.members().iter().map(|m| m["name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

fn said(output: &Output) -> &str {
    assert_eq!(output.code, Some(1), "{output:?}");
    assert_eq!(output.stderr.trim().lines().count(), 1, "{output:?}");
    output.stderr.trim()
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_come_and_go_for_good() {
    let mut cluster = Cluster::roles(3);
    let client = chat::connect(&cluster).await;
    client.create_channel("load").await.unwrap();
    cluster.start_server(4, &[]);
    cluster.wait_active(4);
    let ack = client.publish("ana", "load", "four").await.unwrap();
    assert_eq!((ack.stored, ack.members), (4, 4));

    let refused = remove(&cluster, "server-9");
    assert!(said(&refused).contains("no server server-9"), "{refused:?}");
    let (primary, _) = cluster.primary();
    let refused = remove(&cluster, &primary);
    assert!(said(&refused).contains("stop it first"), "{refused:?}");
    assert_eq!(names(&cluster).len(), 4);

    // One that is dead.
    let all = ["server-1", "server-2", "server-3", "server-4"];
    let backups: Vec<&str> = all.into_iter().filter(|name| *name != primary).collect();
    cluster.kill(backups[0]);
    cluster.wait_active(3);
    let done = remove(&cluster, backups[0]);
    assert_eq!(done.code, Some(0), "{done:?}");
    // Any server answers `status`, as far as it is.
    let gone = |name: &str| (!names(&cluster).contains(&name.to_owned())).then_some(());
    cluster.eventually("every server knows", || gone(backups[0]));
    let ack = client.publish("ana", "load", "three").await.unwrap();
    assert_eq!((ack.stored, ack.members), (3, 3));
    let refused = remove(&cluster, backups[0]);
    assert!(said(&refused).contains("no server"), "{refused:?}");

    // One that runs: it stops, and says why.
    let done = remove(&cluster, backups[1]);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(cluster.ended(backups[1]), 3);
    assert!(cluster.log().contains("was removed from the cluster"), "{}", cluster.log_tail());
    cluster.wait_active(2);
    cluster.eventually("two are left", || (names(&cluster).len() == 2).then_some(()));
    let forgotten = || {
        let status = cluster.status()?;
        let listed = status["reference"]["listed"].as_array()?.clone();
        (!listed.iter().any(|row| row["name"] == backups[1] || row == backups[1])).then_some(())
    };
    cluster.eventually("the reference forgets it", forgotten);
    // Nor does it come back with what it has.
    let number = backups[1].trim_start_matches("server-").parse().unwrap();
    cluster.start_server(number, &[]);
    assert_eq!(cluster.ended(backups[1]), 3);
    assert_eq!(names(&cluster).len(), 2);

    // As a new one, with an empty folder, it does.
    std::fs::remove_dir_all(cluster.data_dir().join(backups[1])).unwrap();
    cluster.start_server(number, &[]);
    cluster.wait_active(3);
    let ack = client.publish("ana", "load", "three again").await.unwrap();
    assert_eq!((ack.stored, ack.members), (3, 3));
    // The voters followed: any one of the three may die.
    signal(cluster.process(&primary).pid(), Signal::KILL);
    client.publish("ana", "load", "without the first primary").await.unwrap();
    assert_eq!(chat::channel_history(&client, "load").await.len(), 4);
}

/// A server's old folder, from before it was removed, is started by mistake: whether the new
/// server of that name lives, is down, or nobody leads at that moment, only the old one ends.
#[test]
fn the_old_folder_of_a_removed_server_touches_nobody() {
    let mut cluster = Cluster::roles(3);
    let (primary, _) = cluster.primary();
    let number = [3, 2].into_iter().find(|n| format!("server-{n}") != primary).unwrap();
    let name = format!("server-{number}");
    assert_eq!(remove(&cluster, &name).code, Some(0));
    assert_eq!(cluster.ended(&name), 3);
    let old = cluster.dir().join("old");
    std::fs::create_dir(&old).unwrap();
    std::fs::rename(cluster.data_dir().join(&name), old.join(&name)).unwrap();
    cluster.start_server(number, &[]);
    cluster.wait_active(3);

    let port = (cluster.base + 15).to_string();
    let words = ["server", "--name", &name, "--port", &port];
    let start_the_old_one = |cluster: &mut Cluster| {
        let before = cluster.log().len();
        cluster.start_in(&old, "old", &words);
        assert_eq!(cluster.ended("old"), 3, "{}", cluster.log_tail());
        let said = cluster.log()[before..].to_owned();
        let line = said.lines().find(|line| line.starts_with("recado: ")).unwrap_or_default();
        assert!(line.contains("was removed") && line.contains("old"), "{said}");
    };
    start_the_old_one(&mut cluster);
    cluster.wait_active(3);
    assert!(!cluster.log().contains("its old node is removed"), "{}", cluster.log_tail());

    cluster.kill(&name);
    cluster.wait_active(2);
    start_the_old_one(&mut cluster);
    cluster.kill("reference");
    start_the_old_one(&mut cluster);
    cluster.start("reference", &["reference"]);
    signal(cluster.process(&primary).pid(), Signal::STOP);
    start_the_old_one(&mut cluster);
    signal(cluster.process(&primary).pid(), Signal::CONT);
    cluster.start_server(number, &[]);
    cluster.wait_active(3);
    assert!(!cluster.log().contains("its old node is removed"), "{}", cluster.log_tail());
}

#[test]
fn up_lets_a_removed_server_be() {
    let cluster = Cluster::up(3);
    let (primary, _) = cluster.primary();
    let name = ["server-3", "server-2"].into_iter().find(|name| *name != primary).unwrap();
    assert_eq!(remove(&cluster, name).code, Some(0));
    let down = || {
        let log = cluster.log();
        let line = |l: &str| l.starts_with(name) && l.contains("stays down");
        log.lines().any(line).then_some(())
    };
    cluster.eventually("it stays down", down);
    cluster.wait_active(2);
}

#[test]
fn the_last_server_stays_and_wrong_usage_is_told() {
    let cluster = Cluster::roles(1);
    let refused = remove(&cluster, "server-1");
    assert!(said(&refused).contains("last active"), "{refused:?}");
    for wrong in [&["server", "remove"][..], &["server", "remove", "a", "b"], &["remove", "a"]] {
        let output = cluster.run(wrong);
        assert_eq!(output.code, Some(2), "{wrong:?}: {output:?}");
    }
}
