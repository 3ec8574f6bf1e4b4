//! Which value of an option holds: flags over variables over file over defaults.

mod file;
pub mod origin;

use std::path::PathBuf;

use figment::error::{Actual, Kind};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use self::file::{ConfigFile, one_line};
use crate::address;
use crate::command::Command;
use crate::failure::Failure;
use crate::options::{self, Fallback, Settings};
use crate::port_table::{self, MAX_BROKERS, MAX_PROXIES, MAX_SERVERS};
use crate::server_name;

/// The port base of the standard, and so the one whose data folder has no number.
pub const STANDARD_PORT_BASE: u16 = 5555;

/// Where values come from, as errors name them.
const DEFAULT: &str = "the default of";
const FILE: &str = "the file";
const VARIABLE: &str = "the variable for";
const FLAG: &str = "the flag";

/// At least so much alike is a word that is suggested, from 0 to 1.
const ALIKE: f64 = 0.7;

/// The most copies that can be asked for: a cluster has no more servers.
const MAX_COPIES: u16 = 256;
/// Less of the log is not worth keeping: its files have 4 MiB.
const MIN_KEEP_LOG_BYTES: u64 = 16 * 1024 * 1024;

/// The most bots that `up` starts.
const MAX_BOTS: u16 = 32;

/// What holds for this run, and what it was made from.
#[derive(Debug)]
pub struct Loaded {
    /// All values.
    pub settings: Settings,
    sources: Figment,
    file: Option<ConfigFile>,
    from_file: Dict,
}

/// Merges the sources, and checks what holds. Without a file that is named by flag or variable,
/// people's commands look into their own.
///
/// # Errors
/// One sentence that names the key and where it stands.
pub fn load(
    command: Command,
    flags: Vec<(String, Value)>,
    file: Option<PathBuf>,
) -> Result<Loaded, Failure> {
    let variables = |name: &str| std::env::var_os(name).map(|v| v.to_string_lossy().into_owned());
    let named = || variables("RECADO_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
    let file = file.or_else(named).or_else(|| file::unnamed(command));
    let file = file.map(|path| ConfigFile::read(&path)).transpose()?;
    merge(flags, variables, file)
}

/// A misspelt variable would go unnoticed. It is not refused: container platforms set variables
/// named after services.
pub fn warn_of_unknown_variables() {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        let known = name == "RECADO_CONFIG"
            || cfg!(feature = "planted") && name == "RECADO_PLANTED_BUG"
            || options::table().iter().any(|option| option.variable() == name);
        if name.starts_with("RECADO_") && !known {
            tracing::warn!("the variable {name} is no option and is ignored");
        }
    }
}

fn merge(
    flags: Vec<(String, Value)>,
    variable: impl Fn(&str) -> Option<String>,
    file: Option<ConfigFile>,
) -> Result<Loaded, Failure> {
    let from_file = file.as_ref().map(ConfigFile::values).transpose()?.unwrap_or_default();
    let sources = Figment::new()
        .merge(Source::new(DEFAULT, defaults()?))
        .merge(Source::new(FILE, from_file.clone()))
        .merge(Source::new(VARIABLE, from_variables(variable)?))
        .merge(Source::new(FLAG, flags.into_iter().collect()));
    let extracted = sources.extract();
    let mut settings: Settings = extracted.map_err(|error| explain(error, file.as_ref()))?;
    check(&settings).map_err(|(key, why)| {
        let source = sources.find_metadata(&key).map(|source| source.name.as_ref());
        let place = match (source, &file) {
            (Some(FILE), Some(file)) => file.place(&key),
            (Some(FLAG), _) => format!("--{}", key.replace('.', " ")),
            (Some(source), _) => format!("{source} {key}"),
            (None, _) => key,
        };
        Failure::Usage(format!("{place}: {why}"))
    })?;
    settings.data_dir.get_or_insert_with(|| default_data_dir(settings.port_base));
    Ok(Loaded { settings, sources, file, from_file })
}

fn default_data_dir(port_base: u16) -> PathBuf {
    match port_base {
        STANDARD_PORT_BASE => PathBuf::from("recado-data"),
        other => PathBuf::from(format!("recado-data-{other}")),
    }
}

/// What the types can't say, by the key.
fn check(settings: &Settings) -> Result<(), (String, String)> {
    check_values(settings).map_err(|(key, why)| (key.to_owned(), why))?;
    let keymap = settings.keymap();
    keymap.map(drop).map_err(|wrong| (format!("keys.{}", wrong.action), wrong.why))
}

