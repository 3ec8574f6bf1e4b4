//! Completions and manual pages come out, and leave no command out.

use std::collections::BTreeSet;

use crate::Home;

const SHELLS: &[&str] = &["bash", "zsh", "fish", "powershell", "elvish"];

/// The commands, as the help lists them.
fn commands(home: &Home) -> BTreeSet<String> {
    let help = home.run(&[], &["--help"]).ok();
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = listed.take_while(|line| !line.is_empty());
    // The second and later lines of a long text are moved in further.
    let names = listed.filter(|line| !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next());
    let names: BTreeSet<String> = names.map(str::to_owned).collect();
    assert!(names.len() > 15 && names.contains("client") && names.contains("man"), "{names:?}");
    names
}

/// A word as a shell's script has it: not inside of another one.
fn has_word(script: &str, word: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || c == '-';
    script.match_indices(word).any(|(at, _)| {
        !script[..at].ends_with(inside) && !script[at + word.len()..].starts_with(inside)
    })
}

#[test]
fn every_shell_completes_every_command() {
    let home = Home::new();
    let mut commands = commands(&home);
    // `server remove NAME`.
    commands.insert("remove".to_owned());
    for shell in SHELLS {
        let script = home.run(&[], &["completions", shell]).ok();
        for command in &commands {
            assert!(has_word(&script, command), "{shell} does not know {command}");
        }
        assert!(script.contains("port-base"), "{shell} does not know the options");
        assert!(!script.contains("exit-with-parent"), "{shell} offers what is for `up` alone");
    }
    let output = home.run(&[], &["completions", "cmd.exe"]);
    assert!(output.code == Some(2) && output.stderr.contains("powershell"), "{output:?}");
}

#[test]
fn bash_takes_its_script_and_completes() {
    let home = Home::new();
    let script = home.run(&[], &["completions", "bash"]).ok();
    let test = format!(
        "{script}\nCOMP_WORDS=(recado st); COMP_CWORD=1; _recado recado st recado\n\
         printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    let output = std::process::Command::new("bash").args(["-c", &test]).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "status\n");
}

#[test]
fn every_command_has_a_manual_page() {
    let home = Home::new();
    let main = home.run(&[], &["man"]).ok();
    assert!(main.contains(".TH recado 1"), "{main}");
    let folder = home.path().join("share/man1");
    let told = home.run(&[], &["man", "--out", folder.to_str().unwrap()]).ok();
    let commands = commands(&home);
    for command in &commands {
        let plain = main.replace("\\-", "-");
        assert!(plain.contains(&format!("recado-{command}(1)")), "{command} is not in recado(1)");
        let page = std::fs::read_to_string(folder.join(format!("recado-{command}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS") && page.contains("RECADO"), "{command}: {page}");
    }
    assert!(folder.join("recado-server-remove.1").exists());
    let server = std::fs::read_to_string(folder.join("recado-server.1")).unwrap();
    assert!(server.contains("RECADO_ROUTE"), "a rare option is explained too: {server}");
    assert_eq!(std::fs::read_to_string(folder.join("recado.1")).unwrap(), main);
    let pages = std::fs::read_dir(&folder).unwrap().count();
    assert_eq!(pages, commands.len() + 2);
    assert!(told.starts_with(&format!("{pages} manual pages")), "{told}");
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let home = Home::new();
    std::fs::write(home.path().join("file"), "").unwrap();
    let output = home.run(&[], &["man", "--out", "file/man1"]);
    assert!(output.code == Some(1) && output.stderr.contains("file/man1"), "{output:?}");
}

#[test]
fn a_broken_configuration_is_not_in_the_way() {
    let home = Home::new();
    home.configure("broken");
    home.run(&[("RECADO_CONFIG", "no such file")], &["completions", "fish"]).ok();
    home.run(&[("RECADO_PORT_BASE", "many")], &["man"]).ok();
}

#[test]
fn the_image_is_labelled_with_the_programs_version() {
    const DOCKERFILE: &str = include_str!("../../../../Dockerfile");
    let versions = DOCKERFILE.lines().filter_map(|line| line.strip_prefix("ARG VERSION="));
    assert_eq!(versions.collect::<Vec<_>>(), [env!("CARGO_PKG_VERSION")]);
}
