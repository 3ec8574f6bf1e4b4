//! What `up` starts, with which arguments.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::address::{self, Endpoints};
use crate::command::Command;
use crate::config::STANDARD_PORT_BASE;
use crate::failure::Failure;
use crate::options::Settings;
use crate::ports;

/// Where every command looks for the roles by default.
const DEFAULT_HOST: &str = "127.0.0.1";

/// One process to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// How its lines are marked.
    pub name: String,
    /// The arguments of the binary.
    pub args: Vec<String>,
}

/// All processes, and where they listen.
pub struct Plan {
    stages: [Vec<Role>; 3],
    endpoints: Vec<(String, String, &'static str)>,
    /// Where the roles' pages are.
    http: Vec<String>,
    data_dir: PathBuf,
    port_base: u16,
    listen: String,
}

impl Plan {
    /// Plans a cluster from the settings.
    pub fn new(settings: &Settings) -> Plan {
        let at = Endpoints::to_bind(settings);
        let data_dir = settings.data_dir().to_owned();
        let mut endpoints = vec![
            ("broker".to_owned(), at.front, "clients"),
            ("broker".to_owned(), at.backs.concat(), "servers"),
            ("proxy".to_owned(), at.xsub, "servers"),
            ("proxy".to_owned(), at.xpub, "clients"),
            ("reference".to_owned(), at.reference, "servers"),
        ];
        let mut http = Vec::new();
        let middle = [
            (Command::Reference, address::REFERENCE_HTTP),
            (Command::Broker, address::FIRST_BROKER_HTTP),
            (Command::Proxy, address::FIRST_PROXY_HTTP),
        ];
        let middle = middle.map(|(command, offset)| {
            let mut flags = listener(settings);
            flags.push(with_http(settings, offset, &mut http));
            role(command.word(), command, &flags)
        });
        let mut servers = Vec::new();
        for number in 1..=settings.servers {
            let name = format!("server-{number}");
            let port = settings.port_base + address::FIRST_SERVER + number - 1;
            endpoints.push((name.clone(), address::endpoint(&settings.listen, port), "servers"));
            let mut flags = server(settings, &name, port);
            if number <= address::SERVERS_WITH_HTTP {
                let offset = address::FIRST_SERVER_HTTP + number - 1;
                flags.push(with_http(settings, offset, &mut http));
            }
            servers.push(role(&name, Command::Server, &flags));
        }
        let bots = (1..=settings.bots)
            .map(|number| role(&format!("bot-{number}"), Command::Bot, &bot(settings)));
        let bots = bots.collect();
        let stages = [middle.to_vec(), servers, bots];
        let listen = settings.listen.clone();
        Plan { stages, endpoints, http, data_dir, port_base: settings.port_base, listen }
    }

    /// The processes, in the order in which they are needed.
    pub fn stages(&self) -> &[Vec<Role>; 3] {
        &self.stages
    }

    /// Looks before anything is started whether all ports are free.
    ///
    /// # Errors
    /// One sentence that names the first one that is not.
    pub fn check_ports(&self) -> Result<(), Failure> {
        let pages = self.http.iter().map(|at| format!("tcp://{at}"));
        self.endpoints().try_for_each(ports::check_free)?;
        pages.into_iter().try_for_each(|endpoint| ports::check_free(&endpoint))
    }

    /// Where the reference will be found.
    pub fn reference(&self) -> String {
        let host = address::local_host(&self.listen);
        address::endpoint(&host, self.port_base + address::REFERENCE)
    }

    /// All end points that will be bound.
    fn endpoints(&self) -> impl Iterator<Item = &str> {
        self.endpoints.iter().map(|(_, endpoint, _)| endpoint.as_str())
    }

    /// Where everything is kept.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The longest name's length.
    pub fn name_width(&self) -> usize {
        self.stages.iter().flatten().map(|role| role.name.len()).max().unwrap_or(0)
    }

    /// What is shown at the start.
    pub fn table(&self) -> String {
        let [_, servers, bots] = &self.stages;
        let mut text = format!(
            "recado {}: {}, {}, data in {}\n",
            env!("CARGO_PKG_VERSION"),
            count(servers.len(), "server"),
            count(bots.len(), "bot"),
            self.data_dir.display()
        );
        let mut last = "";
        for (name, endpoint, whom) in &self.endpoints {
            let shown = if name == last { "" } else { name };
            let width = self.name_width();
            _ = writeln!(text, "  {shown:width$}  {endpoint:24}  for {whom}");
            last = name;
        }
        let client = self.client_command();
        _ = writeln!(text, "chat in another terminal: {client} · stop: Ctrl-C");
        text
    }

    /// How many of what is started.
    pub fn counts(&self) -> String {
        let [_, servers, bots] = &self.stages;
        format!("{} and {}", count(servers.len(), "server"), count(bots.len(), "bot"))
    }

