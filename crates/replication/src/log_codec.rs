//! How votes and entries look in the log's files.

use std::io::{self, Read as _};

use openraft::EntryPayload as Kind;
use raft_log::codeq::{Decode, Encode};

use crate::types::{EntryPayload, Payload, Vote};

/// So much memory is taken before the bytes are there: a length alone is not believed.
const BELIEVED_BYTES: usize = 2 * 1024 * 1024;
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
///
/// Whether the bytes are as they were written is the checksum's to say, and nothing else's. So what
/// this version can't understand, however long it is, is read too, up to the checksum.
#[derive(Debug, Clone)]
pub enum DiskPayload {
    /// An entry of a kind that there is.
    Known(EntryPayload),
    /// Something else, which another version wrote.
    Unknown {
        /// Its tag, never that of a blank.
        tag: u8,
        /// What stands there.
        bytes: Vec<u8>,
    },
}

impl Encode for DiskPayload {
    fn encode<W: io::Write>(&self, mut writer: W) -> io::Result<usize> {
        match self {
            DiskPayload::Known(Kind::Blank) => {
                writer.write_all(&[BLANK])?;
                Ok(1)
            }
            DiskPayload::Known(Kind::Normal(Payload(bytes))) => write_tagged(writer, NORMAL, bytes),
            DiskPayload::Known(Kind::Membership(membership)) => {
                let bytes = rmp_serde::to_vec(membership).map_err(io::Error::other)?;
                write_tagged(writer, MEMBERSHIP, &bytes)
            }
            DiskPayload::Unknown { tag, bytes } => write_tagged(writer, *tag, bytes),
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
            return Ok(DiskPayload::Known(Kind::Blank));
        }
        let mut head = [tag[0]; HEAD_BYTES];
        reader.read_exact(&mut head[1..])?;
        let Some(length) = payload_bytes(&head) else {
            let what = "an entry's length is damaged";
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        };
        let mut bytes = Vec::with_capacity(length.min(BELIEVED_BYTES));
        // A short read surfaces as `UnexpectedEof`, by which raft-log knows a torn tail.
        if reader.take(length as u64).read_to_end(&mut bytes)? < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(match tag[0] {
            NORMAL => DiskPayload::Known(Kind::Normal(Payload(bytes.into()))),
            MEMBERSHIP => match rmp_serde::from_slice(&bytes) {
                Ok(membership) => DiskPayload::Known(Kind::Membership(membership)),
                Err(_) => DiskPayload::Unknown { tag: MEMBERSHIP, bytes },
            },
            tag => DiskPayload::Unknown { tag, bytes },
        })
    }
}

/// How long the payload behind this head is; none when the head is damaged.
pub fn payload_bytes(head: &[u8; HEAD_BYTES]) -> Option<usize> {
    let [_, a, b, c, d, complement @ ..] = *head;
    let length = u32::from_be_bytes([a, b, c, d]);
    let known = length == !u32::from_be_bytes(complement);
    known.then_some(length as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> DiskPayload {
        DiskPayload::Known(Kind::Normal(Payload(b"entry"[..].into())))
    }

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
            let length = DiskPayload::Known(payload.clone()).encode(&mut bytes).unwrap();
            assert_eq!(length, bytes.len());
            let read = DiskPayload::decode(&bytes[..]).unwrap();
            assert!(matches!(read, DiskPayload::Known(read) if read == payload));
        }
    }

    #[test]
    fn what_is_not_understood_is_no_damage() {
        let nonsense = (MEMBERSHIP, b"no membership".to_vec());
        for (tag, bytes) in [(7, b"of another version".to_vec()), (200, Vec::new()), nonsense] {
            let mut written = Vec::new();
            write_tagged(&mut written, tag, &bytes).unwrap();
            let read = DiskPayload::decode(&written[..]).unwrap();
            let mut again = Vec::new();
            read.encode(&mut again).unwrap();
            assert_eq!(again, written, "it stands in the log as it was");
            let DiskPayload::Unknown { tag: read_tag, bytes: read_bytes } = read else {
                panic!("tag {tag} is not known");
            };
            assert_eq!((read_tag, read_bytes), (tag, bytes));
        }
        // Longer than any entry that is proposed.
        let mut long = Vec::new();
        write_tagged(&mut long, NORMAL, &vec![1; 2 * BELIEVED_BYTES]).unwrap();
        assert!(matches!(DiskPayload::decode(&long[..]), Ok(DiskPayload::Known(_))));
    }

    #[test]
    fn a_torn_payload_is_an_unexpected_end() {
        let mut bytes = Vec::new();
        entry().encode(&mut bytes).unwrap();
        for length in 0..bytes.len() {
            let error = DiskPayload::decode(&bytes[..length]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
    }

    #[test]
    fn a_damaged_head_is_no_torn_tail() {
        let mut whole = Vec::new();
        entry().encode(&mut whole).unwrap();
        for bit in 8..HEAD_BYTES * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let error = DiskPayload::decode(&bytes[..]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "bit {bit}");
        }
    }
}
