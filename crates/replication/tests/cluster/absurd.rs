//! Well-formed messages that no server of ours sends: they are refused, nobody stops over them, and
//! nothing of them stands in the way of the next start.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use recado_chat::members::Announcement;
use recado_chat::{Command, LogEntry, MemberCommand, Stamp};

use crate::memory::{CLUSTER, Cluster};
use crate::seq;
use crate::wire::{
    self, ANNOUNCE, APPEND, Announced, Append, Chunk, Entry, LogId, Meta, PRE_VOTE, Payload,
    READ_INDEX, SNAPSHOT, TRANSFER, VOTE, Vote, WHO, seal, stranger, unseal,
};

/// Who sends them: no member.
const GHOST: u64 = 4242;
/// How long an answer may take; some messages get none.
const ANSWER: Duration = Duration::from_secs(3);
/// Longer than anything that a name or an entry may be.
const HUGE: usize = 2_600_000;

/// What an honest message to a node would say.
struct Truth {
    to: u64,
    term: u64,
    primary: u64,
    last: LogId,
    members: BTreeSet<u64>,
    snapshot: Vec<u8>,
}

impl Truth {
    fn vote(&self) -> Vote {
        ((self.term, Some(self.primary)), true)
    }

    fn next(&self) -> LogId {
        (self.term, self.last.1 + 1)
    }

    /// Entries behind the last one.
    fn append(&self, entries: Vec<Entry>) -> Append {
        (self.vote(), Some(self.last), entries, None)
    }

    fn membership(&self) -> wire::Membership {
        (vec![self.members.clone()], wire::nodes(self.members.clone()))
    }
}

