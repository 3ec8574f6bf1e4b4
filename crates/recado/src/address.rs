//! From options to end points.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::failure::Failure;
use crate::options::Settings;
use crate::port_table;

/// Where the roles are, as end points to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// Brokers, for clients.
    pub fronts: Vec<String>,
    /// The same brokers, for servers.
    pub backs: Vec<String>,
    /// Proxies, for publishers.
    pub xsubs: Vec<String>,
    /// The same proxies, for subscribers.
    pub xpubs: Vec<String>,
    /// Reference.
    pub reference: String,
}

impl Endpoints {
    /// Where this process finds the roles.
    ///
    /// # Errors
    /// An address that is none, with the option that holds it.
    pub fn to_connect(settings: &Settings) -> Result<Endpoints, Failure> {
        let base = settings.port_base;
        let (fronts, backs) = pairs("broker", &settings.broker, base + port_table::broker(1))?;
        let (xsubs, xpubs) = pairs("proxy", &settings.proxy, base + port_table::proxy(1))?;
        let (reference, _) = pair("reference", &settings.reference, base + port_table::REFERENCE)?;
        Ok(Endpoints { fronts, backs, xsubs, xpubs, reference })
    }
}

/// Where roles of this machine listen.
#[derive(Clone, Copy, Debug)]
pub struct Own<'a> {
    host: &'a str,
    port_base: u16,
}

impl<'a> Own<'a> {
    /// What the settings say.
    pub fn of(settings: &'a Settings) -> Own<'a> {
        Own { host: &settings.listen, port_base: settings.port_base }
    }

    /// Where the broker of this number listens, from 1: for clients, and for servers.
    pub fn broker(self, number: u16) -> [String; 2] {
        self.two(port_table::broker(number))
    }

    /// Where the proxy of this number listens, from 1: for publishers, and for subscribers.
    pub fn proxy(self, number: u16) -> [String; 2] {
        self.two(port_table::proxy(number))
    }

    /// Where the reference listens.
    pub fn reference(self) -> String {
        self.at(port_table::REFERENCE)
    }

    fn two(self, first: u16) -> [String; 2] {
        [self.at(first), self.at(first + 1)]
    }

    fn at(self, offset: u16) -> String {
        endpoint(self.host, self.port_base + offset)
    }
}

/// `tcp://host:port`, with brackets around an IPv6 address.
pub fn endpoint(host: &str, port: u16) -> String {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if bare.contains(':') {
        format!("tcp://[{bare}]:{port}")
    } else {
        format!("tcp://{bare}:{port}")
    }
}

/// `host:port`, with brackets around an IPv6 address.
pub fn host_port(host: &str, port: u16) -> String {
    endpoint(host, port).trim_start_matches("tcp://").to_owned()
}

/// The host and port of `--http`.
///
/// # Errors
/// One sentence when it is no address with a port.
pub fn http(address: &str) -> Result<(&str, u16), String> {
    match split(address) {
        Some((host, Some(port))) if !address.contains("://") => Ok((host, port)),
        _ => Err(format!("{address} is no address with a port; give HOST:PORT")),
    }
}

/// Where others find the pages that are bound at `--http`: at the advertised host if that is bound
/// to every address of this machine, and else at this machine's name, the best that it knows.
pub fn shown_http(address: &str, advertise: Option<&str>) -> Option<String> {
    let (host, port) = http(address).ok()?;
    if !is_unspecified(host) {
        return Some(host_port(host, port));
    }
    let name = rustix::system::uname();
    let own = advertise.or_else(|| name.nodename().to_str().ok())?;
    Some(host_port(own, port))
}

/// Whether a host to bind means every address of the machine, which nobody can connect to.
pub fn is_unspecified(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "*" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified())
}

/// Whether an end point is on this machine for sure.
pub fn is_loopback(endpoint: &str) -> bool {
    split(endpoint).is_some_and(|(host, _)| {
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    })
}

/// The host to connect to for what was bound at `listen` on this machine.
pub fn local_host(listen: &str) -> String {
    match listen {
        _ if !is_unspecified(listen) => listen.to_owned(),
        _ if listen.contains(':') => "::1".to_owned(),
        _ => "127.0.0.1".to_owned(),
    }
}

/// Both ports of each address of a list, the first ones and the second ones.
fn pairs(
    key: &str,
    addresses: &str,
    default_port: u16,
) -> Result<(Vec<String>, Vec<String>), Failure> {
    let mut found: Vec<(String, String)> = Vec::new();
    for address in addresses.split(',').map(str::trim) {
        let both = pair(key, address, default_port)?;
        // One that is named twice is still one, and would get every event twice.
        if !found.contains(&both) {
            found.push(both);
        }
    }
    Ok(found.into_iter().unzip())
}

fn pair(key: &str, address: &str, default_port: u16) -> Result<(String, String), Failure> {
    let wrong = || {
        Failure::Usage(format!(
            "--{key} {address} is no address; give HOST, HOST:PORT or tcp://HOST:PORT"
        ))
    };
    let (host, port) = split(address).ok_or_else(wrong)?;
    let first = port.unwrap_or(default_port);
    let second = first.checked_add(1).ok_or_else(wrong)?;
    Ok((endpoint(host, first), endpoint(host, second)))
}

