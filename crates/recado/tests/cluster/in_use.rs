//! A folder that is in use: whoever comes second is told, and the first one goes on.

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::{Cluster, Output};

/// The one line that was said.
#[track_caller]
fn check_refused(output: &Output, words: &[&str]) {
    assert_eq!(output.code, Some(1), "{output:?}");
    let lines: Vec<_> = output.stderr.lines().filter(|l| l.starts_with("recado: ")).collect();
    assert_eq!(lines.len(), 1, "{output:?}");
    for word in words {
        assert!(lines[0].contains(word), "{word} is missing in {output:?}");
    }
}

fn run_files(folder: &Path) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(folder.join("run")).unwrap().flatten();
    let content = |entry: std::fs::DirEntry| {
        let text = std::fs::read_to_string(entry.path()).unwrap();
        (entry.file_name().to_string_lossy().into_owned(), text)
    };
    entries.map(content).collect()
}

#[test]
fn a_second_up_on_a_folder_is_refused_and_leaves_the_first_alone() {
    let [mut cluster, elsewhere] = Cluster::two();
    cluster.start_up(3, &[]);
    cluster.wait_active(3);
    let before = run_files(&cluster.data_dir());
    let folder = cluster.data_dir().display().to_string();
    let pid = cluster.process("up").pid().to_string();
    for more in [&[][..], &["--servers", "1"], &["--listen", "127.0.0.2"]] {
        let output = cluster.run(&[&["up", "--bots", "0"][..], more].concat());
        check_refused(&output, &[&folder, "in use", &pid, "--data-dir"]);
    }
    // Other ports are no other folder.
    let base = elsewhere.base.to_string();
    for role in ["up", "demo"] {
        let words = [role, "--port-base", &base, "--data-dir", &folder];
        let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        check_refused(&crate::support::process::run(&words, "", 60), &[&folder, "in use"]);
    }
    assert_eq!(run_files(&cluster.data_dir()), before);
    cluster.wait_active(3);
    assert!(!cluster.log().contains("starts again"), "{}", cluster.log_tail());
}

#[test]
fn a_second_role_on_a_folder_is_refused_and_leaves_the_first_alone() {
    let [mut cluster, elsewhere] = Cluster::two();
    cluster.start_roles(1);
    cluster.wait_active(1);
    let before = run_files(&cluster.data_dir());
    let base = elsewhere.base.to_string();
    let folder = cluster.data_dir();
    for (role, name) in
        [(&["server", "--name", "server-1"][..], "server-1"), (&["reference"], "reference")]
    {
        let more = ["--port-base", &base, "--data-dir", folder.to_str().unwrap()];
        let words: Vec<_> = role.iter().chain(&more).map(|word| (*word).to_owned()).collect();
        let output = crate::support::process::run(&words, "", 60);
        let held = folder.join(name).display().to_string();
        check_refused(&output, &[&held, "in use", "--data-dir"]);
    }
    // What has no data may run beside, but says nothing in the other one's place.
    for role in ["broker", "proxy"] {
        let more = ["--port-base", &base, "--data-dir", folder.to_str().unwrap()];
        let words: Vec<_> = [role].iter().chain(&more).map(|word| (*word).to_owned()).collect();
        let mut other =
            crate::support::process::Process::start(&words, &cluster.dir().join("beside"));
        let port = elsewhere.base + if role == "broker" { 0 } else { 2 };
        cluster.eventually("it listens", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).ok().map(drop)
        });
        assert_eq!(other.stop(), Some(0));
    }
    assert_eq!(run_files(&folder), before);
    cluster.wait_active(1);
    // When it is gone the folder is free at once.
    cluster.kill("server-1");
    cluster.start_server(1, &[]);
    cluster.wait_active(1);
}
