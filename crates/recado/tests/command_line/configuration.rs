//! `recado config`: what holds, and where it comes from.

use crate::Home;

/// The row of a key: its value and its origin.
fn row(table: &str, key: &str) -> (String, String) {
    let rows = table.lines().filter_map(|line| line.split_once("  "));
    let found = rows.filter(|(name, _)| *name == key).map(|(_, rest)| rest.trim_start());
    let rows: Vec<&str> = found.collect();
    let [row] = rows[..] else { panic!("{key} does not stand once in {table}") };
    let (value, origin) = row.split_once("  ").unwrap();
    (value.to_owned(), origin.trim_start().to_owned())
}

#[test]
fn every_value_says_where_it_comes_from() {
    let home = Home::new();
    home.configure("# my cluster\nbroker = \"hub\"\nproxy = \"hub\"\nuser = \"ana\"\n");
    let variables = [("RECADO_PROXY", "other"), ("RECADO_USER", "bia"), ("LANG", "pt_BR.UTF-8")];
    let table = home.run(&variables, &["config", "--user", "eva"]).ok();
    let file = home.config_path().display().to_string();
    let expected = [
        ("broker", "hub", format!("{file}:2")),
        ("proxy", "other", "variable RECADO_PROXY".to_owned()),
        ("user", "eva", "flag --user".to_owned()),
        ("port-base", "5555", "default".to_owned()),
        ("data-dir", "recado-data", "default".to_owned()),
        ("lang", "pt-BR", "variable LANG".to_owned()),
    ];
    for (key, value, origin) in expected {
        assert_eq!(row(&table, key), (value.to_owned(), origin), "{key} in {table}");
    }
    assert!(table.starts_with(&format!("read from {file}\n")), "{table}");
}

#[test]
fn the_same_as_json() {
    let home = Home::new();
    home.configure("broker = \"hub\"\nservers = 5\n");
    let text = home.run(&[("RECADO_PROXY", "other")], &["config", "--json"]).ok();
    let shown: serde_json::Value = serde_json::from_str(&text).unwrap();
    let file = home.config_path().display().to_string();
    assert_eq!(shown["file"], serde_json::json!({ "path": file, "read": true }));
    let options = &shown["options"];
    assert_eq!(options["broker"]["value"], "hub");
    assert_eq!(
        options["broker"]["from"],
        serde_json::json!({ "kind": "file", "name": file, "line": 1 })
    );
    assert_eq!(options["proxy"]["from"]["kind"], "variable");
    assert_eq!(options["user"]["value"], serde_json::Value::Null);
    assert_eq!(options["port-base"]["value"], 5555);
    assert_eq!(shown["unused"], serde_json::json!(["servers"]));
}

#[test]
fn without_a_file_it_says_where_one_would_be_read() {
    let home = Home::new();
    let table = home.run(&[], &["config"]).ok();
    let file = home.config_path().display().to_string();
    assert!(table.starts_with(&format!("{file} is not there")), "{table}");
    let elsewhere = home.path().join("elsewhere");
    let table = home.run(&[("XDG_CONFIG_HOME", elsewhere.to_str().unwrap())], &["config"]).ok();
    let file = elsewhere.join("recado/config.toml").display().to_string();
    assert!(table.starts_with(&format!("{file} is not there")), "{table}");
}

#[test]
fn a_file_that_is_named_takes_the_place_of_ones_own() {
    let home = Home::new();
    home.configure("broker = \"mine\"\nproxy = \"mine\"\n");
    let other = home.path().join("other.toml");
    std::fs::write(&other, "broker = \"named\"\n").unwrap();
    let other = other.to_str().unwrap();
    for (variables, args) in
        [(&[][..], &["config", "--config", other][..]), (&[("RECADO_CONFIG", other)], &["config"])]
    {
        let table = home.run(variables, args).ok();
        assert_eq!(row(&table, "broker").0, "named", "{table}");
        assert_eq!(row(&table, "proxy"), ("127.0.0.1".into(), "default".into()), "{table}");
    }
    let table = home.run(&[], &["config"]).ok();
    assert_eq!(row(&table, "broker").0, "mine", "{table}");
}

