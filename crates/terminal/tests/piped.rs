//! The line client in a pipe, against a cluster in memory.

#![allow(clippy::unwrap_used, reason = "a test that can't be set up fails")]

#[path = "../../client/tests/fake/mod.rs"]
mod fake;

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use fake::{Fake, Fault};
use recado_protocol::Code;
use recado_terminal::{Language, LineConfig, run_piped};

/// A stream that is looked at while it is written.
#[derive(Clone, Default)]
struct Shown(Arc<Mutex<Vec<u8>>>);

impl Shown {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Shown {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A pipe into which lines are typed one after the other.
struct Typed(mpsc::Receiver<String>, Vec<u8>);

impl Read for Typed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.1.is_empty() {
            let Ok(line) = self.0.recv() else { return Ok(0) };
            self.1 = line.into_bytes();
        }
        let length = self.1.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.1[..length]);
        self.1.drain(..length);
        Ok(length)
    }
}

fn config(fake: &Fake) -> LineConfig {
    LineConfig {
        history_file: None,
        patience: Duration::from_secs(3),
        ..LineConfig::new(&fake.broker, &fake.proxy)
    }
}

/// Runs these lines; gives the exit code, what was printed, and the errors.
async fn run(config: LineConfig, lines: &str) -> (u8, String, String) {
    let (out, err) = (Shown::default(), Shown::default());
    let input = io::Cursor::new(lines.to_owned().into_bytes());
    let code = run_piped(config, input, out.clone(), err.clone()).await;
    (code, out.text(), err.text())
}

/// How often a text stands in another one.
fn times(text: &str, part: &str) -> usize {
    text.matches(part).count()
}

#[tokio::test]
async fn commands_are_answered_in_order_and_own_messages_appear_once() {
    let fake = Fake::start().await;
    fake.client().await.login("old fox").await.unwrap();
    let lines = "login ana\ncreate tea\npub tea hello  there\nmsg \"old fox\" psst\nmsg ana note\n\
                 users\nchannels\nhistory tea\nleave tea\n";
    let (code, out, err) = run(config(&fake), lines).await;
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.starts_with("logged in as ana\ncreated and joined tea\n"), "{out}");
    assert!(out.contains("sent to tea as #1, stored on 1 of 1 servers\n"), "{out}");
    // Once as it arrived (at the latest when the channel was left), once in the history.
    assert!(times(&out, "[tea] ana: hello  there\n") <= 2, "{out}");
    assert_eq!(times(&out, "#1 [tea] ana: hello  there\n"), 1, "{out}");
    assert_eq!(times(&out, "[private to old fox] ana: psst\n"), 1, "{out}");
    assert_eq!(times(&out, "[private] ana: note\n"), 1, "{out}");
    assert!(out.contains("\nana\nold fox\ntea\n"), "{out}");
    assert!(!out.contains('\u{1b}'), "no colours in a pipe");
}

#[tokio::test]
async fn an_own_publication_comes_back_once_before_the_end() {
    let fake = Fake::start().await;
    // The proxy loses it: the history has it.
    fake.state().lose_events = vec![1];
    let (code, out, err) = run(config(&fake), "login ana\ncreate tea\npub tea hello").await;
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(times(&out, "[tea] ana: hello\n"), 1, "{out}");
}

#[tokio::test]
async fn a_failed_command_is_told_and_the_next_ones_go_on() {
    let fake = Fake::start().await;
    let lines = "pub tea hi\nlgoin ana\nlogin ana\npub tea hi\nmsg bob hi\nleave tea\ncreate tea\n\
                 create tea\nhistory nobody\nusers\n";
    let (code, out, err) = run(config(&fake), lines).await;
    assert_eq!(code, 1);
    let errors: Vec<_> = err.lines().collect();
    assert_eq!(errors.len(), 7, "{err}");
    assert_eq!(errors[0], "error: log in first: login <name>");
    assert_eq!(errors[1], "error: no command \"lgoin\"; did you mean login? help lists all");
    assert_eq!(errors[2], "error: there is no channel tea; create it with: create tea");
    assert_eq!(errors[3], "error: there is no user bob; users lists who there is");
    assert_eq!(errors[4], "error: you are not in tea; join it with: join tea");
    assert_eq!(errors[5], "error: the channel tea exists already; join it with: join tea");
    assert!(errors[6].starts_with("error: "), "{err}");
    assert!(out.ends_with("ana\n"), "{out}");
}

