//! `recado`: every role of the messaging system, and the tools around it, in one binary.

mod address;
mod bench;
mod cli;
mod clients;
mod command;
mod config;
mod demo;
mod descriptors;
mod disk;
mod doors;
mod drill;
mod failure;
mod generate;
mod health;
mod hold;
mod keys;
mod logging;
mod options;
#[cfg(feature = "planted")]
mod planted;
mod port_table;
mod ports;
mod remove;
mod rescue;
mod roles;
mod runfile;
mod server_name;
mod shown;
mod shutdown;
mod status;
mod up;

use std::io::Write;
use std::process::ExitCode;

use crate::cli::CommandLine;
use crate::command::Command;
use crate::failure::Failure;
use crate::options::Settings;
use crate::shutdown::Shutdown;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    stop_on_panic();
    // A drill's own helper: no command for people, and no option is for it.
    if std::env::args_os().nth(1).is_some_and(|word| word == recado_drill::HOST_COMMAND) {
        return drill::keep_disks();
    }
    match run(cli::read()) {
        Ok(code) => code,
        Err(failure) => {
            logging::say_last(&failure.to_string());
            failure.exit_code()
        }
    }
}

fn run(mut line: CommandLine) -> Result<ExitCode, Failure> {
    if let Command::Completions | Command::Man = line.command {
        return generate(&line);
    }
    if line.list_faults {
        print(&drill::faults());
        return Ok(ExitCode::SUCCESS);
    }
    let loaded = config::load(line.command, std::mem::take(&mut line.flags), line.config.take())?;
    let settings = &loaded.settings;
    if line.command == Command::Health {
        return health(settings);
    }
    if line.command == Command::Demo {
        return demo::run(settings);
    }
    if line.command == Command::Chat && clients::takes_the_screen(settings) {
        logging::parse(&settings.log)?;
    } else {
        logging::to_stderr(&settings.log, settings.log_format.0)?;
    }
    #[cfg(feature = "planted")]
    planted::plant()?;
    config::warn_of_unknown_variables();
    if line.command.takes_many_descriptors() {
        descriptors::raise_and_watch();
    }
    match line.command {
        Command::Chat => return clients::chat(settings),
        Command::Client => return clients::client(settings),
        Command::Status => return print_status(settings, line.json),
        Command::Config => {
            print_config(&loaded, line.json);
            return Ok(ExitCode::SUCCESS);
        }
        Command::Remove => return remove_server(settings, &line.server),
        Command::Rescue => return rescue::run(&line.rescue),
        _ => {}
    }
    let mut shutdown = Shutdown::on_signals()?;
    if line.exit_with_parent {
        shutdown = shutdown.or_with_parent()?;
    }
    if line.command == Command::Drill {
        return drill::run(settings, line.json, shutdown);
    }
    run_until(settings, &line, shutdown).map(|()| ExitCode::SUCCESS)
}

/// The commands that end on a signal in their own, clean way.
fn run_until(settings: &Settings, line: &CommandLine, shutdown: Shutdown) -> Result<(), Failure> {
    let dir = line.dir.as_deref().unwrap_or(settings.data_dir());
    match line.command {
        Command::Broker => roles::broker(settings, shutdown),
        Command::Proxy => roles::proxy(settings, shutdown),
        Command::Reference => roles::reference(settings, shutdown),
        Command::Server => roles::server(settings, shutdown),
        Command::Bot => clients::bot(settings, shutdown),
        Command::Bench => bench::run(settings, line.json, shutdown),
        Command::Export => clients::export(settings, dir, shutdown),
        Command::Import => clients::import(settings, dir, shutdown),
        Command::Up => {
            let held = up::hold(settings)?;
            let output = up::Output::to_screen(settings.log_format.0)?;
            roles::block_on(up::run(settings, held, output, shutdown))
        }
        Command::Chat
        | Command::Client
        | Command::Config
        | Command::Completions
        | Command::Man
        | Command::Health
        | Command::Status
        | Command::Remove
        | Command::Rescue
        | Command::Demo
        | Command::Drill => Ok(()),
    }
}

/// What depends on no setting.
fn generate(line: &CommandLine) -> Result<ExitCode, Failure> {
    match (line.shell, &line.dir) {
        (Some(shell), _) => print(&generate::completions(shell)),
        (None, None) => print(&generate::page()?),
        (None, Some(folder)) => {
            let number = generate::pages(folder)?;
            print(&format!("{number} manual pages are in {}\n", folder.display()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print_config(loaded: &config::Loaded, json: bool) {
    if json {
        print(&format!("{:#}\n", config::origin::json(loaded)));
    } else {
        print(&config::origin::table(loaded));
    }
}

fn print_status(settings: &Settings, json: bool) -> Result<ExitCode, Failure> {
    let status = roles::block_on(status::ask(settings))?;
    if json {
        print(&format!("{status:#}\n"));
    } else {
        print(&status::table(&status));
    }
    // What is known is printed all the same.
    status::check_servers(&status)?;
    Ok(ExitCode::SUCCESS)
}

/// Answers on standard output, where health checks look; a failure that is no answer is told as any.
fn health(settings: &Settings) -> Result<ExitCode, Failure> {
    match health::ask(settings) {
        Ok(()) => print("ready\n"),
        Err(Failure::Failed(why)) => {
            print(&format!("{why}\n"));
            return Ok(ExitCode::FAILURE);
        }
        Err(wrong) => return Err(wrong),
    }
    Ok(ExitCode::SUCCESS)
}

fn remove_server(settings: &Settings, server: &str) -> Result<ExitCode, Failure> {
    roles::block_on(remove::ask(settings, server))?;
    print(&format!("{server} is removed for good\n"));
    Ok(ExitCode::SUCCESS)
}

/// Prints to standard output; a reader that went away (`| head`) is no failure.
pub(crate) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// A role whose one task is gone would still hold its ports and answer nobody: after a panic
/// the whole process ends, and whoever supervises it starts it again from its disk.
fn stop_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        // Pages that make no sense are damage, which is told and mended in its own way.
        if recado_server::is_guarded() {
            return;
        }
        let what = panic.payload_as_str().unwrap_or("no reason given");
        let place = panic.location().map(|l| format!("{}:{}", l.file(), l.line()));
        let place = place.unwrap_or_else(|| "an unknown place".into());
        let line = format!(
            "stopped by a mistake in the program at {place}: {what}; please report this line"
        );
        logging::say_last(&line.replace('\n', " "));
        std::process::exit(1);
    }));
}
