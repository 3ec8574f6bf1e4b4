//! Every option, declared once: from this table come the flags, the `RECADO_*` variables, the
//! keys of the configuration file, the defaults and the help text.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::LazyLock;

use figment::value::Value;
use recado_terminal::{Keymap, Language, Notify, Theme};
use serde::Deserialize;

use crate::command::Command;
use crate::command::Command::{
    Bench, Bot, Broker, Chat, Client, Config, Demo, Drill, Export, Health, Import, Proxy,
    Reference, Remove, Server, Status, Up,
};
use crate::keys::{Keys, WrongKey};
use crate::logging::LogFormat;

/// What an option is when nobody sets it.
#[derive(Clone, Copy)]
pub enum Fallback {
    /// This value.
    Value(&'static str),
    /// Nothing; what happens then is said in the help.
    Derived(&'static str),
    /// Off.
    Off,
}

/// One option.
pub struct Opt {
    /// Its name as a flag and in the file.
    pub key: String,
    /// What the help calls its value; empty for a switch.
    pub value_name: &'static str,
    /// One or two sentences.
    pub help: String,
    /// Without a setting.
    pub fallback: Fallback,
    /// Which commands look at it.
    pub used_by: &'static [Command],
    /// Reads a flag's or variable's text as this option's type.
    pub parse: fn(&str) -> Result<Value, String>,
    /// Shown by `--help` but not by `-h`.
    pub rare: bool,
}

impl Opt {
    /// The variable that sets it.
    pub fn variable(&self) -> String {
        format!("RECADO_{}", self.key.replace('-', "_").to_uppercase())
    }

    /// Whether it takes no value on the command line.
    pub fn is_switch(&self) -> bool {
        self.value_name.is_empty()
    }
}

/// A type that an option can have.
trait OptionValue {
    fn parse(text: &str) -> Result<Value, String>;
}

macro_rules! number_options {
    ($($type:ty)+) => {$(
        impl OptionValue for $type {
            fn parse(text: &str) -> Result<Value, String> {
                let number: Result<$type, _> = text.trim().parse();
                number.map(Value::from).map_err(|_| {
                    format!("a whole number from {} to {} is needed", <$type>::MIN, <$type>::MAX)
                })
            }
        }
    )+};
}

number_options! { u16 u64 i64 }

impl OptionValue for String {
    fn parse(text: &str) -> Result<Value, String> {
        Ok(Value::from(text))
    }
}

impl OptionValue for PathBuf {
    fn parse(text: &str) -> Result<Value, String> {
        Ok(Value::from(text))
    }
}

impl OptionValue for bool {
    fn parse(text: &str) -> Result<Value, String> {
        match text {
            "true" | "1" | "yes" | "on" => Ok(Value::from(true)),
            "false" | "0" | "no" | "off" | "" => Ok(Value::from(false)),
            _ => Err("true or false is needed".into()),
        }
    }
}

/// A time in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "u64")]
pub struct Seconds(pub u64);

impl From<u64> for Seconds {
    fn from(seconds: u64) -> Seconds {
        Seconds(seconds)
    }
}

impl OptionValue for Seconds {
    fn parse(text: &str) -> Result<Value, String> {
        let text = text.trim();
        let (number, unit) = match text.strip_suffix('m') {
            Some(minutes) => (minutes, 60),
            None => (text.strip_suffix('s').unwrap_or(text), 1),
        };
        let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
        seconds.map(Value::from).ok_or_else(|| "a time like 90s or 5m is needed".into())
    }
}

/// A length in bytes; K, M and G stand for 1024 of the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "u64")]
pub struct Bytes(pub u64);

impl From<u64> for Bytes {
    fn from(bytes: u64) -> Bytes {
        Bytes(bytes)
    }
}

impl OptionValue for Bytes {
    fn parse(text: &str) -> Result<Value, String> {
        let text = text.trim();
        let units = [('K', 1u64 << 10), ('M', 1 << 20), ('G', 1 << 30)];
        let by_unit =
            units.iter().find_map(|(unit, factor)| Some((text.strip_suffix(*unit)?, factor)));
        let (number, factor) = by_unit.unwrap_or((text, &1));
        let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*factor));
        bytes.map(Value::from).ok_or_else(|| "a size like 512M or 2G is needed".into())
    }
}