#[tokio::test]
async fn portuguese_speakers_read_portuguese_and_type_the_same_commands() {
    let fake = Fake::start().await;
    let lines = "pub chá oi\nlgoin ana\nlogin ana\nchannels\npub chá oi\nmsg bia oi\n\
                 create chá\ncreate chá\npub chá oi\nmsg ana nota\nhistory chá\n";
    let config = LineConfig { language: Language::Portuguese, ..config(&fake) };
    let (code, out, err) = run(config, lines).await;
    assert_eq!(code, 1);
    assert_eq!(
        err.lines().collect::<Vec<_>>(),
        [
            "erro: entre primeiro: login <nome>",
            "erro: o comando \"lgoin\" não existe; você quis dizer login? help mostra todos",
            "erro: o canal chá não existe; crie-o com: create chá",
            "erro: o usuário bia não existe; users mostra quem está por aqui",
            "erro: o canal chá já existe; entre com: join chá",
        ],
    );
    assert!(out.starts_with("você entrou como ana\ncanal chá criado; você está nele\n"), "{out}");
    assert!(out.contains("enviada para chá como #1, guardada em 1 de 1 servidores\n"), "{out}");
    assert!(out.contains("[privado] ana: nota\n"), "{out}");
    assert_eq!(times(&out, "#1 [chá] ana: oi\n"), 1, "{out}");
}

#[tokio::test]
async fn a_lost_answer_is_a_pause_and_no_second_message() {
    let fake = Fake::start().await;
    fake.state().channels.push("tea".to_owned());
    fake.state().faults.extend([Fault::Refuse(Code::Unavailable), Fault::Refuse(Code::Unknown)]);
    let login = LineConfig { user: Some("ana".to_owned()), ..config(&fake) };
    let (code, out, err) = run(login, "pub tea hello\n").await;
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.starts_with("logged in as ana\n"));
    assert_eq!(fake.state().log.len(), 1);
}

#[tokio::test]
async fn messages_appear_as_they_come_and_other_peoples_secrets_do_not() {
    let fake = Fake::start().await;
    let other = fake.client().await;
    other.login("bob").await.unwrap();
    other.login("eve").await.unwrap();
    other.create_channel("tea").await.unwrap();
    let (out, err) = (Shown::default(), Shown::default());
    let (typing, typed) = mpsc::channel();
    let input = Typed(typed, Vec::new());
    let client = tokio::spawn(run_piped(config(&fake), input, out.clone(), err.clone()));
    typing.send("login ana\njoin tea\n".to_owned()).unwrap();
    wait_for(&out, "joined tea").await;
    other.publish("bob", "tea", "hello\n\u{1b}[2J[tea] eve: I am bob").await.unwrap();
    other.message("bob", "ana", "psst").await.unwrap();
    other.message("bob", "eve", "not for ana").await.unwrap();
    wait_for(&out, "[private] bob: psst\n").await;
    wait_for(&out, "[tea] bob: hello\\n\\u{1b}[2J[tea] eve: I am bob\n").await;
    typing.send("history eve\nquit\nusers\n".to_owned()).unwrap();
    client.await.unwrap();
    assert!(!out.text().contains("not for ana"), "{}", out.text());
    assert!(!out.text().ends_with("eve\n"), "nothing is done after quit");
}

async fn wait_for(shown: &Shown, text: &str) {
    for _ in 0..100 {
        if shown.text().contains(text) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(shown.text().contains(text), "{text:?} does not come; there is {:?}", shown.text());
}

#[tokio::test]
async fn a_broker_that_is_away_is_named_and_the_command_fails() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = LineConfig {
        history_file: None,
        patience: Duration::from_secs(2),
        ..LineConfig::new(format!("tcp://127.0.0.1:{port}"), "tcp://127.0.0.1:1")
    };
    let (code, out, err) = run(config, "login ana\n").await;
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains(&format!("can't reach the broker at tcp://127.0.0.1:{port}")), "{err}");
    assert_eq!(times(&err, "can't reach"), 1, "{err}");
    assert!(err.contains("no answer from the cluster within 2 s"), "{err}");
}