fn check_values(settings: &Settings) -> Result<(), (&'static str, String)> {
    let highest = u16::MAX - port_table::PORTS + 1;
    if !(1..=highest).contains(&settings.port_base) {
        return Err(("port-base", format!("a number from 1 to {highest} is needed")));
    }
    let most = [
        ("servers", settings.servers, MAX_SERVERS),
        ("brokers", settings.brokers, MAX_BROKERS),
        ("proxies", settings.proxies, MAX_PROXIES),
        ("number", settings.number, MAX_BROKERS.min(MAX_PROXIES)),
        ("bots", settings.bots, MAX_BOTS),
    ];
    for (key, number, most) in most {
        if number > most {
            return Err((key, format!("at most {most} are possible")));
        }
    }
    let counts = [
        ("servers", settings.servers == 0),
        ("brokers", settings.brokers == 0),
        ("proxies", settings.proxies == 0),
        ("number", settings.number == 0),
        ("clients", settings.clients == 0),
        ("connections", settings.connections == Some(0)),
        ("seconds", settings.seconds == 0),
        ("rounds", settings.rounds == 0),
        ("publishers", settings.publishers == 0),
        ("subscribers", settings.subscribers == 0),
        ("rate", settings.rate == 0),
    ];
    if let Some((key, _)) = counts.into_iter().find(|(_, none)| *none) {
        return Err((key, "at least 1 is needed".into()));
    }
    for (key, time) in [("duration", settings.duration), ("interval", settings.interval)] {
        if time.0 == 0 {
            return Err((key, "at least 1 s is needed".into()));
        }
    }
    let limit = recado_protocol::limits::MAX_REQUEST_BYTES as u64 / 2;
    for (key, bytes) in
        [("message-limit-bytes", settings.message_limit_bytes), ("size", settings.size)]
    {
        if !(1..=limit).contains(&bytes) {
            return Err((key, format!("a number from 1 to {limit} is needed")));
        }
    }
    if settings.min_copies.is_some_and(|copies| !(1..=MAX_COPIES).contains(&copies)) {
        return Err(("min-copies", format!("a number from 1 to {MAX_COPIES} is needed")));
    }
    if settings.keep_log.0 < MIN_KEEP_LOG_BYTES {
        return Err(("keep-log", format!("at least {}M is needed", MIN_KEEP_LOG_BYTES >> 20)));
    }
    if let Some(Err(why)) = settings.http.as_deref().map(address::http) {
        return Err(("http", why));
    }
    if let Some(name) = &settings.name {
        server_name::check(name).map_err(|why| ("name", why))?;
    }
    Ok(())
}

fn defaults() -> Result<Dict, Failure> {
    let mut dict = Dict::new();
    for option in options::table() {
        let text = match option.fallback {
            Fallback::Value(text) => text,
            Fallback::Off => "false",
            Fallback::Derived(_) => continue,
        };
        let value = (option.parse)(text).map_err(Failure::Usage)?;
        dict.insert(option.key.clone(), value);
    }
    Ok(dict)
}

fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Dict, Failure> {
    let mut dict = Dict::new();
    for option in options::table() {
        let Some(text) = variable(&option.variable()) else { continue };
        let value = (option.parse)(&text).map_err(|why| {
            Failure::Usage(format!("the variable {}={text}: {why}", option.variable()))
        })?;
        dict.insert(option.key.clone(), value);
    }
    Ok(dict)
}

/// Values whose origin can be named.
struct Source {
    name: &'static str,
    values: Dict,
}

impl Source {
    fn new(name: &'static str, values: Dict) -> Source {
        Source { name, values }
    }
}

