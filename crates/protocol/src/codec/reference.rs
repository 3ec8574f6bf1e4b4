//! Between servers and the reference.

use bytes::Bytes;

use super::field::{self, Field, Fields, Message};
use super::reply::{refused, write_refusal};
use super::write::{self, MapWriter};
use super::{BadRequest, DecodeError, Stamp, decode_any_request};
use crate::reference::{Listed, ReferenceReply, ReferenceRequest, Registration};

/// Encodes a request to the reference.
pub fn encode_reference_request(request: &ReferenceRequest, stamp: Stamp) -> Bytes {
    write::message(request.service(), stamp, 160, |data| match request {
        ReferenceRequest::Rank(registration) | ReferenceRequest::Heartbeat(registration) => {
            write_registration(data, registration);
        }
        ReferenceRequest::List | ReferenceRequest::Status => {}
    })
}

fn write_registration(data: &mut MapWriter, registration: &Registration) {
    data.str("user", &registration.user);
    if let Some(boot) = registration.boot {
        data.uint("boot", boot);
    }
    if let Some(address) = &registration.address {
        data.str("address", address);
    }
    if let Some(node) = registration.node {
        data.uint("node", node);
    }
    if let Some(cluster) = registration.cluster {
        data.uint("cluster", cluster);
    }
}

/// Decodes a request to the reference; the second value is the sender's clock.
///
/// # Errors
/// The refusal to answer with: `malformed`, `unknown_service` or `too_large`.
pub fn decode_reference_request(body: &[u8]) -> Result<(ReferenceRequest, u64), BadRequest> {
    decode_any_request(body, |Message { service, data }| {
        let request = match *service {
            "rank" => read_registration(*data).map(ReferenceRequest::Rank),
            "list" => Ok(ReferenceRequest::List),
            "heartbeat" => read_registration(*data).map(ReferenceRequest::Heartbeat),
            "status" => Ok(ReferenceRequest::Status),
            _ => return None,
        };
        Some(request.map(|request| (request, data.stamp().clock)))
    })
}

fn read_registration(data: Fields<'_>) -> Result<Registration, DecodeError> {
    let [user, boot, address, node, cluster] =
        data.pick(["user", "boot", "address", "node", "cluster"]);
    Ok(Registration {
        user: user.label()?,
        boot: boot.optional(Field::uint)?,
        address: address.optional(Field::label)?,
        node: node.optional(Field::uint)?,
        cluster: cluster.optional(Field::uint)?,
    })
}

/// Encodes the reference's reply.
pub fn encode_reference_reply(service: &str, reply: &ReferenceReply, stamp: Stamp) -> Bytes {
    let servers = match reply {
        ReferenceReply::Rank { list, .. }
        | ReferenceReply::List(list)
        | ReferenceReply::Heartbeat { list, .. }
        | ReferenceReply::Status { list, .. } => list.len(),
        ReferenceReply::Refused(_) => 1,
    };
    write::message(service, stamp, 64 + servers * 128, |data| match reply {
        ReferenceReply::Rank { rank, form, list } => {
            write_rank(data, *rank, *form);
            write_list(data, list);
        }
        ReferenceReply::List(list) => write_list(data, list),
        ReferenceReply::Heartbeat { rank, form, list, pid, http } => {
            write_rank(data, *rank, *form);
            write_list(data, list);
            data.uint("pid", u64::from(*pid));
            write_http(data, http.as_deref());
        }
        ReferenceReply::Status { pid, last_rank, list, http } => {
            data.uint("pid", u64::from(*pid));
            data.uint("last_rank", *last_rank);
            write_list(data, list);
            write_http(data, http.as_deref());
        }
        ReferenceReply::Refused(refusal) => write_refusal(data, refusal, "description"),
    })
}

fn write_rank(data: &mut MapWriter, rank: u64, form: Option<u64>) {
    data.uint("rank", rank);
    if let Some(form) = form {
        data.uint("form", form);
    }
}

fn write_http(data: &mut MapWriter, http: Option<&str>) {
    if let Some(http) = http {
        data.str("http", http);
    }
}

fn write_list(data: &mut MapWriter, list: &[Listed]) {
    data.maps("list", list, |map, listed| {
        map.str("name", &listed.name);
        map.uint("rank", listed.rank);
        if let Some(address) = &listed.address {
            map.str("address", address);
        }
        if let Some(node) = listed.node {
            map.uint("node", node);
        }
    });
}

/// Decodes the reference's reply. A standard reference's heartbeat brings nothing but its stamp;
/// what is not there is 0 or empty.
///
/// # Errors
/// A sentence that says what is wrong with the body.
pub fn decode_reference_reply(body: &[u8]) -> Result<(ReferenceReply, Stamp), DecodeError> {
    let Message { service, data } = field::message(body)?;
    let reply = match refused(service, data) {
        Some(refusal) => ReferenceReply::Refused(refusal),
        None => read_reply(service, data)?,
    };
    Ok((reply, data.stamp()))
}

fn read_reply(service: &str, data: Fields<'_>) -> Result<ReferenceReply, DecodeError> {
    let [rank, form, list, pid, last_rank, http] =
        data.pick(["rank", "form", "list", "pid", "last_rank", "http"]);
    let form = form.optional(Field::uint)?;
    let listed = |list: Field<'_>| list.maps(read_listed, usize::MAX);
    match service {
        "rank" => Ok(ReferenceReply::Rank {
            rank: rank.uint()?,
            form,
            list: list.optional(listed)?.unwrap_or_default(),
        }),
        "list" => listed(list).map(ReferenceReply::List),
        "heartbeat" => Ok(ReferenceReply::Heartbeat {
            rank: rank.optional(Field::uint)?.unwrap_or(0),
            form,
            list: list.optional(listed)?.unwrap_or_default(),
            pid: pid.optional(Field::uint32)?.unwrap_or(0),
            http: http.optional(Field::string)?,
        }),
        "status" => Ok(ReferenceReply::Status {
            pid: pid.uint32()?,
            last_rank: last_rank.uint()?,
            list: listed(list)?,
            http: http.optional(Field::string)?,
        }),
        _ => Err(DecodeError("the reference has no such service".into())),
    }
}

fn read_listed(fields: Fields<'_>) -> Result<Listed, DecodeError> {
    let [name, rank, address, node] = fields.pick(["name", "rank", "address", "node"]);
    Ok(Listed {
        name: name.string()?,
        rank: rank.uint()?,
        address: address.optional(Field::string)?,
        node: node.optional(Field::uint)?,
    })
}
