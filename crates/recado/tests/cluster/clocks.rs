//! Berkeley: a server whose clock is wrong is corrected, be it a backup or the primary.

use crate::support::http::{get, value};
use crate::support::{Cluster, chat, eventually_async};

/// How wrong the clock is at the start.
const SKEW_MS: &str = "700";

/// How near all clocks must come.
const LIMIT_MS: i64 = 5;

/// How near what a page shows must come to what was set.
const SHOWN_WITHIN_S: f64 = 0.05;

async fn check_corrected(skewed: usize) -> (Cluster, String) {
    let mut cluster = Cluster::empty();
    let http = format!("127.0.0.1:{}", cluster.base + 70);
    let wrong = ["--clock-offset-ms", SKEW_MS, "--http", &http];
    for role in ["reference", "broker", "proxy"] {
        cluster.start(role, &[role]);
    }
    // One after the other, so that the first one leads, and the right ones outvote a wrong third.
    for number in 1..=3 {
        cluster.start_server(number, if number == skewed { &wrong } else { &[] });
        cluster.wait_active(number);
    }
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
    (cluster, http)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backups_clock_is_corrected_and_its_host_is_shown_to_be_off() {
    let (_cluster, http) = check_corrected(3).await;
    let off_s = SKEW_MS.parse::<f64>().unwrap() / 1000.0;
    // The page is renewed once a second.
    eventually_async("the page shows by how much", 20, || async {
        let (_, page) = get(&http, "/metrics").unwrap();
        let near = |(series, expected): (&str, f64)| {
            (value(&page, series) - expected).abs() < SHOWN_WITHIN_S
        };
        let all = [
            ("recado_host_clock_offset_seconds", off_s),
            ("recado_clock_correction_seconds", -off_s),
        ];
        all.into_iter().all(near).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_primarys_clock_is_corrected() {
    check_corrected(1).await;
}
