//! Between the model and the world: the terminal, the clock, the client library.

mod keeper;
mod keyboard;
mod memory;
mod screen;
mod work;

use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;
use recado_client::{AnyOf, Client, ClientConfig, ClientError, ClientEvent, now_ms};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::draw::theme::Theme;
use super::keymap::Keymap;
use super::model::event::{Effect, Event};
use super::model::{Notify, State};
use crate::texts::{About, Language, Texts};
use keeper::Keeper;
use screen::Screen;
use work::Worker;

/// The exit code when the terminal or an address can't be used.
const EXIT_FAILED: u8 = 1;

/// How many events wait for the model.
const MAX_WAITING_EVENTS: usize = 4096;

/// How many events are taken in before the screen is drawn again.
const MAX_EVENTS_A_FRAME: usize = 512;

/// How often the model hears of the time.
const TICK: Duration = Duration::from_millis(250);

/// How often the connection is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How long a message is tried: as long as anybody keeps a terminal open. It is repeated under
/// its id all the while, so it is sent once.
const SEND_PATIENCE: Duration = Duration::from_secs(7 * 24 * 3600);

/// How the full-screen client is set up.
#[derive(Clone, Debug)]
pub struct ChatConfig {
    /// The brokers, `tcp://host:5555`, of which one is used at a time.
    pub brokers: AnyOf,
    /// The proxies, `tcp://host:5558`, likewise.
    pub proxies: AnyOf,
    /// Who logs in at the start.
    pub user: Option<String>,
    /// Which background the terminal has.
    pub theme: Theme,
    /// When the terminal rings.
    pub notify: Notify,
    /// The language of all texts.
    pub language: Language,
    /// Where it is remembered which channels were joined, how far they were read, and what was
    /// written and not sent: by default `recado/chat` in `$XDG_STATE_HOME`, or in `.local/state` of the home folder; nowhere
    /// without either.
    pub memory_folder: Option<PathBuf>,
    /// Which keys do what.
    pub keys: Keymap,
}

impl ChatConfig {
    /// Nobody logged in, everything else by default, in English.
    pub fn new(brokers: impl Into<AnyOf>, proxies: impl Into<AnyOf>) -> ChatConfig {
        ChatConfig {
            brokers: brokers.into(),
            proxies: proxies.into(),
            user: None,
            theme: Theme::default(),
            notify: Notify::default(),
            language: Language::default(),
            memory_folder: default_memory_folder(),
            keys: Keymap::default(),
        }
    }
}

fn default_memory_folder() -> Option<PathBuf> {
    Some(crate::line::default_history_file()?.with_file_name("chat"))
}

/// Runs the full-screen client on the terminal until the person leaves, or a signal ends it; gives
/// the process's exit code. The terminal is left as it was found, also after a panic.
pub async fn run_chat(config: ChatConfig) -> u8 {
    let texts = Texts::new(config.language, "/").with_keys(config.keys);
    match chat(config, texts).await {
        Ok(code) => code,
        Err(why) => {
            tell(texts, &why);
            EXIT_FAILED
        }
    }
}

/// Says what went wrong to whoever has the terminal back.
fn tell(texts: Texts, why: &str) {
    let mut out = std::io::stderr();
    drop(std::io::Write::write_fmt(&mut out, format_args!("{}{why}\n", texts.error())));
}

async fn chat(config: ChatConfig, texts: Texts) -> Result<u8, String> {
    let said = |error: ClientError| texts.failed(&error, About::Nothing);
    let unusable = |why: std::io::Error| texts.cant_use_terminal(&why.to_string());
    let client = Client::connect(ClientConfig {
        patience: SEND_PATIENCE,
        ..ClientConfig::new(&config.brokers, &config.proxies)
    })
    .await
    .map_err(said)?;
    let (subscription, delivered) = client.subscribe().await.map_err(said)?;
    let (events, mut waiting) = mpsc::channel(MAX_WAITING_EVENTS);
    let mut beside = JoinSet::new();
    // Before the terminal changes: a signal in between must put it back too.
    work::listen_to_signals(&mut beside, events.clone()).map_err(unusable)?;
    let mut screen = Screen::open(config.theme).map_err(unusable)?;
    keyboard::listen(events.clone()).map_err(unusable)?;
    beside.spawn(deliver(delivered, events.clone()));
    beside.spawn(watch_connection(client.clone(), events.clone()));
    beside.spawn(tick(events.clone()));

    let zone = TimeZone::system();
    let address = config.brokers.to_string().replace("tcp://", "");
    // The first one stands for the cluster: a broker that is added makes it no other one.
    let first = config.brokers.endpoints().first();
    let address_of_memory =
        first.map(|at| at.trim_start_matches("tcp://").to_owned()).unwrap_or_default();
    let mut state = State::new(texts, address, zone, now_ms());
    state.notify = config.notify;
    let (columns, rows) = screen.size();
    let memory = config.memory_folder.map(|folder| (folder, address_of_memory));
    (state.has_memory, state.keeps) = (memory.is_some(), memory.is_some());
    let mut worker = Worker::new(client.clone(), subscription, events, Keeper::new(memory));
    worker.all(state.update(Event::Resize { columns, rows }));
    if let Some(user) = config.user {
        let mut effects = Vec::new();
        state.log_in(user, &mut effects);
        worker.all(effects);
    }
    let code = 'running: loop {
        if state.take_stale()
            && let Err(why) = screen.draw(&state)
        {
            save_at_once(&mut state, &mut worker.keeper);
            break Err(unusable(why));
        }
        let Some(first) = waiting.recv().await else { break Ok(EXIT_FAILED) };
        for event in burst(first, &mut waiting) {
            for effect in state.update(event) {
                match effect {
                    Effect::Quit { code } => break 'running Ok(code),
                    Effect::Alert(text) => screen.alert(&text),
                    Effect::Mouse(on) => screen.mouse(on),
                    Effect::Redraw => screen.clear(),
                    Effect::Remember { user, memory } => {
                        if let Some(told) = worker.keeper.remember(user, memory) {
                            worker.all(state.update(told));
                        }
                    }
                    effect => worker.start(effect),
                }
            }
        }
        worker.tidy();
    };
    drop(screen);
    if let Some(why) = &worker.keeper.failed {
        tell(texts, &texts.not_remembered(why));
    }
    client.close().await;
    code
}

