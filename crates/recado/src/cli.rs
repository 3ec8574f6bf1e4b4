//! The command line, built from the tables of commands and options.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, ValueHint};
use clap_complete::Shell;
use figment::value::Value;

use crate::command::Command;
use crate::options::{self, Fallback, Opt};

/// The binary's name.
pub const NAME: &str = "recado";

/// Makes a child of `up` end when the pipe to its standard input closes.
pub const EXIT_WITH_PARENT: &str = "exit-with-parent";

#[cfg(not(feature = "planted"))]
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// A build that can be broken on purpose says so.
#[cfg(feature = "planted")]
const VERSION: &str =
    concat!(env!("CARGO_PKG_VERSION"), " with planted bugs: for tests only, not to be used");

/// What the command line says.
pub struct CommandLine {
    /// What to run.
    pub command: Command,
    /// Options that were given as flags.
    pub flags: Vec<(String, Value)>,
    /// The configuration file, if a flag names one.
    pub config: Option<PathBuf>,
    /// Whether to print JSON.
    pub json: bool,
    /// Whether to name the faults instead of injecting them.
    pub list_faults: bool,
    /// The folder of `export`, `import` and `man`.
    pub dir: Option<PathBuf>,
    /// The shell of `completions`.
    pub shell: Option<Shell>,
    /// The server that `server remove` names.
    pub server: String,
    /// What `rescue` is to do.
    pub rescue: Rescue,
    /// Whether to end with the parent process.
    pub exit_with_parent: bool,
}

/// The words behind `rescue`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rescue {
    /// The server's data folder.
    pub folder: PathBuf,
    /// Where the four files go, if they are wanted.
    pub export: Option<PathBuf>,
    /// Whether to look at everything.
    pub check: bool,
    /// Whether to make a new cluster of it.
    pub new_cluster: bool,
    /// Whether to ask before that.
    pub yes: bool,
}

/// Reads the process's arguments; ends the process after `--help` and on wrong usage.
pub fn read() -> CommandLine {
    let matches = build().get_matches();
    let (word, matches) = innermost(&matches);
    let found = Command::ALL.iter().find(|command| command.word() == word);
    // clap lets only known subcommands through.
    let command = found.copied().unwrap_or(Command::Status);
    collect(command, matches)
}

/// The command's word and its own arguments; some commands stand behind another one's word.
fn innermost(matches: &ArgMatches) -> (&str, &ArgMatches) {
    let (word, outer) = matches.subcommand().unwrap_or(("", matches));
    outer.subcommand().unwrap_or((word, outer))
}

fn collect(command: Command, matches: &ArgMatches) -> CommandLine {
    let mut flags = Vec::new();
    for option in options::table().iter().filter(|option| option.used_by.contains(&command)) {
        if option.is_switch() {
            if matches.get_flag(&option.key) {
                flags.push((option.key.clone(), Value::from(true)));
            }
        } else if let Some(value) = matches.get_one::<Value>(&option.key) {
            flags.push((option.key.clone(), value.clone()));
        }
    }
    let switch = |name| matches.try_get_one::<bool>(name).ok().flatten().copied().unwrap_or(false);
    let path = |name| matches.try_get_one::<PathBuf>(name).ok().flatten().cloned();
    CommandLine {
        command,
        flags,
        config: path("config"),
        json: switch("json"),
        list_faults: switch("list-faults"),
        dir: path("dir"),
        shell: matches.try_get_one::<Shell>("shell").ok().flatten().copied(),
        server: matches.try_get_one::<String>("server").ok().flatten().cloned().unwrap_or_default(),
        rescue: Rescue {
            folder: path("folder").unwrap_or_default(),
            export: path("export"),
            check: switch("check"),
            new_cluster: switch("new-cluster"),
            yes: switch("yes"),
        },
        exit_with_parent: switch(EXIT_WITH_PARENT),
    }
}

/// The command line with what only `up` passes.
fn build() -> clap::Command {
    let exit_with_parent = Arg::new(EXIT_WITH_PARENT).long(EXIT_WITH_PARENT);
    definition().arg(exit_with_parent.action(ArgAction::SetTrue).global(true).hide(true))
}

