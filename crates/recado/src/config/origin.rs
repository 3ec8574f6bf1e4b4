//! What holds for the client, and where each value comes from: `recado config`.

use std::fmt::Write;

use figment::value::Value;
use recado_terminal::{Action, Language};
use serde_json::{Map, json};

use super::file::personal_path;
use super::{FLAG, Loaded, VARIABLE};
use crate::command::Command;
use crate::options::{self, Fallback, Opt};

/// The option of which each entry has an origin of its own.
const KEYS: &str = "keys";

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    Default,
    /// A variable, by its name.
    Variable(String),
    /// A flag, as it is typed.
    Flag(String),
    /// A file, and the line in it.
    File(String, Option<usize>),
}

/// One value, by its key.
struct Row {
    key: String,
    value: serde_json::Value,
    /// What is shown for a value that nobody set.
    fallback: Option<&'static str>,
    origin: Origin,
}

/// The effective options as a table.
pub fn table(loaded: &Loaded) -> String {
    let rows = rows(loaded);
    let shown: Vec<(String, String, String)> = rows
        .into_iter()
        .map(|row| (row.key.clone(), row.shown_value(), row.origin.to_string()))
        .collect();
    let width = |column: fn(&(String, String, String)) -> &str| {
        shown.iter().map(|row| column(row).chars().count()).max().unwrap_or(0)
    };
    let (keys, values) = (width(|row| &row.0), width(|row| &row.1));
    let mut text = format!("{}\n", file_line(loaded));
    for (key, value, origin) in &shown {
        _ = writeln!(text, "{key:keys$}  {value:values$}  {origin}");
    }
    if let Some(line) = unused_line(loaded) {
        text += &line;
    }
    text
}

/// The effective options as JSON.
pub fn json(loaded: &Loaded) -> serde_json::Value {
    let mut options = Map::new();
    for row in rows(loaded) {
        options.insert(row.key, json!({ "value": row.value, "from": row.origin.json() }));
    }
    let path = file_path(loaded);
    json!({
        "file": { "path": path, "read": loaded.file.is_some() },
        "options": options,
        "unused": unused(loaded),
    })
}

fn file_path(loaded: &Loaded) -> Option<String> {
    let read = loaded.file.as_ref().map(|file| file.path.clone());
    read.or_else(personal_path).map(|path| path.display().to_string())
}

fn file_line(loaded: &Loaded) -> String {
    match (&loaded.file, file_path(loaded)) {
        (Some(_), Some(path)) => format!("read from {path}"),
        (None, Some(path)) => format!("{path} is not there; what you write into it will hold"),
        (_, None) => "there is no folder for configuration; set XDG_CONFIG_HOME or HOME".into(),
    }
}

/// Keys of the file that the client does not look at.
fn unused(loaded: &Loaded) -> Vec<&str> {
    let keys = loaded.from_file.keys().map(String::as_str);
    keys.filter(|key| for_client().all(|option| option.key != *key)).collect()
}

fn unused_line(loaded: &Loaded) -> Option<String> {
    let unused = unused(loaded);
    let file = loaded.file.as_ref().filter(|_| !unused.is_empty())?;
    let places: Vec<String> = unused
        .iter()
        .map(|key| match file.line_of(key) {
            Some(line) => format!("{key} (line {line})"),
            None => (*key).to_owned(),
        })
        .collect();
    Some(format!("the file also has what no client looks at: {}\n", places.join(", ")))
}

fn for_client() -> impl Iterator<Item = &'static Opt> {
    options::table().iter().filter(|option| option.used_by.contains(&Command::Config))
}

fn rows(loaded: &Loaded) -> Vec<Row> {
    let keys = for_client()
        .filter(|option| option.key == KEYS)
        .flat_map(|keys| Action::ALL.iter().map(move |action| key_row(loaded, keys, *action)));
    let others = for_client().filter(|option| option.key != KEYS);
    let mut rows: Vec<Row> = others.map(|option| row(loaded, option)).chain(keys).collect();
    rows.sort_by(|a, b| a.key.cmp(&b.key));
    rows
}

/// The keys of an action, whoever chose them.
fn key_row(loaded: &Loaded, option: &'static Opt, action: Action) -> Row {
    let keymap = loaded.settings.keymap().unwrap_or_default();
    let keys: Vec<String> = keymap.keys(action).map(|key| key.to_string()).collect();
    let key = format!("{KEYS}.{}", action.word());
    let origin = origin(loaded, option, &key);
    Row { key, value: keys.join(", ").into(), fallback: None, origin }
}

fn row(loaded: &Loaded, option: &'static Opt) -> Row {
    let key = option.key.clone();
    let found = loaded.sources.find_value(&key).ok();
    let origin =
        if found.is_some() { origin(loaded, option, &option.key) } else { Origin::Default };
    let mut row = Row { key, value: plain(found.as_ref()), fallback: None, origin };
    if found.is_none() {
        match option.key.as_str() {
            "data-dir" => row.value = loaded.settings.data_dir().display().to_string().into(),
            "lang" => by_locale(&mut row),
            _ => row.fallback = derived(option),
        }
    }
    row
}

fn derived(option: &Opt) -> Option<&'static str> {
    match option.fallback {
        Fallback::Derived(text) => Some(text),
        Fallback::Value(_) | Fallback::Off => None,
    }
}

fn by_locale(row: &mut Row) {
    let variable = |name: &str| std::env::var(name).ok();
    row.value = Language::of_locale(variable).tag().into();
    if let Some((name, _)) = Language::locale(variable) {
        row.origin = Origin::Variable(name.to_owned());
    }
}

fn origin(loaded: &Loaded, option: &Opt, key: &str) -> Origin {
    let metadata = loaded.sources.find_metadata(key);
    match (metadata.map(|metadata| metadata.name.as_ref()), &loaded.file) {
        (Some(FLAG), _) => Origin::Flag(format!("--{}", option.key)),
        (Some(VARIABLE), _) => Origin::Variable(option.variable()),
        (Some(super::FILE), Some(file)) => {
            Origin::File(file.path.display().to_string(), file.line_of(key))
        }
        _ => Origin::Default,
    }
}

fn plain(value: Option<&Value>) -> serde_json::Value {
    value.and_then(|value| serde_json::to_value(value).ok()).unwrap_or(serde_json::Value::Null)
}

impl Row {
    fn shown_value(&self) -> String {
        match (&self.value, self.fallback) {
            (serde_json::Value::Null, Some(fallback)) => format!("({fallback})"),
            (serde_json::Value::String(text), _) => text.clone(),
            (value, _) => value.to_string(),
        }
    }
}

impl Origin {
    fn json(&self) -> serde_json::Value {
        match self {
            Origin::Default => json!({ "kind": "default" }),
            Origin::Variable(name) => json!({ "kind": "variable", "name": name }),
            Origin::Flag(name) => json!({ "kind": "flag", "name": name }),
            Origin::File(path, line) => json!({ "kind": "file", "name": path, "line": line }),
        }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::Variable(name) => write!(f, "variable {name}"),
            Origin::Flag(name) => write!(f, "flag {name}"),
            Origin::File(path, Some(line)) => write!(f, "{path}:{line}"),
            Origin::File(path, None) => f.write_str(path),
        }
    }
}
