//! A drill on a cluster that is not its own: others write to it, and somebody else breaks it.

use serde_json::Value;

use crate::support::{Cluster, chat, eventually_async, process};

/// A drill of a few seconds, with its report as JSON.
fn drill(cluster: &Cluster) -> Vec<String> {
    let two = |first: u16| {
        format!("127.0.0.1:{},127.0.0.1:{}", cluster.base + first, cluster.base + first + 30)
    };
    let (broker, proxy) = (format!("--broker={}", two(0)), format!("--proxy={}", two(2)));
    let words = ["drill", "--attach", "--json", "--seed=5", "--duration=6s", "--rate=100"];
    cluster.args(&[&words[..], &[&broker, &proxy]].concat())
}

fn report(output: &process::Output) -> Value {
    assert_eq!(output.code, Some(0), "{}\n{}", output.stdout, output.stderr);
    serde_json::from_str(&output.stdout).unwrap()
}

fn check(report: &Value) {
    assert_eq!(report["end"], "held");
    for (promise, verdict) in report["promises"].as_object().unwrap() {
        let expected = if ["P6", "P7"].contains(&&**promise) { "not checked" } else { "held" };
        assert_eq!(verdict["verdict"], expected, "{promise}: {verdict}");
    }
    assert!(report["acks"].as_u64().unwrap() > 50, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_visits_a_cluster_that_somebody_else_breaks_and_comes_again() {
    let mut cluster = Cluster::empty();
    let up = ["up", "--bots=2", "--pace-ms=20", "--brokers=2", "--proxies=2"];
    cluster.start("up", &up);
    cluster.wait_active(3);

    let args = drill(&cluster);
    let first = tokio::task::spawn_blocking(move || process::run(&args, "", 240));
    let client = chat::connect(&cluster).await;
    eventually_async("the drill writes", 60, || async {
        let known = client.channels().await.ok()?.contains(&"drill-5-sala".to_owned());
        (known && chat::channel_history(&client, "drill-5-sala").await.len() > 20).then_some(())
    })
    .await;
    cluster.kill_pid(cluster.primary().1);
    check(&report(&first.await.unwrap()));

    let args = drill(&cluster);
    let second = tokio::task::spawn_blocking(move || process::run(&args, "", 240));
    check(&report(&second.await.unwrap()));
    let channels = client.channels().await.unwrap();
    assert!(channels.contains(&"drill-5-2-sala".to_owned()), "{channels:?}");
    assert_eq!(cluster.process("up").ended(), None, "the drill stopped what is not its own");
}

#[test]
fn nobody_there_is_said_with_what_to_do() {
    let cluster = Cluster::empty();
    let args = cluster.args(&["drill", "--attach", "--duration=5s"]);
    let output = process::run(&args, "", 120);
    assert_eq!(output.code, Some(1));
    assert!(output.stderr.contains("no server answers"), "{}", output.stderr);
    assert!(output.stderr.contains("recado status"), "{}", output.stderr);
}