/// A message, and what is absurd about it.
type Message = (&'static str, u8, Bytes);

fn message<T: serde::Serialize>(
    what: &'static str,
    kind: u8,
    truth: &Truth,
    content: &T,
) -> Message {
    (what, kind, seal(CLUSTER, truth.to, content))
}

fn announcements() -> Vec<(&'static str, Announcement)> {
    let with = |node, change: fn(&mut Announcement)| {
        let mut announcement = stranger(node);
        change(&mut announcement);
        announcement
    };
    vec![
        ("a huge name", with(901, |a| a.name = "x".repeat(HUGE))),
        ("a huge address", with(902, |a| a.address = "x".repeat(HUGE))),
        ("a name that is a little too long", with(903, |a| a.name = "x".repeat(301))),
        ("no name", with(904, |a| a.name.clear())),
        ("no address", with(905, |a| a.address.clear())),
        ("a name that moves the cursor", with(906, |a| a.name = "\u{1b}[2J".into())),
        ("an address of two lines", with(907, |a| a.address = "tcp://a:1\ntcp://b:2".into())),
        ("an endless rank", with(908, |a| a.rank = u64::MAX)),
        ("nobody's node id", with(0, |_| {})),
        (
            "a huge name as witness",
            with(909, |a| {
                a.witness = true;
                a.name = "x".repeat(HUGE);
            }),
        ),
    ]
}

fn appends(truth: &Truth) -> Vec<Message> {
    let append = |what, content: Append| message(what, APPEND, truth, &content);
    let (to, term, last) = (truth.to, truth.term, truth.last);
    let next = truth.next();
    let honest = truth.vote();
    let blank = |id: LogId| (id, Payload::Blank);
    let normal = |bytes: Vec<u8>| (next, Payload::Normal(bytes));
    let with = |command: Command, stamp: Stamp| {
        normal(LogEntry { stamp, origin: None, published: 0, command }.encode())
    };
    let now = Stamp { time_ms: 1_700_000_000_000, clock: 1 };
    let login = || Command::Login { user: "ana".into() };
    let long = Announcement { name: "x".repeat(HUGE / 2), ..stranger(910) };
    let membership = |configs: Vec<Vec<u64>>, nodes: Vec<u64>| {
        let configs = configs.into_iter().map(BTreeSet::from_iter).collect();
        (next, Payload::Membership((configs, wire::nodes(nodes))))
    };
    let everybody: Vec<u64> = truth.members.iter().copied().collect();
    let many: Vec<u64> = (1..5000).collect();
    vec![
        append("an endless term", (((u64::MAX, Some(GHOST)), true), None, vec![], None)),
        append("the last term", (((u64::MAX - 1, Some(GHOST)), true), None, vec![], None)),
        append("a lead that nobody gave", (((term + 1, Some(GHOST)), false), None, vec![], None)),
        append("the receiver's own lead", (((term + 2, Some(to)), true), None, vec![], None)),
        append("an endless position before", (honest, Some((term, u64::MAX)), vec![], None)),
        append("an endless position", {
            (honest, Some((term, u64::MAX - 1)), vec![blank((term, u64::MAX))], None)
        }),
        append("a gap behind", truth.append(vec![blank((term, last.1 + 5))])),
        append("a gap within", truth.append(vec![blank(next), blank((term, last.1 + 9))])),
        append("twice the same", truth.append(vec![blank(next), blank(next)])),
        append("no entry before the fifth", (honest, None, vec![blank((term, 5))], None)),
        append("an entry of a later term", truth.append(vec![blank((term + 1, next.1))])),
        append("a term that goes back", truth.append(vec![blank((0, next.1))])),
        append("another past", (honest, Some((term + 9, 1)), vec![], None)),
        append("a past of a later term", (honest, Some((term + 9, last.1 + 1)), vec![], None)),
        append("an endless commit", (honest, None, vec![], Some((term, u64::MAX)))),
        append("a commit of a later term", (honest, None, vec![], Some((term + 9, 1)))),
        append("an empty entry", truth.append(vec![normal(vec![])])),
        append("an entry of another version", truth.append(vec![normal(vec![9, 0x94])])),
        append("an entry that is cut off", truth.append(vec![normal(vec![1, 0x94, 0x92])])),
        append("a huge entry", {
            truth.append(vec![with(Command::Login { user: "x".repeat(HUGE) }, now)])
        }),
        append("a long name within", {
            truth.append(vec![with(Command::Member(MemberCommand::Announce(long)), now)])
        }),
        append("the end of time", {
            truth.append(vec![with(login(), Stamp { time_ms: u64::MAX, clock: 1 })])
        }),
        append("the end of the clock", {
            truth.append(vec![with(login(), Stamp { time_ms: 1, clock: u64::MAX })])
        }),
        append("no membership", truth.append(vec![membership(vec![], everybody.clone())])),
        append("nobody votes", truth.append(vec![membership(vec![vec![]], everybody.clone())])),
        append("a voter who is no member", truth.append(vec![membership(vec![vec![7]], vec![])])),
        append("three memberships at once", {
            truth.append(vec![membership(vec![everybody.clone(); 3], everybody)])
        }),
        append("thousands of members", truth.append(vec![membership(vec![many.clone()], many)])),
    ]
}

fn votes(truth: &Truth) -> Vec<Message> {
    let term = truth.term;
    let far = Some((term, u64::MAX));
    let cases: Vec<(&'static str, wire::VoteRequest)> = vec![
        ("an endless term", (((u64::MAX, Some(GHOST)), false), Some(truth.last), true)),
        ("a vote that is won already", (((term + 1, Some(GHOST)), true), Some(truth.last), true)),
        ("the receiver stands", (((term + 1, Some(truth.to)), false), Some(truth.last), true)),
        ("an endless log", (((term + 1, Some(GHOST)), false), far, true)),
        ("a log of a later term", (((term + 1, Some(GHOST)), false), Some((term + 5, 9)), true)),
    ];
    let send = |kind| {
        let of = move |(what, content)| message(what, kind, truth, &content);
        cases.clone().into_iter().map(of).collect::<Vec<_>>()
    };
    [send(VOTE), send(PRE_VOTE)].concat()
}

fn transfers(truth: &Truth) -> Vec<Message> {
    let transfer =
        |what, content: (Vote, u64, Option<LogId>)| message(what, TRANSFER, truth, &content);
    let far = Some((truth.term, u64::MAX));
    vec![
        transfer("an endless log", (truth.vote(), truth.to, far)),
        transfer("an endless term", (((u64::MAX, Some(GHOST)), true), truth.to, None)),
        transfer("from the receiver", (((truth.term, Some(truth.to)), true), truth.to, None)),
    ]
}

fn snapshots(truth: &Truth) -> Vec<Message> {
    let (term, far) = (truth.term, u64::MAX - 1);
    let meta = |id: Option<LogId>| -> Meta { (id, (Some((1, 0)), truth.membership()), "") };
    // Each is a transfer of its own: a piece that comes again is answered as before.
    let whole = |what: &'static str, vote: Vote, meta: Meta| {
        let bytes = truth.snapshot.clone();
        let transfer =
            what.bytes().fold(7, |number, byte| number * 31 % 1_000_003 + u64::from(byte));
        message(
            what,
            SNAPSHOT,
            truth,
            &Chunk { transfer, offset: 0, bytes, end: Some((vote, meta)) },
        )
    };
    let piece = |what, offset, bytes| {
        message(what, SNAPSHOT, truth, &Chunk { transfer: 8, offset, bytes, end: None })
    };
    let honest = truth.vote();
    vec![
        piece("an endless offset", u64::MAX, vec![1]),
        piece("a piece that is too long", 0, vec![1; 3_000_000]),
        whole("a later entry than it has", honest, meta(Some((term, truth.last.1 + 1000)))),
        whole("an endless position", honest, meta(Some((term, far)))),
        whole("an entry of a later term", honest, meta(Some((term + 5, truth.last.1 + 1000)))),
        whole("no entry", honest, meta(None)),
        whole("an endless term", ((far, Some(GHOST)), true), meta(Some(truth.last))),
        whole(
            "the receiver's own lead",
            ((term + 1, Some(truth.to)), true),
            meta(Some(truth.last)),
        ),
        whole("nobody votes", honest, {
            (Some((term, truth.last.1 + 1000)), (Some((1, 0)), (vec![], wire::nodes([]))), "")
        }),
    ]
}

