//! Every role can be watched: it lives, it is ready or says why not, and it shows metrics.

use std::time::Duration;

use recado_transport::Caller;
use rustix::process::Signal;

use crate::support::http::{addresses, get, value};
use crate::support::{Cluster, signal};

/// How long an answer of the cluster may take.
const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn every_role_under_up_answers() {
    let cluster = Cluster::up(2);
    let status = cluster.status().unwrap();
    let roles = addresses(&status);
    assert_eq!(roles.len(), 5, "{status:#}");
    for (name, at) in &roles {
        assert_eq!(get(at, "/livez"), Some((200, "alive\n".into())), "{name}");
        cluster.eventually(&format!("{name} is ready"), || {
            (get(at, "/readyz")? == (200, "ready\n".to_owned())).then_some(())
        });
        let health = cluster.run(&["health", "--http", at]);
        assert_eq!((health.code, health.stdout.as_str()), (Some(0), "ready\n"), "{name}");
        let (code, metrics) = get(at, "/metrics").unwrap();
        assert!(code == 200 && metrics.ends_with("# EOF\n"), "{name}: {metrics}");
        assert!(metrics.contains("\nprocess_cpu_seconds_total "), "{name}: {metrics}");
    }
}

/// What a service answers, about.
fn ask(cluster: &Cluster, service: &str) -> String {
    let data = rmpv::Value::Map(Vec::new());
    let request = rmpv::Value::Map(vec![("service".into(), service.into()), ("data".into(), data)]);
    let mut body = Vec::new();
    rmpv::encode::write_value(&mut body, &request).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let frames = runtime.block_on(async {
        let caller = Caller::connect(&cluster.endpoint(0)).await.unwrap();
        assert!(caller.wait_connected(PATIENCE).await);
        caller.call(vec![body.into()], PATIENCE).await.unwrap()
    });
    String::from_utf8_lossy(&frames[0]).into_owned()
}

#[test]
fn metrics_move_with_what_happens_and_name_nobody() {
    const USER: &str = "quaggaburger";
    const CHANNEL: &str = "zebrafinch";
    let cluster = Cluster::up(2);
    let roles = addresses(&cluster.status().unwrap());
    let page = |role: &str| {
        let (_, at) = roles.iter().find(|(name, _)| name == role).unwrap();
        get(at, "/metrics").unwrap().1
    };
    let (primary, _) = cluster.primary();
    let written = |page: &str| value(page, "recado_acked_writes_total");
    let before = written(&page(&primary));
    let chat =
        format!("login {USER}\ncreate {CHANNEL}\npub {CHANNEL} hello\npub {CHANNEL} again\n");
    let output = cluster.run_with(&["client"], &chat);
    assert_eq!(output.code, Some(0), "{output:?}");
    cluster.run_with(&["client"], &format!("login {USER}\npub nowhere hello\n"));
    // A service that does not exist, named like a user.
    let strange = ask(&cluster, USER);
    assert!(strange.contains("unknown_service"), "{strange}");

    let server = page(&primary);
    assert!(written(&server) >= before + 4.0, "{server}");
    assert!(value(&server, "recado_ack_seconds_count") >= 4.0);
    assert!(value(&server, "recado_log_sync_seconds_count") >= 1.0);
    assert!(value(&server, "recado_data_bytes") > 0.0);
    assert_eq!(value(&server, "recado_primary"), 1.0);
    assert_eq!(value(&server, "recado_active_servers"), 2.0);
    let broker = page("broker");
    assert!(value(&broker, "recado_broker_requests_total{service=\"publish\"}") >= 2.0);
    assert!(value(&broker, "recado_broker_requests_total{service=\"other\"}") >= 1.0);
    assert_eq!(value(&broker, "recado_broker_servers"), 2.0);
    cluster.eventually("the proxy saw the events", || {
        (value(&page("proxy"), "recado_proxy_events_total") >= 2.0).then_some(())
    });
    assert_eq!(value(&page("reference"), "recado_reference_listed_servers"), 2.0);
    let refused = |page: &str| value(page, "recado_refusals_total{code=\"unknown_channel\"}");
    let backup = roles.iter().find(|(name, _)| name.starts_with("server") && *name != primary);
    assert!(refused(&server) + refused(&page(&backup.unwrap().0)) >= 1.0);
    for (name, _) in &roles {
        // A role looks four times a second whether it is ready.
        let page = cluster.eventually(&format!("{name} is ready"), || {
            Some(page(name)).filter(|page| value(page, "recado_ready") == 1.0)
        });
        assert!(!page.contains(USER) && !page.contains(CHANNEL), "{name} names somebody:\n{page}");
    }
}

#[test]
fn a_broker_without_servers_says_what_is_missing() {
    let mut cluster = Cluster::empty();
    let at = format!("127.0.0.1:{}", cluster.base + 60);
    cluster.start("broker", &["broker", "--http", &at]);
    let missing = |words: &str| {
        cluster.eventually(words, || {
            let (code, reasons) = get(&at, "/readyz")?;
            (code == 503 && reasons.contains(words)).then_some(())
        });
        let health = cluster.run(&["health", "--http", &at]);
        assert_eq!(health.code, Some(1), "{health:?}");
        assert!(health.stdout.contains(words), "{health:?}");
    };
    missing("no server is connected");
    let mut cluster = cluster;
    for role in ["reference", "proxy"] {
        cluster.start(role, &[role]);
    }
    cluster.start_server(1, &[]);
    let ready = |cluster: &Cluster, code| {
        cluster.eventually("the page changes", || (get(&at, "/readyz")?.0 == code).then_some(()));
    };
    ready(&cluster, 200);
    cluster.kill("server-1");
    ready(&cluster, 503);
}

#[test]
fn a_role_that_is_stopped_in_its_tracks_has_no_health() {
    let mut cluster = Cluster::empty();
    let at = format!("0.0.0.0:{}", cluster.base + 60);
    cluster.start("proxy", &["proxy", "--http", &at]);
    let pid = cluster.process("proxy").pid();
    let health = || cluster.run(&["health", "--http", &at]);
    cluster.eventually("it answers", || health().stdout.contains("not ready").then_some(()));
    signal(pid, Signal::STOP);
    let begun = std::time::Instant::now();
    let answer = health();
    let took = begun.elapsed();
    signal(pid, Signal::CONT);
    assert_eq!(answer.code, Some(1), "{answer:?}");
    assert!(answer.stdout.contains("nobody answers"), "{answer:?}");
    assert!(took.as_secs() < 5, "{took:?}");
}

#[test]
fn an_address_that_is_taken_or_none_is_said() {
    let cluster = Cluster::empty();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap().to_string();
    let output = cluster.run(&["broker", "--http", &at]);
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains(&at) && output.stderr.contains("--http"), "{output:?}");
    assert_eq!(cluster.run(&["broker", "--http", "nowhere"]).code, Some(2));
    assert_eq!(cluster.run(&["health"]).code, Some(2));
}
