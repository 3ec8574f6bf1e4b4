//! Markers, and what a proxy tells of itself.

use bytes::Bytes;

use super::backend::{read_connected, write_connected};
use super::field::{self, Field, Message};
use super::{DecodeError, Stamp, write};
use crate::limits::MAX_TOLD_SERVERS;
use crate::marker::ProxyFacts;

/// Encodes a server's marker number `n`.
pub fn encode_marker(n: u64, stamp: Stamp) -> Bytes {
    write::message("marker", stamp, 16, |data| data.uint("n", n))
}

/// Decodes a marker: its number.
///
/// # Errors
/// A sentence that says what is wrong with the body.
pub fn decode_marker(body: &[u8]) -> Result<u64, DecodeError> {
    let Message { service, data } = field::message(body)?;
    if service != "marker" {
        return Err(DecodeError("the event is no marker".into()));
    }
    let [n] = data.pick(["n"]);
    n.uint()
}

/// Encodes what a proxy tells of itself.
pub fn encode_proxy_facts(facts: &ProxyFacts, stamp: Stamp) -> Bytes {
    write::message("proxy", stamp, 96 + facts.servers.len() * 64, |data| {
        data.uint("pid", u64::from(facts.pid));
        if let Some(http) = &facts.http {
            data.str("http", http);
        }
        data.uint("uptime_ms", facts.uptime_ms);
        data.uint("publishers", facts.publishers);
        data.uint("subscribers", facts.subscribers);
        write_connected(data, &facts.servers);
    })
}

/// Decodes what a proxy tells of itself.
///
/// # Errors
/// A sentence that says what is wrong with the body.
pub fn decode_proxy_facts(body: &[u8]) -> Result<ProxyFacts, DecodeError> {
    let Message { service, data } = field::message(body)?;
    if service != "proxy" {
        return Err(DecodeError("the event does not tell of a proxy".into()));
    }
    let [pid, http, uptime_ms, publishers, subscribers, servers] =
        data.pick(["pid", "http", "uptime_ms", "publishers", "subscribers", "servers"]);
    Ok(ProxyFacts {
        pid: pid.uint32()?,
        http: http.optional(Field::label)?,
        uptime_ms: uptime_ms.uint()?,
        publishers: publishers.uint()?,
        subscribers: subscribers.uint()?,
        servers: servers.maps(read_connected, MAX_TOLD_SERVERS)?,
    })
}
