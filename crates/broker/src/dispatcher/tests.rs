//! The dispatcher against the clock of the tests: every request is answered exactly once.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use proptest::prelude::*;
use recado_protocol::backend::ToBroker;
use recado_protocol::codec::{self, Stamp};
use recado_protocol::reply::Scrub;
use recado_protocol::{Code, Incoming, Refusal, Reply, Request, RequestId};
use recado_transport::Envelope;

use super::{Action, Connected, Dispatcher, Lack, Myself};
use crate::Limits;

const FIRST_ATTEMPT: u64 = 1000;

fn encode(request: Request, id: Option<RequestId>) -> Bytes {
    codec::encode_request(&Incoming { request, clock: 1, id }, Stamp::default())
}

fn write(text: &str) -> Bytes {
    let request =
        Request::Publish { user: "ana".into(), channel: "news".into(), message: text.into() };
    encode(request, None)
}

fn read() -> Bytes {
    encode(Request::Users, None)
}

fn reply(reply: &Reply) -> Bytes {
    codec::encode_reply("publish", reply, Stamp::default())
}

fn client(n: u32) -> Envelope {
    Envelope { frames: vec![Bytes::copy_from_slice(&n.to_be_bytes()), Bytes::new()] }
}

/// A dispatcher, its time, and what it answered.
struct Scene {
    dispatcher: Dispatcher,
    now: u64,
    answers: Vec<(Envelope, Answer)>,
    sessions: u64,
}

#[derive(Clone, Debug, PartialEq)]
enum Answer {
    Reply(Bytes),
    Refused(String, Code),
    Status(rmpv::Value),
}

/// A request that reached a server.
#[derive(Clone, Debug, PartialEq)]
struct Dealt {
    server: &'static str,
    n: u64,
    id: Option<RequestId>,
    body: Bytes,
}

fn name(identity: &Bytes) -> &'static str {
    ["a", "b", "c"].into_iter().find(|name| identity == name.as_bytes()).unwrap()
}

impl Scene {
    fn new(limits: Limits) -> Scene {
        let session = encode(Request::Session, None);
        let myself = Myself { pid: 42, http: Some("a:1".into()) };
        let dispatcher = Dispatcher::new(limits, myself, FIRST_ATTEMPT, session);
        Scene { dispatcher, now: 0, answers: Vec::new(), sessions: 0 }
    }

