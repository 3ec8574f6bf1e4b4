//! An fsync that fails: the server no longer knows what it holds and ends at once, whichever write
//! it was; the others go on, and after a start it is active again. It never tries a second time.

use crate::support::disk::has_strace;
use crate::support::{Cluster, chat};

/// Which of the syncs of a thread fails: some of them at the start, some under load.
const TURNS: [usize; 4] = [1, 2, 6, 60];

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_fsync_ends_the_server_and_nothing_else() {
    if !has_strace() {
        return;
    }
    let mut cluster = Cluster::roles(3);
    let client = chat::connect(&cluster).await;
    client.create_channel("load").await.unwrap();
    let load = chat::Load::start(&cluster, "load", 4).await;
    let traces = cluster.dir().join("strace");
    for turn in TURNS {
        cluster.kill("server-3");
        let before = cluster.log().len();
        let traces = traces.display().to_string();
        let inject = format!("inject=fdatasync,fsync:error=EIO:when={turn}");
        let tool = ["strace", "-f", "-qq", "-o", &traces, "-e", "trace=fdatasync,fsync", "-e"];
        let tool: Vec<&str> = tool.into_iter().chain([inject.as_str()]).collect();
        cluster.start_server_under(&tool, 3);
        let mut server = None;
        for _ in 0..3000 {
            server = cluster.process("server-3").ended();
            if server.is_some() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        assert_eq!(server, Some(1), "turn {turn}\n{}", cluster.log_tail());
        let log = cluster.log();
        let said: Vec<&str> = log[before..].lines().filter(|l| l.starts_with("recado: ")).collect();
        assert_eq!(said.len(), 1, "turn {turn}: {said:?}");
        println!("turn {turn}: {}", said[0]);
        check_trace(&traces);
        cluster.start_server(3, &[]);
        cluster.wait_active(3);
    }
    let acked = load.stop().await;
    let records = chat::channel_history(&client, "load").await;
    chat::check_acked(&acked, &records);
    chat::check_order(&records);
}

/// No file is synced again on which a sync failed. The descriptor stands for the file: it is not
/// closed before the end.
fn check_trace(path: &str) {
    let trace = std::fs::read_to_string(path).unwrap();
    let call = |line: &str| {
        let at = line.find("sync(")?;
        line[at + 5..].split(')').next().map(str::to_owned)
    };
    let failed: Vec<(usize, String)> = (trace.lines().enumerate())
        .filter(|(_, line)| line.contains("(INJECTED)"))
        .filter_map(|(at, line)| Some((at, call(line)?)))
        .collect();
    assert!(!failed.is_empty(), "nothing was injected:\n{trace}");
    let (first, descriptor) = &failed[0];
    let again = trace.lines().skip(first + 1).filter(|line| !line.contains("INJECTED"));
    let again: Vec<&str> = again.filter(|line| call(line).as_ref() == Some(descriptor)).collect();
    assert!(again.is_empty(), "tried again: {again:?}");
}