/// The command line as people see it.
pub fn definition() -> clap::Command {
    let table = options::table();
    let mut app = clap::Command::new(NAME)
        .version(VERSION)
        .about("A distributed chat whose acknowledged messages survive the death of its servers.")
        .after_help(
            "Every option can also be set by its variable or in the --config file (TOML, keys \
             named as the flags); a flag wins over a variable, a variable over the file.\n\n\
             Try it:  recado demo",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .arg(config_arg());
    for option in table.iter().filter(is_common) {
        app = app.arg(arg(option).global(true).help_heading(COMMON));
    }
    for command in Command::ALL.iter().filter(|command| **command != Command::Remove) {
        app = app.subcommand(subcommand(*command));
    }
    app
}

fn subcommand(command: Command) -> clap::Command {
    let mut sub = clap::Command::new(command.word()).about(command.about());
    if !command.more().is_empty() {
        sub = sub.long_about(format!("{}\n\n{}", command.about(), command.more()));
    }
    for option in options::table() {
        if option.used_by.contains(&command) && !is_common(&option) {
            sub = sub.arg(arg(option));
        }
    }
    with_extras(sub, command)
}

const COMMON: &str = "Options of every command";

fn is_common(option: &&Opt) -> bool {
    option.used_by.len() == Command::ALL.len()
}

fn config_arg() -> Arg {
    Arg::new("config")
        .long("config")
        .value_name("FILE")
        .value_parser(clap::value_parser!(PathBuf))
        .value_hint(ValueHint::FilePath)
        .global(true)
        .help_heading(COMMON)
        .help(
            "A TOML file with options [default: for people's commands recado/config.toml in the \
             configuration folder, else none] [variable: RECADO_CONFIG]",
        )
}

fn arg(option: &'static Opt) -> Arg {
    let fallback = match option.fallback {
        Fallback::Value(text) | Fallback::Derived(text) => format!(" [default: {text}]"),
        Fallback::Off => String::new(),
    };
    let sentence = option.help.trim_end_matches('.');
    let help = format!("{sentence}{fallback} [variable: {}]", option.variable());
    let arg = Arg::new(option.key.as_str()).long(option.key.as_str()).help(help);
    let arg = arg.hide_short_help(option.rare);
    if option.is_switch() {
        arg.action(ArgAction::SetTrue)
    } else {
        let hint = if option.value_name == "DIR" { ValueHint::DirPath } else { ValueHint::Other };
        let arg = arg.value_name(option.value_name).value_hint(hint);
        arg.value_parser(option.parse).allow_negative_numbers(true)
    }
}

fn json_arg(help: &'static str) -> Arg {
    Arg::new("json").long("json").action(ArgAction::SetTrue).help(help)
}

fn with_extras(sub: clap::Command, command: Command) -> clap::Command {
    match command {
        Command::Status | Command::Bench | Command::Config => sub.arg(json_arg("Print JSON")),
        Command::Drill => sub
            .arg(
                Arg::new("list-faults")
                    .long("list-faults")
                    .action(ArgAction::SetTrue)
                    .help("Print the names of all faults, and what they do"),
            )
            .arg(json_arg("Print the report as JSON, and all else to standard error")),
        Command::Export | Command::Import => sub.arg(
            Arg::new("dir")
                .value_name("DIR")
                .required(true)
                .value_parser(clap::value_parser!(PathBuf))
                .value_hint(ValueHint::DirPath)
                .help("Folder of users.json, channels.json, messages.json and publications.json"),
        ),
        Command::Completions => sub.arg(
            Arg::new("shell")
                .value_name("SHELL")
                .required(true)
                .value_parser(clap::value_parser!(Shell))
                .help("Whose completions"),
        ),
        Command::Man => sub.arg(
            Arg::new("dir")
                .long("out")
                .value_name("FOLDER")
                .value_parser(clap::value_parser!(PathBuf))
                .value_hint(ValueHint::DirPath)
                .help("Write a page for each command into this folder, which is made if need be"),
        ),
        Command::Server => sub
            .args_conflicts_with_subcommands(true)
            .disable_help_subcommand(true)
            .subcommand(subcommand(Command::Remove)),
        Command::Remove => {
            sub.arg(Arg::new("server").value_name("NAME").required(true).help("The server's name"))
        }
        Command::Rescue => rescue(sub),
        _ => sub,
    }
}

/// One folder, and one thing to do with it.
fn rescue(sub: clap::Command) -> clap::Command {
    let flag =
        |name: &'static str, help| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    let folder =
        |arg: Arg| arg.value_parser(clap::value_parser!(PathBuf)).value_hint(ValueHint::DirPath);
    let what = ["export", "check", "new-cluster"];
    sub.arg(
        folder(Arg::new("folder").value_name("FOLDER").required(true))
            .help("The data folder of one server, such as recado-data/server-1"),
    )
    .arg(
        folder(Arg::new("export").long("export").value_name("DIR"))
            .help("Write users, channels and messages to four JSON files in this folder"),
    )
    .arg(flag("check", "Look at everything in the folder, and say what was found"))
    .arg(flag("new-cluster", "Make the folder the only member of a new cluster"))
    .arg(
        flag("yes", "Don't ask before that")
            .requires("new-cluster")
            .conflicts_with_all(["export", "check"]),
    )
    .group(clap::ArgGroup::new("what").args(what).required(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Result<CommandLine, clap::Error> {
        let matches = build().try_get_matches_from(words.split(' '))?;
        let (word, matches) = innermost(&matches);
        let command = Command::ALL.iter().find(|command| command.word() == word).unwrap();
        Ok(collect(*command, matches))
    }

    #[test]
    fn the_definition_is_sound() {
        build().debug_assert();
    }

    #[test]
    fn common_options_stand_before_or_behind_the_command() {
        for words in ["recado --port-base 7000 up", "recado up --port-base 7000"] {
            let line = parse(words).unwrap();
            assert_eq!(line.flags, [("port-base".to_owned(), Value::from(7000u16))]);
        }
    }

    #[test]
    fn only_the_options_of_a_command_are_taken() {
        assert!(parse("recado proxy --servers 3").is_err());
        assert!(parse("recado up --servers many").is_err());
        let line = parse("recado server --clock-offset-ms -250").unwrap();
        assert_eq!(line.flags, [("clock-offset-ms".to_owned(), Value::from(-250i64))]);
    }

    #[test]
    fn a_server_is_removed_by_a_command_behind_its_own() {
        let line = parse("recado server remove server-4 --port-base 7000").unwrap();
        assert_eq!((line.command, line.server.as_str()), (Command::Remove, "server-4"));
        assert_eq!(line.flags, [("port-base".to_owned(), Value::from(7000u16))]);
        for wrong in ["server remove", "server remove a b", "server --name a remove b", "remove a"]
        {
            assert!(parse(&format!("recado {wrong}")).is_err(), "{wrong}");
        }
        assert_eq!(parse("recado server --name remove").unwrap().command, Command::Server);
    }

    #[test]
    fn a_rescue_does_one_thing_with_one_folder() {
        let line = parse("recado rescue data/a --new-cluster --yes").unwrap();
        let wanted =
            Rescue { folder: "data/a".into(), new_cluster: true, yes: true, ..Rescue::default() };
        assert_eq!((line.command, line.rescue), (Command::Rescue, wanted));
        let line = parse("recado rescue a --export b").unwrap();
        assert_eq!(line.rescue.export, Some("b".into()));
        for wrong in ["a", "--check", "a --check --new-cluster", "a --check --yes", "a b --check"] {
            assert!(parse(&format!("recado rescue {wrong}")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn help_names_default_and_variable() {
        let mut app = build();
        let help = app.find_subcommand_mut("server").unwrap().render_long_help().to_string();
        for text in ["RECADO_MESSAGE_LIMIT_BYTES", "65536", "--clock-offset-ms"] {
            assert!(help.contains(text), "{text} is missing in {help}");
        }
    }
}
