//! How votes and entries look in the log's files.

use std::io;

use openraft::EntryPayload as Kind;
use raft_log::codeq::{Decode, Encode};

use crate::types::{EntryPayload, Payload, Vote};

/// A longer length can only be damage: a request of a mebibyte makes the longest entry.
const MAX_PAYLOAD_BYTES: usize = 2 * 1024 * 1024;
/// A tag, the length, and the length's complement.
pub const HEAD_BYTES: usize = 9;

const BLANK: u8 = 0;
/// The first tag that a length follows.
pub const NORMAL: u8 = 1;
const MEMBERSHIP: u8 = 2;

/// A vote on disk.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd)]
pub struct DiskVote(pub Vote);

impl Encode for DiskVote {
    fn encode<W: io::Write>(&self, mut writer: W) -> io::Result<usize> {
        Ok(self.0.leader_id.term.encode(&mut writer)?
            + self.0.leader_id.voted_for.encode(&mut writer)?
            + self.0.committed.encode(&mut writer)?)
    }
}

impl Decode for DiskVote {
    fn decode<R: io::Read>(mut reader: R) -> io::Result<Self> {
        let term = u64::decode(&mut reader)?;
        let node = u64::decode(&mut reader)?;
        let committed = bool::decode(&mut reader)?;
        Ok(DiskVote(if committed {
            Vote::new_committed(term, node)
        } else {
            Vote::new(term, node)
        }))
    }
}

/// An entry's payload on disk: a tag, then for all but blanks a length, its complement, and that
/// many bytes. raft-log puts a checksum behind it, which is too late for the length: a damaged
/// one points beyond the end of the file and would pass for a torn tail, with all that follows.
#[derive(Debug, Clone)]
pub struct DiskPayload(pub EntryPayload);

impl Encode for DiskPayload {
    fn encode<W: io::Write>(&self, mut writer: W) -> io::Result<usize> {
        match &self.0 {
            Kind::Blank => {
                writer.write_all(&[BLANK])?;
                Ok(1)
            }
            Kind::Normal(Payload(bytes)) => write_tagged(writer, NORMAL, bytes),
            Kind::Membership(membership) => {
                let bytes = rmp_serde::to_vec(membership).map_err(io::Error::other)?;
                write_tagged(writer, MEMBERSHIP, &bytes)
            }
        }
    }
}

fn write_tagged<W: io::Write>(mut writer: W, tag: u8, bytes: &[u8]) -> io::Result<usize> {
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    let mut head = [tag; HEAD_BYTES];
    head[1..5].copy_from_slice(&length.to_be_bytes());
    head[5..].copy_from_slice(&(!length).to_be_bytes());
    writer.write_all(&head)?;
    writer.write_all(bytes)?;
    Ok(head.len() + bytes.len())
}

impl Decode for DiskPayload {
    fn decode<R: io::Read>(mut reader: R) -> io::Result<Self> {
        let mut tag = [0u8; 1];
        reader.read_exact(&mut tag)?;
        if tag[0] == BLANK {
            return Ok(DiskPayload(Kind::Blank));
        }
        let damaged = |what| Err(io::Error::new(io::ErrorKind::InvalidData, what));
        if !matches!(tag[0], NORMAL | MEMBERSHIP) {
            return damaged("an entry of an unknown kind");
        }
        let mut head = [tag[0]; HEAD_BYTES];
        reader.read_exact(&mut head[1..])?;
        let Some(length) = payload_bytes(&head) else {
            return damaged("an entry's length is damaged");
        };
        let mut bytes = vec![0u8; length];
        // A short read surfaces as `UnexpectedEof`, by which raft-log knows a torn tail.
        reader.read_exact(&mut bytes)?;
        if tag[0] == NORMAL {
            return Ok(DiskPayload(Kind::Normal(Payload(bytes.into()))));
        }
        rmp_serde::from_slice(&bytes)
            .map(|membership| DiskPayload(Kind::Membership(membership)))
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

/// How long the payload behind this head is; none when the head is damaged.
pub fn payload_bytes(head: &[u8; HEAD_BYTES]) -> Option<usize> {
    let [_, a, b, c, d, complement @ ..] = *head;
    let length = u32::from_be_bytes([a, b, c, d]);
    let known = length == !u32::from_be_bytes(complement);
    (known && length as usize <= MAX_PAYLOAD_BYTES).then_some(length as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for vote in [Vote::new(3, 9), Vote::new_committed(u64::MAX, 1)] {
            let mut bytes = Vec::new();
            let length = DiskVote(vote).encode(&mut bytes).unwrap();
            assert_eq!(length, bytes.len());
            assert_eq!(DiskVote::decode(&bytes[..]).unwrap(), DiskVote(vote));
        }
        for payload in [Kind::Blank, Kind::Normal(Payload(b"entry"[..].into()))] {
            let mut bytes = Vec::new();
            let length = DiskPayload(payload.clone()).encode(&mut bytes).unwrap();
            assert_eq!(length, bytes.len());
            assert_eq!(DiskPayload::decode(&bytes[..]).unwrap().0, payload);
        }
    }

    #[test]
    fn a_torn_payload_is_an_unexpected_end() {
        let mut bytes = Vec::new();
        DiskPayload(Kind::Normal(Payload(b"entry"[..].into()))).encode(&mut bytes).unwrap();
        for length in 0..bytes.len() {
            let error = DiskPayload::decode(&bytes[..length]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
    }

    #[test]
    fn a_damaged_head_is_no_torn_tail() {
        let mut whole = Vec::new();
        DiskPayload(Kind::Normal(Payload(b"entry"[..].into()))).encode(&mut whole).unwrap();
        for bit in 8..HEAD_BYTES * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let error = DiskPayload::decode(&bytes[..]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "bit {bit}");
        }
    }
}
