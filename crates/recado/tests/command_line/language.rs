//! The language by flag, variable, file and locale.

use std::io::Write;

use crate::Home;

/// What the client says to a line that is no command; it needs no cluster for that.
fn complaint(home: &Home, variables: &[(&str, &str)], args: &[&str]) -> String {
    let lines = home.path().join("lines");
    std::fs::File::create(&lines).unwrap().write_all(b"dance\n").unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_recado"))
        .arg("client")
        .args(args)
        .env_clear()
        .env("HOME", home.path())
        .envs(variables.iter().copied())
        .stdin(std::fs::File::open(lines).unwrap())
        .output()
        .unwrap();
    String::from_utf8(output.stderr).unwrap()
}

const ENGLISH: &str = "error: no command \"dance\"";
const PORTUGUESE: &str = "erro: o comando \"dance\" não existe";

#[test]
fn a_flag_wins_over_a_variable_over_the_file_over_the_locale() {
    let home = Home::new();
    let portuguese = ("LANG", "pt_BR.UTF-8");
    assert!(complaint(&home, &[], &[]).starts_with(ENGLISH));
    assert!(complaint(&home, &[portuguese], &[]).starts_with(PORTUGUESE));
    home.configure("lang = \"en\"\n");
    assert!(complaint(&home, &[portuguese], &[]).starts_with(ENGLISH));
    let variable = [portuguese, ("RECADO_LANG", "pt-BR")];
    assert!(complaint(&home, &variable, &[]).starts_with(PORTUGUESE));
    assert!(complaint(&home, &variable, &["--lang", "en"]).starts_with(ENGLISH));
}

#[test]
fn a_language_that_nobody_speaks_is_refused() {
    let home = Home::new();
    let output = home.run(&[], &["client", "--lang", "tlh"]);
    assert!(output.code == Some(2) && output.stderr.contains("en or pt-BR"), "{output:?}");
}