#[test]
fn ones_own_file_is_for_people_and_not_for_servers() {
    let home = Home::new();
    home.configure("brocker = \"hub\"\n");
    for people in [&["config"][..], &["client"], &["status"], &["bench"], &["drill"]] {
        let sentence = home.run(&[], people).refused();
        assert!(sentence.contains("did you mean broker?"), "{people:?}: {sentence}");
    }
    // The names of the faults are printed without a look at the file.
    home.run(&[], &["drill", "--list-faults"]).ok();
    // It gets as far as its own complaint.
    let output = home.run(&[], &["server", "--listen", "0.0.0.0"]);
    assert!(output.stderr.contains("--advertise"), "{output:?}");
}

#[test]
fn a_bad_file_is_refused_in_one_sentence_with_file_and_line() {
    let cases = [
        ("broker = \"hub\"\n\nlang = \"tlh\"\n", 3, "en or pt-BR is needed"),
        ("usr = \"ana\"\n", 1, "did you mean user?"),
        ("xyzzy = 1\n", 1, "--help"),
        ("\nport-base = \"many\"\n", 2, "port-base"),
        ("user = 5\n", 1, "a text in double quotes is needed"),
        ("user = \"ana\"\nbroker hub\n", 2, "KEY = VALUE"),
        ("user = \"ana\n", 1, "KEY = VALUE"),
    ];
    for (text, line, words) in cases {
        let home = Home::new();
        home.configure(text);
        let sentence = home.run(&[], &["config"]).refused();
        let place = format!("{}, line {line}", home.config_path().display());
        assert!(sentence.contains(&place) && sentence.contains(words), "{text:?}: {sentence}");
    }
    let home = Home::new();
    std::fs::create_dir_all(home.config_path()).unwrap();
    let sentence = home.run(&[], &["config"]).refused();
    assert!(sentence.contains("config.toml") && sentence.contains("--config"), "{sentence}");
}

#[test]
fn every_key_says_where_it_comes_from() {
    let home = Home::new();
    home.configure("theme = \"light\"\n\n[keys]\nsearch = \"Ctrl-S\"\nquit = \"F10\"\n");
    let args = ["config", "--keys", "quit=Ctrl-X", "--notifications", "all"];
    let table = home.run(&[("RECADO_KEYS", "help=F9")], &args).ok();
    let file = home.config_path().display().to_string();
    let expected = [
        ("keys.search", "Ctrl-S", format!("{file}:4")),
        ("keys.quit", "Ctrl-X", "flag --keys".to_owned()),
        ("keys.help", "F9", "variable RECADO_KEYS".to_owned()),
        ("keys.go-to", "Ctrl-K, Ctrl-P", "default".to_owned()),
        ("theme", "light", format!("{file}:1")),
        ("notifications", "all", "flag --notifications".to_owned()),
    ];
    for (key, value, origin) in expected {
        assert_eq!(row(&table, key), (value.to_owned(), origin), "{key} in {table}");
    }
}

#[test]
fn a_wrong_key_is_refused_with_its_line() {
    let cases = [
        ("serch = \"Ctrl-S\"", "keys.serch", "next-unread"),
        ("search = \"Hyper-S\"", "keys.search", "Ctrl-K"),
        ("search = \"s\"", "keys.search", "Alt-"),
        ("search = 5", "keys.search", "a text in double quotes"),
    ];
    for (text, key, words) in cases {
        let home = Home::new();
        home.configure(&format!("[keys]\n\n{text}\n"));
        let sentence = home.run(&[], &["config"]).refused();
        let place = format!("{key} in {}, line 3: ", home.config_path().display());
        assert!(sentence.starts_with(&place) && sentence.contains(words), "{text}: {sentence}");
    }
    let output = Home::new().run(&[], &["config", "--keys", "search=s"]);
    assert!(output.code == Some(2) && output.stderr.contains("--keys"), "{output:?}");
}
