//! The full-screen client in a terminal, as a person would use it.

use rustix::process::Signal;

use super::support::{self, Cluster, Terminal};

const ENTER_HISTORY: &str = "\u{1b}[5~";
const ESCAPE: &str = "\u{1b}";

fn chat(cluster: &Cluster, user: &str, columns: u16, rows: u16) -> Terminal {
    let args = cluster.args(&["chat", "--user", user]);
    Terminal::start(&args, &cluster.dir().join("memory"), (columns, rows), &[("NO_COLOR", "1")])
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_chat_while_the_primary_dies() {
    let mut cluster = Cluster::roles(3);
    let mut ana = chat(&cluster, "ana", 100, 24);
    ana.wait_for("logged in as ana");
    ana.line("/create tea");
    ana.wait_for("#tea");
    let mut bob = chat(&cluster, "bob", 80, 24);
    bob.wait_for("logged in as bob");
    bob.line("/join tea");
    bob.wait_for("this is the beginning");

    ana.line("hello from ana 👋🏽");
    bob.wait_for("hello from ana 👋🏽");
    ana.wait_for("✓3/3");
    ana.wait_for("stored on 3 of 3");
    bob.line("hello from bob");
    ana.wait_for("hello from bob");

    // Enough to scroll, in order.
    for number in 1..=40 {
        bob.line(&format!("line {number}."));
    }
    ana.wait_for("line 40.");
    ana.keys(ENTER_HISTORY);
    ana.keys(ENTER_HISTORY);
    ana.wait_for("hello from ana");
    ana.wait_until("the newest is out of sight", |screen| !screen.contains("line 40."));

    // The primary dies while ana reads, and bob writes on.
    let (primary, _) = cluster.primary();
    let before = timeline(&ana);
    cluster.kill(&primary);
    bob.line("written when the primary was dead");
    bob.wait_for("written when the primary was dead ✓");
    assert_eq!(timeline(&ana), before, "what ana reads stays where it is");
    ana.keys(ESCAPE);
    ana.wait_for("written when the primary was dead");
    ana.wait_until("another primary is named", |screen| {
        screen.contains("primary server-") && !screen.contains(&format!("primary {primary}"))
    });
    ana.line("and ana answers");
    bob.wait_for("and ana answers");
    let screen = bob.screen();
    assert_eq!(screen.matches("written when the primary was dead").count(), 1, "{screen}");

    // The smallest size shows the newest messages.
    ana.resize(40, 10);
    ana.wait_until("the small screen", |screen| {
        screen.contains("and ana answers") && screen.lines().count() <= 10
    });
    // What is not acknowledged yet would be asked about.
    ana.wait_for("and ana answers ✓");
    for mut person in [ana, bob] {
        person.line("/quit");
        assert_eq!(person.end(), Some(0));
        person.check_left_as_found();
    }

    // What is joined and read is remembered.
    let client = support::chat::connect(&cluster).await;
    client.publish("bob", "tea", "while ana was away").await.unwrap();
    let ana = chat(&cluster, "ana", 100, 24);
    ana.wait_for("while ana was away");
    ana.wait_until("unread starts at a line", |screen| {
        let at = |text| screen.find(text).unwrap_or(usize::MAX);
        at("and ana answers") < at("── new") && at("── new") < at("while ana was away")
    });
}

/// The timeline without what changes by itself.
fn timeline(terminal: &Terminal) -> Vec<String> {
    let screen = terminal.screen();
    // A cell that was erased and one in which a space was written look the same.
    let lines = screen.lines().filter(|line| line.contains("line "));
    lines.map(|line| line.trim_end().to_owned()).collect()
}

#[test]
fn what_is_written_without_a_broker_is_sent_once_when_it_is_back() {
    let mut cluster = Cluster::roles(1);
    let mut ana = chat(&cluster, "ana", 100, 24);
    ana.wait_for("logged in as ana");
    ana.line("/create tea");
    ana.wait_for("#tea");
    ana.line("before");
    ana.wait_for("before ✓");
    cluster.kill("broker");
    ana.wait_for("what you write is kept");
    ana.line("first meanwhile");
    ana.line("second meanwhile");
    ana.keys("a draft");
    ana.wait_for("second meanwhile …");
    cluster.start("broker", &["broker"]);
    ana.wait_for("second meanwhile ✓");
    ana.wait_gone("what you write is kept");
    cluster.kill("proxy");
    ana.wait_for("the proxy is not connected");
    cluster.start("proxy", &["proxy"]);
    ana.wait_gone("the proxy is not connected");
    let screen = ana.screen();
    for text in ["before", "first meanwhile", "second meanwhile", "› a draft"] {
        assert_eq!(screen.matches(text).count(), 1, "{text} in\n{screen}");
    }
    assert!(screen.find("first meanwhile") < screen.find("second meanwhile"), "{screen}");
    let history = cluster.run_with(&["client"], "history tea\n").stdout;
    for text in ["first meanwhile", "second meanwhile"] {
        assert_eq!(history.matches(text).count(), 1, "{history}");
    }

    // The next start goes on where this one ends.
    cluster.kill("broker");
    ana.wait_for("what you write is kept");
    ana.line(" that became a message");
    ana.keys("another draft");
    ana.wait_for("a draft that became a message …");
    ana.signal(Signal::TERM);
    assert_eq!(ana.end(), Some(130));
    cluster.start("broker", &["broker"]);
    let mut ana = chat(&cluster, "ana", 80, 24);
    ana.wait_for("› another draft");
    ana.wait_for("a draft that became a message ✗ not sent");
    ana.keys("\x12");
    ana.wait_for("a draft that became a message ✓");

    // Who only reads learns that there is nobody to read from.
    cluster.kill("server-1");
    ana.wait_for("no server answers; nothing new comes");
    cluster.start_server(1, &[]);
    ana.wait_gone("no server answers");
}

#[test]
fn without_a_cluster_it_says_so_and_leaves_on_a_signal() {
    let cluster = Cluster::empty();
    let mut ana = chat(&cluster, "ana", 80, 24);
    ana.wait_for("can't reach the broker at 127.0.0.1");
    ana.line("/jion tea");
    ana.wait_for("did you mean /join?");
    ana.signal(Signal::TERM);
    assert_eq!(ana.end(), Some(130));
    ana.check_left_as_found();
}

fn lines(cluster: &Cluster) -> Terminal {
    Terminal::start(&cluster.args(&["client"]), &cluster.dir().join("memory"), (80, 24), &[])
}

#[test]
fn the_line_client_leaves_on_a_signal_too() {
    let cluster = Cluster::empty();
    let mut ana = lines(&cluster);
    ana.wait_for("can't reach the broker at tcp://127.0.0.1");
    ana.keys("users");
    ana.wait_for("> users");
    ana.signal(Signal::TERM);
    assert_eq!(ana.end(), Some(130));
    ana.check_left_as_found();
}

#[test]
fn lines_that_come_in_one_burst_are_all_obeyed() {
    let cluster = Cluster::empty();
    let mut ana = lines(&cluster);
    ana.wait_for("> ");
    ana.keys("first\rsecond\rthird\rquit\r");
    assert_eq!(ana.end(), Some(0));
    for word in ["first", "second", "third"] {
        ana.wait_for(&format!("no command \"{word}\""));
    }
}
