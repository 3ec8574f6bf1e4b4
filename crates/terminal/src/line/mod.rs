//! The line client: commands from a person or a pipe, messages as they come.

pub(crate) mod command;
pub(crate) mod complete;
mod events;
mod input;
mod screen;
mod session;

use std::collections::HashMap;
use std::io::{IsTerminal, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use recado_client::{AnyOf, Client, ClientConfig, ClientError};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::render::Palette;
use crate::texts::{About, Language, Texts};
use command::quote;
use events::{Printed, print_events};
use input::{Input, Known, Lines, MAX_LINE_BYTES, Prompt};
use screen::Screen;
use session::{Next, Session};

/// The exit code when every command succeeded.
const EXIT_OK: u8 = 0;
/// The exit code when a command failed.
const EXIT_FAILED: u8 = 1;
/// The exit code after Ctrl-C, as shells have it, and after SIGTERM.
const EXIT_INTERRUPTED: u8 = 130;

/// How long the broker may be away before the person is told.
const TELL_AFTER: Duration = Duration::from_millis(1500);

/// How often the connection is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How often the names that can be completed are asked for anew.
const NAMES_EVERY: Duration = Duration::from_secs(20);

/// How the line client is set up.
#[derive(Clone, Debug)]
pub struct LineConfig {
    /// The brokers, `tcp://host:5555`, of which one is used at a time.
    pub brokers: AnyOf,
    /// The proxies, `tcp://host:5558`, likewise.
    pub proxies: AnyOf,
    /// Who logs in at the start.
    pub user: Option<String>,
    /// Where the lines that were typed at a terminal are kept; see [`default_history_file`].
    pub history_file: Option<PathBuf>,
    /// How long one command is tried in all.
    pub patience: Duration,
    /// The language of all texts.
    pub language: Language,
}

impl LineConfig {
    /// Nobody logged in, the history of lines at its usual place, in English.
    pub fn new(brokers: impl Into<AnyOf>, proxies: impl Into<AnyOf>) -> LineConfig {
        LineConfig {
            brokers: brokers.into(),
            proxies: proxies.into(),
            user: None,
            history_file: default_history_file(),
            patience: ClientConfig::DEFAULT_PATIENCE,
            language: Language::default(),
        }
    }

    fn texts(&self) -> Texts {
        Texts::new(self.language, "")
    }
}

/// Where the lines that were typed are kept: `recado/lines` in `$XDG_STATE_HOME`, or in
/// `.local/state` of the home folder; none without either.
pub fn default_history_file() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = set("XDG_STATE_HOME").or_else(|| Some(set("HOME")?.join(".local/state")))?;
    Some(state.join("recado").join("lines"))
}

/// Runs the line client on standard input and output; gives the process's exit code.
///
/// At a terminal: line editing, history, completion, colours (unless NO_COLOR is set); 0 when
/// the person left. From a pipe: plain lines, errors on standard error, and 0 only when every
/// command succeeded. SIGTERM ends it, also where no signal ends a process by itself: as process 1
/// of a container. The terminal is left as it was found.
///
/// The caller should end the process with the code: a thread may still wait for input.
pub async fn run_line_client(config: LineConfig) -> u8 {
    tokio::select! {
        code = run_here(config) => code,
        () = terminated() => EXIT_INTERRUPTED,
    }
}

async fn run_here(config: LineConfig) -> u8 {
    if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        let known = Known::default();
        match open_terminal(&config, &known) {
            Ok((lines, screen)) => return run(config, known, lines, screen).await,
            Err(error) => {
                let texts = config.texts();
                Screen::streams(std::io::stdout(), std::io::stderr(), texts)
                    .error(&texts.cant_edit_lines(&error.to_string()));
            }
        }
    }
    run_piped(config, std::io::stdin(), std::io::stdout(), std::io::stderr()).await
}

/// Runs the line client on these streams, as if it stood in a pipe; gives the exit code.
pub async fn run_piped(
    config: LineConfig,
    input: impl Read + Send + 'static,
    out: impl Write + Send + 'static,
    err: impl Write + Send + 'static,
) -> u8 {
    let screen = Screen::streams(out, err, config.texts());
    match Lines::piped(input) {
        Ok(lines) => run(config, Known::default(), lines, screen).await,
        Err(error) => {
            screen.error(&screen.texts.cant_read_commands(&error.to_string()));
            EXIT_FAILED
        }
    }
}

fn open_terminal(config: &LineConfig, known: &Known) -> rustyline::Result<(Lines, Screen)> {
    let mut prompt = Prompt::open(known.clone(), config.history_file.clone())?;
    let choice = anstream::AutoStream::choice(&std::io::stdout());
    let coloured = choice != anstream::ColorChoice::Never;
    let palette = if coloured { Palette::coloured() } else { Palette::plain() };
    let screen = Screen::terminal(prompt.printer()?, palette, config.texts())?;
    Ok((Lines::edited(prompt)?, screen))
}

