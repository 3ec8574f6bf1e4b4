//! Every role can be watched: it lives, it is ready or says why not, and it shows metrics.

use rustix::process::Signal;

use crate::support::http::{addresses, get};
use crate::support::{Cluster, signal};

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
