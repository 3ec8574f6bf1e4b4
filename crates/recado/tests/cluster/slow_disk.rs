//! Disks that hang or are slow, without a death: the rest goes on without them, and they come back
//! when their disks do.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::disk::{SlowDisk, has_strace};
use crate::support::{Cluster, chat, eventually_async};

/// Longer than anything in these tests waits.
const HANGS: Duration = Duration::from_secs(600);
/// A disk that sets the pace for all.
const SLOWER: Duration = Duration::from_millis(200);

fn pid_of(cluster: &Cluster, name: &str) -> u32 {
    let members = cluster.members();
    let member = members.iter().find(|member| member["name"] == name).unwrap();
    u32::try_from(member["pid"].as_u64().unwrap()).unwrap()
}

/// What `status` says of a server's state.
fn member(cluster: &Cluster, name: &str) -> Option<Value> {
    cluster.members().into_iter().find(|member| member["name"] == name)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_whose_disk_hangs_gives_way_and_comes_back_when_it_does() {
    if !has_strace() {
        return;
    }
    let cluster = Cluster::roles(3);
    let client = chat::connect(&cluster).await;
    client.create_channel("load").await.unwrap();
    let load = chat::Load::start(&cluster, "load", 4).await;
    let (hung, pid) = cluster.primary();

    let from = Instant::now();
    let slow = SlowDisk::of(pid, HANGS);
    let next = cluster.eventually("another one leads", || {
        let members = cluster.members();
        let leads = members.iter().find(|member| member["role"] == "primary")?;
        (leads["name"] != hung.as_str()).then(|| leads["name"].as_str().unwrap().to_owned())
    });
    client.publish("ana", "load", "acknowledged beside a hung disk").await.unwrap();
    let why = cluster.eventually("the hung one is not waited for, and status says why", || {
        let hung = member(&cluster, &hung)?;
        (hung["role"] == "joining").then(|| hung["why"].as_str().map(str::to_owned))?
    });
    assert!(why.contains("disk"), "{why}");
    let log = cluster.log();
    assert!(log.contains("disk"), "the hung one is told\n{}", cluster.log_tail());
    drop(slow);
    cluster.wait_active(3);
    assert_eq!(pid_of(&cluster, &hung), pid, "the same process came back");
    assert_eq!(cluster.primary().0, next, "who comes back does not take over");

    let acked = load.stop().await;
    let gap = chat::longest_gap(&acked, from);
    println!("a hung disk: acknowledging again after {} ms", gap.as_millis());
    let mut records = chat::channel_history(&client, "load").await;
    chat::check_order(&records);
    records.retain(|record| record.from != "ana");
    chat::check_acked(&acked, &records);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_sets_the_pace_for_all_is_set_to_catch_up_until_it_keeps_pace() {
    if !has_strace() {
        return;
    }
    let cluster = Cluster::roles(3);
    let client = chat::connect(&cluster).await;
    client.create_channel("load").await.unwrap();
    let load = chat::Load::start(&cluster, "load", 4).await;
    let (primary, _) = cluster.primary();
    let slow = ["server-1", "server-2", "server-3"].into_iter().find(|name| *name != primary);
    let slow = slow.unwrap();

    let from = Instant::now();
    let disk = SlowDisk::of(pid_of(&cluster, slow), SLOWER);
    let why = cluster.eventually("it is set to catch up, and status says why", || {
        let slow = member(&cluster, slow)?;
        (slow["role"] == "joining").then(|| slow["why"].as_str().map(str::to_owned))?
    });
    println!("set to catch up after {} ms: {why}", from.elapsed().as_millis());
    assert!(why.contains("slow"), "{why}");
    // It does not come back and set the pace again as long as its disk is slow.
    let asked = Instant::now();
    for n in 0..200 {
        client.publish("ana", "load", &format!("without the slow one {n}")).await.unwrap();
    }
    let each = asked.elapsed() / 200;
    assert!(each < SLOWER / 2, "{each:?} for each message");
    assert_eq!(cluster.primary().0, primary);
    drop(disk);
    cluster.wait_active(3);
    assert_eq!(cluster.primary().0, primary);

    let acked = load.stop().await;
    let mut records = chat::channel_history(&client, "load").await;
    chat::check_order(&records);
    records.retain(|record| record.from != "ana");
    chat::check_acked(&acked, &records);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_whose_disk_sets_the_pace_for_all_hands_over() {
    if !has_strace() {
        return;
    }
    let cluster = Cluster::roles(3);
    let client = chat::connect(&cluster).await;
    client.create_channel("load").await.unwrap();
    let load = chat::Load::start(&cluster, "load", 4).await;
    let (primary, pid) = cluster.primary();
    let disk = SlowDisk::of(pid, SLOWER);
    eventually_async("the slow one leads no more", 60, || async {
        let now = member(&cluster, &primary)?;
        (now["role"] == "joining").then_some(())
    })
    .await;
    drop(disk);
    cluster.wait_active(3);
    let acked = load.stop().await;
    let records = chat::channel_history(&client, "load").await;
    chat::check_order(&records);
    chat::check_acked(&acked, &records);
}