async fn run(config: LineConfig, known: Known, lines: Lines, screen: Screen) -> u8 {
    let screen = Arc::new(screen);
    // Ends what runs beside the commands when they are done.
    let mut beside = JoinSet::new();
    let session = match open(&config, &known, &screen, &mut beside).await {
        Ok(session) => session,
        Err(error) => {
            screen.error(&screen.texts.failed(&error, About::Nothing));
            screen.finish().await;
            return EXIT_FAILED;
        }
    };
    let client = session.client.clone();
    let code = obey(session, lines, config.user).await;
    client.close().await;
    screen.finish().await;
    code
}

/// Connects, and starts what goes on beside the commands.
async fn open(
    config: &LineConfig,
    known: &Known,
    screen: &Arc<Screen>,
    beside: &mut JoinSet<()>,
) -> Result<Session, ClientError> {
    let client = Client::connect(ClientConfig {
        patience: config.patience,
        ..ClientConfig::new(&config.brokers, &config.proxies)
    })
    .await?;
    let (subscription, events) = client.subscribe().await?;
    let (printed_in, printed) = watch::channel(Printed::default());
    let proxy = config.proxies.to_string();
    beside.spawn(print_events(events, screen.clone(), known.clone(), proxy, printed_in));
    let texts = screen.texts;
    let greeting = if config.user.is_some() { texts.connected() } else { texts.connected_nobody() };
    beside.spawn(watch_connection(client.clone(), screen.clone(), greeting));
    if screen.interactive {
        beside.spawn(refresh_names(client.clone(), known.clone()));
    }
    Ok(Session {
        client,
        subscription,
        screen: screen.clone(),
        known: known.clone(),
        printed,
        last: None,
        published: HashMap::new(),
    })
}

/// Takes line after line until the end.
async fn obey(mut session: Session, mut lines: Lines, user: Option<String>) -> u8 {
    let interactive = session.screen.interactive;
    let mut first = user.map(|user| Input::Line(format!("login {}", quote(&user))));
    let mut all_succeeded = true;
    loop {
        let input = match first.take() {
            Some(input) => input,
            None => {
                // What was answered stands above the next prompt.
                session.screen.finish().await;
                lines.next().await
            }
        };
        let next = match input {
            Input::Line(line) => tokio::select! {
                next = session.line(&line) => next,
                () = interrupted(interactive) => {
                    session.screen.error(&session.screen.texts.gave_up());
                    Next::Failed
                }
            },
            Input::TooLong => fail(&session, &session.screen.texts.too_long(MAX_LINE_BYTES)),
            Input::NotText => fail(&session, &session.screen.texts.not_text()),
            Input::Interrupt => return EXIT_INTERRUPTED,
            Input::End => Next::Quit,
        };
        match next {
            Next::Done => {}
            Next::Failed => all_succeeded = false,
            Next::Quit if interactive => return EXIT_OK,
            Next::Quit => {
                session.wait_for_echoes().await;
                return if all_succeeded { EXIT_OK } else { EXIT_FAILED };
            }
        }
    }
}

fn fail(session: &Session, sentence: &str) -> Next {
    session.screen.error(sentence);
    Next::Failed
}

/// Ctrl-C while a command runs. In a pipe it ends the process, as it would any other.
async fn interrupted(interactive: bool) {
    if !interactive || tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// SIGTERM came.
async fn terminated() {
    let heard = match signal(SignalKind::terminate()) {
        Ok(mut signals) => signals.recv().await,
        Err(_) => None,
    };
    if heard.is_none() {
        std::future::pending::<()>().await;
    }
}

/// Says when the broker can't be reached, and when it is there.
async fn watch_connection(client: Client, screen: Arc<Screen>, greeting: String) {
    let broker = client.config().brokers.to_string();
    if !client.wait_connected(TELL_AFTER).await {
        screen.error(&screen.texts.cant_connect(&broker));
        while !client.wait_connected(NAMES_EVERY).await {}
    }
    screen.note(&greeting);
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        // A broker that is started again at once is nobody's concern.
        if client.connected() || client.wait_connected(TELL_AFTER).await {
            continue;
        }
        screen.error(&screen.texts.broker_lost(&broker));
        while !client.wait_connected(NAMES_EVERY).await {}
        screen.note(&screen.texts.broker_back());
    }
}

/// Keeps the names that can be completed up to date.
async fn refresh_names(client: Client, known: Known) {
    loop {
        if let (Ok(users), Ok(channels)) = (client.users().await, client.channels().await) {
            known.change(|_, names| {
                names.users = users.into_iter().collect();
                names.channels = channels.into_iter().collect();
            });
        }
        tokio::time::sleep(NAMES_EVERY).await;
    }
}