fn others(truth: &Truth) -> Vec<Message> {
    let mut messages = vec![
        message("a read with a text", READ_INDEX, truth, &"x"),
        message("who, with a text", WHO, truth, &"x"),
        message("who, for everybody", WHO, truth, &u64::MAX),
    ];
    for kind in (0..32).filter(|kind| !(APPEND..wire::END).contains(kind)) {
        messages.push(message("a kind that there is not", kind, truth, &[0u8; 9]));
    }
    for kind in APPEND..wire::END {
        messages.push(("nothing", kind, Bytes::new()));
        messages.push(("half a head", kind, Bytes::from_static(&[0; 9])));
        messages.push(("depth", kind, [&[0u8; 16][..], &[0x91; 4096]].concat().into()));
    }
    messages
}

async fn truth(cluster: &Cluster, index: usize) -> Truth {
    let primary = cluster.primary().await;
    let view = cluster.servers[primary].replica().view().borrow().clone();
    let file = cluster.servers[index].dir.join("written");
    cluster.servers[primary].replica().store().reader().unwrap().write_snapshot(&file).unwrap();
    Truth {
        to: cluster.servers[index].node,
        term: view.term,
        primary: cluster.servers[primary].node,
        last: (view.term, view.applied),
        members: cluster.nodes().into_iter().collect(),
        snapshot: std::fs::read(file).unwrap(),
    }
}

async fn send(cluster: &Cluster, index: usize, kind: u8, body: Bytes) -> Option<Bytes> {
    let answer = cluster.servers[index].replica().handle_peer(kind, body);
    tokio::time::timeout(ANSWER, answer).await.ok().flatten()
}