/// The client's language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Lang(pub Language);

impl TryFrom<String> for Lang {
    type Error = String;

    fn try_from(tag: String) -> Result<Lang, String> {
        let language = Language::from_tag(&tag).map(Lang);
        language.ok_or_else(|| format!("en or pt-BR is needed, not {tag}"))
    }
}

impl OptionValue for Lang {
    fn parse(text: &str) -> Result<Value, String> {
        Lang::try_from(text.to_owned()).map(|lang| Value::from(lang.0.tag()))
    }
}

/// One of a few words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String", bound = "T: FromStr<Err = String>")]
pub struct Word<T>(pub T);

impl<T: FromStr<Err = String>> TryFrom<String> for Word<T> {
    type Error = String;

    fn try_from(word: String) -> Result<Word<T>, String> {
        word.trim().parse().map(Word)
    }
}

impl<T: FromStr<Err = String>> OptionValue for Word<T> {
    fn parse(text: &str) -> Result<Value, String> {
        let word = text.trim();
        word.parse::<T>().map(|_| Value::from(word))
    }
}

impl OptionValue for Keys {
    fn parse(text: &str) -> Result<Value, String> {
        Keys::parse(text)
    }
}

impl<T: OptionValue> OptionValue for Option<T> {
    fn parse(text: &str) -> Result<Value, String> {
        T::parse(text)
    }
}

macro_rules! options {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident: $type:ty, $value_name:literal, $fallback:expr, $used_by:expr $(, $rare:ident)?;
    )+) => {
        /// All options with the values that hold for this run.
        #[derive(Clone, Debug, Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        pub struct Settings { $($(#[doc = $doc])+ pub $name: $type,)+ }

        static TABLE: LazyLock<Vec<Opt>> = LazyLock::new(|| {
            vec![$(Opt {
                key: stringify!($name).replace('_', "-"),
                value_name: $value_name,
                help: [$($doc),+].map(str::trim).join(" "),
                fallback: $fallback,
                used_by: $used_by,
                parse: <$type as OptionValue>::parse,
                rare: [$(stringify!($rare)),*].contains(&"rare"),
            },)+]
        });
    };
}

/// The table of all options.
pub fn table() -> &'static [Opt] {
    &TABLE
}

impl Settings {
    /// Where everything is kept.
    pub fn data_dir(&self) -> &Path {
        self.data_dir.as_deref().unwrap_or(Path::new("."))
    }

    /// Which keys do what.
    ///
    /// # Errors
    /// The first action that can't have its key.
    pub fn keymap(&self) -> Result<Keymap, WrongKey> {
        self.keys.as_ref().map_or_else(|| Ok(Keymap::default()), Keys::keymap)
    }
}

/// Roles that bind ports.
const LISTENERS: &[Command] = &[Broker, Proxy, Reference, Server, Up, Demo];
/// Commands that call the broker.
const CALLERS: &[Command] =
    &[Server, Chat, Client, Config, Bot, Status, Bench, Export, Import, Remove, Drill];
/// Commands for people, who have a configuration file of their own.
pub const PERSONAL: &[Command] =
    &[Chat, Client, Demo, Config, Status, Bench, Drill, Export, Import, Remove];
/// Commands that start a cluster.
const CLUSTERS: &[Command] = &[Up, Demo];

