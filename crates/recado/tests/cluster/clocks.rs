//! Berkeley: a server whose clock is wrong is corrected, be it a backup or the primary.

use crate::support::{Cluster, chat, eventually_async};

/// How wrong the clock is at the start.
const SKEW_MS: &str = "700";

/// How near all clocks must come.
const LIMIT_MS: i64 = 5;

async fn check_corrected(skewed: usize) {
    let mut cluster = Cluster::empty();
    for role in ["reference", "broker", "proxy"] {
        cluster.start(role, &[role]);
    }
    cluster.start_server(1, if skewed == 1 { &["--clock-offset-ms", SKEW_MS] } else { &[] });
    // The first one there gets the lowest rank.
    cluster.wait_active(1);
    for number in [2, 3] {
        let wrong = number == skewed;
        cluster.start_server(number, if wrong { &["--clock-offset-ms", SKEW_MS] } else { &[] });
    }
    cluster.wait_active(3);
    let client = chat::connect(&cluster).await;
    client.create_channel("general").await.unwrap();
    // Requests make rounds due.
    eventually_async("all clocks agree", 60, || async {
        client.publish("ana", "general", "tick").await.unwrap();
        let members = client.status().await.unwrap().members;
        let near = |ms: Option<i64>| ms.is_some_and(|ms| ms.abs() < LIMIT_MS);
        members.iter().all(|m| near(m.clock_offset_ms)).then_some(())
    })
    .await;
    client.publish("ana", "general", "after").await.unwrap();
    chat::check_order(&chat::channel_history(&client, "general").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backups_clock_is_corrected() {
    check_corrected(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_primarys_clock_is_corrected() {
    check_corrected(1).await;
}
