//! A server's name: given, or the host's; and which names no server may have.

use std::path::Path;

use crate::failure::Failure;
use crate::options::Settings;

/// The longest name, in characters, each of one byte.
const MAX_CHARS: usize = 64;

/// Names that mean something in a data folder, in `up`'s output or to the servers.
const TAKEN: &[&str] =
    &["broker", "proxy", "reference", "bot", "up", "demo", "run", "logs", "servers"];

/// What begins so, with a number behind, too.
const NUMBERED: &[&str] = &["broker-", "proxy-", "reference-", "bot-", "damaged-"];

/// What hosts are called that nobody has named.
const NOBODYS: &[&str] = &["localhost", "localhost.localdomain", "none"];

/// Whether a server may have this name: its folder bears it.
///
/// # Errors
/// What is needed.
pub fn check(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > MAX_CHARS || !name.chars().all(is_plain) {
        return Err("1 to 64 letters, digits, dots, - and _ are needed".into());
    }
    if name.starts_with('.') {
        return Err("a name can't begin with a dot: it is a folder's name too".into());
    }
    // Some file systems don't tell capital letters from small ones.
    let lower = name.to_lowercase();
    let number = |rest: &str| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit());
    let numbered = NUMBERED.iter().any(|word| lower.strip_prefix(word).is_some_and(number));
    if numbered || TAKEN.contains(&lower.as_str()) {
        return Err(format!("{name} means something else here; choose another name"));
    }
    Ok(())
}

/// The server's name: what the settings say, else the host's name, as far as it can be one.
///
/// # Errors
/// One sentence: no name was given, and the host's is none or would leave aside the data that is in
/// the folder.
pub fn of(settings: &Settings) -> Result<String, Failure> {
    if let Some(name) = &settings.name {
        return Ok(name.clone());
    }
    let name = from_host(&rustix::system::uname().nodename().to_string_lossy())?;
    check_data(settings.data_dir(), &name)?;
    Ok(name)
}

fn from_host(host: &str) -> Result<String, Failure> {
    let plain: String = host.chars().map(|c| if is_plain(c) { c } else { '-' }).collect();
    let name: String = plain.trim_matches(['-', '.']).chars().take(MAX_CHARS).collect();
    if NOBODYS.contains(&name.as_str()) || check(&name).is_err() {
        return Err(Failure::Usage(format!(
            "this host is called \"{host}\", which is no name for a server; give one with --name"
        )));
    }
    Ok(name)
}

/// A server that is not told its name must not begin anew beside what it stored under another one.
fn check_data(data_dir: &Path, name: &str) -> Result<(), Failure> {
    let is_server = |path: &Path| path.join(recado_server::IDENTITY_FILE).is_file();
    if is_server(&data_dir.join(name)) {
        return Ok(());
    }
    let entries = std::fs::read_dir(data_dir).into_iter().flatten().flatten();
    let servers = entries.filter(|entry| is_server(&entry.path()));
    let mut names: Vec<_> =
        servers.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    let Some(first) = names.first() else { return Ok(()) };
    Err(Failure::Usage(format!(
        "{} holds the data of {}, and none of {name}, as this host is called; say which server this \
         is, with --name {first} for example",
        data_dir.display(),
        names.join(", ")
    )))
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_fine() {
        let longest = "x".repeat(MAX_CHARS);
        for name in ["server-1", "17", "db.east", "a_b", "brokers", "broker-x", "upper", &longest] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn names_that_mean_something_else_are_refused() {
        let long = "x".repeat(MAX_CHARS + 1);
        for name in TAKEN.iter().copied().chain(["Broker", "proxy-2", "damaged-17", "BOT-1"]) {
            assert!(check(name).is_err(), "{name}");
        }
        for name in ["", ".", "..", ".a", "a/b", "a b", "a\n", "é", &long] {
            assert!(check(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_hosts_name_is_brought_into_shape() {
        for (host, name) in
            [("box", "box"), ("my host.", "my-host"), ("a.b.example", "a.b.example")]
        {
            assert_eq!(from_host(host).unwrap(), name);
        }
        assert_eq!(from_host(&"x".repeat(90)).unwrap().len(), MAX_CHARS);
        for host in ["", "(none)", "localhost", "broker", "..."] {
            let failure = from_host(host).unwrap_err();
            assert!(failure.to_string().contains("--name"), "{host}: {failure}");
        }
    }

    #[test]
    fn other_data_is_not_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        check_data(dir.path(), "box").unwrap();
        for name in ["server-2", "server-1"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
            std::fs::write(dir.path().join(name).join("identity"), "").unwrap();
        }
        let line = check_data(dir.path(), "box").unwrap_err().to_string();
        assert!(line.contains("server-1, server-2") && line.contains("--name server-1"), "{line}");
        check_data(dir.path(), "server-2").unwrap();
    }
}
