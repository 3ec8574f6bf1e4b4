//! The header frames between broker and servers.

use bytes::Bytes;

use super::field::{self, Field, Fields, Message};
use super::reply::{read_scrub, write_scrub};
use super::request::{read_request_id, write_request_id};
use super::{DecodeError, Stamp, write};
use crate::backend::{BrokerFacts, ConnectedServer, ToBroker, ToServer};
use crate::limits::MAX_TOLD_SERVERS;

/// Encodes the header frame from a server to the broker.
pub fn encode_to_broker(header: &ToBroker, stamp: Stamp) -> Bytes {
    match header {
        ToBroker::Ready { name, boot, credit, primary, serving, http, scrub, why } => {
            write::message("ready", stamp, 96 + name.len(), |data| {
                data.str("name", name);
                data.uint("boot", *boot);
                data.uint("credit", u64::from(*credit));
                data.bool("primary", *primary);
                data.bool("serving", *serving);
                if let Some(http) = http {
                    data.str("http", http);
                }
                write_scrub(data, *scrub);
                if let Some(why) = why {
                    data.str("why", why);
                }
            })
        }
        ToBroker::Done { n } => write::message("done", stamp, 16, |data| data.uint("n", *n)),
        ToBroker::Again { n, uncertain } => write::message("again", stamp, 32, |data| {
            data.uint("n", *n);
            data.bool("uncertain", *uncertain);
        }),
        ToBroker::Bye => write::message("bye", stamp, 0, |_| {}),
    }
}

/// Decodes the header frame from a server; the second value is its clock.
///
/// # Errors
/// A sentence that says what is wrong with the frame.
pub fn decode_to_broker(frame: &[u8]) -> Result<(ToBroker, u64), DecodeError> {
    let Message { service, data } = field::message(frame)?;
    let header = match service {
        "ready" => read_ready(data)?,
        "done" => {
            let [n] = data.pick(["n"]);
            ToBroker::Done { n: n.uint()? }
        }
        "again" => {
            let [n, uncertain] = data.pick(["n", "uncertain"]);
            ToBroker::Again { n: n.uint()?, uncertain: uncertain.bool()? }
        }
        "bye" => ToBroker::Bye,
        _ => return Err(DecodeError("the broker has no such service".into())),
    };
    Ok((header, data.stamp().clock))
}

fn read_ready(data: Fields<'_>) -> Result<ToBroker, DecodeError> {
    let [name, boot, credit, primary, serving, http] =
        data.pick(["name", "boot", "credit", "primary", "serving", "http"]);
    let scrub = read_scrub(data)?;
    let [why] = data.pick(["why"]);
    Ok(ToBroker::Ready {
        name: name.label()?,
        boot: boot.uint()?,
        credit: credit.uint32()?,
        primary: primary.bool()?,
        serving: serving.bool()?,
        http: http.optional(Field::label)?,
        scrub,
        why: why.optional(Field::reason)?,
    })
}

/// Encodes the header frame from the broker to a server.
pub fn encode_to_server(header: &ToServer, stamp: Stamp) -> Bytes {
    write::message("request", stamp, 48, |data| {
        data.uint("n", header.n);
        if let Some(id) = header.id {
            write_request_id(data, id);
        }
    })
}

/// Decodes the header frame from the broker; the second value is its clock.
///
/// # Errors
/// A sentence that says what is wrong with the frame.
pub fn decode_to_server(frame: &[u8]) -> Result<(ToServer, u64), DecodeError> {
    let Message { service, data } = field::message(frame)?;
    if service != "request" {
        return Err(DecodeError("a server takes nothing but `request` from the broker".into()));
    }
    let [n, id] = data.pick(["n", "id"]);
    Ok((ToServer { n: n.uint()?, id: read_request_id(id)? }, data.stamp().clock))
}

/// Encodes the header frame with which a broker tells a server of itself.
pub fn encode_broker_facts(facts: &BrokerFacts, stamp: Stamp) -> Bytes {
    write::message("broker", stamp, 128 + facts.servers.len() * 64, |data| {
        data.str("address", &facts.address);
        data.uint("pid", u64::from(facts.pid));
        if let Some(http) = &facts.http {
            data.str("http", http);
        }
        data.uint("uptime_ms", facts.uptime_ms);
        data.uint("clients", facts.clients);
        write_connected(data, &facts.servers);
    })
}

/// Who is connected, under `servers`.
pub(super) fn write_connected(data: &mut write::MapWriter, servers: &[ConnectedServer]) {
    data.maps("servers", servers, |map, server| {
        map.str("name", &server.name);
        map.uint("since", server.since);
    });
}

/// Decodes what a broker tells of itself; the second value is its clock.
///
/// # Errors
/// A sentence that says what is wrong with the frame.
pub fn decode_broker_facts(frame: &[u8]) -> Result<(BrokerFacts, u64), DecodeError> {
    let Message { service, data } = field::message(frame)?;
    if service != "broker" {
        return Err(DecodeError("the header does not tell of a broker".into()));
    }
    let [address, pid, http, uptime_ms, clients, servers] =
        data.pick(["address", "pid", "http", "uptime_ms", "clients", "servers"]);
    let facts = BrokerFacts {
        address: address.label()?,
        pid: pid.uint32()?,
        http: http.optional(Field::label)?,
        uptime_ms: uptime_ms.uint()?,
        clients: clients.uint()?,
        servers: servers.maps(read_connected, MAX_TOLD_SERVERS)?,
    };
    Ok((facts, data.stamp().clock))
}

pub(super) fn read_connected(fields: Fields<'_>) -> Result<ConnectedServer, DecodeError> {
    let [name, since] = fields.pick(["name", "since"]);
    Ok(ConnectedServer { name: name.label()?, since: since.uint()? })
}
