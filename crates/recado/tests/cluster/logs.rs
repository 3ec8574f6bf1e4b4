//! Logs as JSON: every line that `up` writes is an object, whoever said it.

use serde_json::Value;

use crate::support::Cluster;

#[test]
fn every_line_of_up_is_an_object_that_names_its_role() {
    let mut cluster = Cluster::empty();
    cluster.start_up(1, &["--log-format", "json"]);
    cluster.wait_active(1);
    let (primary, pid) = cluster.primary();
    cluster.kill_pid(pid);
    let lines = |cluster: &Cluster| -> Vec<Value> {
        let log = cluster.log();
        // The last line may not be whole yet.
        let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    };
    let said = |role: &str, level: &str, words: &str| {
        cluster.eventually(words, || {
            let told = |line: &Value| {
                line["role"] == role
                    && line["level"] == level
                    && line["timestamp"].as_str().is_some_and(|at| at.ends_with('Z'))
                    && line["message"].as_str().is_some_and(|message| message.contains(words))
            };
            lines(&cluster).iter().any(told).then_some(())
        });
    };
    said("broker", "INFO", "the broker is ready");
    said(&primary, "WARN", "ended: signal 9");
    said(&primary, "INFO", "starts again");
    said(&primary, "INFO", "server started");
    cluster.wait_active(1);
    cluster.process("up").stop();
    let last = lines(&cluster).pop().unwrap();
    assert_eq!(last["message"], "everything is stopped", "{last}");
}

#[test]
fn a_role_that_fails_says_so_in_its_format() {
    let cluster = Cluster::empty();
    let taken = std::net::TcpListener::bind(("127.0.0.1", cluster.base)).unwrap();
    let output = cluster.run(&["broker", "--log-format", "json"]);
    drop(taken);
    let last: Value = serde_json::from_str(output.stderr.lines().last().unwrap()).unwrap();
    assert_eq!(last["level"], "ERROR", "{output:?}");
    assert!(last["message"].as_str().unwrap().contains("is in use"), "{output:?}");
    assert_eq!(cluster.run(&["broker", "--log-format", "xml"]).code, Some(2));
}
