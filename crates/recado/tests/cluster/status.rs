//! `status`: exactly the keys that programs rely on.

use serde_json::Value;

use crate::support::Cluster;

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[test]
fn the_keys_are_these() {
    let cluster = Cluster::up(3);
    let status = cluster.status().unwrap();
    let expected =
        ["broker", "brokers", "members", "min_copies", "proxies", "proxy", "reference", "why"];
    assert_eq!(keys(&status), expected);
    assert!(status["why"].is_null(), "somebody leads: {status:#}");
    let members = status["members"].as_array().unwrap();
    assert_eq!(members.len(), 3);
    let mut expected = [
        "name",
        "rank",
        "role",
        "address",
        "pid",
        "http",
        "applied",
        "term",
        "clock_offset_ms",
        "why",
        "scrubbed",
        "scrub_left",
    ];
    expected.sort_unstable();
    for member in members {
        assert_eq!(keys(member), expected);
        for number in ["rank", "pid", "applied", "term"] {
            assert!(member[number].is_u64(), "{number} in {member}");
        }
        assert!(matches!(member["role"].as_str(), Some("primary" | "backup")), "{member}");
    }
    for role in ["broker", "proxy", "reference"] {
        let pid = status[role]["pid"].as_u64().unwrap_or_else(|| panic!("no pid: {status:#}"));
        assert!(std::path::Path::new(&format!("/proc/{pid}")).exists(), "{role}");
    }
    // The single ones are the first of the lists.
    for (role, list) in [("broker", "brokers"), ("proxy", "proxies")] {
        assert_eq!(status[list].as_array().map(Vec::len), Some(1), "{status:#}");
        assert_eq!(status[list][0], status[role]);
        cluster.eventually("it is shown which servers are connected, and since when", || {
            let connections = cluster.status()?[role]["connections"].clone();
            let connections = connections.as_array()?;
            let mut names: Vec<&str> =
                connections.iter().filter_map(|c| c["name"].as_str()).collect();
            names.sort_unstable();
            let timed = connections.iter().all(|c| c["since"].as_u64().is_some_and(|at| at > 0));
            (timed && names == ["server-1", "server-2", "server-3"]).then_some(())
        });
    }
}

#[test]
fn roles_that_are_away_are_shown_as_away() {
    let mut cluster = Cluster::roles(3);
    cluster.kill("server-3");
    let dead = cluster.eventually("the dead server is shown as down", || {
        cluster.members().into_iter().find(|m| m["name"] == "server-3" && m["role"] == "down")
    });
    assert!(dead["pid"].is_null(), "the number of a process that is gone: {dead}");
    cluster.kill("reference");
    cluster.kill("proxy");
    let status = cluster.status().unwrap();
    assert_eq!(status["reference"]["answers"], false, "{status:#}");
    assert_eq!(status["proxy"]["answers"], false, "{status:#}");
    assert!(status["proxy"]["pid"].is_null(), "{status:#}");
    cluster.kill("broker");
    let output = cluster.run(&["status"]);
    assert_eq!(output.code, Some(1));
    assert_eq!(output.stderr.trim().lines().count(), 1, "{output:?}");
}

#[test]
fn it_fails_when_no_server_answers_and_prints_what_it_knows() {
    let mut cluster = Cluster::roles(1);
    cluster.kill("server-1");
    for json in [false, true] {
        let words: &[&str] = if json { &["status", "--json"] } else { &["status"] };
        let output = cluster.run(words);
        assert_eq!(output.code, Some(1), "{output:?}");
        assert_eq!(output.stderr.trim().lines().count(), 1, "{output:?}");
        assert!(output.stderr.contains("no server answers"), "{output:?}");
        assert!(output.stdout.contains(&cluster.endpoint(0)), "{output:?}");
        if json {
            let status: Value = serde_json::from_str(&output.stdout).unwrap();
            assert_eq!(status["members"].as_array().map(Vec::len), Some(0), "{status:#}");
            assert_eq!(status["reference"]["answers"], true, "{status:#}");
        }
    }
    for words in [&["server", "remove", "server-1"][..], &["bench", "--seconds", "1"]] {
        assert_eq!(cluster.run(words).code, Some(1), "{words:?}");
    }
}

#[test]
fn the_table_names_everybody() {
    let cluster = Cluster::up(2);
    let output = cluster.run(&["status"]);
    assert_eq!(output.code, Some(0), "{output:?}");
    for word in ["server-1", "server-2", "primary", "backup", "broker", "proxy", "reference"] {
        assert!(output.stdout.contains(word), "{word} is missing in {output:?}");
    }
}

#[test]
fn bench_prints_exactly_its_keys() {
    let cluster = Cluster::up(1);
    let output = cluster.run(&["bench", "--clients", "4", "--seconds", "1", "--json"]);
    assert_eq!(output.code, Some(0), "{output:?}");
    let report: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(keys(&report), ["acks_per_s", "errors", "max_ms", "p50_ms", "p99_ms"]);
    assert!(report["acks_per_s"].as_f64().unwrap() > 0.0);
    assert_eq!(report["errors"], 0);
}

#[test]
fn bench_measures_the_gap_around_the_death_of_a_primary() {
    let cluster = Cluster::up(3);
    let command = ["bench", "--what", "fail-over", "--kill-primary", "1", "--clients", "4"];
    let output = cluster.run(&[&command[..], &["--json"]].concat());
    assert_eq!(output.code, Some(0), "{output:?}");
    let report: Value = serde_json::from_str(&output.stdout).unwrap();
    let gaps = report["gaps_ms"].as_array().unwrap();
    assert_eq!(gaps.len(), 1, "{report}");
    // Shorter than the lease of a dead primary it can't be.
    assert!(gaps[0].as_f64().unwrap() > 100.0, "{report}");
    assert!(report["acks"].as_u64().unwrap() > 0, "{report}");
}

#[test]
fn bench_measures_reads_latency_and_fan_out() {
    let cluster = Cluster::up(1);
    let measure = |what: &str| -> Value {
        let output =
            cluster.run(&["bench", "--what", what, "--clients", "2", "--seconds", "1", "--json"]);
        assert_eq!(output.code, Some(0), "{output:?}");
        serde_json::from_str(&output.stdout).unwrap()
    };
    let reads = measure("reads");
    assert!(reads["history"]["pages_per_s"].as_f64().unwrap() > 0.0, "{reads}");
    assert!(reads["channels"]["lists_per_s"].as_f64().unwrap() > 0.0, "{reads}");
    let latency = measure("latency");
    assert_eq!(latency["due"], 300, "the default rate, for a second");
    assert!(latency["p999_ms"].as_f64() >= latency["p50_ms"].as_f64(), "{latency}");
    let fan_out = measure("fan-out");
    assert!(fan_out["deliveries_per_s"].as_f64().unwrap() > 0.0, "{fan_out}");
    assert_eq!(fan_out["lost"], 0, "{fan_out}");
    let wrong = cluster.run(&["bench", "--what", "weather"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
}