impl Provider for Source {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

/// Flags, variables and defaults are typed already: what is wrong here stands in the file.
fn explain(error: figment::Error, file: Option<&ConfigFile>) -> Failure {
    let Some(first) = error.into_iter().next() else {
        return Failure::Usage("the configuration can't be read".into());
    };
    let key = first.path.join(".");
    let place = |key: &str| file.map_or_else(|| key.to_owned(), |file| file.place(key));
    Failure::Usage(match &first.kind {
        Kind::UnknownField(key, _) => format!("{}: {}", place(key), no_such_option(key)),
        Kind::InvalidType(found, wanted) | Kind::InvalidValue(found, wanted) => {
            format!("{}: {} is needed, not {}", place(&key), in_words(wanted), as_written(found))
        }
        kind => format!("{}: {}", place(&key), one_line(&kind.to_string())),
    })
}

/// What a file must hold, as people write it.
fn in_words(wanted: &str) -> &str {
    match wanted {
        "a string" => "a text in double quotes",
        "a boolean" => "true or false",
        "u16" => "a whole number from 0 to 65535",
        "u64" => "a whole number from 0 on",
        "i64" => "a whole number",
        other => other,
    }
}

/// What it holds instead.
fn as_written(found: &Actual) -> String {
    match found {
        Actual::Unsigned(number) => number.to_string(),
        Actual::Signed(number) => number.to_string(),
        Actual::Float(number) => number.to_string(),
        Actual::Bool(yes) => yes.to_string(),
        Actual::Str(text) => format!("\"{text}\""),
        Actual::Seq => "a list".to_owned(),
        Actual::Map => "a table".to_owned(),
        other => other.to_string(),
    }
}

fn no_such_option(key: &str) -> String {
    let known = options::table().iter().map(|option| option.key.as_str());
    let alike = known.map(|known| (strsim::jaro_winkler(key, known), known));
    match alike.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(alike, _)| *alike >= ALIKE) {
        Some((_, known)) => format!("there is no such option; did you mean {known}?"),
        None => "there is no such option; `recado COMMAND --help` lists them".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn merge(
        flags: Vec<(String, Value)>,
        variable: impl Fn(&str) -> Option<String>,
        file: Option<&Path>,
    ) -> Result<Settings, Failure> {
        let file = file.map(ConfigFile::read).transpose()?;
        super::merge(flags, variable, file).map(|loaded| loaded.settings)
    }

    fn with_file(text: &str) -> Result<Settings, Failure> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        merge(Vec::new(), |_| None, Some(file.path()))
    }

    #[test]
    fn flags_win_over_variables_over_file_over_defaults() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "port-base = 6000\nservers = 5\nbots = 7\n").unwrap();
        let variable = |name: &str| match name {
            "RECADO_PORT_BASE" => Some("6100".to_owned()),
            "RECADO_SERVERS" => Some("4".to_owned()),
            _ => None,
        };
        let flags = vec![("port-base".to_owned(), Value::from(6200))];
        let settings = merge(flags, variable, Some(file.path())).unwrap();
        assert_eq!(settings.port_base, 6200);
        assert_eq!(settings.servers, 4);
        assert_eq!(settings.bots, 7);
        assert_eq!(settings.listen, "127.0.0.1");
        assert_eq!(settings.data_dir, Some("recado-data-6200".into()));
    }

    #[test]
    fn a_wrong_file_is_refused_in_one_line_that_names_key_and_file() {
        for (text, key) in [
            ("port-bass = 1", "port-bass in "),
            ("port-base = \"many\"", "port-base in "),
            ("port-base = 70000", "port-base in "),
            ("port-base = 0", "port-base in "),
            ("servers = 0", "servers in "),
            ("listen = 5", "listen in "),
            ("plain = 3", "plain in "),
            ("[server]\nname = \"a\"", "server in "),
            ("port-base 5", ".tmp"),
        ] {
            let Err(failure) = with_file(text) else { panic!("{text} was taken") };
            let line = failure.to_string();
            assert!(line.contains(key), "{text}: {line}");
            assert!(!line.contains('\n'), "{text}: {line}");
            assert!(line.contains("/") && matches!(failure, Failure::Usage(_)), "{line}");
        }
    }

    #[test]
    fn a_wrong_variable_is_refused_by_its_name() {
        let variable = |name: &str| (name == "RECADO_BOTS").then(|| "some".to_owned());
        let failure = merge(Vec::new(), variable, None).unwrap_err();
        assert!(failure.to_string().contains("RECADO_BOTS=some"), "{failure}");
        let variable = |name: &str| (name == "RECADO_BOTS").then(|| "1000".to_owned());
        let failure = merge(Vec::new(), variable, None).unwrap_err();
        assert!(failure.to_string().contains("bots"), "{failure}");
    }

    #[test]
    fn a_count_of_nothing_is_refused_as_it_is_typed() {
        let counts = ["servers", "clients", "connections", "seconds", "rounds", "publishers"];
        for key in counts.into_iter().chain(["subscribers", "rate"]) {
            let failure = merge(vec![(key.to_owned(), Value::from(0u16))], |_| None, None);
            let said = failure.unwrap_err().to_string();
            assert!(said.starts_with(&format!("--{key}: at least 1")), "{said}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_said() {
        let failure = merge(Vec::new(), |_| None, Some(Path::new("no/such.toml"))).unwrap_err();
        assert!(failure.to_string().contains("no/such.toml"), "{failure}");
    }

    #[test]
    fn numbers_are_names_too_when_they_are_given_as_flag_or_variable() {
        let variable = |name: &str| (name == "RECADO_NAME").then(|| "17".to_owned());
        assert_eq!(merge(Vec::new(), variable, None).unwrap().name.as_deref(), Some("17"));
    }
}
