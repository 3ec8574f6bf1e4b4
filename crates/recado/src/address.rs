//! From options to end points.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::failure::Failure;
use crate::options::Settings;

/// Offsets from the port base.
const FRONT: u16 = 0;
const BACK: u16 = 1;
const XSUB: u16 = 2;
const XPUB: u16 = 3;
/// Offset of the reference's port.
pub const REFERENCE: u16 = 4;
/// Offset of the first server's own port.
pub const FIRST_SERVER: u16 = 5;
/// Offsets of the roles' pages. There is a place for each of four brokers and four proxies, the
/// reference, and …
pub const FIRST_BROKER_HTTP: u16 = 60;
/// The first proxy's.
pub const FIRST_PROXY_HTTP: u16 = 64;
/// The reference's.
pub const REFERENCE_HTTP: u16 = 68;
/// The first server's.
pub const FIRST_SERVER_HTTP: u16 = 70;
/// … so many servers; further ones get none from `up`.
pub const SERVERS_WITH_HTTP: u16 = 15;

/// Where the roles are, as end points to connect to or to bind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// Broker, for clients.
    pub front: String,
    /// Brokers, for servers.
    pub backs: Vec<String>,
    /// Proxy, for publishers.
    pub xsub: String,
    /// Proxy, for subscribers.
    pub xpub: String,
    /// Reference.
    pub reference: String,
}

impl Endpoints {
    /// What roles of this process bind.
    pub fn to_bind(settings: &Settings) -> Endpoints {
        let at = |offset| endpoint(&settings.listen, settings.port_base + offset);
        Endpoints {
            front: at(FRONT),
            backs: vec![at(BACK)],
            xsub: at(XSUB),
            xpub: at(XPUB),
            reference: at(REFERENCE),
        }
    }

    /// Where this process finds the roles.
    ///
    /// # Errors
    /// An address that is none, with the option that holds it.
    pub fn to_connect(settings: &Settings) -> Result<Endpoints, Failure> {
        let base = settings.port_base;
        let brokers = settings.broker.split(',').map(str::trim);
        let brokers: Result<Vec<_>, _> =
            brokers.map(|address| pair("broker", address, base + FRONT)).collect();
        let (fronts, backs): (Vec<_>, Vec<_>) = brokers?.into_iter().unzip();
        let front = fronts.first().cloned().unwrap_or_default();
        let (xsub, xpub) = pair("proxy", &settings.proxy, base + XSUB)?;
        let (reference, _) = pair("reference", &settings.reference, base + REFERENCE)?;
        Ok(Endpoints { front, backs, xsub, xpub, reference })
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