/// Writes down what is to be remembered: the client ends, though nobody wanted it to.
fn save_at_once(state: &mut State, keeper: &mut Keeper) {
    for effect in state.update(Event::Terminate) {
        if let Effect::Remember { user, memory } = effect {
            keeper.remember(user, memory);
        }
    }
}

/// An event and those that wait already, as many as are worked through before the next frame. What
/// is behind them stays where it is.
fn burst(first: Event, waiting: &mut mpsc::Receiver<Event>) -> impl Iterator<Item = Event> {
    let more = std::iter::from_fn(|| waiting.try_recv().ok());
    std::iter::once(first).chain(more.take(MAX_EVENTS_A_FRAME - 1))
}

/// What the subscription delivers, as events.
async fn deliver(mut delivered: mpsc::Receiver<ClientEvent>, events: mpsc::Sender<Event>) {
    while let Some(event) = delivered.recv().await {
        let event = match event {
            ClientEvent::Message(record) => Event::Message(record),
            ClientEvent::Election { coordinator } => Event::Election { coordinator },
            ClientEvent::GapFilled { topic, count } => Event::GapFilled { topic, count },
            ClientEvent::ProxyLost => Event::Proxy(false),
            ClientEvent::ProxyBack => Event::Proxy(true),
        };
        if events.send(event).await.is_err() {
            return;
        }
    }
}

/// Says when the broker comes and goes.
async fn watch_connection(client: Client, events: mpsc::Sender<Event>) {
    let mut told = None;
    loop {
        // Its coming is noticed at once: it may be gone again before the next look.
        let connected = match told {
            Some(true) => client.connected(),
            _ => client.wait_connected(LOOK_EVERY).await,
        };
        if told != Some(connected) {
            told = Some(connected);
            if events.send(Event::Broker(connected)).await.is_err() {
                return;
            }
        }
        if connected {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

async fn tick(events: mpsc::Sender<Event>) {
    while events.send(Event::Tick { now_ms: now_ms() }).await.is_ok() {
        tokio::time::sleep(TICK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::full::model::memory::Memory;
    use crate::full::model::room::Place;

    #[test]
    fn what_was_written_is_kept_when_the_terminal_fails() {
        let folder = tempfile::tempdir().unwrap();
        let place = || Some((folder.path().to_owned(), "b".to_owned()));
        let mut keeper = Keeper::new(place());
        let texts = Texts::new(Language::English, "/");
        let mut state = State::new(texts, "b".to_owned(), TimeZone::UTC, 0);
        let user = "ana".to_owned();
        state.update(Event::LoggedIn { user: user.clone(), outcome: Ok(()) });
        let bob = Place::Direct("bob".to_owned());
        let memory = Memory {
            open: Some(bob.clone()),
            read: [(bob.clone(), 1)].into(),
            ..keeper.recall("ana").0
        };
        state.update(Event::Recalled { user, memory });
        state.update(Event::Paste("a draft".to_owned()));
        save_at_once(&mut state, &mut keeper);
        drop(keeper);
        let drafts = Keeper::new(place()).recall("ana").0.drafts;
        assert_eq!(drafts, [(bob, "a draft".to_owned())].into());
    }

    #[tokio::test]
    async fn a_frame_takes_many_events_and_loses_none() {
        let (events, mut waiting) = mpsc::channel(2 * MAX_EVENTS_A_FRAME);
        let all = MAX_EVENTS_A_FRAME + 3;
        for number in 0..all {
            let rows = u16::try_from(number).unwrap();
            events.send(Event::Resize { columns: 80, rows }).await.unwrap();
        }
        drop(events);
        let mut seen = Vec::new();
        while let Some(first) = waiting.recv().await {
            for event in burst(first, &mut waiting) {
                let Event::Resize { rows, .. } = event else { panic!("{event:?}") };
                seen.push(usize::from(rows));
            }
        }
        assert_eq!(seen, (0..all).collect::<Vec<_>>());
    }
}