fn nobody_stopped(cluster: &Cluster, after: &str) {
    for server in cluster.servers.iter() {
        assert_eq!(server.replica().failure(), None, "{} after: {after}", server.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn absurd_announcements_are_refused_with_a_reason() {
    let cluster = Cluster::start(3).await;
    let session = cluster.prepare().await;
    cluster.publish_until_acked(session, 1).await;
    let primary = cluster.primary().await;
    for (what, announcement) in announcements() {
        // A newcomer does not know the cluster.
        let answer = send(&cluster, primary, ANNOUNCE, seal(0, 0, &announcement)).await;
        let answer: Announced = unseal(&answer.unwrap());
        assert!(matches!(&answer, Announced::Refused(_)), "{what}: {answer:?}");
        nobody_stopped(&cluster, what);
    }
    let members = cluster.servers[primary].replica().view().borrow().members.len();
    assert_eq!(members, 3, "none of them is a member");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_is_an_end_to_how_many_servers_a_cluster_takes_in() {
    let cluster = Cluster::start(1).await;
    let mut refused = None;
    for node in 1..=400 {
        let answer = send(&cluster, 0, ANNOUNCE, seal(0, 0, &stranger(node))).await;
        if let Announced::Refused(why) = unseal(&answer.unwrap()) {
            refused = Some(why);
            break;
        }
    }
    let why = refused.expect("one of so many is refused");
    assert!(why.contains("remove"), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn absurd_messages_stop_nobody_and_nobodys_next_start() {
    let mut cluster = Cluster::start(3).await;
    let session = cluster.prepare().await;
    for n in 1..=20 {
        cluster.publish_until_acked(session, n).await;
    }
    for index in 0..3 {
        let count = {
            let truth = truth(&cluster, index).await;
            [appends(&truth), votes(&truth), transfers(&truth), snapshots(&truth), others(&truth)]
                .concat()
                .len()
        };
        for number in 0..count {
            // Anew each time: some of them may cost the primary its place.
            let truth = truth(&cluster, index).await;
            let all = [
                appends(&truth),
                votes(&truth),
                transfers(&truth),
                snapshots(&truth),
                others(&truth),
            ]
            .concat();
            let (what, kind, body) = all[number].clone();
            let answer = send(&cluster, index, kind, body).await;
            let refused = answer.is_none() || ![APPEND, VOTE, PRE_VOTE, TRANSFER].contains(&kind);
            assert!(refused, "kind {kind} was answered: {what}");
            nobody_stopped(&cluster, &format!("kind {kind}, {what}"));
        }
    }
    cluster.wait_active(3).await;
    assert_eq!(seq(&cluster.publish_until_acked(session, 21).await), 21);
    for index in 0..3 {
        cluster.stop(index).await;
    }
    for index in 0..3 {
        cluster.restart(index).await;
        assert!(!cluster.servers[index].dir.join("damaged-1").exists(), "data was set aside");
    }
    cluster.wait_active(3).await;
    for n in (1..=21).rev() {
        assert_eq!(seq(&cluster.publish_until_acked(session, n).await), n);
    }
    assert_eq!(seq(&cluster.publish_until_acked(session, 22).await), 22);
    cluster.wait_equal().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_messages_of_this_cluster_for_this_node_are_answered() {
    let cluster = Cluster::start(3).await;
    let session = cluster.prepare().await;
    cluster.publish_until_acked(session, 1).await;
    let primary = cluster.primary().await;
    let backup = (primary + 1) % 3;
    let truth = truth(&cluster, backup).await;
    let honest: Append = (truth.vote(), None, vec![], None);
    let to = |cluster, node| seal(cluster, node, &honest);
    // This also shows that what these tests write by hand is what servers read.
    assert!(send(&cluster, backup, APPEND, to(CLUSTER, truth.to)).await.is_some());
    assert!(send(&cluster, backup, APPEND, to(CLUSTER + 1, truth.to)).await.is_none());
    assert!(send(&cluster, backup, APPEND, to(CLUSTER, truth.primary)).await.is_none());
    for kind in [ANNOUNCE, WHO] {
        let body = |cluster| match kind {
            ANNOUNCE => seal(cluster, 0, &stranger(77)),
            _ => seal(cluster, 0, &1u64),
        };
        assert!(send(&cluster, primary, kind, body(CLUSTER + 1)).await.is_none(), "kind {kind}");
        assert!(send(&cluster, primary, kind, body(0)).await.is_some(), "kind {kind}");
    }
}
