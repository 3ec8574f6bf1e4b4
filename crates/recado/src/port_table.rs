//! Which port of a cluster is whose: everything lies within a hundred ports from the port base
//! on. PROTOCOL.md has the same table, and a test compares the two.

/// How many ports a cluster has for itself.
pub const PORTS: u16 = 100;
/// How many brokers have a place.
pub const MAX_BROKERS: u16 = 4;
/// How many proxies have a place.
pub const MAX_PROXIES: u16 = 4;
/// How many servers have a place.
pub const MAX_SERVERS: u16 = 15;

/// The first broker's port for clients; the one for servers is the next.
const BROKER: u16 = 0;
/// The first proxy's port for publishers; the one for subscribers is the next.
const PROXY: u16 = 2;
/// The reference's port.
pub const REFERENCE: u16 = 4;
/// The first server's own port.
pub const FIRST_SERVER: u16 = 5;
/// The place of the second broker and proxy, in the order of the first ones …
const FURTHER: u16 = 30;
/// … and how far those of the third are from there.
const STEP: u16 = 10;
/// The first broker's port for HTTP.
const FIRST_BROKER_HTTP: u16 = 60;
/// The first proxy's.
const FIRST_PROXY_HTTP: u16 = 64;
/// The reference's.
pub const REFERENCE_HTTP: u16 = 68;
/// The first server's.
const FIRST_SERVER_HTTP: u16 = 70;

/// The first port, from the port base on, of the broker of this number, from 1.
pub const fn broker(number: u16) -> u16 {
    block(number) + BROKER
}

/// The first port, from the port base on, of the proxy of this number, from 1.
pub const fn proxy(number: u16) -> u16 {
    block(number) + PROXY
}

/// The port, from the port base on, of the server of this number, from 1.
pub const fn server(number: u16) -> u16 {
    FIRST_SERVER + number.saturating_sub(1)
}

/// The HTTP port, from the port base on, of the broker of this number, from 1.
pub const fn broker_http(number: u16) -> u16 {
    FIRST_BROKER_HTTP + number.saturating_sub(1)
}

/// The HTTP port, from the port base on, of the proxy of this number, from 1.
pub const fn proxy_http(number: u16) -> u16 {
    FIRST_PROXY_HTTP + number.saturating_sub(1)
}

/// The HTTP port, from the port base on, of the server of this number, from 1.
pub const fn server_http(number: u16) -> u16 {
    FIRST_SERVER_HTTP + number.saturating_sub(1)
}

const fn block(number: u16) -> u16 {
    match number {
        0 | 1 => 0,
        further => FURTHER + STEP * (further - 2),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const DOCUMENT: &str = include_str!("../../../PROTOCOL.md");

    /// The rows of the document's table: the offsets and whose they are.
    fn documented() -> Vec<(BTreeSet<u16>, &'static str)> {
        let rows = DOCUMENT.lines().filter(|line| line.starts_with("| N + "));
        rows.map(|row| {
            let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
            let ports = cells[0].split(", ").flat_map(|range| {
                let numbers = range.trim_start_matches("N + ").split(" … ");
                let ends: Vec<u16> = numbers.map(|number| number.parse().unwrap()).collect();
                ends[0]..=*ends.last().unwrap()
            });
            (ports.collect(), cells[1])
        })
        .collect()
    }

    #[test]
    fn the_document_has_the_same_table() {
        let rows = documented();
        let of = |whose: &str| {
            let found = rows.iter().find(|(_, name)| *name == whose);
            found.map(|(ports, _)| ports.clone()).unwrap_or_else(|| panic!("no row: {whose}"))
        };
        let pairs = |first: fn(u16) -> u16, numbers: std::ops::RangeInclusive<u16>| {
            numbers.flat_map(|n| [first(n), first(n) + 1]).collect::<BTreeSet<_>>()
        };
        assert_eq!(of("first broker"), pairs(broker, 1..=1));
        assert_eq!(of("first proxy"), pairs(proxy, 1..=1));
        assert_eq!(of("further brokers"), pairs(broker, 2..=MAX_BROKERS));
        assert_eq!(of("further proxies"), pairs(proxy, 2..=MAX_PROXIES));
        assert_eq!(of("reference"), [REFERENCE].into());
        let row = |port: fn(u16) -> u16, count: u16| (1..=count).map(port).collect::<BTreeSet<_>>();
        assert_eq!(of("servers"), row(server, MAX_SERVERS));
        assert_eq!(of("HTTP of brokers"), row(broker_http, MAX_BROKERS));
        assert_eq!(of("HTTP of proxies"), row(proxy_http, MAX_PROXIES));
        assert_eq!(of("HTTP of the reference"), [REFERENCE_HTTP].into());
        assert_eq!(of("HTTP of servers"), row(server_http, MAX_SERVERS));
    }

    #[test]
    fn no_port_has_two_owners_and_all_fit() {
        let mut seen = BTreeSet::new();
        for (ports, whose) in documented() {
            for port in ports {
                assert!(port < PORTS, "N + {port} is outside: {whose}");
                assert!(seen.insert(port), "N + {port} has two owners, one of them: {whose}");
            }
        }
    }
}