options! {
    /// Folder in which everything is kept.
    data_dir: Option<PathBuf>, "DIR",
        Fallback::Derived("./recado-data, or ./recado-data-N with another --port-base N"),
        Command::ALL;
    /// First of the hundred ports of a cluster: N broker for clients, N+1 broker for servers, N+2
    /// proxy for publishers, N+3 proxy for subscribers, N+4 reference, servers from N+5 on;
    /// PROTOCOL.md has the whole table.
    port_base: u16, "N", Fallback::Value("5555"), Command::ALL;
    /// What to log: error, warn, info, debug, trace, or a filter like
    /// `info,recado_replication=debug`.
    log: String, "FILTER", Fallback::Value("info"), Command::ALL;
    /// How log lines look: text for people, or json, an object a line.
    log_format: Word<LogFormat>, "FORMAT", Fallback::Value("text"),
        &[Broker, Proxy, Reference, Server, Up, Demo, Bot];
    /// Host or address to bind; 0.0.0.0 opens the ports to the whole network.
    listen: String, "HOST", Fallback::Value("127.0.0.1"), LISTENERS;
    /// Host or address under which other servers reach this one.
    advertise: Option<String>, "HOST", Fallback::Derived("what --listen says"),
        &[Server, Up, Demo];
    /// Where a role serves /livez, /readyz and /metrics by HTTP, and where `recado health` asks; 0.0.0.0
    /// opens them to the whole network. Under `up` every role has one on this machine, which `recado status --json` shows.
    http: Option<String>, "HOST:PORT", Fallback::Derived("none"),
        &[Broker, Proxy, Reference, Server, Health];
    /// Reach the server that advertises FROM at TO instead, both HOST:PORT: for a port that is
    /// mapped on the way. Several are separated by commas.
    route: Option<String>, "FROM=TO", Fallback::Derived("none"),
        &[Server, Reference], rare;
    /// Where the brokers are, separated by commas: HOST, HOST:PORT or tcp://HOST:PORT of the
    /// client port; the server port is the next one. A server connects to all of them, everybody
    /// else uses one and moves on when it dies.
    broker: String, "ADDRESSES", Fallback::Value("127.0.0.1"), CALLERS;
    /// Where the proxies are, separated by commas: HOST, HOST:PORT or tcp://HOST:PORT of the
    /// publisher port; the subscriber port is the next one. A server publishes to all of them,
    /// everybody else listens at one and moves on when it dies.
    proxy: String, "ADDRESSES", Fallback::Value("127.0.0.1"),
        &[Server, Chat, Client, Config, Bot, Status, Bench, Drill];
    /// Where the reference is: HOST, HOST:PORT or tcp://HOST:PORT.
    reference: String, "ADDRESS", Fallback::Value("127.0.0.1"), &[Server, Status];
    /// Which of the cluster's brokers or proxies on this machine this is, from 1 to 4: it decides
    /// the ports.
    number: u16, "K", Fallback::Value("1"), &[Broker, Proxy];
    /// Pump bytes between clients and servers in turn, as the standard's broker does, and know
    /// nothing of requests: for standard REP servers.
    plain: bool, "", Fallback::Off, &[Broker];
    /// Keep no replica in the reference: ranks and heartbeats only. Then of three servers two that
    /// die one after the other stop the third one's writes.
    no_replica: bool, "", Fallback::Off, &[Reference], rare;
    /// The server's name; its data is kept in a folder of that name.
    name: Option<String>, "NAME", Fallback::Derived("the host's name"), &[Server];
    /// The server's own port, for other servers.
    port: Option<u16>, "PORT", Fallback::Derived("the first free one from port base + 5 on"),
        &[Server];
    /// Longest text of a message, bytes.
    message_limit_bytes: u64, "BYTES", Fallback::Value("65536"), &[Server, Up, Demo];
    /// Take writes only while so many servers are active, so that each acknowledged one has at least
    /// as many copies. The cluster keeps it: tell all servers the same. For three servers 2 is a
    /// good choice: one may die, and no write has a single copy.
    min_copies: Option<u16>, "N", Fallback::Derived("what the cluster has, at first 1"),
        &[Server, Up, Demo];
    /// How much of the log is kept for servers that were away: as long as it reaches back to when
    /// they left, they are sent only what they missed. While somebody catches up it may be four
    /// times as much. It takes that room on the disk, and memory for each entry.
    keep_log: Bytes, "SIZE", Fallback::Value("512M"), &[Server, Reference, Up, Demo];
    /// Start with a clock that is wrong by so much, for tests of the synchronisation.
    clock_offset_ms: i64, "MS", Fallback::Value("0"), &[Server], rare;
    /// Who logs in at the start.
    user: Option<String>, "NAME", Fallback::Derived("nobody"),
        &[Chat, Client, Config, Demo];
    /// The language of the client: en or pt-BR.
    lang: Option<Lang>, "LANG", Fallback::Derived("the locale's: LC_ALL, LC_MESSAGES, LANG"),
        &[Chat, Client, Config, Demo];
    /// Chat line by line also at a terminal.
    line: bool, "", Fallback::Off, &[Chat, Config, Demo];
    /// Colours for a background that is dark or light, found out by itself (auto), or none.
    theme: Word<Theme>, "THEME", Fallback::Value("auto"), &[Chat, Config, Demo];
    /// When the terminal rings while it is not looked at: off, mentions or all.
    notifications: Word<Notify>, "WHEN", Fallback::Value("mentions"), &[Chat, Config, Demo];
    /// Keys for what the full-screen client does, ACTION=KEY with commas between; in the file a
    /// table [keys] with a line for each. `recado config` lists the actions.
    keys: Option<Keys>, "ACTION=KEY", Fallback::Derived("the usual ones"), &[Chat, Config, Demo];
    /// How many servers to start.
    servers: u16, "N", Fallback::Value("3"), &[Up, Demo, Drill];
    /// How many brokers to start.
    brokers: u16, "N", Fallback::Value("1"), &[Up, Demo, Drill];
    /// How many proxies to start.
    proxies: u16, "N", Fallback::Value("1"), &[Up, Demo, Drill];
    /// How many bots to start.
    bots: u16, "N", Fallback::Value("2"), CLUSTERS;
    /// Leave dead what dies.
    no_restart: bool, "", Fallback::Off, CLUSTERS;
    /// Time between two messages of a bot, ms.
    pace_ms: u64, "MS", Fallback::Value("500"), &[Bot, Up, Demo];
    /// Seed of a bot's or a drill's choices: the same seed, the same choices.
    seed: Option<u64>, "N", Fallback::Derived("random"), &[Bot, Drill];
    /// What to measure: writes, latency, reads, fan-out, proxy or fail-over.
    what: String, "WHAT", Fallback::Value("writes"), &[Bench];
    /// How many clients ask at a time, each waiting for its answer.
    clients: u16, "K", Fallback::Value("64"), &[Bench];
    /// Over how many connections the clients share the way to the broker.
    connections: Option<u16>, "N", Fallback::Derived("one for each client"), &[Bench];
    /// How long to measure in each round, s.
    seconds: u64, "S", Fallback::Value("10"), &[Bench];
    /// How long the load runs before each round is measured, s.
    warm_up: u64, "S", Fallback::Value("1"), &[Bench];
    /// How many rounds; shown is the median, with the smallest and the largest.
    rounds: u16, "N", Fallback::Value("1"), &[Bench];
    /// How many publishers a fan-out has.
    publishers: u16, "P", Fallback::Value("1"), &[Bench];
    /// How many subscribers a fan-out has, each to all publishers.
    subscribers: u16, "S", Fallback::Value("10"), &[Bench];
    /// Kill the primary, one that runs here under --data-dir, so many times; whatever started it
    /// has to start it again.
    kill_primary: Option<u16>, "N", Fallback::Derived("somebody else kills it"), &[Bench];
    /// Drill a cluster that runs already, at --broker and --proxy, and that somebody else breaks:
    /// write, read and listen for --duration, then check. It starts nothing and breaks nothing.
    attach: bool, "", Fallback::Off, &[Drill];
    /// How long a drill injects faults, or writes where it is attached: 90, 90s or 5m.
    duration: Seconds, "TIME", Fallback::Value("120s"), &[Drill];
    /// From one fault of a drill to the next: 8, 8s or 1m.
    interval: Seconds, "TIME", Fallback::Value("8s"), &[Drill];
    /// Which faults a drill injects, separated by commas; --list-faults names them all.
    faults: String, "LIST", Fallback::Value("all"), &[Drill];
    /// About how many messages a second a drill writes, or exactly how many `bench --what latency`.
    rate: u16, "N", Fallback::Value("300"), &[Drill, Bench];
    /// On what a drill's data is: `forgetful` disks in memory lose at a kill what was not synced,
    /// `real` is --data-dir's, `auto` is forgetful where that can be mounted (root, /dev/fuse).
    /// With `forgetful,ignore-syncs` nothing is ever synced, and the drill has to find that out.
    disk: String, "KIND", Fallback::Value("auto"), &[Drill];
    /// Keep a drill's data and logs also when all went well.
    keep: bool, "", Fallback::Off, &[Drill];
    /// Length of each message, bytes.
    size: u64, "BYTES", Fallback::Value("200"), &[Bench];
}
