//! What `up` starts, with which arguments.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::address::{self, Own};
use crate::command::Command;
use crate::config::STANDARD_PORT_BASE;
use crate::failure::Failure;
use crate::options::Settings;
use crate::port_table;
use crate::ports;
use crate::roles::numbered;

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
    /// The addresses of all brokers, as options have them.
    broker: String,
    /// Those of all proxies.
    proxy: String,
}

impl Plan {
    /// Plans a cluster from the settings.
    pub fn new(settings: &Settings) -> Plan {
        let own = Own::of(settings);
        let data_dir = settings.data_dir().to_owned();
        let mut endpoints = Vec::new();
        let mut http = Vec::new();
        let mut reference = listener(settings);
        reference.push(("keep-log", settings.keep_log.0.to_string()));
        reference.push(with_http(settings, port_table::REFERENCE_HTTP, &mut http));
        let mut middle = vec![role("reference", Command::Reference, &reference)];
        let brokers = (1..=settings.brokers).map(|number| {
            let ends = own.broker(number).into_iter().zip(["clients", "servers"]);
            (Command::Broker, number, port_table::broker_http(number), ends)
        });
        let proxies = (1..=settings.proxies).map(|number| {
            let ends = own.proxy(number).into_iter().zip(["servers", "clients"]);
            (Command::Proxy, number, port_table::proxy_http(number), ends)
        });
        for (command, number, page, ends) in brokers.chain(proxies) {
            let name = numbered(command.word(), number);
            let mut flags = one_of(settings, number);
            flags.push(with_http(settings, page, &mut http));
            middle.push(role(&name, command, &flags));
            endpoints.extend(ends.map(|(endpoint, whom)| (name.clone(), endpoint, whom)));
        }
        endpoints.push(("reference".to_owned(), own.reference(), "servers"));
        let mut servers = Vec::new();
        for number in 1..=settings.servers {
            let name = format!("server-{number}");
            let port = settings.port_base + port_table::server(number);
            endpoints.push((name.clone(), address::endpoint(&settings.listen, port), "servers"));
            let mut flags = server(settings, &name, port);
            flags.push(with_http(settings, port_table::server_http(number), &mut http));
            servers.push(role(&name, Command::Server, &flags));
        }
        let bots = (1..=settings.bots)
            .map(|number| role(&format!("bot-{number}"), Command::Bot, &bot(settings)));
        let bots = bots.collect();
        let stages = [middle, servers, bots];
        let listen = settings.listen.clone();
        let port_base = settings.port_base;
        let (broker, proxy) = doors(settings);
        Plan { stages, endpoints, http, data_dir, port_base, listen, broker, proxy }
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
        address::endpoint(&host, self.port_base + port_table::REFERENCE)
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
        for (key, addresses) in [("broker", &self.broker), ("proxy", &self.proxy)] {
            if addresses != DEFAULT_HOST {
                _ = write!(command, " --{key} {addresses}");
            }
        }
        command
    }
}

/// The addresses of all brokers and of all proxies, as options of this machine have them: the
/// first ones follow from the port base.
pub fn doors(settings: &Settings) -> (String, String) {
    let host = address::local_host(&settings.listen);
    let further = |count: u16, port: fn(u16) -> u16| {
        let ports = (2..=count).map(|number| settings.port_base + port(number));
        let bare = ports.map(|port| address::endpoint(&host, port).replace("tcp://", ""));
        [host.clone()].into_iter().chain(bare).collect::<Vec<_>>().join(",")
    };
    (further(settings.brokers, port_table::broker), further(settings.proxies, port_table::proxy))
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

/// A broker or a proxy.
fn one_of(settings: &Settings, number: u16) -> Vec<(&'static str, String)> {
    let mut flags = listener(settings);
    flags.push(("number", number.to_string()));
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
    let (broker, proxy) = doors(settings);
    flags.push(("broker", broker));
    flags.push(("proxy", proxy));
    flags.push(("reference", host.clone()));
    flags.push(("advertise", settings.advertise.clone().unwrap_or(host)));
    flags.push(("name", name.to_owned()));
    flags.push(("port", port.to_string()));
    flags.push(("message-limit-bytes", settings.message_limit_bytes.to_string()));
    flags.push(("keep-log", settings.keep_log.0.to_string()));
    if let Some(copies) = settings.min_copies {
        flags.push(("min-copies", copies.to_string()));
    }
    flags
}

fn bot(settings: &Settings) -> Vec<(&'static str, String)> {
    let (broker, proxy) = doors(settings);
    let mut flags = common(settings);
    flags.push(("broker", broker));
    flags.push(("proxy", proxy));
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
    fn further_brokers_and_proxies_are_known_to_everybody() {
        let plan = plan(&[("brokers", "2"), ("proxies", "3"), ("bots", "1")]);
        let middle: Vec<_> = plan.stages()[0].iter().map(|role| role.name.as_str()).collect();
        assert_eq!(middle, ["reference", "broker", "broker-2", "proxy", "proxy-2", "proxy-3"]);
        for role in plan.stages()[1..].iter().flatten() {
            let has = |flag: &str| role.args.iter().any(|arg| arg == flag);
            assert!(has("--broker=127.0.0.1,127.0.0.1:5585"), "{role:?}");
            assert!(has("--proxy=127.0.0.1,127.0.0.1:5587,127.0.0.1:5597"), "{role:?}");
        }
        let shown = "recado chat --broker 127.0.0.1,127.0.0.1:5585 \
                     --proxy 127.0.0.1,127.0.0.1:5587,127.0.0.1:5597";
        assert_eq!(plan.client_command(), shown);
        let mut ports: Vec<_> = plan.endpoints().collect();
        let all = ports.len();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), all);
    }

    #[test]
    fn every_role_has_pages_on_this_machine() {
        let open = plan(&[("listen", "0.0.0.0"), ("port-base", "6000"), ("servers", "15")]);
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
