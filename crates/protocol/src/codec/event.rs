//! What subscribers receive.

use bytes::Bytes;

use super::field::{self, Field, Fields, Message};
use super::{DecodeError, Stamp, record, write};
use crate::event::Event;
use crate::reply::Record;

/// Encodes an event. Publications and private messages carry the record's own stamp.
pub fn encode_event(event: &Event) -> Bytes {
    match event {
        Event::Publication(record) => encode_record("publication", record),
        Event::Private(record) => encode_record("private_message", record),
        Event::Election { coordinator, timestamp, clock } => {
            let stamp = Stamp { timestamp: *timestamp, clock: *clock };
            write::message("election", stamp, 32 + coordinator.len(), |data| {
                data.str("coordinator", coordinator);
            })
        }
    }
}

fn encode_record(service: &str, record: &Record) -> Bytes {
    let stamp = Stamp { timestamp: record.timestamp, clock: record.clock };
    write::message(service, stamp, record::record_room(record), |data| {
        record::write_record(data, record);
    })
}

/// Decodes an event from the topic and body frames. One of a standard server, without our
/// extensions, has an empty id and the numbers 0.
///
/// # Errors
/// The body is no event, or one that belongs to another topic.
pub fn decode_event(topic: &[u8], body: &[u8]) -> Result<Event, DecodeError> {
    let Message { service, data } = field::message(body)?;
    let event = match service {
        "publication" => {
            let [user, channel] = data.pick(["user", "channel"]);
            Event::Publication(read_record(data, user, channel, false)?)
        }
        "private_message" => {
            let [src, dst] = data.pick(["src", "dst"]);
            Event::Private(read_record(data, src, dst, true)?)
        }
        "election" => {
            let [coordinator] = data.pick(["coordinator"]);
            let Stamp { timestamp, clock } = data.stamp();
            Event::Election { coordinator: coordinator.string()?, timestamp, clock }
        }
        _ => return Err(DecodeError("there is no such service among the events".into())),
    };
    if event.topic().as_bytes() == topic {
        Ok(event)
    } else {
        // Whoever compares topics to keep messages apart must not be led astray by the body.
        Err(DecodeError("the event was published on another topic than it names".into()))
    }
}

fn read_record(
    data: Fields<'_>,
    from: Field<'_>,
    to: Field<'_>,
    private: bool,
) -> Result<Record, DecodeError> {
    let [message, timestamp, id, seq, pos] =
        data.pick(["message", "timestamp", "id", "seq", "pos"]);
    let stamp = data.stamp();
    // Another program's numbers of these names need not be numbers at all.
    let seq = seq.uint().unwrap_or(0);
    Ok(Record {
        from: from.string()?,
        to: to.string()?,
        message: message.string()?,
        // A message that has its place in our history has an exact time; others send any.
        timestamp: timestamp.uint().ok().filter(|_| seq > 0).unwrap_or(stamp.timestamp),
        clock: stamp.clock,
        id: id.message_id(),
        seq,
        pos: pos.uint().unwrap_or(0),
        private,
    })
}