    /// What another terminal of this machine types to chat here.
    pub fn client_command(&self) -> String {
        let mut command = "recado chat".to_owned();
        if self.port_base != STANDARD_PORT_BASE {
            _ = write!(command, " --port-base {}", self.port_base);
        }
        let host = address::local_host(&self.listen);
        if host != DEFAULT_HOST {
            _ = write!(command, " --broker {host} --proxy {host}");
        }
        command
    }
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn role(name: &str, command: Command, flags: &[(&str, String)]) -> Role {
    let mut args = vec![command.word().to_owned(), format!("--{}", crate::cli::EXIT_WITH_PARENT)];
    // `--key=value`: a value may begin with a dash.
    args.extend(flags.iter().map(|(key, value)| format!("--{key}={value}")));
    Role { name: name.to_owned(), args }
}

fn common(settings: &Settings) -> Vec<(&'static str, String)> {
    vec![
        ("data-dir", settings.data_dir().display().to_string()),
        ("port-base", settings.port_base.to_string()),
        ("log", settings.log.clone()),
        ("log-format", settings.log_format.0.to_string()),
    ]
}

fn listener(settings: &Settings) -> Vec<(&'static str, String)> {
    let mut flags = common(settings);
    flags.push(("listen", settings.listen.clone()));
    flags
}

/// The flag for a role's pages. They are for this machine: nobody else is let in by `up`, whatever
/// --listen opens.
fn with_http(settings: &Settings, offset: u16, all: &mut Vec<String>) -> (&'static str, String) {
    let port = settings.port_base + offset;
    let own = address::is_loopback(&address::endpoint(&settings.listen, port));
    let host = if own { settings.listen.as_str() } else { DEFAULT_HOST };
    let at = address::host_port(host, port);
    all.push(at.clone());
    ("http", at)
}

fn server(settings: &Settings, name: &str, port: u16) -> Vec<(&'static str, String)> {
    let host = address::local_host(&settings.listen);
    let mut flags = listener(settings);
    flags.push(("broker", host.clone()));
    flags.push(("proxy", host.clone()));
    flags.push(("reference", host.clone()));
    flags.push(("advertise", settings.advertise.clone().unwrap_or(host)));
    flags.push(("name", name.to_owned()));
    flags.push(("port", port.to_string()));
    flags.push(("message-limit-bytes", settings.message_limit_bytes.to_string()));
    flags
}

fn bot(settings: &Settings) -> Vec<(&'static str, String)> {
    let host = address::local_host(&settings.listen);
    let mut flags = common(settings);
    flags.push(("broker", host.clone()));
    flags.push(("proxy", host));
    flags.push(("pace-ms", settings.pace_ms.to_string()));
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(flags: &[(&str, &str)]) -> Plan {
        let flags = flags.iter().map(|(k, v)| ((*k).to_owned(), v.parse().unwrap())).collect();
        Plan::new(&crate::config::load(Command::Up, flags, None).unwrap().settings)
    }

    #[test]
    fn every_role_has_ports_of_its_own() {
        let plan = plan(&[("port-base", "6000"), ("servers", "2"), ("bots", "1")]);
        let ports: Vec<_> = plan.endpoints().collect();
        let expected: Vec<_> = (6000..6007).map(|p| format!("tcp://127.0.0.1:{p}")).collect();
        assert_eq!(ports, expected);
        let names: Vec<_> = plan.stages().iter().flatten().map(|r| r.name.as_str()).collect();
        assert_eq!(names, ["reference", "broker", "proxy", "server-1", "server-2", "bot-1"]);
    }

    #[test]
    fn every_role_has_pages_on_this_machine() {
        let open = plan(&[("listen", "0.0.0.0"), ("port-base", "6000"), ("servers", "16")]);
        assert_eq!(open.http.len(), 3 + 15);
        assert!(open.stages()[0][1].args.contains(&"--http=127.0.0.1:6060".to_owned()));
        let own = plan(&[("listen", "::1"), ("port-base", "6000")]);
        assert_eq!(own.http[..4], ["[::1]:6068", "[::1]:6060", "[::1]:6064", "[::1]:6070"]);
    }

    #[test]
    fn an_open_listen_address_is_nothing_to_connect_to() {
        let plan = plan(&[("listen", "0.0.0.0")]);
        let server = &plan.stages()[1][0].args;
        assert!(server.contains(&"--listen=0.0.0.0".to_owned()));
        assert!(server.contains(&"--broker=127.0.0.1".to_owned()));
        assert!(server.contains(&"--advertise=127.0.0.1".to_owned()));
        assert_eq!(plan.client_command(), "recado chat");
    }

    #[test]
    fn the_command_that_is_shown_finds_this_cluster() {
        assert_eq!(plan(&[("port-base", "5555")]).client_command(), "recado chat");
        let elsewhere = plan(&[("listen", "127.0.0.2"), ("port-base", "6000")]).client_command();
        let expected = "recado chat --port-base 6000 --broker 127.0.0.2 --proxy 127.0.0.2";
        assert_eq!(elsewhere, expected);
    }
}