/// End points that are reached at another one, from `FROM=TO,FROM=TO`.
///
/// # Errors
/// One sentence that names the pair that is none.
pub fn routes(text: &str) -> Result<BTreeMap<String, String>, Failure> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let full = |address: &str| match split(address.trim())? {
                (host, Some(port)) => Some(endpoint(host, port)),
                (_, None) => None,
            };
            let route = pair.split_once('=').and_then(|(from, to)| full(from).zip(full(to)));
            route.ok_or_else(|| {
                Failure::Usage(format!("--route {pair} is no route; give HOST:PORT=HOST:PORT"))
            })
        })
        .collect()
}

/// Splits an address into its host, without brackets, and its port.
pub fn split(address: &str) -> Option<(&str, Option<u16>)> {
    let rest = address.strip_prefix("tcp://").unwrap_or(address);
    if rest.is_empty() || rest.contains("://") || rest.contains(char::is_whitespace) {
        return None;
    }
    if let Some(inner) = rest.strip_prefix('[') {
        let (host, tail) = inner.split_once(']')?;
        return match tail.strip_prefix(':') {
            Some(port) => Some((host, Some(port_number(port)?))),
            None if tail.is_empty() => Some((host, None)),
            None => None,
        };
    }
    match rest.matches(':').count() {
        0 => Some((rest, None)),
        1 => {
            let (host, port) = rest.split_once(':')?;
            (!host.is_empty()).then_some(())?;
            Some((host, Some(port_number(port)?)))
        }
        _ => rest.parse::<IpAddr>().ok().map(|_| (rest, None)),
    }
}

fn port_number(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_an_address_is_read() {
        for (address, expected) in [
            ("box", Some(("box", None))),
            ("box:7", Some(("box", Some(7)))),
            ("tcp://box:7", Some(("box", Some(7)))),
            ("tcp://10.0.0.1", Some(("10.0.0.1", None))),
            ("::1", Some(("::1", None))),
            ("[::1]", Some(("::1", None))),
            ("tcp://[::1]:9", Some(("::1", Some(9)))),
            ("", None),
            ("box:", None),
            (":7", None),
            ("box:0", None),
            ("box:70000", None),
            ("ipc://box", None),
            ("a:b:c", None),
            ("[::1]7", None),
        ] {
            assert_eq!(split(address), expected, "{address}");
        }
    }

    #[test]
    fn the_pages_are_shown_where_others_find_them() {
        assert_eq!(http("box:7"), Ok(("box", 7)));
        assert_eq!(http("[::]:7"), Ok(("::", 7)));
        for wrong in ["box", "tcp://box:7", "http://box:7", ":7", "box:0", ""] {
            assert!(http(wrong).is_err(), "{wrong}");
        }
        assert_eq!(shown_http("10.0.0.1:7", Some("box")).as_deref(), Some("10.0.0.1:7"));
        assert_eq!(shown_http("0.0.0.0:7", Some("box")).as_deref(), Some("box:7"));
        assert_eq!(shown_http("[::]:7", Some("::5")).as_deref(), Some("[::5]:7"));
        let own = shown_http("0.0.0.0:7", None).unwrap();
        assert!(own.ends_with(":7") && !own.starts_with("0.0.0.0"), "{own}");
    }

    #[test]
    fn a_port_moves_both_ports_of_a_role() {
        let (first, second) = pair("broker", "tcp://box:7000", 5555).unwrap();
        assert_eq!((first.as_str(), second.as_str()), ("tcp://box:7000", "tcp://box:7001"));
        let (first, second) = pair("broker", "::1", 5555).unwrap();
        assert_eq!((first.as_str(), second.as_str()), ("tcp://[::1]:5555", "tcp://[::1]:5556"));
        assert!(pair("broker", "box:65535", 5555).is_err());
    }

    #[test]
    fn routes_have_two_full_addresses() {
        let found = routes("box:7=tcp://[::1]:8, 10.0.0.1:9=b:9,").unwrap();
        let expected = [("tcp://box:7", "tcp://[::1]:8"), ("tcp://10.0.0.1:9", "tcp://b:9")];
        assert_eq!(found, expected.map(|(from, to)| (from.into(), to.into())).into());
        assert_eq!(routes("").unwrap(), BTreeMap::new());
        for wrong in ["box:7", "box=b:8", "box:7=b", "=b:7", "a:1=b:2=c:3"] {
            assert!(routes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn nobody_is_told_to_connect_to_every_address() {
        assert_eq!(local_host("0.0.0.0"), "127.0.0.1");
        assert_eq!(local_host("::"), "::1");
        assert_eq!(local_host("10.1.2.3"), "10.1.2.3");
        assert!(is_loopback("tcp://127.0.0.1:5560"));
        assert!(!is_loopback("tcp://10.0.0.1:5560"));
    }
}