    /// With servers that have just come, and sessions open.
    fn with_servers(limits: Limits, servers: &[&'static str], credit: u32) -> Scene {
        let mut scene = Scene::new(limits);
        for server in servers {
            scene.ready(server, credit, true);
        }
        assert_eq!(scene.turn(), []);
        scene
    }

    fn ready(&mut self, server: &'static str, credit: u32, serving: bool) {
        self.says(server, credit, serving, false);
    }

    fn leads(&mut self, server: &'static str) {
        self.says(server, 8, true, true);
    }

    fn says(&mut self, server: &'static str, credit: u32, serving: bool, primary: bool) {
        let name = server.to_owned();
        let (http, scrub) = (None, Scrub::default());
        let said =
            ToBroker::Ready { name, boot: 1, credit, primary, serving, http, scrub, why: None };
        self.dispatcher.server_says(&server.into(), said, None, self.now);
    }

    fn ask(&mut self, n: u32, body: Bytes) {
        self.dispatcher.request(client(n), vec![body], self.now);
    }

    fn done(&mut self, dealt: &Dealt, body: Bytes) {
        let said = ToBroker::Done { n: dealt.n };
        self.dispatcher.server_says(&dealt.server.into(), said, Some(body), self.now);
    }

    fn again(&mut self, dealt: &Dealt, uncertain: bool) {
        let said = ToBroker::Again { n: dealt.n, uncertain };
        self.dispatcher.server_says(&dealt.server.into(), said, None, self.now);
    }

    /// Lets the dispatcher act: opens the sessions that it asks for, notes the answers, and gives
    /// what reached servers.
    fn turn(&mut self) -> Vec<Dealt> {
        let mut dealt = Vec::new();
        loop {
            self.dispatcher.turn(self.now);
            let actions = self.dispatcher.actions();
            if actions.is_empty() {
                return dealt;
            }
            for action in actions {
                self.act(action, &mut dealt);
            }
        }
    }

    fn act(&mut self, action: Action, dealt: &mut Vec<Dealt>) {
        match action {
            Action::Deal { server, header, body } => {
                let request = Dealt { server: name(&server), n: header.n, id: header.id, body };
                if codec::peek_service(&request.body) == Some("session") {
                    self.sessions += 1;
                    let opened = Reply::Session { session: self.sessions, window: 1024 };
                    let opened = codec::encode_reply("session", &opened, Stamp::default());
                    self.done(&request, opened);
                } else {
                    dealt.push(request);
                }
            }
            Action::Reply { to, body } => self.answers.push((to, Answer::Reply(body))),
            Action::Refuse { to, service, refusal } => {
                self.answers.push((to, Answer::Refused(service, refusal.code)));
            }
            Action::Tell { .. } => {}
            Action::Status { to, status } => self.answers.push((to, Answer::Status(status.broker))),
        }
    }

    /// Time passes in small steps; servers that are named keep saying that they are there.
    fn pass(&mut self, ms: u64, alive: &[&'static str]) -> Vec<Dealt> {
        let end = self.now + ms;
        let mut dealt = Vec::new();
        while self.now < end {
            self.now += 10;
            for server in alive {
                self.ready(server, 8, true);
            }
            dealt.extend(self.turn());
        }
        dealt
    }

    fn refused(&self) -> Vec<Code> {
        let code = |(_, answer): &(Envelope, Answer)| match answer {
            Answer::Refused(_, code) => Some(*code),
            _ => None,
        };
        self.answers.iter().filter_map(code).collect()
    }
}

#[test]
fn what_the_broker_lacks_is_a_server_that_serves() {
    let mut scene = Scene::new(Limits::default());
    assert_eq!(scene.dispatcher.lacks(), Some(Lack::NoServer));
    scene.ready("a", 8, false);
    assert_eq!(scene.dispatcher.lacks(), Some(Lack::NoneServes));
    scene.ready("b", 8, true);
    assert_eq!(scene.dispatcher.lacks(), None);
    scene.pass(2 * Limits::default().silence_ms, &[]);
    assert_eq!(scene.dispatcher.lacks(), Some(Lack::NoServer));
}

#[test]
fn requests_go_round_and_answers_come_back() {
    let mut scene = Scene::with_servers(Limits::default(), &["a", "b", "c"], 8);
    for n in 0..9 {
        scene.ask(n, read());
    }
    let dealt = scene.turn();
    for server in ["a", "b", "c"] {
        assert_eq!(dealt.iter().filter(|request| request.server == server).count(), 3);
    }
    for request in &dealt {
        assert_eq!(request.id, None, "a read needs no id");
        scene.done(request, "answer".into());
        scene.done(request, "again".into());
    }
    scene.turn();
    assert_eq!(scene.answers.len(), 9);
    assert_eq!(scene.answers.iter().map(|(to, _)| to).collect::<HashSet<_>>().len(), 9);
    assert_eq!(scene.dispatcher.held(), 0);
}

#[test]
fn writes_go_to_the_primary_while_it_has_room() {
    let mut scene = Scene::with_servers(Limits::default(), &["a", "b", "c"], 8);
    scene.leads("b");
    for n in 0..9 {
        scene.ask(n, write("x"));
    }
    let dealt = scene.turn();
    assert_eq!(dealt.iter().filter(|request| request.server == "b").count(), 8);
    assert_eq!(dealt.len(), 9, "beyond its credit others hand it on");
    for n in 9..12 {
        scene.ask(n, read());
    }
    let dealt = scene.turn();
    assert_eq!(dealt.len(), 3);
    assert!(dealt.iter().all(|request| request.server != "b"), "it is busy: {dealt:?}");
}

#[test]
fn writes_with_a_stopped_primary_go_to_the_next_one_at_once() {
    let mut scene = Scene::with_servers(Limits::default(), &["a", "b", "c"], 8);
    scene.leads("a");
    scene.ask(1, write("x"));
    let first = scene.turn().remove(0);
    assert_eq!(first.server, "a");
    scene.leads("c");
    let second = scene.turn();
    assert_eq!(second.len(), 1);
    assert_eq!((second[0].server, second[0].id), ("c", first.id));
    // The old one wakes up and has not heard of it yet.
    scene.leads("a");
    scene.ask(2, write("y"));
    assert_eq!(scene.turn()[0].server, "c");
    scene.done(&second[0], "stored".into());
    scene.turn();
    assert_eq!(scene.answers, [(client(1), Answer::Reply("stored".into()))]);
}

#[test]
fn nobody_gets_more_than_its_credit() {
    let mut scene = Scene::with_servers(Limits::default(), &["a", "b"], 2);
    for n in 0..10 {
        scene.ask(n, read());
    }
    let dealt = scene.turn();
    assert_eq!(dealt.len(), 4);
    scene.done(&dealt[0], "answer".into());
    let next = scene.turn();
    assert_eq!(next.len(), 1);
    assert_eq!(next[0].server, dealt[0].server);
}

#[test]
fn a_write_keeps_its_id_on_every_server() {
    let mut scene = Scene::with_servers(Limits::default(), &["a", "b", "c"], 8);
    scene.ask(1, write("hello"));
    let first = scene.turn().remove(0);
    assert!(first.id.is_some());
    scene.again(&first, false);
    assert_eq!(scene.turn(), [], "a short pause");
    let second = scene.pass(20, &[]).remove(0);
    assert_ne!(second.server, first.server);
    assert_eq!((second.id, &second.body), (first.id, &first.body));
    scene.dispatcher.server_gone(&second.server.into());
    let third = scene.turn().remove(0);
    assert!(![first.server, second.server].contains(&third.server), "at once, to the third");
    assert_eq!(third.id, first.id);
    scene.done(&third, "stored".into());
    // What the one that was given up answers now is too late.
    scene.done(&second, "stored twice".into());
    scene.turn();
    assert_eq!(scene.answers, [(client(1), Answer::Reply("stored".into()))]);
}

#[test]
fn two_writes_never_share_an_id() {
    let mut scene = Scene::with_servers(Limits::default(), &["a"], 1000);
    for n in 0..1000 {
        scene.ask(n, write("x"));
    }
    let ids: HashSet<_> = scene.turn().into_iter().map(|request| request.id.unwrap()).collect();
    assert_eq!(ids.len(), 1000);
}

#[test]
fn a_slow_server_gets_company_and_any_answer_counts() {
    let mut scene = Scene::with_servers(Limits::default(), &["a", "b"], 8);
    scene.ask(1, write("hello"));
    let first = scene.turn().remove(0);
    assert_eq!(scene.pass(1000, &["a", "b"]), []);
    let company = scene.pass(100, &["a", "b"]);
    assert_eq!(company.len(), 1);
    assert_ne!(company[0].server, first.server);
    assert_eq!(company[0].id, first.id);
    assert_eq!(scene.pass(500, &["a", "b"]), [], "nobody is asked twice at a time");
    scene.done(&first, "late but fine".into());
    scene.turn();
    assert_eq!(scene.answers, [(client(1), Answer::Reply("late but fine".into()))]);
}

#[test]
fn a_silent_server_loses_its_requests_and_may_come_back() {
    let mut scene = Scene::with_servers(Limits::default(), &["a", "b"], 8);
    scene.ask(1, read());
    let first = scene.turn().remove(0);
    let other = if first.server == "a" { "b" } else { "a" };
    let moved = scene.pass(1200, &[other]);
    assert_eq!(moved.len(), 1);
    assert_eq!(moved[0].server, other);
    for n in 2..6 {
        scene.ask(n, read());
    }
    assert!(scene.turn().iter().all(|request| request.server == other));
    scene.ready(first.server, 8, true);
    scene.ask(6, read());
    scene.ask(7, read());
    assert!(scene.turn().iter().any(|request| request.server == first.server));
}

#[test]
fn a_departed_connection_does_not_come_back() {
    let mut scene = Scene::with_servers(Limits::default(), &["a"], 8);
    scene.dispatcher.server_says(&"a".into(), ToBroker::Bye, None, 0);
    scene.ready("a", 8, true);
    scene.ask(1, read());
    assert_eq!(scene.turn(), []);
}

#[test]
fn a_new_connection_of_the_same_start_replaces_the_old_one() {
    let mut scene = Scene::with_servers(Limits::default(), &["a"], 8);
    scene.ask(1, read());
    assert_eq!(scene.turn().len(), 1);
    let said = ToBroker::Ready {
        name: "a".into(),
        boot: 1,
        credit: 8,
        primary: false,
        serving: true,
        http: None,
        why: None,
        scrub: Scrub::default(),
    };
    scene.dispatcher.server_says(&"b".into(), said, None, 0);
    assert_eq!(scene.turn()[0].server, "b", "what the old connection had goes to the new one");
}

/// What a request is refused with, by what became of its attempts.
#[test]
fn the_word_says_whether_it_may_be_done() {
    fn check(body: &Bytes, what: &str, play: impl FnOnce(&mut Scene), expected: Code) {
        let mut scene = Scene::with_servers(Limits::default(), &["a"], 8);
        scene.ask(1, body.clone());
        play(&mut scene);
        scene.pass(6_000, &[]);
        assert_eq!(scene.refused(), [expected], "{what}");
        assert_eq!(scene.dispatcher.held(), 0, "{what}");
    }
    let (read, write) = (read(), write("x"));
    let gone = |scene: &mut Scene| scene.dispatcher.server_gone(&"a".into());
    let dealt_and_gone = |scene: &mut Scene| {
        assert_eq!(scene.turn().len(), 1);
        scene.dispatcher.server_gone(&"a".into());
    };
    let given_back = |uncertain| {
        move |scene: &mut Scene| {
            let dealt = scene.turn().remove(0);
            scene.again(&dealt, uncertain);
            scene.dispatcher.server_gone(&"a".into());
        }
    };
    let unanswered = |scene: &mut Scene| assert_eq!(scene.turn().len(), 1);
    check(&write, "never dealt", gone, Code::Unavailable);
    check(&write, "its server died", dealt_and_gone, Code::Unknown);
    check(&write, "given back", given_back(false), Code::Unavailable);
    check(&write, "given back, uncertain", given_back(true), Code::Unknown);
    check(&write, "unanswered", unanswered, Code::Unknown);
    check(&read, "a read that was dealt", dealt_and_gone, Code::Unavailable);
    check(&read, "a read, uncertain", given_back(true), Code::Unavailable);
    check(&read, "a read, unanswered", unanswered, Code::Unavailable);
}

/// A server that refuses to do it now says nothing of one that was asked before.
#[test]
fn a_refusal_behind_an_uncertain_attempt_does_not_promise_that_nothing_was_done() {
    let unavailable = reply(&Reply::Refused(Refusal::new(Code::Unavailable, "too few copies")));
    for (uncertain, expected) in [(false, None), (true, Some(Code::Unknown))] {
        let mut scene = Scene::with_servers(Limits::default(), &["a", "b"], 8);
        scene.ask(1, write("x"));
        let first = scene.turn().remove(0);
        scene.again(&first, uncertain);
        scene.now += 1_000;
        let second = scene.turn().remove(0);
        scene.done(&second, unavailable.clone());
        scene.turn();
        let passed_on = (client(1), Answer::Reply(unavailable.clone()));
        match expected {
            Some(code) => assert_eq!(scene.refused(), [code]),
            None => assert_eq!(scene.answers, [passed_on]),
        }
    }
}

#[test]
fn without_servers_the_broker_answers_within_its_time() {
    let mut scene = Scene::new(Limits::default());
    scene.ask(1, write("x"));
    scene.ask(2, Bytes::from_static(b"\xc1 garbage"));
    scene.ask(3, encode(Request::Status, None));
    // The service is there, what it needs is not.
    let mut unsound = vec![0x81, 0xa7];
    unsound.extend_from_slice(b"service\xa7publish");
    scene.ask(4, unsound.into());
    scene.turn();
    assert_eq!(scene.answers, [(client(2), Answer::Refused("error".into(), Code::Malformed))]);
    scene.pass(2_900, &[]);
    assert_eq!(scene.answers[1], (client(4), Answer::Refused("publish".into(), Code::Malformed)));
    assert_eq!(scene.answers.len(), 2);
    scene.pass(100, &[]);
    let (to, Answer::Status(status)) = &scene.answers[2] else { panic!("a status") };
    assert_eq!(to, &client(3));
    assert_eq!(status["pid"], 42.into());
    assert_eq!(status["servers"], 0.into());
    assert_eq!(status["queued"], 1.into());
    assert_eq!(scene.answers.len(), 3);
    scene.pass(2_000, &[]);
    let refused = Answer::Refused("publish".into(), Code::Unavailable);
    assert_eq!(scene.answers[3], (client(1), refused));
}

#[test]
fn a_server_that_does_not_serve_tells_how_the_cluster_is_and_why() {
    let mut scene = Scene::new(Limits::default());
    let says = |name: &str, why: Option<&str>| ToBroker::Ready {
        name: name.into(),
        boot: 1,
        credit: 8,
        primary: false,
        serving: false,
        http: None,
        scrub: Scrub::default(),
        why: why.map(str::to_owned),
    };
    scene.ask(1, encode(Request::Status, None));
    scene.ask(2, write("x"));
    let mut dealt = Vec::new();
    for _ in 0..50 {
        for (name, why) in [("a", None), ("b", Some("c is missing"))] {
            scene.dispatcher.server_says(&name.into(), says(name, why), None, scene.now);
        }
        dealt.extend(scene.pass(100, &[]));
    }
    let [asked] = &dealt[..] else {
        panic!("the status is asked for, and nothing else: {dealt:?}")
    };
    assert_eq!(asked.server, "b");
    let lacks = scene.dispatcher.lacks().unwrap().to_string();
    assert!(lacks.ends_with("b says: c is missing"), "{lacks}");
    let refused = Answer::Refused("publish".into(), Code::Unavailable);
    assert!(scene.answers.contains(&(client(2), refused)));
    // It did not answer: the broker does.
    assert!(matches!(&scene.answers[0], (_, Answer::Status(_))), "{:?}", scene.answers);
}

#[test]
fn servers_that_do_not_serve_get_nothing_until_they_do() {
    let mut scene = Scene::new(Limits::default());
    scene.ready("a", 8, false);
    scene.ask(1, read());
    assert_eq!(scene.turn(), []);
    scene.now += 900;
    scene.ready("a", 8, true);
    assert_eq!(scene.turn().len(), 1);
}

#[test]
fn too_much_is_refused_at_once() {
    let limits = Limits { held_requests: 3, held_bytes: 1_000_000, ..Limits::default() };
    let mut scene = Scene::new(limits);
    for n in 0..5 {
        scene.ask(n, read());
    }
    scene.turn();
    assert_eq!(scene.refused(), [Code::Unavailable, Code::Unavailable]);

    let limits = Limits { held_bytes: 10_000, ..Limits::default() };
    let mut scene = Scene::new(limits);
    scene.ask(1, write(&"x".repeat(9_000)));
    scene.ask(2, write(&"x".repeat(9_000)));
    scene.turn();
    assert_eq!(scene.answers[0].0, client(2));

    let limits = Limits { client_requests: 2, ..Limits::default() };
    let mut scene = Scene::new(limits);
    for _ in 0..4 {
        scene.ask(1, read());
    }
    scene.ask(2, read());
    scene.turn();
    assert_eq!(scene.answers.len(), 2, "one greedy client takes nothing from another");
    assert!(scene.answers.iter().all(|(to, _)| *to == client(1)));
}

#[test]
fn a_request_that_is_too_long_is_refused_at_once() {
    let mut scene = Scene::with_servers(Limits::default(), &["a"], 8);
    scene.ask(1, write(&"x".repeat(recado_protocol::limits::MAX_REQUEST_BYTES)));
    scene.dispatcher.request(client(2), vec![read(), read()], 0);
    assert_eq!(scene.turn(), []);
    assert_eq!(scene.refused(), [Code::TooLarge, Code::Malformed]);
}

#[test]
fn an_expired_id_is_replaced_only_if_nothing_can_have_happened() {
    let expired = reply(&Reply::Refused(Refusal::new(Code::IdExpired, "unknown session")));
    let mut scene = Scene::with_servers(Limits::default(), &["a", "b"], 8);
    scene.ask(1, write("x"));
    let first = scene.turn().remove(0);
    scene.done(&first, expired.clone());
    let second = scene.turn().remove(0);
    assert_ne!(second.id.unwrap().session, first.id.unwrap().session);
    scene.dispatcher.server_gone(&second.server.into());
    let third = scene.turn().remove(0);
    assert_eq!(third.id, second.id);
    scene.done(&third, expired.clone());
    scene.turn();
    assert_eq!(scene.refused(), [Code::Unknown], "the second attempt may have been carried out");

    // An id of the client's own is the client's business.
    let own = Some(RequestId { session: 9, n: 1 });
    let mut scene = Scene::with_servers(Limits::default(), &["a"], 8);
    scene.ask(1, encode(Request::Login { user: "ana".into() }, own));
    let dealt = scene.turn().remove(0);
    scene.done(&dealt, expired.clone());
    scene.turn();
    assert_eq!(scene.answers, [(client(1), Answer::Reply(expired))]);
}

#[test]
fn writes_wait_for_a_session() {
    let mut scene = Scene::new(Limits::default());
    scene.ready("a", 8, true);
    scene.ask(1, write("x"));
    scene.dispatcher.turn(0);
    let mut actions = scene.dispatcher.actions();
    actions.retain(|action| !matches!(action, Action::Tell { .. }));
    assert_eq!(actions.len(), Limits::default().sessions_min, "nothing but sessions");
    let mut dealt = Vec::new();
    for action in actions {
        scene.act(action, &mut dealt);
    }
    assert_eq!(scene.turn().len(), 1);
}

#[test]
fn status_is_completed_by_the_broker() {
    let mut scene = Scene::with_servers(Limits::default(), &["a"], 8);
    scene.ask(1, encode(Request::Status, None));
    let dealt = scene.turn().remove(0);
    let status = Reply::Status(Box::new(super::answers::no_members()));
    scene.done(&dealt, codec::encode_reply("status", &status, Stamp::default()));
    scene.turn();
    let (_, Answer::Status(broker)) = &scene.answers[0] else { panic!("a status") };
    assert_eq!(broker["servers"], 1.into());
    assert_eq!(broker["sessions"], 4.into());
}

#[test]
fn at_the_end_everybody_is_answered() {
    let mut scene = Scene::with_servers(Limits::default(), &["a"], 1);
    scene.ask(1, write("x"));
    scene.ask(2, write("x"));
    assert_eq!(scene.turn().len(), 1);
    scene.dispatcher.end(scene.now);
    scene.turn();
    assert_eq!(scene.refused(), [Code::Unknown, Code::Unavailable]);
}

/// A step of a random play.
#[derive(Clone, Debug)]
enum Step {
    Ask { write: bool },
    Ready { server: usize, serving: bool },
    Gone { server: usize },
    Done { pick: usize },
    Again { pick: usize, uncertain: bool },
    Expired { pick: usize },
    Pass { ms: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => any::<bool>().prop_map(|write| Step::Ask { write }),
        3 => (0..3_usize, prop::bool::weighted(0.8))
            .prop_map(|(server, serving)| Step::Ready { server, serving }),
        1 => (0..3_usize).prop_map(|server| Step::Gone { server }),
        5 => any::<usize>().prop_map(|pick| Step::Done { pick }),
        2 => (any::<usize>(), any::<bool>())
            .prop_map(|(pick, uncertain)| Step::Again { pick, uncertain }),
        1 => any::<usize>().prop_map(|pick| Step::Expired { pick }),
        3 => (1..1500_u64).prop_map(|ms| Step::Pass { ms }),
    ];
    prop::collection::vec(step, 1..120)
}

const CREDIT: u32 = 3;
const AHEAD: u64 = 4;

/// Everything that is with servers, as an observer sees it.
#[derive(Default)]
struct Watch {
    open: Vec<Dealt>,
    /// The unanswered numbers of each session.
    ids: HashMap<u64, HashSet<u64>>,
}

impl Watch {
    fn note(&mut self, dealt: Vec<Dealt>) {
        for request in dealt {
            if let Some(id) = request.id {
                self.ids.entry(id.session).or_default().insert(id.n);
            }
            self.open.push(request);
        }
        for server in ["a", "b", "c"] {
            let count = self.open.iter().filter(|request| request.server == server).count();
            assert!(count <= CREDIT as usize, "{server} has {count}");
        }
    }

    fn take(&mut self, pick: usize) -> Option<Dealt> {
        let index = pick.checked_rem(self.open.len())?;
        Some(self.open.swap_remove(index))
    }
}

proptest! {
    #[test]
    fn every_request_is_answered_exactly_once(steps in steps()) {
        let limits = Limits {
            held_requests: 16,
            sessions_min: 1,
            sessions_max: 2,
            session_ahead: AHEAD,
            ..Limits::default()
        };
        let mut scene = Scene::new(limits);
        let mut watch = Watch::default();
        let mut asked = 0;
        let mut identities = [false; 3];
        for step in steps {
            match step {
                Step::Ask { write: true } => {
                    asked += 1;
                    scene.ask(asked, write("x"));
                }
                Step::Ask { write: false } => {
                    asked += 1;
                    scene.ask(asked, read());
                }
                Step::Ready { server, serving } if !identities[server] => {
                    scene.ready(["a", "b", "c"][server], CREDIT, serving);
                }
                Step::Ready { .. } => {}
                Step::Gone { server } => {
                    identities[server] = true;
                    let server = ["a", "b", "c"][server];
                    scene.dispatcher.server_gone(&server.into());
                    watch.open.retain(|request| request.server != server);
                }
                Step::Done { pick } => {
                    if let Some(request) = watch.take(pick) {
                        scene.done(&request, "answer".into());
                    }
                }
                Step::Again { pick, uncertain } => {
                    if let Some(request) = watch.take(pick) {
                        scene.again(&request, uncertain);
                    }
                }
                Step::Expired { pick } => {
                    if let Some(request) = watch.take(pick) {
                        let refusal = Refusal::new(Code::IdExpired, "unknown session");
                        scene.done(&request, reply(&Reply::Refused(refusal)));
                    }
                }
                Step::Pass { ms } => scene.now += ms,
            }
            let dealt = scene.turn();
            watch.note(dealt);
        }
        for _ in 0..600 {
            scene.now += 10;
            let dealt = scene.turn();
            watch.note(dealt);
        }
        prop_assert_eq!(scene.dispatcher.held(), 0);
        prop_assert_eq!(scene.answers.len(), asked as usize);
        let everyone: HashSet<_> = scene.answers.iter().map(|(to, _)| to.clone()).collect();
        prop_assert_eq!(everyone.len(), asked as usize);
    }

    #[test]
    fn no_session_gets_ahead_of_its_oldest_unanswered(picks in prop::collection::vec(any::<usize>(), 1..200)) {
        let limits = Limits {
            sessions_min: 1,
            sessions_max: 2,
            session_ahead: AHEAD,
            ..Limits::default()
        };
        let mut scene = Scene::with_servers(limits, &["a"], 100);
        let mut open: Vec<Dealt> = Vec::new();
        for (n, pick) in picks.into_iter().enumerate() {
            scene.ask(n as u32, write("x"));
            open.extend(scene.turn());
            for session in open.iter().map(|request| request.id.unwrap().session) {
                let numbers = || open.iter().map(|r| r.id.unwrap()).filter(|id| id.session == session);
                let oldest = numbers().map(|id| id.n).min().unwrap();
                let newest = numbers().map(|id| id.n).max().unwrap();
                prop_assert!(newest - oldest < AHEAD);
            }
            if pick % 3 > 0 {
                let request = open.swap_remove(pick % open.len());
                scene.done(&request, "answer".into());
            }
        }
    }
}

#[test]
fn servers_are_told_how_the_broker_is_when_they_come_and_every_second() {
    let mut scene = Scene::new(Limits::default());
    let told = |scene: &mut Scene| {
        scene.dispatcher.turn(scene.now);
        let told = scene.dispatcher.actions().into_iter().filter_map(|action| match action {
            Action::Tell { to, servers } => Some((to, servers)),
            _ => None,
        });
        told.collect::<Vec<_>>()
    };
    assert_eq!(told(&mut scene), []);
    scene.now = 10;
    scene.ready("a", 8, true);
    let a = Connected { name: "a".into(), since_ms: 10 };
    assert_eq!(told(&mut scene), [(vec!["a".into()], vec![a.clone()])]);
    scene.now = 20;
    scene.ready("b", 8, true);
    let both = vec![a, Connected { name: "b".into(), since_ms: 20 }];
    assert_eq!(told(&mut scene), [(vec!["b".into()], both.clone())]);
    assert_eq!(told(&mut scene), []);
    scene.now = 1000;
    assert_eq!(told(&mut scene), [(vec!["a".into(), "b".into()], both)]);
}
