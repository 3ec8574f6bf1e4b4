//! What can't work is said at the start, in one line, with an exit code.

use std::net::TcpListener;

use crate::support::{Cluster, Output, eventually};

#[track_caller]
fn check_refused(output: &Output, code: i32, words: &[&str]) {
    assert_eq!(output.code, Some(code), "{output:?}");
    let lines: Vec<_> = output.stderr.lines().filter(|l| l.starts_with("recado: ")).collect();
    assert_eq!(lines.len(), 1, "one clear line is needed: {output:?}");
    for word in words {
        assert!(lines[0].contains(word), "{word} is missing in {output:?}");
    }
    for sign in ["panicked", "RUST_BACKTRACE", "Os {", "Err("] {
        assert!(!output.stderr.contains(sign), "{sign} is nothing for people: {output:?}");
    }
}

/// Listens on a port. A child that another test is starting holds this process's sockets for a
/// moment, those of the last round too, so it may have to wait.
fn take(port: u16) -> TcpListener {
    eventually("the port is free", 10, || TcpListener::bind(("127.0.0.1", port)).ok())
}

#[test]
fn a_port_in_use_is_named() {
    let cluster = Cluster::empty();
    for (offset, words) in [
        (0, &["broker"][..]),
        (1, &["broker", "--plain"]),
        (2, &["proxy"]),
        (3, &["proxy"]),
        (4, &["reference"]),
        (4, &["up"]),
        (6, &["up", "--servers", "2"]),
    ] {
        let port = cluster.base + offset;
        let _taken = take(port);
        let output = cluster.run(words);
        check_refused(&output, 1, &[&port.to_string(), "in use", "--port-base"]);
    }
    let _taken = take(cluster.base + 5);
    let port = (cluster.base + 5).to_string();
    let output = cluster.run(&["server", "--port", &port]);
    check_refused(&output, 1, &[&port, "in use"]);
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let cluster = Cluster::empty();
    // A file where the folder should be can't be written by anybody, root included.
    std::fs::write(cluster.data_dir(), "").unwrap();
    for role in ["broker", "proxy", "reference", "server", "up"] {
        let output = cluster.run(&[role]);
        let dir = cluster.data_dir().display().to_string();
        check_refused(&output, 1, &[&dir, "--data-dir"]);
    }
}

#[test]
fn data_of_a_newer_version_is_refused() {
    let cluster = Cluster::empty();
    let dir = cluster.data_dir().join("server-1");
    std::fs::create_dir_all(&dir).unwrap();
    // An identity file of format 99: a checksum, the format, then what we can't know.
    let body = [0, 0, 0, 99, 1, 2, 3];
    let sum = crc32fast::hash(&body).to_be_bytes();
    std::fs::write(dir.join("identity"), [&sum[..], &body].concat()).unwrap();
    let output = cluster.run(&["server", "--name", "server-1"]);
    check_refused(&output, 1, &["newer version", &dir.display().to_string(), "99"]);
}

#[test]
fn a_wrong_configuration_is_refused_by_key_and_file() {
    let cluster = Cluster::empty();
    let file = cluster.dir().join("recado.toml");
    let path = file.display().to_string();
    for (text, key) in [("port-bass = 1", "port-bass"), ("servers = \"three\"", "servers")] {
        std::fs::write(&file, text).unwrap();
        let output = cluster.run(&["up", "--config", &path]);
        check_refused(&output, 2, &[key, &path]);
    }
    let output = cluster.run(&["status", "--config", "/no/such/recado.toml"]);
    check_refused(&output, 2, &["/no/such/recado.toml"]);
}

#[test]
fn wrong_usage_has_an_exit_code_of_its_own() {
    let cluster = Cluster::empty();
    for words in [&["dance"][..], &["up", "--servers", "many"], &["proxy", "--bots", "3"]] {
        assert_eq!(cluster.run(words).code, Some(2), "{words:?}");
    }
    let output = cluster.run(&["up", "--servers", "0"]);
    check_refused(&output, 2, &["servers"]);
    let output = cluster.run(&["server", "--log", "info,="]);
    assert_eq!(output.code, Some(2), "{output:?}");
    let output = cluster.run(&["server", "--broker", "http://x"]);
    check_refused(&output, 2, &["--broker", "HOST:PORT"]);
    let output = cluster.run(&["server", "--listen", "0.0.0.0"]);
    check_refused(&output, 2, &["--advertise"]);
}

#[test]
fn help_is_there_for_every_command() {
    let cluster = Cluster::empty();
    for command in [
        "broker",
        "proxy",
        "reference",
        "server",
        "client",
        "bot",
        "up",
        "demo",
        "status",
        "bench",
        "export",
        "import",
    ] {
        let output = cluster.run(&[command, "--help"]);
        assert_eq!(output.code, Some(0), "{output:?}");
        assert!(output.stdout.contains("RECADO_DATA_DIR"), "{command}");
    }
}

#[test]
fn without_a_cluster_clients_say_what_to_do() {
    let cluster = Cluster::empty();
    let output = cluster.run(&["status", "--json"]);
    check_refused(&output, 1, &["no broker", "recado up"]);
    assert!(output.stdout.is_empty(), "{output:?}");
    let export = cluster.dir().join("export").display().to_string();
    for words in [&["status"][..], &["bench"], &["export", &export], &["server", "remove", "a"]] {
        let output = cluster.run(words);
        check_refused(&output, 1, &[&cluster.endpoint(0), "nothing listens there"]);
        let output = cluster.run(&[words, &["--broker", "no-such-host.invalid:7"]].concat());
        check_refused(&output, 1, &["tcp://no-such-host.invalid:7", "can't be resolved"]);
    }
}
